"""`hudctl service` beside a hudd that runs by hand, and what becomes of the runtime folder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hudctl import cli
from hudctl.service_beside import another_hudd
from hudctl.service_plan import RemoveRuntimeFolder
from hudd.service.runtime import RuntimeFolder
from hudd.wire import table
from tests.fakes.service_manager import System


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    return tmp_path / "runtime/hudd"


@pytest.fixture
def by_hand(system: System, runtime: Path) -> Iterator[RuntimeFolder]:
    """A hudd that runs by hand, in this process."""
    before = os.umask(0o077)
    with RuntimeFolder.open(runtime) as folder:
        os.umask(before)
        yield folder


def changes(system: System) -> list[str]:
    return [command for command in system.commands if " show " not in command and " is-" not in command]


@pytest.mark.parametrize("words", [("install",), ("install", "--on-demand"), ("start",), ("restart",)], ids="-".join)
def test_nothing_is_changed_beside_a_hudd_that_runs_by_hand(
    system: System, by_hand: RuntimeFolder, tmp_path: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    unit = tmp_path / ".config/systemd/user/hudd.service"
    if words[0] != "install":
        unit.parent.mkdir(parents=True)
        unit.touch()
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(["service", *words]) == table.EXIT_FAILED
    said = capsys.readouterr().err
    assert f"Another hudd (pid {os.getpid()}), which is not the service's, runs already" in said
    assert f"End it (kill {os.getpid()}), then give the same command again." in said
    assert sorted(tmp_path.rglob("*")) == before
    assert changes(system) == []


def test_the_service_itself_may_be_installed_anew_and_restarted(system: System, by_hand: RuntimeFolder) -> None:
    system.shown = f"ActiveState=active\nMainPID={os.getpid()}\n"
    assert cli.main(["service", "install"]) == 0
    assert cli.main(["service", "restart"]) == 0


@pytest.mark.parametrize("flag", ["--dry-run", "--no-start"])
def test_what_starts_nothing_is_not_refused(system: System, by_hand: RuntimeFolder, flag: str) -> None:
    assert cli.main(["service", "install", flag]) == 0


def test_a_folder_of_this_shell_is_not_the_services(
    system: System, by_hand: RuntimeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUDD_RUNTIME_DIR", str(tmp_path / "own"))
    assert another_hudd(os.environ, lambda: None) is not None
    assert another_hudd({"XDG_RUNTIME_DIR": str(tmp_path / "other")}, lambda: None) is None


def test_one_that_has_not_written_its_number_yet_is_the_service_where_that_runs(
    by_hand: RuntimeFolder, runtime: Path
) -> None:
    (runtime / "lock").write_text("")
    assert another_hudd(os.environ, lambda: 7) is None
    other = another_hudd(os.environ, lambda: None)
    assert other is not None
    assert "in a moment" in other.hint


@pytest.mark.parametrize("kind", ["systemd", "launchd"])
def test_uninstall_takes_the_runtime_folder_with_it(
    system: System, runtime: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "launchd":
        monkeypatch.setattr("hudctl.service.sys.platform", "darwin")
    assert cli.main(["service", "install"]) == 0
    runtime.mkdir(mode=0o700, parents=True)
    (runtime / "lock").touch()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(runtime / "ctl.sock"))
    assert cli.main(["service", "uninstall"]) == 0
    assert not runtime.exists()
    assert runtime.parent.exists()


def test_the_folder_of_a_hudd_that_runs_stays(system: System, by_hand: RuntimeFolder, runtime: Path) -> None:
    assert cli.main(["service", "install", "--no-start"]) == 0
    assert cli.main(["service", "uninstall"]) == 0
    assert (runtime / "lock").read_text() == f"{os.getpid()}\n"


def test_what_is_not_ours_keeps_the_folder(runtime: Path) -> None:
    step = RemoveRuntimeFolder(runtime)
    assert not step.carry_out()
    runtime.mkdir(mode=0o700, parents=True)
    (runtime / "ctl.sock").touch()
    (runtime / "mine").touch()
    assert not step.carry_out()
    assert {path.name for path in runtime.iterdir()} == {"ctl.sock", "mine"}
    (runtime / "mine").unlink()
    runtime.chmod(0o755)
    assert not step.carry_out()
    runtime.chmod(0o700)
    assert step.carry_out()
    assert not runtime.exists()
