"""A forgotten text is nowhere in the files of the journal: not in rows, index, log, nor in a page's unused part."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hudd.errors import StorageError
from hudd.journal import forget, schema
from hudd.journal.store import Journal
from hudd.notes.keeping import Emptied, Span
from tests.fakes.clock import ManualClock
from tests.fakes.journal import make_note

LONG = 1500
"""Words of a note that needs several pages."""


def everything_in(folder: Path) -> bytes:
    """All bytes of the journal's files: free pages and unused parts are bytes of ``journal.db`` like any other."""
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.endswith(".ballast"))


def words(chance: random.Random) -> Iterator[str]:
    while True:
        yield f"zq{chance.getrandbits(48):012x}"


async def write(journal: Journal, chance: random.Random, count: int, start: float) -> list[tuple[float, list[str]]]:
    """Notes of random sizes, each of words that occur nowhere else; (time, words) of each."""
    fresh, written = words(chance), []
    for number in range(count):
        chosen = [next(fresh) for _ in range(chance.choice([1, 3, 30, 30, 200, LONG]))]
        written.append((start + number, chosen))
        await journal.commit_note(make_note(chance.choice("ab"), text=" ".join(chosen), time=start + number), None)
    return written


def found(folder: Path, notes: list[tuple[float, list[str]]]) -> list[str]:
    """The words that are still there. FTS5 leaves out what a term shares with the one before it, so that the first
    characters may not stand before the others: it is enough for a find that the last eight stand somewhere."""
    held = everything_in(folder)
    return [word for _, chosen in notes for word in chosen if word[-8:].encode() in held]


