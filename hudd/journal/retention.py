"""The statements of the journal about keeping: marks, and what goes when it is too old or too much. In small batches.

Numbers follow time but for jumps of the clock. What goes is therefore always a beginning of the journal, up to the
first note that is young enough: a machine that once woke up in 1970 does not lose the notes of that hour at once. And
one that once woke up in 2099 keeps nothing for it: such a note is young no more when later ones are too old already.
Marked notes stay. Money is kept for longer, because ``hudctl cost`` looks back and the caps need it.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from hudd.journal import schema
from hudd.notes.keeping import PrunePlan

BATCH: Final = 100
"""Notes of one transaction, so that a commit never waits long."""
LEDGER_DAYS: Final = 400
"""Rows about money stay at least so long."""
LOW_WATER: Final = 0.95
"""What is above the limit in bytes is cut to this share of it, so that not every day has something to cut."""
DAY_S: Final = 86_400.0
_MERGE_PAGES: Final = 64
_FREE_PAGES: Final = 512
_PRUNED: Final = "pruned"


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the journal that hold something; pages that are free to be used again do not count."""
    pages = schema.pragma(connection, "page_count") - schema.pragma(connection, "freelist_count")
    return pages * schema.pragma(connection, "page_size")


def mark(connection: sqlite3.Connection, seq: int, *, keep: bool) -> bool:
    """Set or lift the mark that keeps a note for ever; False when there is no such note."""
    return connection.execute("UPDATE notes SET keep = ? WHERE seq = ?", (keep, seq)).rowcount > 0


def pruned_through(connection: sqlite3.Connection) -> int:
    """The highest number that was ever pruned; 0 when none was."""
    return int(schema.meta(connection, _PRUNED) or 0)


def bound(connection: sqlite3.Connection, *, now: float, before: float | None, max_bytes: int | None) -> int:
    """The number below which unmarked notes go; 0 when none goes.

    Args:
        connection: The connection.
        now: Wall clock, seconds since 1970.
        before: Notes captured before this time go, seconds since 1970; None for no limit in age.
        max_bytes: The most that the journal may take; None for no limit in size.
    """
    found = 0
    if before is not None:
        found = _bound_by_age(connection, before, now)
    if max_bytes is not None:
        found = max(found, _bound_by_size(connection, max_bytes))
    return found


def _bound_by_age(connection: sqlite3.Connection, before: float, now: float) -> int:
    # A time to come alone proves nothing: it may be today's clock that is wrong. The later note decides.
    row = connection.execute(
        "SELECT min(seq) FROM notes WHERE time >= ?1"
        " AND (time <= ?2 OR seq > (SELECT coalesce(max(seq), 0) FROM notes WHERE time < ?1))",
        (before, now + DAY_S),
    ).fetchone()
    if row[0] is not None:
        return int(row[0])
    return int(connection.execute("SELECT coalesce(max(seq), 0) + 1 FROM notes").fetchone()[0])


def _bound_by_size(connection: sqlite3.Connection, max_bytes: int) -> int:
    used = used_bytes(connection)
    if used <= max_bytes:
        return 0
    count = int(connection.execute("SELECT count(*) FROM notes").fetchone()[0])
    # At least one goes, so that the caller comes to an end: by removing until it fits, or by finding nothing left.
    excess = max(1, round(count * (used - max_bytes * LOW_WATER) / used))
    row = connection.execute(
        "SELECT seq FROM notes WHERE keep = 0 ORDER BY seq LIMIT 1 OFFSET ?", (excess - 1,)
    ).fetchone()
    if row is None:
        row = connection.execute("SELECT coalesce(max(seq), 0) FROM notes").fetchone()
    return int(row[0]) + 1


def plan(connection: sqlite3.Connection, below: int) -> PrunePlan:
    """What goes when everything below a number goes. Wants a ``snapshot`` around it."""
    notes, first, last, oldest, newest = connection.execute(
        "SELECT count(*), coalesce(min(seq), 0), coalesce(max(seq), 0), min(time), max(time) FROM notes"
        " WHERE seq < ? AND keep = 0",
        (below,),
    ).fetchone()
    total, kept = connection.execute(
        "SELECT count(*), coalesce(sum(keep AND seq < ?), 0) FROM notes", (below,)
    ).fetchone()
    size = round(used_bytes(connection) * notes / total) if total else 0
    return PrunePlan(notes, kept, first, last, oldest, newest, size)


def remove_batch(connection: sqlite3.Connection, *, after: int, below: int) -> tuple[int, int]:
    """Remove the next notes of a prune, in a transaction of its own, and give their pages back to the disk.

    Args:
        connection: The writing connection.
        after: Only numbers above this one.
        below: Only numbers below this one.

    Returns:
        How many went, and the number to go on after; 0 went when all is done.
    """
    with schema.transaction(connection):
        numbers = [
            int(row[0])
            for row in connection.execute(
                "SELECT seq FROM notes WHERE seq > ? AND seq < ? AND keep = 0 ORDER BY seq LIMIT ?",
                (after, below, BATCH),
            )
        ]
        if not numbers:
            return 0, after
        marks = ",".join("?" * len(numbers))
        connection.execute(f"DELETE FROM notes WHERE seq IN ({marks})", numbers)  # noqa: S608 - question marks only
        through = max(numbers[-1], pruned_through(connection))
        schema.set_meta(connection, _PRUNED, str(through))
        if schema.is_indexed(connection):
            # Otherwise the index grows by what was removed from it, until it happens to merge.
            connection.execute("INSERT INTO notes_fts (notes_fts, rank) VALUES ('merge', ?)", (_MERGE_PAGES,))
    free_pages(connection)
    return len(numbers), numbers[-1]


def free_pages(connection: sqlite3.Connection) -> None:
    """Give some of the unused pages back to the disk; a journal that was begun without this keeps them for later."""
    # Frees one page a step and gives no rows: ``execute`` would take the first step only, ``executescript`` takes all.
    connection.executescript(f"PRAGMA incremental_vacuum({_FREE_PAGES})")


def remove_old_facts(connection: sqlite3.Connection, *, before: float, now: float) -> None:
    """Remove errors and ended pauses from before a time, and settled rows of the ledger that nobody asks for any more.

    One transaction: these tables are small.
    """
    with schema.transaction(connection):
        connection.execute("DELETE FROM errors WHERE time < ?", (before,))
        connection.execute("DELETE FROM pauses WHERE ended IS NOT NULL AND ended < ?", (before,))
        connection.execute(
            "DELETE FROM ledger WHERE reserved_at < ? AND status <> 'open'", (min(before, now - LEDGER_DAYS * DAY_S),)
        )
