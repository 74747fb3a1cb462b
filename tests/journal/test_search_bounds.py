"""A search by time finds every note of the time, whatever the clock did, and reads little beside them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.journal import queries, schema
from tests.fakes.journal import make_note

NOTES = 3000
EVERY_S = 100.0


def _memory() -> sqlite3.Connection:
    connection = schema.sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    schema.set_indexed(connection, wanted=True)
    return connection


def _found(connection: sqlite3.Connection, **wanted: object) -> list[int]:
    search = queries.Search(**{"limit": 500} | wanted)  # type: ignore[arg-type]  # any of its fields
    return [note.seq for note in queries.search(connection, "s", search, lambda: 0.0, threading.Event())]


moments = st.one_of(st.floats(0, 10_000), st.integers(0, 8).map(lambda n: n * queries.SLACK_S))


@settings(deadline=None, max_examples=200)
@given(
    times=st.lists(moments, max_size=25),
    since=st.none() | moments,
    until=st.none() | moments,
    words=st.sampled_from([None, "terminal"]),
    gone=st.sets(st.integers(1, 25)),
    later=st.lists(moments, max_size=5),
)
def test_all_notes_of_a_time_are_found_whatever_the_clock_did(
    times: list[float],
    since: float | None,
    until: float | None,
    words: str | None,
    gone: set[int],
    later: list[float],
) -> None:
    connection = _memory()
    notes = [queries.insert_note(connection, make_note(text="A terminal.", time=when)) for when in times]
    for seq in gone:
        connection.execute("DELETE FROM notes WHERE seq = ?", (seq,))
    notes = [note for note in notes if note.seq not in gone]
    notes += [queries.insert_note(connection, make_note(text="A terminal.", time=when)) for when in later]
    fits = [
        note.seq for note in notes if (since is None or note.time >= since) and (until is None or note.time < until)
    ]
    assert _found(connection, since=since, until=until, words=words) == fits[::-1]
    connection.close()


@pytest.fixture(scope="module")
def long_life() -> Iterator[sqlite3.Connection]:
    """Notes of some days, one after the other."""
    connection = _memory()
    for number in range(NOTES):
        text = "A terminal shows the build." if number else "The rare one."
        queries.insert_note(connection, make_note(text=text, time=number * EVERY_S))
    yield connection
    connection.close()


@pytest.mark.parametrize(
    "wanted",
    [
        {"since": 0.0, "words": "rare"},
        {"since": 0.0, "words": "terminal"},
        {"since": 1.0, "until": 1e9, "words": "terminal"},
        {"until": NOTES * EVERY_S / 2, "words": "terminal"},
        {"until": NOTES * EVERY_S / 2},
        {"since": NOTES * EVERY_S / 2, "words": "rare"},
        {"since": NOTES * EVERY_S / 2},
        {"since": 3e9},
    ],
)
def test_a_wide_time_reads_few_notes(long_life: sqlite3.Connection, wanted: dict[str, object]) -> None:
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    long_life.set_progress_handler(step, 10)
    try:
        _found(long_life, limit=5, **wanted)
    finally:
        long_life.set_progress_handler(None, 10)
    assert steps * 10 < NOTES  # all of the index would be some instructions per note
