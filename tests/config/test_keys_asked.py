"""Keys that a command prints and that the keyring keeps: their place in the order, and what is said when they fail."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hudd.config import crosschecks
from hudd.config.key_programs import KeyPrograms
from hudd.config.keys import FoundKey, find_key
from hudd.config.loader import load
from hudd.config.settings import RealtimeSettings, Settings
from hudd.errors import KeyMissingError, SettingsError
from hudd.wire.installation import Installation
from tests.fakes.keyring_backend import environment_of_keyring

PATH = {"PATH": os.environ["PATH"]}
SHARED = {"OPENAI_API_KEY": "sk-shared"}
KEYRING = "keyring (keyring backend FileKeyring)"


def service(**realtime: object) -> Settings:
    return Settings(realtime=replace(RealtimeSettings(use="service"), **realtime))


def refused(settings: Settings, environ: dict[str, str], *, limit_s: float = 10.0) -> str:
    with pytest.raises(KeyMissingError) as caught:
        find_key(settings, environ, KeyPrograms(limit_s))
    return str(caught.value)


def test_the_whole_order(tmp_path: Path) -> None:
    (tmp_path / "realtime-key").write_text("sk-credential")
    file = tmp_path / "key"
    file.write_text("sk-file")
    file.chmod(0o600)
    environ = {
        "HUDD_REALTIME_KEY": "sk-own",
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        **PATH,
        **SHARED,
        **environment_of_keyring(tmp_path / "ring", key="sk-ring"),
    }
    settings = service(key_file=str(file), key_command=("echo", "sk-command"), keyring=True)
    assert find_key(settings, environ).value == "sk-own"
    del environ["HUDD_REALTIME_KEY"]
    assert find_key(settings, environ).value == "sk-credential"
    (tmp_path / "realtime-key").unlink()
    assert find_key(settings, environ).value == "sk-file"
    settings = service(key_command=("echo", "sk-command"), keyring=True)
    assert find_key(settings, environ) == FoundKey("sk-command", "command echo of [realtime] key_command", asked=True)
    settings = service(keyring=True)
    assert find_key(settings, environ) == FoundKey("sk-ring", KEYRING, asked=True)
    assert find_key(service(), environ) == FoundKey("sk-shared", "OPENAI_API_KEY")


def test_a_command_of_the_persons_own_folder() -> None:
    settings = service(key_command=("~/bin/key", "a b"))
    home = Path(__file__).parent
    said = refused(settings, {"HOME": str(home), **PATH})
    assert said.startswith("The command key of [realtime] key_command cannot be started (No such file or directory).")


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("echo gpg: decryption failed >&2; exit 2", "failed with exit code 2: gpg: decryption failed."),
        ("kill -9 $$", "was ended by signal 9."),
        ("true", "printed nothing in its first line."),
        ("echo; echo sk-second", "printed nothing in its first line."),
        ("echo two words", "must be one line of plain characters"),
        ("printf 'sk-\\303\\274'", "must be one line of plain characters"),
        ("yes", "printed more than 65,536 bytes, which is no key."),
        ("head -c 5000 /dev/zero | tr '\\0' x", "must be one line of plain characters"),
        ("sleep 60", "gave no key within 0.7 s, as if it waited for a person."),
    ],
)
def test_a_command_that_fails_is_told_and_never_passed_over(script: str, sentence: str) -> None:
    said = refused(service(key_command=("sh", "-c", script), keyring=True), {**PATH, **SHARED}, limit_s=0.7)
    assert said.startswith(("The command sh of [realtime] key_command", "What stands in the command sh of"))
    assert sentence in said
    assert "terminal" in said or "HUDD_REALTIME_KEY" in said
    assert "sk-second" not in said


@pytest.mark.parametrize(
    ("fault", "key", "sentence", "remedy"),
    [
        ("", "", "holds no key of hudd", "hudctl setup --use service --keyring"),
        ("locked", "sk-ring-1", "The keyring is locked", "hudctl resume"),
        ("dismissed", "sk-ring-1", "was not unlocked", "hudctl resume"),
        ("breaks", "sk-ring-1", "the bus is away", "hudctl resume"),
        ("hangs", "sk-ring-1", "gave no key within 1 s, as if it waited for a person.", "hudctl resume"),
        ("", "two words", "What stands in the keyring", "one line of plain characters"),
    ],
)
def test_a_keyring_that_fails_is_told_and_never_passed_over(
    tmp_path: Path, fault: str, key: str, sentence: str, remedy: str
) -> None:
    environ = {**PATH, **SHARED, **environment_of_keyring(tmp_path / "ring", key=key, fault=fault)}
    said = refused(service(keyring=True), environ, limit_s=1.0 if fault == "hangs" else 10.0)
    assert sentence in said
    assert remedy in said
    assert "sk-ring" not in said
    assert "two words" not in said


def test_without_the_library_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "keyring.py").write_text("raise ImportError('absent')")
    said = refused(service(keyring=True), {**PATH, "PYTHONPATH": str(tmp_path)})
    assert "hudd[keyring] is not installed, so the keyring cannot be asked." in said
    assert f"{Installation.find().add('keyring')}, or run: hudctl setup." in said


def settings_of(tmp_path: Path, text: str, **environ: str) -> RealtimeSettings:
    file = tmp_path / "config.toml"
    file.write_text(f"[realtime]\n{text}\n")
    named = {"HUDD_RUNTIME_DIR": "/tmp/r", "HUDD_STATE_DIR": "/tmp/s"}
    return load(config=file, environ=named | environ, flags={}).settings.realtime


def test_the_command_is_a_list_or_a_text(tmp_path: Path) -> None:
    wanted = ("pass", "show", "my keys/openai")
    assert settings_of(tmp_path, 'key_command = ["pass", "show", "my keys/openai"]').key_command == wanted
    assert settings_of(tmp_path, "key_command = \"pass show 'my keys/openai'\"").key_command == wanted
    for text in ('["pass", "show", "my keys/openai"]', "pass show 'my keys/openai'", "\"pass show 'my keys/openai'\""):
        assert settings_of(tmp_path, "", HUDD_REALTIME_KEY_COMMAND=text).key_command == wanted
    assert settings_of(tmp_path, 'key_command = ""').key_command == ()
    assert settings_of(tmp_path, "", HUDD_REALTIME_KEYRING="true").keyring


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('key_command = "pass \'show"', "cannot be split into words (No closing quotation)"),
        ("key_command = 3", "must be a list of texts, or one text that is split into words"),
        ('key_command = ["", "x"]', "names no program"),
        ('key_command = "sk-larkspur-123456"', "holds what looks like a key"),
        ('keyring = "yes"', "must be true or false"),
    ],
)
def test_what_is_no_command_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_of(tmp_path, text)
    assert sentence in str(caught.value)
    assert "larkspur" not in str(caught.value)


def test_a_right_command_passes() -> None:
    assert crosschecks.problems(service(key_command=(sys.executable, "-c", "pass")), frozenset()) == []
