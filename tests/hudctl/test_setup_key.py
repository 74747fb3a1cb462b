"""Where `hudctl setup` keeps the key, by flags."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.keyring_backend import ROOT, environment_of_keyring, kept_in

pytestmark = pytest.mark.slow

KEY = "sk-typed-0123456789abcdef"
RING = "keyring backend FileKeyring"


class Person:
    """Somebody with a home, perhaps with a keyring."""

    def __init__(self, home: Path) -> None:
        self.home, self.ring = home, home / "ring"
        self.config = home / ".config/hudd/config.toml"
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": str(home),
            "HUDD_RUNTIME_DIR": str(home / "run"),
            "HUDD_STATE_DIR": str(home / "state"),
            "HUDD_ENGINE_ANSWERS": "canned",
            "HUDD_REALTIME_URL": "ws://127.0.0.1:9/v1/realtime",
            "NO_COLOR": "1",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }

    def has_keyring(self, *, key: str = "", fault: str = "") -> None:
        self.environ |= environment_of_keyring(self.ring, key=key, fault=fault)

    def write(self, text: str) -> None:
        self.config.parent.mkdir(parents=True)
        self.config.write_text(text)

    def setup(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "hudctl", "setup", "--use", "service", *words],
            env=self.environ, input=stdin, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert KEY not in done.stdout + done.stderr
        return done

    @property
    def realtime(self) -> dict[str, Any]:
        return tomllib.loads(self.config.read_text())["realtime"]


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


def test_by_a_flag_the_key_goes_into_the_keyring_and_the_doctor_finds_it_there(person: Person) -> None:
    person.has_keyring()
    done = person.setup("--keyring", "--key-stdin", "--yes", stdin=f"{KEY}\n")
    assert done.returncode == 0, done.stderr
    assert f"The key is in the keyring ({RING})." in done.stdout
    assert f"A key is found in keyring ({RING}); it is not shown." in done.stdout
    assert kept_in(person.ring) == {"hudd/realtime-key": KEY}
    assert person.realtime == {"use": "service", "keyring": True}
    assert not (person.config.parent / "realtime-key").exists()
    # A second run finds it, and so does one that names the keyring.
    before = person.config.read_text()
    for words in (("--yes",), ("--keyring", "--yes")):
        done = person.setup(*words)
        assert done.returncode == 0, done.stderr
        assert "say so already" in done.stdout
    assert person.config.read_text() == before
    done = person.setup("--json")
    assert [row["state"] for row in json.loads(done.stdout)["checks"] if row["name"] == "key"] == ["ok"]


def test_what_goes_before_the_keyring_is_taken_out_and_the_old_file_is_named(person: Person) -> None:
    person.has_keyring()
    person.write('[realtime]\nkey_file = "~/old"  # mine\nkey_command = "pass openai"\n')
    done = person.setup("--keyring", "--key-stdin", "--yes", stdin=KEY)
    assert done.returncode == 0, done.stderr
    assert person.realtime == {"use": "service", "keyring": True, "key_file": "", "key_command": []}
    assert "The key in ~/old is not used any more; remove that file." in done.stdout


@pytest.mark.parametrize("fault", ["locked", "breaks", "forgets"])
def test_a_keyring_that_was_asked_for_and_fails_changes_nothing(person: Person, fault: str) -> None:
    person.has_keyring(fault=fault)
    done = person.setup("--keyring", "--key-stdin", "--yes", stdin=KEY)
    assert done.returncode == 1
    assert "The key was not kept." in done.stderr
    assert "leave --keyring out" in done.stderr
    assert not person.config.exists()


def test_without_the_flag_it_is_a_private_file(person: Person) -> None:
    person.has_keyring()
    done = person.setup("--key-stdin", "--yes", stdin=KEY)
    assert done.returncode == 0, done.stderr
    assert person.realtime == {"use": "service", "key_file": "~/.config/hudd/realtime-key"}
    assert kept_in(person.ring) == {}


def test_a_command_that_prints_it_is_kept(person: Person) -> None:
    person.write('[realtime]\nkey_command = ["sh", "-c", "echo sk-typed-0123456789$0", "abcdef"]\n')
    done = person.setup("--yes")
    assert done.returncode == 0, done.stderr
    assert "A key is found in command sh of [realtime] key_command; it is not shown." in done.stdout
    assert person.realtime["use"] == "service"
