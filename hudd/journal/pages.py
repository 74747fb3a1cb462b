"""Pages of replay, written from the rows: a page has 500 notes, and reading them as notes first takes twice the time.

What is written is what ``Note.to_json`` says; a test compares them.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final

from hudd.journal.queries import fetch_rows, numbers_since
from hudd.notes.records import WrittenPage
from hudd.wire.codec import WrittenJson
from hudd.wire.messages import iso_time
from hudd.wire.table import NOTE_VERSION

_quote: Final = json.JSONEncoder(ensure_ascii=False).encode
_BOOL: Final = ("false", "true")


def written_since(connection: sqlite3.Connection, stream: str, seq: int, topic_prefix: str, limit: int) -> WrittenPage:
    """One page, see ``queries.since``. Wants a ``snapshot`` around it."""
    found = numbers_since(connection, seq, topic_prefix, limit)
    notes = ",".join(_written(_quote(stream), row) for row in fetch_rows(connection, found.numbers))
    return WrittenPage(WrittenJson(f"[{notes}]"), found.head, found.oldest, found.more)


def _written(stream: str, row: tuple[Any, ...]) -> str:
    seq, prev, kind, text, complete, time, published, snap_id, trigger, pictures, model, engine, usage, cost, timing = (
        row
    )
    # Pictures, usage and timing are JSON in the journal, as `insert_note` wrote it.
    return (
        f'{{"v":{NOTE_VERSION},"stream":{stream},"seq":{seq},"prev":{prev},"kind":{_quote(kind)},"text":{_quote(text)},'
        f'"complete":{_BOOL[bool(complete)]},"time":"{iso_time(time)}","published":"{iso_time(published)}",'
        f'"snap":{{"id":{_quote(snap_id)},"trigger":{_quote(trigger)},"pictures":{pictures}}},'
        f'"model":{_quote(model)},"engine":{_quote(engine)},"usage":{"null" if usage is None else usage},'
        f'"cost_microusd":{"null" if cost is None else cost},"cost_assumed":{_BOOL[usage is None and bool(cost)]},'
        f'"timing_ms":{timing}}}'
    )
