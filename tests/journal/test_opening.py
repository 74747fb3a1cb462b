from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from hudd.errors import PermissionsError, StorageError
from hudd.journal import schema
from hudd.journal.store import Journal
from tests.fakes.clock import ManualClock
from tests.fakes.journal import RESERVATION, make_note


def _open(path: Path, *, search: bool = True) -> Journal:
    return Journal.open(path, clock=ManualClock(), search=search)


def _set_aside(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("*.corrupt-*"))


async def _filled(path: Path, notes: int = 200) -> str:
    journal = _open(path)
    for _ in range(notes):
        await journal.commit_note(make_note(text="A long text about larkspur. " * 20), None)
    await journal.close()
    return journal.stream


@pytest.mark.parametrize("content", [b"this is no database at all, but long enough to look at" * 40, b"short"])
async def test_a_file_that_is_no_database_is_set_aside(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    journal = _open(path)
    assert journal.set_aside == tmp_path / "journal.db.corrupt-20261122T103106Z"
    assert journal.set_aside.read_bytes() == content
    assert str(journal.set_aside) in caplog.text
    assert (await journal.commit_note(make_note(), None)).seq == 1
    await journal.close()


async def test_a_damaged_journal_goes_with_its_side_files_and_the_new_one_has_a_new_stream(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    stream = await _filled(path)
    content = bytearray(path.read_bytes())
    for offset in range(3 * 4096, len(content) - 4096, 4096):
        content[offset : offset + 200] = b"\xff" * 200
    path.write_bytes(content)
    (tmp_path / "journal.db-wal").write_bytes(b"old")
    journal = _open(path)
    assert journal.set_aside is not None
    assert journal.set_aside.read_bytes() == content
    assert journal.set_aside.with_name(journal.set_aside.name + "-wal").read_bytes() == b"old"
    assert journal.stream != stream
    assert journal.heads() == {}
    await journal.close()


async def test_a_second_damaged_journal_of_the_same_second_does_not_replace_the_first(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for count in (1, 2):
        path.write_bytes(b"garbage" * 500 * count)
        await _open(path).close()
    assert _set_aside(tmp_path) == ["journal.db.corrupt-20261122T103106Z", "journal.db.corrupt-20261122T103106Z-2"]


async def test_the_database_of_another_program_is_set_aside_untouched(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    other = sqlite3.connect(path)
    with other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()
    journal = _open(path)
    assert journal.set_aside is not None
    assert journal.set_aside.read_bytes() == before
    await journal.close()


async def test_a_sound_journal_is_not_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    stream = await _filled(path, notes=3)
    journal = _open(path)
    assert (journal.set_aside, journal.stream) == (None, stream)
    await journal.close()


async def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.touch()
    journal = _open(path)
    assert journal.set_aside is None
    await journal.close()


async def test_a_journal_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await _filled(path, notes=1)
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    newer.close()
    with pytest.raises(StorageError, match=f"version {schema.VERSION + 1}, .* up to {schema.VERSION}") as caught:
        _open(path)
    assert caught.value.exit_code == 74
    assert _set_aside(tmp_path) == []


def test_a_link_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("precious")
    (tmp_path / "journal.db").symlink_to(target)
    with pytest.raises(PermissionsError, match="symbolic link") as caught:
        _open(tmp_path / "journal.db")
    assert caught.value.exit_code == 77
    assert target.read_text() == "precious"


def test_a_folder_in_its_place_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()
    with pytest.raises(StorageError, match="cannot be opened"):
        _open(tmp_path / "journal.db")


def test_a_pipe_in_its_place_is_a_sentence_and_no_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "journal.db", 0o600)
    with pytest.raises(StorageError, match="is no file"):
        _open(tmp_path / "journal.db")


def test_a_file_in_place_of_its_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StorageError, match="there is a file of that name"):
        _open(tmp_path / "state" / "journal.db")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_place_that_takes_no_folders_is_named_with_the_remedy() -> None:
    with pytest.raises(StorageError, match=r"cannot be made in /proc: nothing can be made there\. Set HUDD_STATE_DIR"):
        _open(Path("/proc/hudd-state/journal.db"))


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_written_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionsError, match="may not be opened"):
            _open(tmp_path / "journal.db")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.touch(0o666)
    os.chown(path, 65534, 65534)
    with pytest.raises(PermissionsError, match="belongs to user 65534"):
        _open(path)


async def test_an_open_mode_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await _filled(path, notes=1)
    path.chmod(0o644)
    await _open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_reservations_left_open_by_a_crash_stand_as_assumed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = _open(path)
    await journal.reserve(RESERVATION)
    await journal.close()
    journal = _open(path)
    assert journal.vanished == 1
    totals = await journal.totals(RESERVATION.day)
    assert (totals.settled_microusd, totals.assumed_microusd, totals.reserved_microusd) == (9000, 9000, 0)
    await journal.close()
    journal = _open(path)
    assert journal.vanished == 0
    await journal.close()
