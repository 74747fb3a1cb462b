"""Money and pauses across a damaged journal: no cap begins anew and nothing leaves because a disk failed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hudd.errors import StorageError
from hudd.journal import schema
from hudd.journal.salvage import _COLUMNS, UNKNOWN_MODEL, UNREADABLE
from hudd.journal.store import Journal
from hudd.ledger.caps import Caps, day_bounds
from hudd.ledger.records import Settlement
from hudd.model import Usage
from hudd.notes.records import PauseState
from tests.fakes.clock import ManualClock
from tests.fakes.journal import RESERVATION, make_note

CLOCK = ManualClock()
TODAY = "2026-11-22"
NOW = CLOCK.wall()
CAPS = Caps(day=1_000_000, month=5_000_000)
PAGE = 4096


def reopened(path: Path, caps: Caps | None = CAPS) -> Journal:
    return Journal.open(path, clock=CLOCK, caps=caps)


async def spent_on(path: Path, days: dict[str, int], *, answers: int = 1, notes: int = 300) -> None:
    """Make a journal in which each day cost so much."""
    journal = Journal.open(path, clock=CLOCK)
    for day, microusd in days.items():
        for _ in range(answers):
            number = await journal.reserve(replace(RESERVATION, day=day, reserved_at=NOW - 60, microusd=microusd))
            cost = microusd // answers
            await journal.settle(Settlement(number, "completed", Usage(700, 60), cost, price_date="2026-11-01"))
    for _ in range(notes):
        await journal.commit_note(make_note(text="A long text about larkspur. " * 20), None)
    await journal.close()


def pages_of(path: Path, table: str) -> list[int]:
    """The numbers of a table's pages, from 1."""
    with closing(sqlite3.connect(path)) as connection:
        return [
            row[0] for row in connection.execute("SELECT pageno FROM dbstat WHERE name = ? ORDER BY path", (table,))
        ]


def spoil(path: Path, *pages: int) -> None:
    """Overwrite whole pages, counted from 1."""
    content = bytearray(path.read_bytes())
    for page in pages:
        content[(page - 1) * PAGE : page * PAGE] = b"\xff" * PAGE
    path.write_bytes(content)


async def test_what_was_spent_counts_on_when_the_damage_lies_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await spent_on(path, {"2026-10-31": 700_000, "2026-11-03": 900_000, TODAY: 400_000})
    journal = Journal.open(path, clock=CLOCK)
    before = await journal.totals(TODAY)
    await journal.reserve(replace(RESERVATION, day=TODAY, reserved_at=NOW))  # which a crash leaves open
    await journal.close()
    spoil(path, *pages_of(path, "notes")[1:4])
    journal = reopened(path)
    assert journal.set_aside is not None
    assert journal.spent == "What was spent this month, on 3 answers, still counts."
    totals = await journal.totals(TODAY)
    assert totals.settled_microusd == before.settled_microusd + 9_000
    assert totals.month.settled_microusd == 1_309_000
    assert totals.reserved_microusd == 0
    assert (totals.tokens, journal.vanished) == (760 + RESERVATION.tokens, 1)
    assert (await journal.money(day=TODAY, at=NOW, model=RESERVATION.model)).ever_paid
    await journal.close()
    journal = reopened(path)
    assert (journal.set_aside, journal.spent) == (None, "")
    assert (await journal.totals(TODAY)).month.settled_microusd == 1_309_000
    await journal.close()


