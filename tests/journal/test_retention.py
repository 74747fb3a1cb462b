from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.journal import retention
from hudd.journal.store import Journal
from hudd.ledger.records import Settlement
from hudd.model import UpstreamError, Usage
from hudd.notes.keeping import PrunePlan
from tests.fakes.clock import ManualClock
from tests.fakes.journal import RESERVATION, make_note

DAY = 86_400.0


async def _write(journal: Journal, *times: float, text: str = "The harbour office. ") -> None:
    for time in times:
        await journal.commit_note(make_note(text=text, time=time), None)


async def _numbers(journal: Journal) -> list[int]:
    return [note.seq for note in (await journal.notes_since(0)).notes]


async def test_what_is_too_old_goes_and_what_is_marked_stays(journal: Journal) -> None:
    await _write(journal, 1, 2, 3, 4, 5)
    assert await journal.upkeep.mark(2, keep=True)
    plan = await journal.upkeep.plan(before=4.0, max_bytes=None)
    assert (plan.notes, plan.kept, plan.first, plan.last, plan.oldest, plan.newest) == (2, 1, 1, 3, 1.0, 3.0)
    assert plan.bytes > 0
    assert await _numbers(journal) == [1, 2, 3, 4, 5]  # a plan changes nothing
    done = await journal.upkeep.prune(before=4.0, max_bytes=None)
    assert done == plan
    assert await _numbers(journal) == [2, 4, 5]
    page = await journal.notes_since(0)
    assert (page.oldest, page.head) == (4, 5)  # below 4 not everything is there any more
    assert journal.heads() == {"note/eDP-1/": 5}
    assert await journal.upkeep.prune(before=4.0, max_bytes=None) == PrunePlan(kept=1)

    assert await journal.upkeep.mark(2, keep=False)
    assert (await journal.upkeep.prune(before=4.0, max_bytes=None)).notes == 1
    assert not await journal.upkeep.mark(2, keep=True)


async def test_an_emptied_journal_still_tells_where_it_goes_on(journal: Journal) -> None:
    await _write(journal, 1, 2)
    await journal.upkeep.prune(before=10.0, max_bytes=None)
    page = await journal.notes_since(0)
    assert (page.notes, page.oldest, page.head) == ((), 3, 2)
    await _write(journal, 11)
    assert await _numbers(journal) == [3]
    assert (await journal.notes_since(0)).notes[0].prev == 2


async def test_a_clock_that_was_wrong_for_an_hour_loses_no_note_of_today(journal: Journal) -> None:
    await _write(journal, 100 * DAY, 100 * DAY + 60, 5.0, 6.0, 100 * DAY + 120)
    assert (await journal.upkeep.prune(before=90 * DAY, max_bytes=None)).notes == 0


