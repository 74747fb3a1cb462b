"""A backup never takes the place of the journal or of what lies beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hudd.errors import CommandError
from hudd.journal.store import Journal
from tests.fakes.journal import make_note


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal", "journal.db-shm", "journal.db.ballast", "letter"])
async def test_the_journal_stands_whatever_a_backup_is_called(journal: Journal, name: str) -> None:
    folder = journal.path.parent
    (folder / "letter").write_text("Dear reader")
    await journal.upkeep.prepare()
    for _ in range(3):
        await journal.commit_note(make_note(), None)
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    with pytest.raises(CommandError) as told:
        await journal.upkeep.back_up(folder / name)
    assert (told.value.code, bool(told.value.hint)) == ("E_ARGS", True)
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before
    await journal.commit_note(make_note(), None)
    assert [note.seq for note in (await journal.notes_since(0)).notes] == [1, 2, 3, 4]


async def test_an_older_backup_is_replaced(journal: Journal, tmp_path: Path) -> None:
    await journal.commit_note(make_note(), None)
    copy = tmp_path / "copy.db"
    await journal.upkeep.back_up(copy)
    first = copy.read_bytes()
    await journal.commit_note(make_note(text="Another one"), None)
    await journal.upkeep.back_up(copy)
    assert copy.read_bytes() != first
