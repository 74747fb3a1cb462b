"""How often something was worth a question, whether or not one was asked: what an estimate of the cost goes by."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from hudd.journal import schema
from hudd.journal.lanes import Lane
from hudd.ledger.records import Changes

KEPT_MINUTES: Final = 31 * 1440
"""Older ones are nothing to go by."""
_ADD: Final = """INSERT INTO changes (minute, seen) VALUES (?, ?)
    ON CONFLICT (minute) DO UPDATE SET seen = seen + excluded.seen"""
_SEEN: Final = "SELECT minute, seen FROM changes WHERE minute >= ? ORDER BY minute"
# A journal that was begun by an older hudd has only what was asked.
_BEFORE: Final = """SELECT CAST(reserved_at / 60 AS INTEGER), count(*) FROM ledger
    WHERE status <> 'open' AND reserved_at >= ? AND reserved_at < coalesce((SELECT min(minute) * 60 FROM changes), 1e12)
    GROUP BY 1 ORDER BY 1"""
_ASKED: Final = "SELECT count(*) FROM ledger WHERE reserved_at >= ? AND status <> 'open'"


class ChangeBook:
    """The counts of an open journal.

    Args:
        writer: Writes.
        reader: Reads.
    """

    def __init__(self, writer: Lane, reader: Lane) -> None:
        self._writer = writer
        self._reader = reader

    async def add(self, seen: Mapping[int, int]) -> None:
        """Commit how much more was seen in some minutes, counted since 1970; those long past are dropped.

        Raises:
            StorageError: Nothing was committed.
        """
        await self._writer.run(lambda connection: add(connection, seen))

    async def since(self, moment: float) -> Changes:
        """What was seen since a moment, seconds since 1970.

        Raises:
            StorageError: The journal cannot be read.
        """

        def job(connection: sqlite3.Connection) -> Changes:
            with schema.snapshot(connection):
                return changes_since(connection, moment)

        return await self._reader.run(job)


def add(connection: sqlite3.Connection, seen: Mapping[int, int]) -> None:
    """Add counts by the minute, in a transaction."""
    with schema.transaction(connection):
        connection.executemany(_ADD, seen.items())
        connection.execute("DELETE FROM changes WHERE minute < ?", (max(seen, default=0) - KEPT_MINUTES,))


def changes_since(connection: sqlite3.Connection, moment: float) -> Changes:
    """What was seen since a moment."""
    minutes = [*connection.execute(_BEFORE, (moment,)), *connection.execute(_SEEN, (int(moment // 60),))]
    asked = connection.execute(_ASKED, (moment,)).fetchone()[0]
    return Changes(tuple((int(minute), int(seen)) for minute, seen in minutes), int(asked))
