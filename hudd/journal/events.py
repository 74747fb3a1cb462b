"""The statements of the journal about errors and pauses. Each takes a connection and begins no transaction."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from hudd.journal.queries import storable
from hudd.model import UpstreamError
from hudd.notes.records import PauseState
from hudd.wire.messages import iso_time
from hudd.wire.table import REPLAY_PAGE

_INFINITE: Final = float("inf")
_ERROR_KEYS: Final[tuple[str, ...]] = (
    "id",
    "time",
    "sentence",
    "type",
    "code",
    "message",
    "param",
    "event_id",
    "close_code",
    "close_reason",
    "http_status",
    "session_id",
    "fatal",
)


def insert_error(connection: sqlite3.Connection, error: UpstreamError, *, session_id: str, time: float) -> int:
    """Write an error; returns its id."""
    cursor = connection.execute(
        "INSERT INTO errors (time, sentence, type, code, message, param, event_id, close_code, close_reason,"
        " http_status, session_id, fatal) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            time,
            storable(error.sentence),
            storable(error.type),
            storable(error.code),
            storable(error.message),
            storable(error.param),
            storable(error.event_id),
            error.close_code,
            storable(error.close_reason),
            error.http_status,
            storable(session_id),
            error.fatal,
        ),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def errors(
    connection: sqlite3.Connection, since: float | None, until: float | None, limit: int
) -> list[dict[str, Any]]:
    """The errors of a range of time, newest first, with ``time`` in ISO 8601."""
    low = -_INFINITE if since is None else since
    high = _INFINITE if until is None else until
    found = connection.execute(
        f"SELECT {', '.join(_ERROR_KEYS)} FROM errors WHERE time >= ? AND time < ?"  # noqa: S608 - names of our own
        " ORDER BY time DESC, id DESC LIMIT ?",
        (low, high, max(1, min(limit, REPLAY_PAGE))),
    )
    listed: list[dict[str, Any]] = []
    for row in found:
        error: dict[str, Any] = dict(zip(_ERROR_KEYS, row, strict=True))
        error["time"] = iso_time(error["time"])
        error["fatal"] = bool(error["fatal"])
        listed.append(error)
    return listed


def begin_pause(connection: sqlite3.Connection, pause: PauseState) -> None:
    """Write a pause in place of the one that holds."""
    end_pause(connection, pause.since)
    connection.execute(
        "INSERT INTO pauses (since, until, why) VALUES (?, ?, ?)", (pause.since, pause.until, storable(pause.why))
    )


def end_pause(connection: sqlite3.Connection, now: float) -> None:
    """Write the end of the pause that holds, if any; one that was over before ``now`` ended then."""
    # NULL is no number for min(): without an end the pause ends now.
    connection.execute("UPDATE pauses SET ended = min(coalesce(until, ?), ?) WHERE ended IS NULL", (now, now))


def open_pause(connection: sqlite3.Connection) -> PauseState | None:
    """The pause that was not ended, be its time over or not."""
    row = connection.execute("SELECT since, until, why FROM pauses WHERE ended IS NULL").fetchone()
    return None if row is None else PauseState(since=row[0], until=row[1], why=row[2])
