from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from hudd.errors import StorageError
from hudd.journal import opening
from hudd.journal.ballast import Ballast, StorageGuard
from hudd.journal.store import Journal
from tests.fakes.clock import ManualClock
from tests.fakes.journal import make_note


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def full() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = 13
    return error


def small(path: Path) -> Ballast:
    return Ballast(path, size=200_000, margin=0)


def test_ballast_is_made_private_whole_and_without_holes(tmp_path: Path) -> None:
    ballast = small(tmp_path / "journal.db")
    assert not ballast.held()
    ballast.make()
    ballast.make()  # it is there
    status = ballast.path.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_size) == (0o600, 200_000)
    assert status.st_blocks * 512 >= 200_000
    assert len(set(ballast.path.read_bytes())) == 256  # nothing that a disk could press together
    assert [p.name for p in tmp_path.iterdir()] == ["journal.db.ballast"]
    assert ballast.release()
    assert not ballast.release()
    assert not ballast.held()


def test_ballast_without_room_says_how_much_is_needed_and_leaves_nothing(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "journal.db", size=1 << 60, margin=4 << 20)
    with pytest.raises(StorageError, match=r"too little space is free.*Free at least"):
        ballast.make()
    assert not list(tmp_path.iterdir())


def test_a_link_in_the_place_of_the_ballast_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    ballast = small(tmp_path / "journal.db")
    (tmp_path / "journal.db.ballast.part").symlink_to(target)
    ballast.path.symlink_to(target)
    ballast.make()
    assert target.read_text() == "precious"
    assert ballast.held()


def test_the_guard_frees_space_once_tells_and_knows_our_own_mistakes_from_the_disks(tmp_path: Path) -> None:
    ballast = small(tmp_path / "journal.db")
    ballast.make()
    guard = StorageGuard(tmp_path / "journal.db", ballast)
    told: list[str] = []
    guard.watch(lambda: told.append("told"))
    mistake = sqlite3.OperationalError("no such column")
    mistake.sqlite_errorcode = 1
    assert not guard.failed(mistake)
    assert (guard.trouble, told) == (None, [])
    assert guard.failed(full())
    assert not guard.failed(full())
    assert guard.trouble is not None
    assert "the disk is full" in str(guard.trouble)
    assert told == ["told", "told"]
    late: list[str] = []
    guard.watch(lambda: late.append("at once"))  # the trouble began before anybody watched
    assert late == ["at once"]
    guard.recovered()
    assert guard.trouble is None


async def test_a_backup_is_whole_private_one_file_and_readable_while_notes_are_written(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", clock=ManualClock())
    for number in range(200):
        await journal.commit_note(make_note(text=f"text {number}", time=float(number)), None)
    target = tmp_path / "out" / "copy.db"
    target.parent.mkdir()
    await journal.upkeep.back_up(target)
    backing = asyncio.create_task(journal.upkeep.back_up(target))
    while not backing.done():
        await journal.commit_note(make_note(), None)
    assert backing.result() == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [p.name for p in target.parent.iterdir()] == ["copy.db"]
    copy = sqlite3.connect(f"file:{target}?mode=ro", uri=True)
    assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert copy.execute("SELECT count(*) FROM notes WHERE text LIKE 'text %'").fetchone() == (200,)
    copy.close()
    await journal.close()
    restored = Journal.open(target, clock=ManualClock())
    assert restored.stream == journal.stream
    assert (await restored.search(search="199"))[0].seq == 200
    await restored.close()


@pytest.mark.parametrize("name", ["missing/copy.db", "journal.db/copy.db"])
async def test_a_backup_that_cannot_be_written_is_a_sentence(tmp_path: Path, name: str) -> None:
    journal = Journal.open(tmp_path / "journal.db", clock=ManualClock())
    with pytest.raises(StorageError, match="cannot be written"):
        await journal.upkeep.back_up(tmp_path / name)
    await journal.close()


async def test_export_pages_follow_the_numbers_and_the_exact_times(journal: Journal) -> None:
    # The clock was set back after the third.
    for time in (10.0, 20.0, 30.0, 15.0, 25.0, 35.0):
        await journal.commit_note(make_note(time=time), None)

    async def numbers(since: float | None, until: float | None, limit: int = 2) -> list[int]:
        seen, after, more = [], 0, True
        while more:
            notes, more = await journal.upkeep.export(since=since, until=until, after=after, limit=limit)
            seen += [note.seq for note in notes]
            assert len(notes) <= limit
            after = seen[-1] if seen else 0
        return seen

    assert await numbers(None, None) == [1, 2, 3, 4, 5, 6]
    assert await numbers(15.0, 30.0) == [2, 4, 5]
    assert await numbers(15.0, 30.0, limit=1) == [2, 4, 5]
    assert await numbers(None, 20.0) == [1, 4]
    assert await numbers(99.0, None) == []


async def test_a_large_journal_is_checked_after_the_start_and_set_aside_at_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.db"
    journal = Journal.open(path, clock=ManualClock())
    for _ in range(300):
        await journal.commit_note(make_note(text="A long text about larkspur. " * 40), None)
    assert await journal.upkeep.check()
    await journal.close()
    content = bytearray(path.read_bytes())
    for offset in range(len(content) // 2, len(content) - 4096, 4096):
        content[offset : offset + 200] = b"\xff" * 200
    path.write_bytes(content)

    monkeypatch.setattr(opening, "CHECKED_AT_OPENING_BYTES", 4096)
    journal = Journal.open(path, clock=ManualClock())
    assert journal.set_aside is None  # not looked at yet
    assert not await journal.upkeep.check()
    await journal.close()

    journal = Journal.open(path, clock=ManualClock())
    assert journal.set_aside is not None
    assert (await journal.commit_note(make_note(), None)).seq == 1
    assert await journal.upkeep.check()
    await journal.close()
    assert not (tmp_path / "journal.db.damaged").exists()


async def test_a_sound_large_journal_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "CHECKED_AT_OPENING_BYTES", 0)
    journal = Journal.open(tmp_path / "journal.db", clock=ManualClock())
    await journal.commit_note(make_note(), None)
    assert await journal.upkeep.check()
    await journal.close()


async def test_all_files_of_the_journal_are_private(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        journal = Journal.open(tmp_path / "journal.db", clock=ManualClock())
        await journal.upkeep.prepare()
        await journal.commit_note(make_note(), None)
        await journal.upkeep.back_up(tmp_path / "copy.db")
        modes = {p.name: oct(stat.S_IMODE(p.stat().st_mode)) for p in _files(tmp_path)}
        await journal.close()
    finally:
        os.umask(mask)
    made = {"journal.db", "journal.db-wal", "journal.db-shm", "journal.db.ballast", "journal.lock", "copy.db"}
    assert set(modes) == made
    assert set(modes.values()) == {"0o600"}