async def test_days_that_cannot_be_read_count_as_having_cost_all_they_could(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await spent_on(path, {"2026-11-20": 900_000, TODAY: 400_000})
    spoil(path, *pages_of(path, "ledger"))
    journal = reopened(path, replace(CAPS, month=0))
    assert journal.spent == (
        "What was spent cannot be read from it, so 1 day counts as having cost the whole cap of a day."
    )
    totals = await journal.totals(TODAY)
    assert (totals.settled_microusd, totals.assumed_microusd) == (1_000_000, 1_000_000)
    assert totals.hour.settled_microusd == 0
    (row,) = (await journal.costs()).rows
    assert (row.engine, row.model, row.microusd) == ("service", UNKNOWN_MODEL, 1_000_000)
    assert (await journal.money(day=TODAY, at=NOW, model=UNKNOWN_MODEL)).unnoted == 0
    await journal.close()


async def test_with_a_cap_of_the_month_its_earlier_days_count_too(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"this was a journal once, and nobody can read it any more" * 400)
    journal = reopened(path)
    assert "so 22 days count as" in journal.spent
    assert (await journal.totals(TODAY)).month.settled_microusd == 22_000_000
    (row,) = (await journal.costs(since=day_bounds(TODAY)[0])).rows
    assert (row.microusd, row.answers) == (1_000_000, 1)
    await journal.close()


async def test_what_is_read_before_the_damage_is_known_and_only_the_rest_is_assumed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await spent_on(path, {"2026-11-20": 600_000, "2026-11-21": 480_000, TODAY: 300_000}, answers=40, notes=0)
    leaves = pages_of(path, "ledger")[1:]
    assert len(leaves) > 3
    spoil(path, leaves[0])  # the oldest rows, of the 20th
    journal = reopened(path)
    assert (await journal.totals(TODAY)).settled_microusd == 300_000
    assert (await journal.totals("2026-11-21")).settled_microusd == 480_000
    oldest = await journal.totals("2026-11-20")
    assert oldest.settled_microusd == 1_000_000
    assert 0 < oldest.assumed_microusd < 1_000_000
    assert "so 20 days count" in journal.spent
    await journal.close()


@pytest.mark.parametrize("change", ["cost_microusd = -1", "day = 'yesterday'", "status = 'gone'", "model = x'ff'"])
async def test_figures_that_nobody_can_have_written_are_not_believed(tmp_path: Path, change: str) -> None:
    path = tmp_path / "journal.db"
    await spent_on(path, {TODAY: 400_000})
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(f"UPDATE ledger SET {change}")
    spoil(path, *pages_of(path, "notes")[1:4])
    journal = reopened(path)
    assert (await journal.totals(TODAY)).settled_microusd == 1_000_000
    await journal.close()


async def test_nothing_is_assumed_where_nothing_is_paid_for_or_the_file_was_another_programs(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"this was a journal once" * 400)
    journal = reopened(path, None)
    assert (journal.spent, (await journal.costs()).rows) == ("", ())
    await journal.close()
    path = tmp_path / "other" / "journal.db"
    path.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE theirs (x)")
    journal = reopened(path)
    assert journal.set_aside is not None
    assert (journal.spent, (await journal.costs()).rows) == ("", ())
    await journal.close()


def set_aside_in(folder: Path) -> list[Path]:
    return list(folder.glob("*.corrupt-*"))


async def paused_on(path: Path, *, until: float | None = None, ended: bool = False) -> None:
    """Make a journal that holds a pause, and beside it an earlier one that is over."""
    await spent_on(path, {TODAY: 400_000})
    journal = Journal.open(path, clock=CLOCK)
    await journal.pause(until=None, why="an earlier one", now=NOW - 900)
    await journal.resume(NOW - 800)
    await journal.pause(until=until, why="a visitor", now=NOW - 60)
    if ended:
        await journal.resume(NOW - 30)
    await journal.close()


@pytest.mark.parametrize("until", [None, NOW + 600])
async def test_a_pause_holds_on_when_the_damage_lies_elsewhere(
    tmp_path: Path, until: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal.db"
    await paused_on(path, until=until)
    spoil(path, *pages_of(path, "notes")[1:4])
    journal = reopened(path)
    assert journal.set_aside is not None
    assert journal.pause_state() == PauseState(since=NOW - 60, until=until, why="a visitor")
    assert journal.paused == "Its pause goes on; `hudctl resume` ends it."
    assert journal.paused in caplog.text
    await journal.close()
    journal = reopened(path)
    assert (journal.paused, journal.pause_state()) == ("", PauseState(since=NOW - 60, until=until, why="a visitor"))
    await journal.resume(NOW)
    await journal.close()
    journal = reopened(path)
    assert journal.pause_state() is None
    await journal.close()


@pytest.mark.parametrize("over", [{"ended": True}, {"until": NOW - 1}])
async def test_a_pause_that_is_over_does_not_come_back(tmp_path: Path, over: dict[str, Any]) -> None:
    path = tmp_path / "journal.db"
    await paused_on(path, **over)
    spoil(path, *pages_of(path, "notes")[1:4])
    journal = reopened(path)
    assert journal.set_aside is not None
    assert (journal.paused, journal.pause_state()) == ("", None)
    await journal.close()


def _garbled(path: Path) -> None:
    path.write_bytes(b"this was a journal once, and nobody can read it any more" * 400)


def _without_its_pauses(path: Path) -> None:
    spoil(path, *pages_of(path, "pauses"))


def _of_an_impossible_time(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE pauses SET since = 1e300")
    spoil(path, *pages_of(path, "notes")[1:4])


def _without_their_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE pauses")
    spoil(path, *pages_of(path, "notes")[1:4])


@pytest.mark.parametrize("damage", [_garbled, _without_its_pauses, _of_an_impossible_time, _without_their_table])
async def test_where_nobody_can_tell_whether_it_was_paused_hudd_begins_paused(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal.db"
    await paused_on(path, ended=True)
    damage(path)
    journal = reopened(path)
    assert journal.pause_state() == PauseState(since=NOW, until=None, why=UNREADABLE)
    assert journal.paused == (
        "Whether hudd was paused cannot be read from it, so hudd began paused; `hudctl resume` ends that."
    )
    assert journal.paused in caplog.text
    await journal.close()


async def test_a_pause_is_not_lost_when_the_new_journal_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.db"
    await paused_on(path)
    spoil(path, *pages_of(path, "notes")[1:4])

    def full(_: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(schema, "migrate", full)
        with pytest.raises(StorageError, match="the disk is full"):
            reopened(path)
    assert set_aside_in(tmp_path) == []
    journal = reopened(path)
    assert journal.set_aside is not None
    assert journal.pause_state() == PauseState(since=NOW - 60, until=None, why="a visitor")
    assert journal.spent.startswith("What was spent this month, on 1 answer, still counts.")
    await journal.close()


async def test_the_database_of_another_program_pauses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE theirs (x)")
    journal = reopened(path)
    assert journal.set_aside is not None
    assert (journal.paused, journal.pause_state()) == ("", None)
    await journal.close()


def test_every_column_of_the_ledger_but_its_numbers_is_carried_over() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.migrate(connection)
        columns = {row[1] for row in connection.execute("PRAGMA table_info(ledger)")}
    assert set(_COLUMNS) == columns - {"id", "note_seq"}
