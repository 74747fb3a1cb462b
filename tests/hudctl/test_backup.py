from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, cast

import pytest

from hudctl.backup import back_up
from hudctl.client import Client
from hudctl.errors import StorageError


class SandboxedDaemon:
    """Writes only below its state folder."""

    def __init__(self, state: Path, why: int = errno.EROFS) -> None:
        self.state = state
        self.why = why

    def status(self) -> dict[str, Any]:
        return {"journal": {"path": str(self.state / "journal.db")}}

    def backup(self, path: Path) -> dict[str, Any]:
        if not path.is_relative_to(self.state):
            raise StorageError(f"The backup {path} cannot be written: {os.strerror(self.why)}.")
        path.write_bytes(b"copy")
        return {"path": str(path), "bytes": 4}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir()
    return made


def test_what_a_sandboxed_daemon_may_not_write_is_moved_into_place(state: Path, tmp_path: Path):
    target = tmp_path / "copy.db"
    target.write_bytes(b"older")
    body = back_up(cast("Client", SandboxedDaemon(state)), target)
    assert body == {"path": str(target), "bytes": 4}
    assert target.read_bytes() == b"copy"
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(state.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "state"]


def test_another_refusal_stands(state: Path, tmp_path: Path):
    with pytest.raises(StorageError, match="No space left"):
        back_up(cast("Client", SandboxedDaemon(state, errno.ENOSPC)), tmp_path / "copy.db")


def test_a_place_that_we_cannot_write_either_is_told_and_nothing_is_left(state: Path, tmp_path: Path):
    with pytest.raises(StorageError, match=r"gone/copy\.db cannot be written: No such file or directory\."):
        back_up(cast("Client", SandboxedDaemon(state)), tmp_path / "gone/copy.db")
    assert list(state.iterdir()) == []
