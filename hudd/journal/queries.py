"""The statements of the journal about notes: rows in, records out. None begins a transaction."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from hudd.journal import schema
from hudd.journal.grep import TOO_SLOW, Expression, split_expression
from hudd.journal.retention import pruned_through
from hudd.notes.records import NotesPage
from hudd.wire.messages import Note, PictureInfo
from hudd.wire.table import REPLAY_PAGE

GREP_BUDGET_S: Final = 3.0
"""How long one ``grep`` may read; it runs on a thread of its own and never delays a commit."""

SLACK_S: Final = 1200.0
"""By so much a note may be older than one with a lower number: answers come after each other, at most so late."""
_IN_ORDER: Final = "in_order"
_CHUNK: Final = 500
_NO_END: Final = 1 << 62

_COLUMNS: Final = (
    "seq, prev, kind, text, complete, time, published, snap_id, trigger, pictures, model, engine, usage,"
    " cost_microusd, timing_ms"
)


_read: Final = json.JSONDecoder().raw_decode
"""Reads a cell that ``insert_note`` wrote; half the time of ``json.loads``, and a page of replay has 1,500 of them."""


def storable(text: str) -> str:
    """The text without lone surrogates, which cannot be written as UTF-8."""
    return text.encode("utf-8", "replace").decode()


def insert_note(connection: sqlite3.Connection, note: Note) -> Note:
    """Give a note its number and ``prev``, and write it; ``note`` carries stream and ``published`` already."""
    _watch_order(connection, note.time)
    topic = note.topic
    row = connection.execute("SELECT head FROM topics WHERE topic = ?", (topic,)).fetchone()
    note = replace(note, prev=row[0] if row else 0, text=storable(note.text))
    pictures = [p.to_json() for p in note.pictures]
    cursor = connection.execute(
        "INSERT INTO notes (topic, prev, kind, text, complete, time, published, snap_id, trigger, pictures, model,"
        " engine, usage, cost_microusd, timing_ms) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            topic,
            note.prev,
            note.kind,
            note.text,
            note.complete,
            note.time,
            note.published,
            storable(note.snap_id),
            note.trigger,
            json.dumps(pictures),
            storable(note.model),
            note.engine,
            None if note.usage is None else json.dumps(dict(note.usage)),
            note.cost_microusd,
            json.dumps(dict(note.timing_ms)),
        ),
    )
    assert cursor.lastrowid is not None
    connection.execute(
        "INSERT INTO topics (topic, head) VALUES (?, ?) ON CONFLICT (topic) DO UPDATE SET head = excluded.head",
        (topic, cursor.lastrowid),
    )
    return replace(note, seq=cursor.lastrowid)


def _watch_order(connection: sqlite3.Connection, time: float) -> None:
    """Remember whether numbers follow time; a clock that was set back ends that for as long as there are notes."""
    (newest,) = connection.execute("SELECT max(time) FROM notes").fetchone()
    if newest is None:
        schema.set_meta(connection, _IN_ORDER, "1")
    elif time < newest - SLACK_S:
        schema.set_meta(connection, _IN_ORDER, "0")


def heads(connection: sqlite3.Connection) -> dict[str, int]:
    """The newest number per topic."""
    return {str(topic): int(head) for topic, head in connection.execute("SELECT topic, head FROM topics")}


def last_texts(connection: sqlite3.Connection) -> dict[str, str]:
    """What the newest note of each topic says; none of a topic whose newest was forgotten."""
    newest = "SELECT text FROM notes WHERE notes.topic = topics.topic AND kind = 'note' ORDER BY seq DESC LIMIT 1"
    rows = connection.execute(f"SELECT topic, ({newest}) FROM topics")  # noqa: S608 - nothing is put in but the line above
    return {str(topic): text for topic, text in rows if text}


def since(connection: sqlite3.Connection, stream: str, seq: int, topic_prefix: str, limit: int) -> NotesPage:
    """One page of the notes after a number, oldest first. Wants a ``snapshot`` around it.

    Args:
        connection: The connection.
        stream: Name of the journal.
        seq: Notes after this one.
        topic_prefix: Only topics that start so.
        limit: At most so many.
    """
    found = numbers_since(connection, seq, topic_prefix, limit)
    return NotesPage(tuple(fetch(connection, stream, found.numbers)), found.head, found.oldest, found.more)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Which notes are on a page; see `NotesPage`."""

    numbers: list[int]
    head: int
    oldest: int
    more: bool