@pytest.mark.parametrize("seed", range(6))
async def test_forgotten_text_is_in_no_file(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    journal = Journal.open(tmp_path / "journal.db", clock=ManualClock())
    notes: list[tuple[float, list[str]]] = []
    for _ in range(chance.randint(2, 5)):
        notes += await write(journal, chance, chance.randint(1, 40), float(len(notes)))
        if chance.random() < 0.4:
            await journal.upkeep.prune(before=chance.uniform(0, len(notes) / 2), max_bytes=None)
    since = chance.uniform(0, len(notes) - 1)
    span = Span(since, since + chance.uniform(1, 30))
    gone = [note for note in notes if span.holds(note[0])]
    assert found(tmp_path, gone)  # otherwise nothing is shown below

    await journal.upkeep.empty(span)
    assert await journal.upkeep.finish_forgetting()

    assert found(tmp_path, gone) == []
    assert (tmp_path / "journal.db-wal").stat().st_size <= 10 * 4096  # only the word that nothing is due any more
    for _, chosen in gone:
        assert await journal.search(search=chosen[0]) == []
    held = [n for n in (await journal.notes_since(0)).notes if n.text]
    assert held
    assert (await journal.search(search=held[-1].text.split()[0]))[0].seq == held[-1].seq
    await journal.close()
    assert found(tmp_path, gone) == []


async def test_the_row_stays_with_its_number_and_without_its_words(journal: Journal) -> None:
    for number in range(3):
        await journal.commit_note(make_note(text=f"text {number}", time=float(number)), None)
    before = (await journal.notes_since(0)).notes

    assert await journal.upkeep.empty(Span(since=1, until=2)) == Emptied(1, 2, 2)

    after = (await journal.notes_since(0)).notes
    assert [n.text for n in after] == ["text 0", "", "text 2"]
    assert after[1] == before[1].without_text()
    assert (after[1].seq, after[1].prev, after[1].kind, after[1].complete) == (2, 1, "note", False)
    assert [p.hash for p in after[1].pictures] == [""]
    assert journal.heads() == {"note/eDP-1/": 3}


async def test_a_number_a_range_and_nothing(journal: Journal) -> None:
    for number in range(5):
        await journal.commit_note(make_note(text=f"text {number}", time=float(number)), None)
    empty = journal.upkeep.empty
    assert await empty(Span(seq=3)) == Emptied(1, 3, 3)
    assert await empty(Span(seq=3)) == Emptied()  # it is empty already
    assert await empty(Span(seq=99)) == Emptied()
    assert await empty(Span(since=100)) == Emptied()
    assert await empty(Span(until=2)) == Emptied(2, 1, 2)
    assert await empty(Span()) == Emptied(2, 4, 5)
    assert [n.text for n in (await journal.notes_since(0)).notes] == [""] * 5


async def test_many_notes_go_in_batches(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forget, "BATCH", 7)
    for number in range(40):
        await journal.commit_note(make_note(text=f"text {number}", time=float(number)), None)
    assert await journal.upkeep.empty(Span(since=5, until=36)) == Emptied(31, 6, 36)
    assert sum(1 for n in (await journal.notes_since(0)).notes if n.text) == 9


async def test_a_marked_note_is_forgotten_as_well(journal: Journal) -> None:
    await journal.commit_note(make_note(), None)
    await journal.upkeep.mark(1, keep=True)
    assert (await journal.upkeep.empty(Span(seq=1))).notes == 1


async def test_what_a_crash_left_due_is_done_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal.open(path, clock=ManualClock())
    notes = await write(journal, random.Random(1), 30, 0.0)
    await journal.upkeep.empty(Span())  # and here it dies, before the cleaning
    await journal.close()
    assert found(tmp_path, notes)

    journal = Journal.open(path, clock=ManualClock())
    assert await journal.upkeep.finish_forgetting()
    assert found(tmp_path, notes) == []
    inode = path.stat().st_mtime_ns
    assert await journal.upkeep.finish_forgetting()  # nothing is due: the file is not written again
    assert path.stat().st_mtime_ns == inode
    await journal.close()


async def test_a_reader_who_holds_an_old_state_keeps_it_due(tmp_path: Path) -> None:
    clock = ManualClock()
    journal = Journal.open(tmp_path / "journal.db", clock=clock)
    notes = await write(journal, random.Random(2), 10, 0.0)
    reader = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM notes").fetchone()
    await journal.upkeep.empty(Span())
    finishing = asyncio.create_task(journal.upkeep.finish_forgetting())
    while not finishing.done():
        await asyncio.sleep(0.01)  # the lanes are threads
        await clock.advance(1)
    assert not finishing.result()
    reader.close()
    assert await journal.upkeep.finish_forgetting()
    assert found(tmp_path, notes) == []
    await journal.close()


async def test_without_the_index_and_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(tmp_path / "journal.db", clock=ManualClock(), search=False)
    notes = await write(journal, random.Random(3), 10, 0.0)
    await journal.upkeep.empty(Span())

    def no_room(connection: sqlite3.Connection, path: Path, **_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {schema.pragma(connection, 'page_count')}")
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(forget, "rewrite", no_room)
        with pytest.raises(StorageError):
            await journal.upkeep.finish_forgetting()
    assert await journal.upkeep.finish_forgetting()
    assert found(tmp_path, notes) == []
    await journal.close()


async def test_a_large_journal_is_written_anew_beside_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forget, "IN_MEMORY_BYTES", 0)
    folder = tmp_path / "it's here"
    folder.mkdir()
    journal = Journal.open(folder / "journal.db", clock=ManualClock())
    notes = await write(journal, random.Random(4), 20, 0.0)
    await journal.upkeep.empty(Span())
    assert await journal.upkeep.finish_forgetting()
    assert found(folder, notes) == []
    left = ["journal.db", "journal.db-shm", "journal.db-wal", "journal.lock"]
    assert sorted(p.name for p in folder.iterdir()) == left
    await journal.close()


async def test_journals_that_were_set_aside_are_named(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"no database, but long enough" * 50)
    journal = Journal.open(tmp_path / "journal.db", clock=ManualClock())
    assert journal.upkeep.copies() == [str(journal.set_aside)]
    await journal.close()
