"""A page that is written from the rows is what the notes themselves would say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.clock import SystemClock
from hudd.journal import pages, queries, schema
from hudd.journal.store import Journal
from hudd.wire.codec import decode_reply, encode_result
from hudd.wire.messages import Note, PictureInfo
from tests.fakes.journal import make_note

texts = st.text(max_size=20)
counts = st.integers(0, 2**40)
pictures = st.builds(
    PictureInfo,
    kind=st.sampled_from(["monitor", "window", "region"]),
    name=texts,
    rect=st.tuples(st.integers(-5000, 5000), counts, counts, counts),
    scale=st.floats(0.01, 1.0),
    hash=texts,
    masked=st.integers(0, 2),
    redacted=st.integers(0, 2),
)
notes = st.builds(
    Note,
    stream=st.just("any"),
    seq=st.just(0),
    prev=st.just(0),
    kind=st.sampled_from(["note", "unchanged", "failed"]),
    text=texts,
    complete=st.booleans(),
    time=st.floats(0, 4e9),
    published=st.floats(0, 4e9),
    snap_id=texts,
    trigger=texts,
    pictures=st.lists(pictures, max_size=2).map(tuple),
    model=texts,
    engine=st.sampled_from(["local", "service"]),
    usage=st.none() | st.dictionaries(texts, counts, max_size=3),
    cost_microusd=st.none() | counts,
    timing_ms=st.dictionaries(texts, st.none() | st.floats(0, 1e6), max_size=3),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(notes, max_size=4))
def test_a_written_page_says_what_its_notes_say(given_notes: list[Note]) -> None:
    connection = schema.sqlite3.connect(":memory:", isolation_level=None)
    try:
        schema.migrate(connection)
        for note in given_notes:
            queries.insert_note(connection, note)
        page = queries.since(connection, "s\u00e9", 0, "note/", 500)
        written = pages.written_since(connection, "s\u00e9", 0, "note/", 500)
    finally:
        connection.close()
    assert (written.head, written.oldest, written.more) == (page.head, page.oldest, page.more)
    body = encode_result(7, {"fresh": False, "notes": written.notes, "head": written.head})
    said: dict[str, Any] = decode_reply(body)
    assert said == {
        "jsonrpc": "2.0",
        "id": 7,
        "result": {"fresh": False, "notes": [note.to_json() for note in page.notes], "head": page.head},
    }
    assert json.loads(written.notes.text) == json.loads(json.dumps([note.to_json() for note in page.notes]))


async def test_pages_follow_each_other(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", clock=SystemClock())
    for number in range(5):
        await journal.commit_note(make_note("a" if number % 2 else "b", text=f"Note {number}"), None)
    first = await journal.written_since(0, limit=3)
    assert [note["seq"] for note in json.loads(first.notes.text)] == [1, 2, 3]
    assert (first.more, first.head, first.oldest) == (True, 5, 1)
    only = await journal.written_since(1, topic_prefix="note/a/")
    assert [note["seq"] for note in json.loads(only.notes.text)] == [2, 4]
    none = await journal.written_since(5)
    assert (none.notes.text, none.more) == ("[]", False)
    await journal.close()
