"""Pages of the journal in the order of their numbers, for whoever carries notes elsewhere."""

from __future__ import annotations

import sqlite3
from typing import Final

from hudd.journal import queries
from hudd.wire.messages import Note
from hudd.wire.table import REPLAY_PAGE

_NO_END: Final = float("inf")


def page(
    connection: sqlite3.Connection, stream: str, *, since: float | None, until: float | None, after: int, limit: int
) -> tuple[list[Note], bool]:
    """The next notes of a range of time, in the order of their numbers. Wants a ``snapshot`` around it.

    Args:
        connection: The connection.
        stream: Name of the journal.
        since: Captured at or after, seconds since 1970, or None.
        until: Captured before, or None.
        after: Only numbers above this one.
        limit: At most so many, and at most 500.

    Returns:
        The notes, and whether more follow.
    """
    limit = max(1, min(limit, REPLAY_PAGE))
    times = (-_NO_END if since is None else since, _NO_END if until is None else until)
    if after == 0 and since is not None:
        # The beginning is found by the index on time, and not by reading all notes before it.
        first = connection.execute("SELECT min(seq) FROM notes WHERE time >= ? AND time < ?", times).fetchone()[0]
        if first is None:
            return [], False
        after = first - 1
    numbers = [
        int(row[0])
        for row in connection.execute(
            # + keeps the index on time out of it: the order of the numbers is wanted, and a page of it only.
            "SELECT seq FROM notes WHERE seq > ? AND +time >= ? AND +time < ? ORDER BY seq LIMIT ?",
            (after, *times, limit + 1),
        )
    ]
    return queries.fetch(connection, stream, numbers[:limit]), len(numbers) > limit
