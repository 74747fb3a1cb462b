from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.config import keys, paths
from hudd.config.keys import FoundKey, find_key
from hudd.config.settings import Settings
from hudd.errors import EXIT_PERMISSIONS, KeyMissingError, PermissionsError


def service(key_file: object = "") -> Settings:
    settings = Settings()
    return replace(settings, realtime=replace(settings.realtime, use="service", key_file=str(key_file)))


def key_file(tmp_path: Path, content: bytes = b"sk-file\n", mode: int = 0o600) -> Path:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_order_of_places(tmp_path: Path):
    (tmp_path / "realtime-key").write_text("sk-credential\n")
    path = key_file(tmp_path)
    environ = {
        "HUDD_REALTIME_KEY": "sk-own",
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "OPENAI_API_KEY": "sk-shared",
    }
    settings = service(path)
    assert find_key(settings, environ) == FoundKey("sk-own", "HUDD_REALTIME_KEY")
    del environ["HUDD_REALTIME_KEY"]
    assert find_key(settings, environ) == FoundKey("sk-credential", "systemd credential realtime-key")
    (tmp_path / "realtime-key").unlink()
    assert find_key(settings, environ) == FoundKey("sk-file", f"file {path}")
    assert find_key(service(), environ) == FoundKey("sk-shared", "OPENAI_API_KEY")


def test_the_shared_key_is_only_for_the_service_that_was_chosen():
    with pytest.raises(KeyMissingError):
        find_key(Settings(), {"OPENAI_API_KEY": "sk-shared"})


def test_no_key_names_the_remedies():
    with pytest.raises(KeyMissingError) as caught:
        find_key(service(), {"CREDENTIALS_DIRECTORY": "/nowhere"})
    for remedy in ("HUDD_REALTIME_KEY", "key_file", 'use = "local"'):
        assert remedy in str(caught.value)


def test_a_named_file_that_is_missing_is_not_passed_over(tmp_path: Path):
    with pytest.raises(KeyMissingError, match=r"The key file .*absent of \[realtime\] key_file does not exist"):
        find_key(service(tmp_path / "absent"), {"OPENAI_API_KEY": "sk-shared"})


def test_home_is_expanded(tmp_path: Path):
    key_file(tmp_path)
    assert find_key(service("~/key"), {"HOME": str(tmp_path)}).value == "sk-file"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622, 0o601])
def test_a_file_open_to_others_is_refused_with_its_mode(tmp_path: Path, mode: int):
    path = key_file(tmp_path, mode=mode)
    with pytest.raises(PermissionsError) as caught:
        find_key(service(path), {})
    assert (
        str(caught.value) == f"The key file {path} is open to others (mode {mode:04o}). Close it with: chmod 600 {path}"
    )
    assert caught.value.exit_code == EXIT_PERMISSIONS


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_closed_file_is_read(tmp_path: Path, mode: int):
    assert find_key(service(key_file(tmp_path, mode=mode)), {}).value == "sk-file"


def test_a_file_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = key_file(tmp_path)
    monkeypatch.setattr(keys.os, "getuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(PermissionsError, match="belongs to user"):
        find_key(service(path), {})


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(paths.os, "open", refuse)
    with pytest.raises(KeyMissingError, match=r"The key in the file .* cannot be read: Permission denied\."):
        find_key(service(tmp_path / "key"), {"OPENAI_API_KEY": "sk-shared"})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is no key"),
        (b" \n", "is no key"),
        (b"sk-1\nsk-2\n", "is no key"),
        (b"sk-1\r\nHost: evil", "is no key"),
        ("sk-ü".encode(), "is no key"),
        (b"sk-\xff\x00", "is no key"),
        (b"k" * 4097, "too large to be a key"),
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, content: bytes, why: str):
    with pytest.raises(KeyMissingError, match=why) as caught:
        find_key(service(key_file(tmp_path, content)), {"OPENAI_API_KEY": "sk-shared"})
    assert "sk-1" not in str(caught.value)


def test_folders_and_pipes_are_refused(tmp_path: Path):
    with pytest.raises(KeyMissingError, match="cannot be read: Is a directory"):
        find_key(service(tmp_path), {})
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(KeyMissingError, match="is a pipe or a device"):
        find_key(service(tmp_path / "pipe"), {})


def test_the_value_is_in_no_repr():
    assert "sk-" not in repr(FoundKey("sk-secret", "HUDD_REALTIME_KEY"))


@given(st.text())
def test_a_key_can_always_stand_in_a_header(text: str):
    try:
        found = find_key(service(), {"HUDD_REALTIME_KEY": text})
    except KeyMissingError:
        return
    assert found.value == text.strip()
    assert found.value.isascii()
    assert found.value.isprintable()
    assert " " not in found.value