async def test_a_note_from_the_future_keeps_nothing_that_is_too_old(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", clock=ManualClock(wall=300 * DAY))
    await _write(journal, 100 * DAY, 40_000 * DAY, 101 * DAY, 250 * DAY, 40_000 * DAY, 300 * DAY)
    assert (await journal.upkeep.prune(before=210 * DAY, max_bytes=None)).notes == 3
    assert await _numbers(journal) == [4, 5, 6]
    await journal.close()


async def test_a_clock_that_went_back_to_1970_removes_nothing(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", clock=ManualClock(wall=2 * DAY))
    await _write(journal, 20_000 * DAY, 20_001 * DAY, 1 * DAY, 2 * DAY)
    assert (await journal.upkeep.prune(before=-88 * DAY, max_bytes=None)).notes == 0
    assert (await journal.upkeep.prune(before=0.5 * DAY, max_bytes=None)).notes == 0
    await journal.close()


async def test_errors_and_ended_pauses_go_by_age_and_money_stays_for_the_caps(tmp_path: Path) -> None:
    clock = ManualClock(wall=1000 * DAY)
    journal = Journal.open(tmp_path / "journal.db", clock=clock)
    for at in (1 * DAY, 700 * DAY, 990 * DAY):
        await journal.add_error(UpstreamError(sentence=f"{at}"), time=at)
    await journal.pause(until=None, why="old", now=2 * DAY)
    await journal.resume(3 * DAY)
    await journal.pause(until=None, why="holds", now=4 * DAY)
    for at in (5 * DAY, 700 * DAY, 990 * DAY):
        taken = await journal.reserve(RESERVATION.__class__(**{**_fields(RESERVATION), "reserved_at": at}))
        await journal.settle(Settlement(taken, "completed", Usage(1, 1), 10))
    still_open = await journal.reserve(RESERVATION.__class__(**{**_fields(RESERVATION), "reserved_at": 6 * DAY}))

    await journal.upkeep.prune(before=970 * DAY, max_bytes=None)

    assert [e["sentence"] for e in await journal.errors()] == [f"{990 * DAY}"]
    assert journal.pause_state() is not None
    assert (await journal.costs()).rows
    await journal.close()
    rows = sqlite3.connect(tmp_path / "journal.db")
    assert [row[0] for row in rows.execute("SELECT why FROM pauses")] == ["holds"]
    kept = [tuple(row) for row in rows.execute("SELECT id, reserved_at FROM ledger ORDER BY id")]
    rows.close()
    assert [at for _, at in kept] == [700 * DAY, 990 * DAY, 6 * DAY]
    assert kept[-1][0] == still_open


def _fields(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in type(record).__dataclass_fields__}


async def test_what_is_too_much_goes_oldest_first_and_the_file_shrinks(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal.open(path, clock=ManualClock())
    text = "The harbour office lists berth twelve for the ferry. " * 40
    await _write(journal, *(float(n) for n in range(1500)), text=text)
    await journal.upkeep.mark(3, keep=True)
    await journal.upkeep.prune(before=None, max_bytes=None)  # removes nothing, puts the log into the file
    before = path.stat().st_size
    limit = before // 2
    plan = await journal.upkeep.plan(before=None, max_bytes=limit)
    done = await journal.upkeep.prune(before=None, max_bytes=limit)
    assert done.notes >= plan.notes > 500
    numbers = await _numbers(journal)
    assert numbers[0] == 3  # marked
    assert numbers[1] > 500
    assert max(journal.heads().values()) == 1500
    await journal.close()
    assert path.stat().st_size <= limit * 1.05
    assert path.stat().st_size >= limit * 0.7  # and not more than was asked for


async def test_when_everything_is_marked_a_limit_removes_nothing_and_ends(journal: Journal) -> None:
    await _write(journal, 1, 2, 3)
    for seq in (1, 2, 3):
        await journal.upkeep.mark(seq, keep=True)
    assert (await journal.upkeep.prune(before=None, max_bytes=1)).notes == 0


async def test_a_note_is_committed_between_two_batches(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    await _write(journal, *(float(n) for n in range(30)))
    import asyncio

    pruning = asyncio.create_task(journal.upkeep.prune(before=29.0, max_bytes=None))
    await asyncio.sleep(0)
    seen: list[int] = []
    while not pruning.done():
        seen.append((await journal.commit_note(make_note(time=100.0), None)).seq)
    assert pruning.result().notes == 29
    assert len(seen) >= 2


@given(
    times=st.lists(st.one_of(st.integers(0, 50), st.just(9 * DAY)), min_size=1, max_size=12),
    marked=st.sets(st.integers(1, 12)),
    before=st.integers(0, 60),
)
def test_what_goes_is_a_beginning_without_the_marked(times: list[int], marked: set[int], before: int) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE notes (seq INTEGER PRIMARY KEY, time REAL, keep INTEGER DEFAULT 0)")
    connection.executemany("INSERT INTO notes (time) VALUES (?)", [(float(t),) for t in times])
    connection.executemany("UPDATE notes SET keep = 1 WHERE seq = ?", [(m,) for m in marked])
    below = retention.bound(connection, now=60.0, before=float(before), max_bytes=None)
    connection.close()
    gone = [seq for seq in range(1, len(times) + 1) if seq < below and seq not in marked]
    too_old = [seq for seq, time in enumerate(times, start=1) if time < before]
    misdated = [seq for seq, time in enumerate(times, start=1) if time > 60 + DAY and seq < max(too_old, default=0)]
    assert set(gone) <= {*too_old, *misdated}
    young = [seq for seq, time in enumerate(times, start=1) if time >= before and seq not in misdated]
    assert below == (min(young) if young else len(times) + 1)
