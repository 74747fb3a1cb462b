"""The keyring, asked as hudd and `hudctl setup` ask it: by a process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hudd.config import keyring_program as program
from tests.fakes.keyring_backend import ROOT, environment_of_keyring, kept_in
from tests.fakes.screen import need

KEY = "sk-larkspur-123456"
COMMAND = (sys.executable, "-P", "-W", "error", "-m", program.__name__)


def ask(word: str, environ: dict[str, str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, word], env={"PATH": os.environ["PATH"], **environ}, input=stdin, capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip


def test_a_key_is_kept_found_and_given_back(tmp_path: Path) -> None:
    environ = environment_of_keyring(tmp_path / "ring")
    for word, stdin, code, out in (
        ("probe", "", program.EXIT_OK, ""),
        ("has", "", program.EXIT_ABSENT, ""),
        ("set", f"{KEY}\n", program.EXIT_OK, ""),
        ("has", "", program.EXIT_OK, ""),
        ("get", "", program.EXIT_OK, f"{KEY}\n"),
    ):
        done = ask(word, environ, stdin)
        assert (done.returncode, done.stdout) == (code, out), (word, done.stderr)
        last = done.stderr.splitlines()[-1]
        assert last == (
            "The keyring (keyring backend FileKeyring) holds no key of hudd." if code else "keyring backend FileKeyring"
        )
        assert KEY not in done.stderr
    assert kept_in(tmp_path / "ring") == {"hudd/realtime-key": KEY}


@pytest.mark.parametrize(
    ("fault", "code", "sentence"),
    [
        ("locked", program.EXIT_LOCKED, "The keyring is locked."),
        ("dismissed", program.EXIT_LOCKED, "The keyring was not unlocked (Failed to create the collection"),
        ("breaks", program.EXIT_FAILED, "The keyring failed: the bus is away."),
    ],
)
@pytest.mark.parametrize("word", ["get", "set", "has", "probe"])
def test_what_goes_wrong_is_one_sentence(tmp_path: Path, word: str, fault: str, code: int, sentence: str) -> None:
    done = ask(word, environment_of_keyring(tmp_path / "ring", key=KEY, fault=fault), KEY)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert KEY not in done.stderr


def test_a_keyring_that_forgets_is_found_out(tmp_path: Path) -> None:
    done = ask("set", environment_of_keyring(tmp_path / "ring", fault="forgets"), KEY)
    assert (done.returncode, "did not keep the key" in done.stderr) == (program.EXIT_FAILED, True)


def test_a_file_without_encryption_is_not_offered(tmp_path: Path) -> None:
    environ = environment_of_keyring(tmp_path / "ring", priority=0.5)
    assert ask("probe", environ).returncode == program.EXIT_NO_KEYRING
    assert ask("get", environ).returncode == program.EXIT_ABSENT, "a person who chose it gets it"


@pytest.mark.parametrize("name", ["fail", "null"])
def test_without_a_keyring_it_is_said(name: str) -> None:
    environ = {"PYTHON_KEYRING_BACKEND": f"keyring.backends.{name}.Keyring", "PYTHONPATH": str(ROOT)}
    done = ask("get", environ)
    assert (done.returncode, done.stderr) == (program.EXIT_NO_KEYRING, "There is no keyring in this session.\n")


def test_without_the_library_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "keyring.py").write_text("raise ImportError('absent')")
    done = ask("get", {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"})
    assert (done.returncode, done.stderr) == (
        program.EXIT_NO_LIBRARY,
        "hudd[keyring] is not installed, so the keyring cannot be asked.\n",
    )


@pytest.mark.parametrize("word", ["", "delete"])
def test_another_word_is_refused(tmp_path: Path, word: str) -> None:
    assert ask(word, environment_of_keyring(tmp_path / "ring")).returncode == program.EXIT_FAILED


@pytest.mark.slow
def test_a_real_secret_service_open_and_locked(tmp_path: Path) -> None:
    """GNOME Keyring on a bus of its own: unlocked by a password it keeps the key; locked it asks nobody and says so."""
    for name in ("gnome-keyring-daemon", "dbus-run-session"):
        need(name)
    asks = f"{' '.join(COMMAND)}"
    open_ = "printf word | gnome-keyring-daemon --foreground --unlock --components=secrets >/dev/null 2>&1 &"
    waits = (
        "for n in $(seq 100); do busctl --user status org.freedesktop.secrets >/dev/null 2>&1 && break; sleep 0.1; done"
    )
    first = f"{open_} {waits}; {asks} probe && printf {KEY} | {asks} set && {asks} get"
    done = in_session(tmp_path, first)
    assert (done.returncode, done.stdout) == (0, f"{KEY}\n"), done.stderr
    assert (tmp_path / ".local/share/keyrings/login.keyring").exists()
    assert KEY.encode() not in (tmp_path / ".local/share/keyrings/login.keyring").read_bytes()

    again = f"{open_} {waits}; {asks} get"
    assert in_session(tmp_path, again).stdout == f"{KEY}\n", "after a log-out"
    locked = f"gnome-keyring-daemon --foreground --components=secrets >/dev/null 2>&1 & {waits}; {asks} get"
    done = in_session(tmp_path, locked)
    assert (done.returncode, done.stdout) == (program.EXIT_LOCKED, ""), done.stderr


def in_session(home: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script on a session bus of its own, which ends with it."""
    run = home / "run"
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(mode=0o700)
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(run), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["dbus-run-session", "--", "bash", "-c", f"trap 'kill $(jobs -p)' EXIT; {script}"],
        env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
