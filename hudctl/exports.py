"""Notes in the forms of other programs: JSON Lines, Markdown, CSV, iCalendar. Pure; a generator per form.

A note repeats what anybody can put on a screen. So nothing in it is markup of the form it is written in, no formula of
a spreadsheet, and nothing that steers a terminal.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from hudctl.words import clean, line, zone_name
from hudd.wire.messages import Note, iso_time

COLUMNS: Final = (
    *("seq", "time", "published", "source", "kind", "complete", "trigger", "engine", "model", "cost_microusd"),
    *("input_tokens", "output_tokens", "snap_id", "text"),
)
SUMMARY_CHARACTERS: Final = 70
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>#|~!&]|^[-+=]|^\d+(?=[.)]))", re.MULTILINE)
_FOLD_BYTES: Final = 75


def as_jsonl(notes: Iterable[Note]) -> Iterator[str]:
    """One object a line, as in PROTOCOL.md 2.3; everything is in it."""
    for note in notes:
        yield json.dumps(note.to_json(), ensure_ascii=False) + "\n"


def as_csv(notes: Iterable[Note]) -> Iterator[str]:
    """A row a note, with a head; times in UTC. A text that a spreadsheet would run as a formula gets a ' in front."""
    yield _row(COLUMNS)
    for note in notes:
        usage: Mapping[str, Any] = note.usage or {}
        cost = "" if note.cost_microusd is None else note.cost_microusd
        yield _row(
            (
                *(note.seq, iso_time(note.time), iso_time(note.published), note.source, note.kind),
                *("yes" if note.complete else "no", note.trigger, note.engine, note.model, cost),
                *(usage.get("input_tokens", ""), usage.get("output_tokens", ""), note.snap_id, note.text),
            )
        )


def _row(values: Iterable[object]) -> str:
    to = io.StringIO(newline="")
    csv.writer(to, lineterminator="\r\n").writerow(_cell(value) for value in values)
    return to.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = clean(value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text


def as_markdown(notes: Iterable[Note], *, zone: tzinfo | None = None) -> Iterator[str]:
    """A heading a day and a list of its notes, in local time. What says nothing is left out.

    Args:
        notes: In the order of time.
        zone: Zone of the times; None is that of this machine.
    """
    day = ""
    for note in told(notes):
        moment = datetime.fromtimestamp(note.time, UTC).astimezone(zone)
        if f"{moment:%A %Y-%m-%d}" != day:
            yield "" if not day else "\n"
            day = f"{moment:%A %Y-%m-%d}"
            yield f"## {day}\n\n"
        text = _plain(note.text).replace("\n", "\n  ")
        cut = "" if note.complete else " …"
        yield f"- **{moment:%H:%M:%S} {zone_name(moment)}**, {_plain(note.source)}: {text}{cut}\n"


def _plain(text: str) -> str:
    """The text with a backslash before whatever Markdown or HTML would take for its own."""
    return _MARKUP.sub(r"\\\1", clean(text).strip())


def as_ics(notes: Iterable[Note]) -> Iterator[str]:
    """A calendar with an event a note (RFC 5545). What says nothing is left out."""
    yield "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//hudd//hudctl export//EN\r\nCALSCALE:GREGORIAN\r\n"
    for note in told(notes):
        first = line(note.text)
        summary = first if len(first) <= SUMMARY_CHARACTERS else f"{first[: SUMMARY_CHARACTERS - 1].rstrip()}…"
        yield "".join(
            _folded(row)
            for row in (
                "BEGIN:VEVENT",
                f"UID:{note.seq}@{note.stream or 'hudd'}",
                f"DTSTAMP:{_stamp(note.published)}",
                f"DTSTART:{_stamp(note.time)}",
                f"SUMMARY:{_escaped(summary)}",
                f"DESCRIPTION:{_escaped(clean(note.text).strip())}",
                f"LOCATION:{_escaped(line(note.source))}",
                "TRANSP:TRANSPARENT",
                "END:VEVENT",
            )
        )
    yield "END:VCALENDAR\r\n"


def told(notes: Iterable[Note]) -> Iterator[Note]:
    """Without answers that said nothing new, failed ones and what was forgotten."""
    return (note for note in notes if note.kind == "note" and note.text.strip())


def _stamp(wall_s: float) -> str:
    return f"{datetime.fromtimestamp(wall_s, UTC):%Y%m%dT%H%M%SZ}"


def _escaped(text: str) -> str:
    """A value of type TEXT (RFC 5545 3.3.11)."""
    for character in ("\\", ";", ","):
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", "\\n")


def _folded(row: str) -> str:
    """A content line in pieces of at most 75 bytes (RFC 5545 3.1), cut between characters only."""
    pieces = [""]
    for character in row:
        room = _FOLD_BYTES if len(pieces) == 1 else _FOLD_BYTES - 1
        if len((pieces[-1] + character).encode()) > room:
            pieces.append("")
        pieces[-1] += character
    return "\r\n ".join(pieces) + "\r\n"


FORMS: Final[Mapping[str, Callable[[Iterable[Note]], Iterator[str]]]] = {
    "jsonl": as_jsonl,
    "md": as_markdown,
    "csv": as_csv,
    "ics": as_ics,
}

FOR_READERS: Final = frozenset({"md", "ics"})
"""Forms in which only what is `told` is written."""
