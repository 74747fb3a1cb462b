"""Ready-made records for tests of journal, ledger and notes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hudd.ledger.records import Reservation
from hudd.model import Answer, Picture, Question, Source
from hudd.wire.messages import Note, PictureInfo

NOTE = Note(
    stream="",
    seq=0,
    prev=0,
    kind="note",
    text="The invoice from Larkspur says 42 €.",
    complete=True,
    time=1_795_343_466.412,
    published=0.0,
    snap_id="01JD0000000000000000000000",
    trigger="change",
    pictures=(PictureInfo(kind="monitor", name="eDP-1", rect=(0, 0, 1920, 1080), scale=0.67, hash="9f3c"),),
    model="gpt-realtime-1.5",
    engine="service",
    usage={"input_tokens": 700, "output_tokens": 60},
    cost_microusd=4100,
    timing_ms={"capture": 9.0, "first_delta": None},
)

RESERVATION = Reservation(
    snap_id="01JD0000000000000000000000",
    model="gpt-realtime-1.5",
    engine="service",
    trigger="change",
    day="2026-11-21",
    reserved_at=1_795_343_466.0,
    microusd=9000,
    tokens=1500,
)


def make_note(source: str = "eDP-1", **changes: Any) -> Note:
    """A note of a source that is not numbered yet."""
    return replace(NOTE, pictures=(replace(NOTE.pictures[0], name=source),), **changes)


def make_question(**changes: Any) -> Question:
    """A question with one picture of the monitor eDP-1."""
    picture = Picture(
        source=Source(kind="monitor", name="eDP-1", rect=(0, 0, 1920, 1080)),
        media_type="image/jpeg",
        data=b"jpeg",
        width=1280,
        height=720,
        scale=2 / 3,
        hash="9f3c",
        captured_at=1_795_343_466.412,
        epoch=1,
        grab_ms=9.04,
        encode_ms=31.26,
    )
    values: dict[str, Any] = {"id": "01JD", "trigger": "change", "pictures": (picture,), "asked_at": 1.0} | changes
    return Question(**values)


def make_answer(text: str = "A terminal shows the build log.", trigger: str = "change", **changes: Any) -> Answer:
    """A completed answer to ``make_question``."""
    values: dict[str, Any] = {"question": make_question(trigger=trigger), "status": "completed", "text": text} | changes
    return Answer(**values)
