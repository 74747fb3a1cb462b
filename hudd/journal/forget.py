"""The statements of the journal about forgetting: the text goes from the rows, the search index, the log and the file.

Three steps. Rows are emptied, in batches; from then on nobody can read them. The index is merged, because FTS5 only
notes that a row's words went and keeps the words themselves until then. Last the file is written anew and the log
emptied into it: pages that were split or moved earlier may hold a copy of what they held then, in a part that SQLite
does not use and does not overwrite even with ``secure_delete``.

``meta`` remembers that the last two steps are due, so that they outlive a crash and a disk without room for them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hudd.journal import schema
from hudd.notes.keeping import Emptied, Span

BATCH: Final = 200
"""Notes of one transaction, so that a commit never waits long."""
MERGE_PAGES: Final = 500
"""Pages of the index that one step merges."""
IN_MEMORY_BYTES: Final = 8 << 20
"""A larger journal is written anew by way of a temporary file beside it instead of memory."""
STEPS: Final = 10_000
"""Instructions of SQLite, a few milliseconds, between two questions whether to give up."""
_DUE: Final = "scrub"
_NO_END: Final = float("inf")


def bounds(connection: sqlite3.Connection, span: Span) -> tuple[int, int]:
    """The lowest and highest number of a span; (0, -1) when there is none. Read from the index on time."""
    low, high = connection.execute(
        "SELECT min(seq), max(seq) FROM notes WHERE time >= ? AND time < ?", _times(span)
    ).fetchone()
    if low is None:
        return 0, -1
    if span.seq is None:
        return int(low), int(high)
    return (span.seq, span.seq) if low <= span.seq <= high else (0, -1)


def _times(span: Span) -> tuple[float, float]:
    return (-_NO_END if span.since is None else span.since, _NO_END if span.until is None else span.until)


def empty_batch(connection: sqlite3.Connection, span: Span, *, low: int, high: int) -> Emptied:
    """Take the text from the next notes of a span, in a transaction of its own.

    The row stays with its number, so that no reader thinks that a note was lost; ``complete`` becomes false, and the
    fingerprints of its pictures go as well.

    Args:
        connection: The writing connection.
        span: Which notes.
        low: Only numbers from this one on.
        high: Only numbers up to this one.

    Returns:
        What was emptied; nothing when there are no more. The next batch begins above its ``last``.
    """
    with schema.transaction(connection):
        rows = connection.execute(
            # + keeps the index on time out of it: the bounds are narrow already.
            "SELECT seq, pictures FROM notes WHERE seq >= ? AND seq <= ? AND +time >= ? AND +time < ?"
            " AND (text <> '' OR complete) ORDER BY seq LIMIT ?",
            (low, high, *_times(span), BATCH),
        ).fetchall()
        if not rows:
            return Emptied()
        connection.executemany(
            "UPDATE notes SET text = '', complete = 0, pictures = ? WHERE seq = ?",
            [(_without_hashes(pictures), seq) for seq, pictures in rows],
        )
    return Emptied(len(rows), int(rows[0][0]), int(rows[-1][0]))


def _without_hashes(pictures: str) -> str:
    return json.dumps([{**picture, "hash": ""} for picture in json.loads(pictures)])


def is_due(connection: sqlite3.Connection) -> bool:
    """Whether emptied text may still lie in the index or in unused parts of the file."""
    return schema.meta(connection, _DUE) == "1"


def merge_step(connection: sqlite3.Connection, *, first: bool) -> bool:
    """One step of merging the whole index into one; True when it is done.

    Args:
        connection: The writing connection.
        first: True for the first step of a merge: everything that is there takes part (FTS5's 'merge', negative).
    """
    if not schema.is_indexed(connection):
        return True
    before = connection.total_changes
    with schema.transaction(connection):
        pages = -MERGE_PAGES if first else MERGE_PAGES
        connection.execute("INSERT INTO notes_fts (notes_fts, rank) VALUES ('merge', ?)", (pages,))
    # FTS5 documents a difference below two as "nothing was left to do".
    return connection.total_changes - before < 2


def rewrite(connection: sqlite3.Connection, path: Path, *, stopped: Callable[[], bool] = lambda: False) -> bool:
    """Write the file anew from what it says now. Readers go on meanwhile, writers wait.

    Args:
        connection: The writing connection.
        path: The file.
        stopped: Whether to give up, asked on this thread while the copy is made; not while it is put in place.

    Returns:
        False when it was given up; nothing changed then.

    Raises:
        sqlite3.Error: For instance the disk has no room for a second copy; nothing changed then.
    """
    large = path.stat().st_size > IN_MEMORY_BYTES
    if large:
        folder = str(path.parent).replace("'", "''")
        # The copy is private as the journal is, and must not lie in a /tmp of another disk. Where SQLite was built
        # without this pragma it is ignored.
        connection.execute(f"PRAGMA temp_store_directory = '{folder}'")
        connection.execute("PRAGMA temp_store = FILE")
    connection.set_progress_handler(stopped, STEPS)
    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT and stopped():
            return False
        raise
    finally:
        connection.set_progress_handler(None, 0)
        if large:
            connection.execute("PRAGMA temp_store = MEMORY")
    return True


def empty_log(connection: sqlite3.Connection) -> bool:
    """Put the log into the file and cut it to nothing; False while a reader still needs it. Never waits for one."""
    timeout = schema.pragma(connection, "busy_timeout")
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {timeout}")
    return not busy


def set_due(connection: sqlite3.Connection, *, due: bool) -> None:
    """Note that the last two steps are due, or done.

    They are due also where no row is left to be emptied: one that was pruned may have left its words behind.
    """
    with schema.transaction(connection):
        schema.set_meta(connection, _DUE, "1" if due else "0")


def copies(path: Path) -> list[str]:
    """Journals that were set aside as damaged and still lie beside the present one: forgetting does not reach them."""
    return sorted(str(found) for found in path.parent.glob(f"{path.name}.corrupt-*"))
