from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, cast

import pytest

from hudctl.backup import back_up
from hudctl.client import Client
from hudctl.errors import StorageError, UsageError

OLDER = b"SQLite format 3\0".ljust(18) + b"\1\1" + bytes(48) + b"hudd"
"""What tells a backup."""


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
    target.write_bytes(OLDER)
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


@pytest.mark.parametrize("name", ["state/journal.db", "state/journal.db-wal", "run/ctl.sock", "letter"])
def test_what_is_no_older_backup_is_never_replaced(
    name: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HUDD_STATE_DIR", str(state))
    monkeypatch.setenv("HUDD_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "letter").write_text("Dear reader")
    with pytest.raises(UsageError, match=r"Name another file|Name a file in another folder"):
        back_up(cast("Client", SandboxedDaemon(state)), tmp_path / name)
    assert (tmp_path / "letter").read_text() == "Dear reader"
    assert list(state.iterdir()) == []
