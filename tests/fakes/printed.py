"""Notes as ``hudctl`` prints them, as lines of text on a screen or as a picture."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from hudctl.render import render_note, render_snap_footer
from hudd.engine.findings import PictureFacts, Reading, TextLine
from hudd.wire.messages import Note, PictureInfo

PITCH, ROW = 9, 18


def note_json(text: str, *, second: int = 6, seq: int = 18) -> dict[str, Any]:
    return {
        "kind": "note",
        "seq": seq,
        "text": text,
        "complete": True,
        "time": f"2026-11-21T10:31:{second:02}.412Z",
        "engine": "local",
        "model": "hudd-local",
        "snap": {"pictures": [{"kind": "monitor", "name": "eDP-1"}]},
        "timing_ms": {"total": 1240},
    }


def printed_note(text: str, *, seq: int) -> Note:
    picture = PictureInfo("monitor", "eDP-1", (0, 0, 1920, 1080), 1.0, "00")
    return Note(
        stream="s",
        seq=seq,
        prev=seq - 1,
        kind="note",
        text=text,
        complete=True,
        time=1795343466.4,
        published=1795343467.6,
        snap_id=f"snap{seq}",
        trigger="change",
        pictures=(picture,),
        model="hudd-local",
        engine="local",
        usage=None,
        cost_microusd=0,
        timing_ms={"total": 1240},
    )


def followed(texts: Sequence[str], *, width: int = 80) -> list[str]:
    """What ``hudctl follow`` and ``hudctl try`` print."""
    notes = [render_note(note_json(text, second=n), width=width, zone=UTC) for n, text in enumerate(texts)]
    return [row for note in notes for row in note.split("\n")]


def snapped(text: str, *, width: int = 80) -> list[str]:
    """What ``hudctl snap`` prints: cut by the terminal wherever its line ends, then the footer."""
    rows = [text[at : at + width] for at in range(0, len(text), width)]
    return [*rows, *render_snap_footer(note_json(text), width=width, zone=UTC).split("\n")]


def pieces(rows: Sequence[str], left: int, top: int) -> list[TextLine]:
    """Rows of a terminal as a reader finds them: a wide gap parts a row, and a line stands where its letters are."""
    return [
        TextLine(found[0], left + PITCH * found.start(), top + ROW * n, PITCH * len(found[0]), 12, 0.95)
        for n, row in enumerate(rows)
        for found in re.finditer(r"\S+(?: \S+)*", row)
    ]


def reading_of(lines: Sequence[TextLine], *, width: int = 1920, height: int = 1080, **facts: Any) -> Reading:
    picture = PictureFacts(width=width, height=height, brightness=0.2, **facts)
    ordered = tuple(sorted(lines, key=lambda line: (line.top, line.left)))
    return Reading(ordered, width, height, 0.0, "tesserocr", 12, picture)


def drawn(windows: Sequence[tuple[int, int, Sequence[str]]], size: tuple[int, int] = (1500, 600)) -> bytes:
    """A PNG with the rows of several windows, each with its left and top edge."""
    image = Image.new("RGB", size, (24, 24, 30))
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(15)
    for left, top, rows in windows:
        column = left
        for n, row in enumerate(rows):
            place = column if row.startswith(" ") else left
            for found in re.findall(r"\S+(?: \S+)*", row):
                pen.text((place, top + 20 * n), found, fill=(215, 215, 200), font=font)
                column = place
                place += round(pen.textlength(found, font)) + 2 * PITCH
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()
