"""The lock of the journal: one hudd writes into it, whatever runtime folder it has."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hudd.errors import AlreadyRunningError, PermissionsError, StorageError
from hudd.journal.soundness import look_through
from hudd.journal.store import Journal
from hudd.wire import locks
from tests.fakes.clock import ManualClock
from tests.fakes.journal import make_note

HOLD = """
import sys
from pathlib import Path
from hudd.clock import SystemClock
from hudd.journal.store import Journal
journal = Journal.open(Path(sys.argv[1]), clock=SystemClock())
print("held", flush=True)
sys.stdin.readline()
journal.close_now()
print("closed", flush=True)
sys.stdin.readline()
"""


def open_journal(path: Path) -> Journal:
    return Journal.open(path, clock=ManualClock())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture
def other(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the journal open."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {found.name: (found.read_bytes(), found.stat().st_mtime_ns) for found in folder.iterdir()}


async def test_who_writes_holds_a_private_lock_with_its_pid_and_leaves_it_empty(path: Path) -> None:
    journal = open_journal(path)
    lock = path.with_name("journal.lock")
    assert (lock.read_text(), stat.S_IMODE(lock.stat().st_mode)) == (f"{os.getpid()}\n", 0o600)
    assert locks.holder(lock) == os.getpid()
    await journal.close()
    await journal.close()
    assert lock.read_text() == ""
    assert locks.holder(lock) is None
    await open_journal(path).close()


def test_a_second_one_is_refused_before_it_touches_anything(path: Path, other: subprocess.Popen[str]) -> None:
    before = contents(path.parent)
    with pytest.raises(AlreadyRunningError) as caught:
        open_journal(path)
    assert caught.value.exit_code == 69
    assert str(caught.value) == (
        f"Another hudd (pid {other.pid}) writes into {path}. "
        f"End it first (kill {other.pid}), or set HUDD_STATE_DIR to another folder for this one."
    )
    assert contents(path.parent) == before


def test_a_damaged_one_is_not_set_aside_under_another(path: Path, other: subprocess.Popen[str]) -> None:
    path.write_bytes(b"this is no database at all" * 100)
    path.chmod(0o640)
    with pytest.raises(AlreadyRunningError):
        open_journal(path)
    assert path.read_bytes().startswith(b"this is no database")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert not list(path.parent.glob("*.corrupt-*"))


def test_who_only_reads_is_not_kept_out(path: Path, other: subprocess.Popen[str]) -> None:
    assert look_through(path, 5.0, wall=0.0).damage == ""


@pytest.mark.parametrize("end", ["closed", "killed"])
async def test_the_next_one_follows_at_once(path: Path, other: subprocess.Popen[str], end: str) -> None:
    if end == "killed":
        other.send_signal(signal.SIGKILL)
        other.wait(timeout=30)
    else:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "closed\n"
    journal = open_journal(path)
    assert (await journal.commit_note(make_note(), None)).seq == 1
    await journal.close()


def test_a_start_that_fails_gives_it_back(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StorageError):
        open_journal(path)
    assert locks.holder(path.with_name("journal.lock")) is None
    path.rmdir()
    open_journal(path).close_now()


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "second name"])
def test_a_lock_that_is_no_plain_file_is_refused(path: Path, tmp_path: Path, kind: str) -> None:
    path.parent.mkdir()
    victim, lock = tmp_path / "victim", path.with_name("journal.lock")
    victim.write_text("precious")
    {
        "link": lambda: lock.symlink_to(victim),
        "folder": lock.mkdir,
        "pipe": lambda: os.mkfifo(lock),
        "second name": lambda: os.link(victim, lock),
    }[kind]()
    with pytest.raises(PermissionsError, match=r"is no plain file of this user\. Remove it with: rm -r "):
        open_journal(path)
    assert victim.read_text() == "precious"
    assert not path.exists()


@pytest.mark.parametrize("code", sorted(locks.CANNOT_LOCK))
def test_a_disk_that_holds_no_locks_is_named(path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(locks.fcntl, "flock", fail)
    with pytest.raises(StorageError, match=f"cannot be used: {os.strerror(code)}. Set HUDD_STATE_DIR to a folder"):
        open_journal(path)
    assert not path.exists()


async def test_a_full_disk_keeps_nobody_from_the_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(locks.os, "pwrite", fail)
    journal = open_journal(path)
    assert locks.holder(path.with_name("journal.lock")) == 0
    with pytest.raises(AlreadyRunningError, match="which is just starting or ending, writes into"):
        open_journal(path)
    await journal.close()
