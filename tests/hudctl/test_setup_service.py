"""The service in `hudctl setup`: with a key that it can find, and installed again as it was."""

from __future__ import annotations

import argparse
import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hudctl.console import colours
from hudctl.doctor import render_line
from hudctl.setup import Setup, _leaves
from hudctl.setup_key import keep_for_service
from hudctl.setup_service import Installed, wants_service
from hudctl.words import Look

KEY = "sk-typed-0123456789abcdef"
SYSTEMCTL = """#!/bin/sh
echo "$*" >> "$HOME/asked"
case "$*" in
    *"--property Version"*) echo 252 ;;
    *show*) cat "$HOME/unit" 2>/dev/null ;;
esac
exit 0
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    program = tmp_path / "bin/systemctl"
    program.parent.mkdir()
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    return tmp_path


def setup(home: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "hudctl", "setup", "--yes", "--install-service", *words],
        env={
            "PATH": f"{home}/bin:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "HOME": str(home),
            "TMPDIR": str(home),
            "HUDD_ENGINE_ANSWERS": "canned",
            "HUDD_REALTIME_URL": "ws://127.0.0.1:9/v1/realtime",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            **environ,
        },
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert KEY not in done.stdout + done.stderr
    return done


def realtime(home: Path) -> dict[str, object]:
    return tomllib.loads((home / ".config/hudd/config.toml").read_text())["realtime"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["HUDD_REALTIME_KEY", "OPENAI_API_KEY"])
def test_a_key_of_this_shell_is_put_where_the_service_finds_it(home: Path, name: str) -> None:
    done = setup(home, "--use", "service", **{name: KEY})
    assert done.returncode == 0, done.stderr
    assert f"The key stands in {name} of this shell, which a service does not see." in done.stdout
    kept = home / ".config/hudd/realtime-key"
    assert (kept.read_text(), stat.S_IMODE(kept.stat().st_mode)) == (f"{KEY}\n", 0o600)
    assert realtime(home) == {"use": "service", "key_file": "~/.config/hudd/realtime-key"}
    assert KEY not in (home / ".config/systemd/user/hudd.service").read_text()
    # The second run finds that it stands there, and writes nothing.
    before = (home / ".config/hudd/config.toml").read_text()
    done = setup(home, "--use", "service", **{name: KEY})
    assert done.returncode == 0, done.stderr
    assert "which a service does not see" not in done.stdout
    assert (home / ".config/hudd/config.toml").read_text() == before


@pytest.mark.slow
@pytest.mark.parametrize("environ", [{}, {"HUDD_REALTIME_KEY": KEY}], ids=["", "variable"])
def test_a_key_that_systemd_hands_over_stays_where_it_is(home: Path, environ: dict[str, str]) -> None:
    kept, drop_in = home / "kept", home / ".config/systemd/user/hudd.service.d/hudd-key.conf"
    kept.write_text(KEY)
    kept.chmod(0o600)
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text(f"[Service]\nLoadCredential=realtime-key:{kept}\n")
    (home / "unit").write_text(f"LoadState=loaded\nFragmentPath={home}/u\nDropInPaths={drop_in}\n")
    done = setup(home, "--use", "service", **environ)
    assert done.returncode == 0, done.stderr
    assert realtime(home) == {"use": "service"}
    assert drop_in.exists()
    assert (f"systemd credential realtime-key (file {kept})" in done.stdout) == (not environ)


@pytest.mark.slow
def test_a_second_run_installs_the_service_as_it_is(home: Path) -> None:
    folder = home / ".config/systemd/user"
    done = setup(home, "--use", "local")
    assert done.returncode == 0, done.stderr
    assert not (folder / "hudd-ctl.socket").exists()
    subprocess.run(
        [sys.executable, "-m", "hudctl", "service", "install", "--on-demand", "--loosen", "key-command", "--loosen",
         "command-source"],
        env={"PATH": f"{home}/bin:/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(home)},
        check=True, capture_output=True,
    )  # fmt: skip
    drop_ins = sorted((folder / "hudd.service.d").iterdir())
    assert [path.name for path in drop_ins] == [
        "hudd-loosen-command-source.conf", "hudd-loosen-key-command.conf", "hudd-on-demand.conf",
    ]  # fmt: skip
    (home / "unit").write_text(f"FragmentPath={folder}/hudd.service\nDropInPaths={' '.join(map(str, drop_ins))}\n")
    (home / "asked").unlink()
    done = setup(home, "--use", "local")
    assert done.returncode == 0, done.stderr
    assert sorted((folder / "hudd.service.d").iterdir()) == drop_ins
    assert (folder / "hudd-ctl.socket").exists()
    assert "--user enable hudd-ctl.socket" in (home / "asked").read_text().splitlines()


def asking(monkeypatch: pytest.MonkeyPatch, answer: str) -> tuple[Setup, list[str]]:
    """A dialogue with a person who gives this answer, and what was asked."""
    asked: list[str] = []
    monkeypatch.setattr("builtins.input", lambda question: (asked.append(question), answer)[1])
    return Setup(argparse.Namespace(install_service=False, keyring=False), quiet=True, asks=True), asked


def test_who_does_not_want_the_key_kept_gets_no_service_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run, asked = asking(monkeypatch, "n")
    run.checks.append({"name": "key", "details": {"where": "HUDD_REALTIME_KEY"}})
    assert keep_for_service(run) is None
    assert asked == ["Keep it for the service, too? [Y/n] "]
    run.settings["realtime.key_file"] = "~/key"
    assert keep_for_service(run) == {}
    run.settings["realtime.key_file"] = ""
    run.checks.append({"name": "key", "details": {"where": "file ~/key"}})
    assert keep_for_service(run) == {}


@pytest.mark.parametrize(
    ("installed", "question"),
    [
        (None, "\nShall the system start hudd with your session? [Y/n] "),
        (Installed((), starts=False), "\nShall the system start hudd with your session? [Y/n] "),
        (Installed(()), "\nhudd is a service already. Install it anew, as it is, and start it? [Y/n] "),
        (
            Installed(("--on-demand",)),
            "\nhudd is a service already (--on-demand). Install it anew, as it is, and start it? [Y/n] ",
        ),
    ],
)
def test_a_person_is_told_what_is_there(
    monkeypatch: pytest.MonkeyPatch, installed: Installed | None, question: str
) -> None:
    run, asked = asking(monkeypatch, "")
    assert wants_service(run, installed)
    assert asked == [question]
    run, _ = asking(monkeypatch, "n")
    assert not wants_service(run, installed)


@pytest.mark.parametrize(
    ("crops", "most", "words"),
    [
        ("auto", 2, "one monitor, sometimes a second one of a part of it in full size, the monitor's name"),
        ("auto", 4, "one monitor, sometimes up to 3 more of parts of it in full size, the monitor's name"),
        ("auto", 1, "one picture of one monitor, the monitor's name"),
        ("never", 2, "one picture of one monitor, the monitor's name"),
    ],
)
def test_what_leaves_is_told_as_the_settings_are(crops: str, most: int, words: str) -> None:
    assert words in _leaves(crops, most)


def test_on_a_terminal_a_check_stands_as_doctor_lays_it_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"name": "display", "state": "failure", "cause": "mss: " + "word " * 30, "remedy": "Start it " * 12}
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    Setup(argparse.Namespace(), quiet=False, asks=True).show(found)
    said = capsys.readouterr().out
    assert said == render_line(found, Look(colours(), 80)) + "\n"
    assert "failure  display      mss: word" in re.sub(r"\x1b\[[0-9;]*m", "", said)