def numbers_since(connection: sqlite3.Connection, seq: int, topic_prefix: str, limit: int) -> Numbers:
    """The numbers of a page, see `since`."""
    limit = max(1, min(limit, REPLAY_PAGE))
    newest = heads(connection)
    topics = [topic for topic in newest if topic.startswith(topic_prefix)]
    if len(topics) == len(newest):
        found = connection.execute("SELECT seq FROM notes WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit + 1))
        numbers = [int(row[0]) for row in found]
    else:
        # One look into the index per topic: a quiet topic is not searched for among a million notes of the others.
        numbers = sorted(
            int(row[0])
            for topic in topics
            for row in connection.execute(
                "SELECT seq FROM notes WHERE topic = ? AND seq > ? ORDER BY seq LIMIT ?", (topic, seq, limit + 1)
            )
        )
    oldest = connection.execute("SELECT min(seq) FROM notes").fetchone()[0]
    # Below the highest number that was pruned only marked notes are left: no reader may take those for everything.
    gone = pruned_through(connection)
    return Numbers(
        numbers[:limit],
        head=max((newest[topic] for topic in topics), default=0),
        oldest=max(oldest or 0, gone + 1 if gone else 0),
        more=len(numbers) > limit,
    )


def fetch(connection: sqlite3.Connection, stream: str, numbers: Sequence[int]) -> list[Note]:
    """The notes with these numbers, in this order; a number that is gone is left out."""
    return [_note(stream, row) for row in fetch_rows(connection, numbers)]


def fetch_rows(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[tuple[Any, ...]]:
    """As `fetch`, the rows: the columns from seq to timing_ms in the order of `insert_note`, without the topic."""
    marks = ",".join("?" * len(numbers))
    statement = f"SELECT {_COLUMNS} FROM notes WHERE seq IN ({marks})"  # noqa: S608 - only question marks are put in
    rows = {int(row[0]): row for row in connection.execute(statement, tuple(numbers))}
    return [rows[number] for number in numbers if number in rows]


def _note(stream: str, row: tuple[Any, ...]) -> Note:
    seq, prev, kind, text, complete, time, published, snap_id, trigger, pictures, model, engine, usage, cost, timing = (
        row
    )
    return Note(
        stream=stream,
        seq=seq,
        prev=prev,
        kind=kind,
        text=text,
        complete=bool(complete),
        time=time,
        published=published,
        snap_id=snap_id,
        trigger=trigger,
        pictures=tuple(_picture(p) for p in _read(pictures)[0]),
        model=model,
        engine=engine,
        usage=None if usage is None else _read(usage)[0],
        cost_microusd=cost,
        timing_ms=_read(timing)[0],
    )


def _picture(stored: dict[str, Any]) -> PictureInfo:
    return PictureInfo(
        stored["kind"],
        stored["name"],
        _rect(stored["rect"]),
        stored["scale"],
        stored["hash"],
        masked=stored.get("masked", 0),
        redacted=stored.get("redacted", 0),
    )


def _rect(values: list[int]) -> tuple[int, int, int, int]:
    left, top, width, height = values
    return left, top, width, height


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for. Times are seconds since 1970.

    Attributes:
        since: Captured at or after, or None.
        until: Captured before, or None.
        words: Words that must all occur, matched by the full-text index; None for any text.
        grep: A substring (case does not matter), ``/regular expression/`` or ``/regular expression/i``; None for any.
        before: Only numbers below this one, or None.
        limit: At most so many notes.
    """

    since: float | None = None
    until: float | None = None
    words: str | None = None
    grep: str | None = None
    before: int | None = None
    limit: int = 50


def fts_query(words: str) -> str:
    """A person's words as a query of FTS5: each is quoted, so nothing in it is syntax; '' when there is no word."""
    # A word without a letter or digit is no token, and FTS5 would find nothing at all for it. NUL ends a query early.
    kept = [word for word in words.replace("\0", " ").split() if any(c.isalnum() for c in word)]
    return " ".join('"' + storable(word).replace('"', '""') + '"' for word in kept)


def search(
    connection: sqlite3.Connection,
    stream: str,
    wanted: Search,
    monotonic: Callable[[], float],
    left: threading.Event,
) -> list[Note]:
    """The newest notes that match, newest first.

    Args:
        connection: The connection.
        stream: Name of the journal.
        wanted: What to look for.
        monotonic: Seconds, for the time limit of ``grep``.
        left: Set, from any thread, when nobody waits for the answer any more; a ``grep`` then stops.

    Raises:
        ValueError: The regular expression is invalid or takes too long, or the index is switched off; one sentence.
    """
    if wanted.words is not None and not schema.is_indexed(connection):
        raise ValueError("The full-text index is off; set [journal] search = true, or use a grep.")
    limit = max(1, min(wanted.limit, REPLAY_PAGE))
    chunks = _chunks(connection, wanted, size=limit if wanted.grep is None else _CHUNK)
    if wanted.grep is None:
        numbers = [seq for rows in islice(chunks, 1) for seq, _ in rows]
    else:
        numbers = _grep(chunks, wanted.grep, limit, monotonic, left)
    return fetch(connection, stream, numbers[:limit])


def _grep(
    chunks: Iterator[list[tuple[int, str]]],
    grep: str,
    limit: int,
    monotonic: Callable[[], float],
    left: threading.Event,
) -> list[int]:
    expression = split_expression(grep)
    if expression is not None:
        pattern, cased = expression
        with Expression(pattern, cased=cased, timeout_s=GREP_BUDGET_S, enough=left) as matcher:
            return _collect(chunks, matcher.find, limit)
    needle = grep.casefold()
    end = monotonic() + GREP_BUDGET_S

    def find(rows: Sequence[tuple[int, str]]) -> set[int]:
        if monotonic() > end or left.is_set():
            raise ValueError(TOO_SLOW)
        return {seq for seq, text in rows if needle in text.casefold()}

    return _collect(chunks, find, limit)


def _collect(
    chunks: Iterator[list[tuple[int, str]]], find: Callable[[Sequence[tuple[int, str]]], set[int]], limit: int
) -> list[int]:
    numbers: list[int] = []
    for rows in chunks:
        found = find(rows)
        numbers.extend(seq for seq, _ in rows if seq in found)
        if len(numbers) >= limit:
            break
    return numbers


def _chunks(connection: sqlite3.Connection, wanted: Search, *, size: int) -> Iterator[list[tuple[int, str]]]:
    """Numbers and texts of what the index and the times allow, newest first, some at a time.

    Each chunk is a read of its own, so that a long search does not keep the log from being checkpointed.
    """
    times = (-_INFINITE if wanted.since is None else wanted.since, _INFINITE if wanted.until is None else wanted.until)
    low, high = _bounds(connection, *times)
    if wanted.before is not None:
        high = min(high, wanted.before)
    if wanted.words is None:
        statement = (
            "SELECT seq, text FROM notes WHERE seq >= ? AND seq < ? AND time >= ? AND time < ?"
            " ORDER BY seq DESC LIMIT ?"
        )
        extra: tuple[str, ...] = ()
    else:
        query = fts_query(wanted.words)
        if not query:
            return
        # CROSS JOIN: the index leads, in falling order of numbers, and stops at the limit.
        statement = (
            "SELECT seq, notes.text FROM notes_fts CROSS JOIN notes ON notes.seq = notes_fts.rowid"
            " WHERE notes_fts MATCH ? AND notes_fts.rowid >= ? AND notes_fts.rowid < ? AND time >= ? AND time < ?"
            " ORDER BY notes_fts.rowid DESC LIMIT ?"
        )
        extra = (query,)
    while True:
        rows = connection.execute(statement, (*extra, low, high, *times, size)).fetchall()
        if rows:
            yield rows
        if len(rows) < size:
            return
        high = rows[-1][0]


def _bounds(connection: sqlite3.Connection, since: float, until: float) -> tuple[int, int]:
    """Between which numbers (the second one not included) all notes of a time are, so that few others are read."""
    if schema.meta(connection, _IN_ORDER) == "1":
        before = "SELECT seq FROM notes WHERE time < ? ORDER BY time DESC LIMIT 1"
        after = "SELECT seq FROM notes WHERE time >= ? ORDER BY time LIMIT 1"
        slack_s = SLACK_S + 1  # times are rounded
        first = connection.execute(before, (since - slack_s,)).fetchone()
        last = connection.execute(after, (until + slack_s,)).fetchone()
        return (first[0] + 1 if first else 0), (last[0] if last else _NO_END)
    if (since, until) == (-_INFINITE, _INFINITE):
        return 0, _NO_END
    # The clock was set back once: all of the index on time is read between the two, a tenth of a second per million.
    exact = "SELECT min(seq), max(seq) FROM notes WHERE time >= ? AND time < ?"
    first, last = connection.execute(exact, (since, until)).fetchone()
    return (0, 0) if first is None else (first, last + 1)


_INFINITE: Final = float("inf")
