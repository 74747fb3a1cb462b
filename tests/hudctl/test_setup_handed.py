"""`hudctl setup` where systemd hands the service its key, and beside a hudd that runs by hand."""

from __future__ import annotations

import argparse
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hudctl import setup_service
from hudctl.errors import HudctlError
from hudctl.service_text import MARK
from hudctl.setup import Setup
from hudctl.setup_handed import hand_over, handed_in, refuse_keyring
from hudctl.setup_service import Installed, install_service, wants_service
from hudd.service.runtime import RuntimeFolder
from hudd.wire.credential import Credential, find_credential

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
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a service that has its key from ``old``, by the drop-in of `hudctl service install --key-file`."""
    program = tmp_path / "bin/systemctl"
    program.parent.mkdir()
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    drop_in = tmp_path / ".config/systemd/user/hudd.service.d/hudd-key.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text(f"{MARK} hudd\n[Service]\nLoadCredential=realtime-key:%h/old\n")
    (tmp_path / "old").write_text("sk-revoked\n")
    (tmp_path / "old").chmod(0o600)
    unit = f"LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nFragmentPath=/u\nDropInPaths={drop_in}\n"
    (tmp_path / "unit").write_text(unit)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    return tmp_path


def drop_in(home: Path) -> Path:
    return home / ".config/systemd/user/hudd.service.d/hudd-key.conf"


def dialogue(home: Path, *, asks: bool = False) -> Setup:
    """A setup that has found the service."""
    key = find_credential([drop_in(home)], str(home))
    return Setup(argparse.Namespace(install_service=False), quiet=True, asks=asks, installed=Installed((), key))


def setup(home: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "hudctl", "setup", "--use", "service", "--yes", *words],
        env={
            "PATH": f"{home}/bin:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home / "runtime"),
            "HUDD_ENGINE_ANSWERS": "canned",
            "HUDD_REALTIME_URL": "ws://127.0.0.1:9/v1/realtime",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        },
        input=stdin, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert KEY not in done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_a_new_key_goes_into_the_file_that_systemd_hands_over_and_the_service_is_restarted(home: Path) -> None:
    done = setup(home, "--key-stdin", "--install-service", stdin=f"{KEY}\n")
    assert done.returncode == 0, done.stderr
    assert f"The key is in {home}/old (mode 0600)." in done.stdout
    assert ((home / "old").read_text(), stat.S_IMODE((home / "old").stat().st_mode)) == (f"{KEY}\n", 0o600)
    assert not (home / ".config/hudd/realtime-key").exists()
    assert "--user restart hudd.service" in (home / "asked").read_text().splitlines()


@pytest.mark.slow
def test_another_file_is_handed_over_from_now_on(home: Path) -> None:
    new = home / "new"
    new.write_text(f"{KEY}\n")
    new.chmod(0o600)
    done = setup(home, "--key-file", str(new))
    assert done.returncode == 0, done.stderr
    assert f"LoadCredential=realtime-key:{new}" in drop_in(home).read_text().splitlines()
    assert stat.S_IMODE(drop_in(home).stat().st_mode) == 0o600
    assert f"The service has its key from {new} from its next start on." in done.stdout
    assert "--user daemon-reload" in (home / "asked").read_text().splitlines()
    found = f"A key is found in systemd credential realtime-key (file {new})"
    assert found in " ".join(done.stdout.split()), "what is tried is the new one"
    assert (home / "old").read_text() == "sk-revoked\n"


@pytest.mark.slow
def test_nothing_is_changed_beside_a_hudd_that_runs_by_hand(home: Path) -> None:
    before = os.umask(0o077)
    with RuntimeFolder.open(home / "runtime/hudd"):
        os.umask(before)
        done = setup(home, "--key-stdin", "--install-service", stdin=f"{KEY}\n")
    assert done.returncode == 1
    assert f"Another hudd (pid {os.getpid()}), which is not the service's, runs already" in done.stderr
    assert (home / "old").read_text() == "sk-revoked\n"
    assert not (home / ".config/hudd").exists()


@pytest.mark.parametrize(
    ("line", "cause", "remedy"),
    [
        ("LoadCredentialEncrypted=realtime-key:%h/old", "where only systemd can put a new one", "take that line out"),
        ("LoadCredential=realtime-key:/dev/null", "is no plain file of yours", "Put the key there yourself and run"),
    ],
)
def test_what_setup_cannot_write_is_told_with_what_to_do(home: Path, line: str, cause: str, remedy: str) -> None:
    drop_in(home).write_text(f"[Service]\n{line}\n")
    with pytest.raises(HudctlError) as caught:
        handed_in(dialogue(home))
    assert (cause in caught.value.message, remedy in caught.value.hint) == (True, True), str(caught.value)
    assert "hudctl service restart" in caught.value.hint


def test_a_file_that_is_gone_is_made_again(home: Path) -> None:
    (home / "old").unlink()
    assert handed_in(dialogue(home)) == home / "old"


def test_a_persons_own_drop_in_is_not_written(home: Path) -> None:
    own = drop_in(home)
    own.write_text("[Service]\nLoadCredential=realtime-key:%h/old\n")
    run = dialogue(home)
    assert handed_in(run) == home / "old"
    hand_over(run, home / "old")
    with pytest.raises(HudctlError, match=rf"by {own}, which goes before the settings. Let that line be .*:{home}/new"):
        hand_over(run, home / "new")
    assert f"{home}/new" not in own.read_text()


def test_the_keyring_is_refused_where_it_would_never_be_asked(home: Path) -> None:
    with pytest.raises(HudctlError, match=f"goes before the keyring. Remove {drop_in(home)} and run"):
        refuse_keyring(dialogue(home))
    own = drop_in(home).rename(home / "own.conf")
    own.write_text("[Service]\nLoadCredential=realtime-key:/k\n")
    run = dialogue(home)
    run.installed = Installed((), Credential(Path("/k"), own))
    with pytest.raises(HudctlError, match=f"Take that line out of {own}"):
        refuse_keyring(run)


def test_without_such_a_service_or_in_a_folder_of_its_own_nothing_is_handed_over(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = dialogue(home)
    monkeypatch.setenv("HUDD_RUNTIME_DIR", str(home / "own"))
    assert handed_in(run) is None
    monkeypatch.delenv("HUDD_RUNTIME_DIR")
    run.installed = Installed(())
    assert handed_in(run) is None
    hand_over(run, home / "new")
    refuse_keyring(run)
    assert f"{home}/new" not in drop_in(home).read_text()


def answers(monkeypatch: pytest.MonkeyPatch, **told: subprocess.CompletedProcess[str]) -> None:
    """What `hudctl service …` answers to setup."""
    monkeypatch.setattr(setup_service, "_service", lambda word, *_: told[word])


def test_beside_a_hudd_that_runs_by_hand_nobody_is_asked_for_a_service(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(monkeypatch, status=subprocess.CompletedProcess([], 3, '{"pid": null}', ""))
    run = dialogue(home, asks=True)
    run.quiet = False
    before = os.umask(0o077)
    with RuntimeFolder.open(home / "runtime/hudd"):
        os.umask(before)
        assert not wants_service(run, None)
    said = " ".join(capsys.readouterr().out.split())
    assert f"The system cannot start hudd now. Another hudd (pid {os.getpid()})" in said
    assert f"End it (kill {os.getpid()})" in said


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ('{"installed": true}', "The service is installed but did not take this up: It failed."),
        ('{"installed": false}', "The service was not installed: It failed."),
        ("", "The service was not installed: It failed."),
    ],
)
def test_a_service_that_is_there_is_not_called_not_installed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: str, said: str
) -> None:
    answers(
        monkeypatch,
        install=subprocess.CompletedProcess([], 1, "", "hudctl: It failed."),
        status=subprocess.CompletedProcess([], 3, status, ""),
    )
    run = dialogue(home)
    run.quiet = False
    assert not install_service(run, None)
    assert run.failed
    assert capsys.readouterr().out == f"{said}\n"
