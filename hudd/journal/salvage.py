"""What a damaged journal still tells of this month's money and of a pause, so that both hold in the journal after it.

Where it tells nothing, each day that counts for a cap is taken to have cost all that it could, and hudd to be paused:
no cap is passed, and nothing leaves that a person held back, because a disk failed.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, get_args

from hudd.journal import events, schema
from hudd.journal.lanes import result_code
from hudd.ledger.caps import Caps, day_bounds, local_day
from hudd.model import AnswerStatus
from hudd.notes.records import PauseState

_TEXTS: Final = ("snap_id", "model", "engine", "trigger", "day", "status", "price_date")
_TIMES: Final = ("reserved_at", "settled_at")
_AMOUNTS: Final = ("reserved_microusd", "cost_microusd")
_COUNTS: Final = (
    "reserved_tokens", "input_tokens", "output_tokens", "text_tokens", "image_tokens", "audio_tokens",
    "cached_text_tokens", "cached_image_tokens", "cached_audio_tokens", "output_text_tokens", "output_audio_tokens",
    "reasoning_tokens", "assumed", "pictures", "expected_image_tokens", "noted",
)  # fmt: skip
_COLUMNS: Final[tuple[str, ...]] = (*_TEXTS, *_TIMES, *_AMOUNTS, *_COUNTS)
_OPTIONAL: Final = {"settled_at", *_AMOUNTS}
# Only names of our own stand in these statements.
_READ: Final = f"SELECT {', '.join(_COLUMNS)} FROM ledger NOT INDEXED ORDER BY id DESC"  # noqa: S608 - see above
_WRITE: Final = f"INSERT INTO ledger ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - see above
# As if there had been a note: nobody knows, and the alarm rings for what is known.
_ASSUME: Final = """INSERT INTO ledger (snap_id, model, engine, trigger, day, reserved_at, reserved_microusd,
    reserved_tokens, settled_at, status, cost_microusd, assumed, noted) VALUES ('', ?, 'service', 'change', ?, ?, ?, 0,
    ?, 'vanished', ?, 1, 1)"""
_PAUSES: Final = "SELECT since, until, why, ended FROM pauses NOT INDEXED"
_NO_SUCH_TABLE: Final = 1  # SQLITE_ERROR; damage has codes of its own
UNKNOWN_MODEL: Final = "unknown"
_STATUSES: Final = {"open", *get_args(AnswerStatus)}
_LARGEST: Final = 10**12
"""No row has a larger figure: a million dollars, a trillion tokens."""
_LATEST: Final = 253_402_300_800.0  # the year 10000, which no time can be written in
UNREADABLE: Final = "the journal was damaged"
"""Why hudd is paused when nobody can tell whether it was."""

_Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spent:
    """What a damaged journal tells of the month's money.

    Attributes:
        rows: Paid answers of the month that can be read, the newest first.
        lost_through: The newest day of which it does not tell everything; '' when it tells all.
    """

    rows: tuple[_Row, ...] = ()
    lost_through: str = ""


def read_spent(connection: sqlite3.Connection, now: float) -> Spent:
    """Read what can be read, from the newest on: what counts for the present day was written last.

    Args:
        connection: To the damaged file.
        now: Wall clock.
    """
    today, rows = local_day(now), list[_Row]()
    newest_lost = today
    try:
        for row in _rows(connection):
            if row is None:
                return Spent(tuple(rows), newest_lost)
            if row["day"] < _first(today):
                break
            newest_lost = min(today, row["day"])
            if row["engine"] != "local":
                rows.append(row)
    except sqlite3.Error as error:
        if _is_of_another_program(connection, error):
            return Spent()  # nothing was spent by it
        return Spent(tuple(rows), newest_lost)
    return Spent(tuple(rows))


def read_pause(connection: sqlite3.Connection, now: float) -> PauseState | None:
    """The pause that was not ended; one from now on, for ``UNREADABLE``, where that cannot be read.

    Args:
        connection: To the damaged file.
        now: Wall clock.
    """
    held: PauseState | None = None
    try:
        for since, until, why, ended in connection.execute(_PAUSES):
            times = (since, *(time for time in (until, ended) if time is not None))
            if not isinstance(why, str) or not all(isinstance(time, float) and 0 <= time < _LATEST for time in times):
                return PauseState(since=now, until=None, why=UNREADABLE)
            if ended is None:
                held = PauseState(since=since, until=until, why=why)
    except sqlite3.Error as error:
        if _is_of_another_program(connection, error):
            return None
        return PauseState(since=now, until=None, why=UNREADABLE)
    return held


def _is_of_another_program(connection: sqlite3.Connection, error: sqlite3.Error) -> bool:
    """Whether our table could not be read because the file never was a journal."""
    return result_code(error) == _NO_SUCH_TABLE and not _is_ours(connection)


def _is_ours(connection: sqlite3.Connection) -> bool:
    try:
        return schema.pragma(connection, "application_id") == schema.APPLICATION_ID
    except sqlite3.Error:
        return True  # nobody can tell


def _rows(connection: sqlite3.Connection) -> Iterator[_Row | None]:
    """The rows as they come; None for one that nobody can have written so."""
    for values in connection.execute(_READ):
        row: _Row = dict(zip(_COLUMNS, values, strict=True))
        yield row if _is_possible(row) else None


def _is_possible(row: _Row) -> bool:
    times = [row[name] for name in _TIMES if row[name] is not None or name not in _OPTIONAL]
    figures = [row[name] for name in (*_AMOUNTS, *_COUNTS) if row[name] is not None or name not in _OPTIONAL]
    return (
        all(isinstance(row[name], str) for name in _TEXTS)
        and all(isinstance(time, int | float) for time in times)
        and all(isinstance(figure, int) and 0 <= figure <= _LARGEST for figure in figures)
        and row["status"] in _STATUSES
        and _is_day(row["day"])
    )


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def write_spent(connection: sqlite3.Connection, spent: Spent, *, now: float, caps: Caps | None) -> str:
    """Write it into the ledger of the journal after the damaged one.

    Args:
        connection: To the new journal.
        spent: What the damaged one told.
        now: Wall clock.
        caps: What may be spent; None when nothing is paid for, so that nothing is assumed either.

    Returns:
        A sentence for a person; '' when there is nothing to say.
    """
    assumed = _assumed(spent, caps, local_day(now)) if caps is not None and spent.lost_through else {}
    with schema.transaction(connection):
        for row in reversed(spent.rows):
            connection.execute(_WRITE, tuple(row[name] for name in _COLUMNS))
        for day, microusd in assumed.items():
            at = min(now, day_bounds(day)[1] - 1)
            connection.execute(_ASSUME, (UNKNOWN_MODEL, day, at, microusd, at, microusd))
    if assumed:
        days = "1 day counts" if len(assumed) == 1 else f"{len(assumed)} days count"
        return f"What was spent cannot be read from it, so {days} as having cost the whole cap of a day."
    count = "1 answer" if len(spent.rows) == 1 else f"{len(spent.rows):,} answers"
    return f"What was spent this month, on {count}, still counts." if spent.rows else ""


def write_pause(connection: sqlite3.Connection, pause: PauseState | None, *, now: float) -> str:
    """Let the pause hold in the journal after the damaged one.

    Args:
        connection: To the new journal.
        pause: What ``read_pause`` told.
        now: Wall clock.

    Returns:
        A sentence for a person; '' when there is nothing to say.
    """
    if pause is None or (pause.until is not None and pause.until <= now):
        return ""
    with schema.transaction(connection):
        events.begin_pause(connection, pause)
    if pause.why == UNREADABLE:
        return "Whether hudd was paused cannot be read from it, so hudd began paused; `hudctl resume` ends that."
    return "Its pause goes on; `hudctl resume` ends it."


def _assumed(spent: Spent, caps: Caps, today: str) -> dict[str, int]:
    """What to count for days of which not everything is known: all that each can have cost beside what is known."""
    known = Counter[str]()
    for row in spent.rows:
        known[row["day"]] += _cost(row)
    # Earlier days count for nothing but the cap of the month.
    day = date.fromisoformat(_first(today) if caps.month else today)
    assumed: dict[str, int] = {}
    while day.isoformat() <= spent.lost_through:
        missing = caps.day - known[day.isoformat()]
        if missing > 0:
            assumed[day.isoformat()] = missing
        day += timedelta(days=1)
    return assumed


def _cost(row: _Row) -> int:
    return int(row["reserved_microusd"] or 0) if row["cost_microusd"] is None else int(row["cost_microusd"])


def _first(day: str) -> str:
    return f"{day[:7]}-01"
