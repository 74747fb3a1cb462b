"""Small pieces of text for people: times, spans, money, numbers, columns. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final, Literal, cast

Colour = Literal["bold", "dim", "red", "green", "yellow", "cyan"]

_CODES: Final[Mapping[Colour, str]] = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
}
_NARROWEST: Final = 20
# What a program on the screen could have shown to steer the reader's terminal: controls, line and paragraph
# separators, and the characters that turn the direction of writing.
_UNSAFE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_SEQUENCES: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_TURNING: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Look:
    """How text is shown.

    Attributes:
        colour: Whether escape sequences may be used; the caller asks the terminal and ``NO_COLOR``.
        width: Columns of the terminal; 0 means that nothing is wrapped.
        zone: Zone of the times; None is the zone of this machine.
    """

    colour: bool = False
    width: int = 80
    zone: tzinfo | None = None

    def paint(self, text: str, *colours: Colour) -> str:
        """The text in colours, or as it is."""
        if not self.colour or not text:
            return text
        return f"\x1b[{';'.join(_CODES[colour] for colour in colours)}m{text}\x1b[0m"

    def moment(self, value: object) -> datetime | None:
        """An ISO 8601 text as local time; None when it is none."""
        if not isinstance(value, str):
            return None
        try:
            read = datetime.fromisoformat(value)
            return read.astimezone(self.zone)
        except (ValueError, OverflowError):
            return None

    def time(self, value: object) -> str:
        """``10:31:06 CET``."""
        moment = self.moment(value)
        return f"{moment:%H:%M:%S} {zone_name(moment)}" if moment else line(value)

    def day_time(self, value: object) -> str:
        """``2026-11-21 10:31:06 CET``."""
        moment = self.moment(value)
        return f"{moment:%Y-%m-%d %H:%M:%S} {zone_name(moment)}" if moment else line(value)


def zone_name(moment: datetime) -> str:
    """The zone's short name, or its offset where it has none."""
    name = moment.tzname() or ""
    return name if name.isascii() and name.replace("+", "").replace("-", "").isalnum() else f"{moment:%z}"


def clean(text: object) -> str:
    """Text that cannot steer a terminal: its sequences go, and other controls than a line break become a space."""
    safe = _SEQUENCES.sub("", str(text).replace("\r\n", "\n"))
    return "".join(
        character
        if character == "\n" or not (unicodedata.category(character) in _UNSAFE or character in _TURNING)
        else " "
        for character in safe
    )


def line(value: object) -> str:
    """A value as safe text on one line; nothing for None."""
    return "" if value is None else " ".join(clean(value).split())


def cells(text: str) -> int:
    """How many columns a text takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Mn", "Me")
        else 2 if unicodedata.east_asian_width(character) in ("W", "F")
        else 1
        for character in text
    )  # fmt: skip


def pad(text: str, width: int, *, right: bool = False) -> str:
    """The text, filled with spaces to a number of columns."""
    space = " " * max(0, width - cells(text))
    return f"{space}{text}" if right else f"{text}{space}"


def wrap(text: str, width: int) -> list[str]:
    """The lines of a text, none wider than ``width`` columns; 0 wraps nothing. Never empty."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        lines += _wrapped(paragraph, max(width, _NARROWEST)) if width > 0 else [paragraph]
    return lines


def _wrapped(paragraph: str, width: int) -> list[str]:
    lines: list[str] = []
    current = ""
    for word in paragraph.split():
        joined = f"{current} {word}" if current else word
        if cells(joined) <= width:
            current = joined
            continue
        if current:
            lines.append(current)
        *whole, current = _cut(word, width)
        lines += whole
    return [*lines, current]


def _cut(word: str, width: int) -> list[str]:
    """A word in pieces that fit: paths, addresses, and scripts that do not use spaces."""
    pieces = [""]
    for character in word:
        if cells(pieces[-1] + character) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces


def hang(head: str, body: str, look: Look, *, indent: int | None = None) -> str:
    """A head, and a wrapped body beside it; further lines start in the same column.

    Args:
        head: Without colours.
        body: Safe text.
        look: For the width.
        indent: Column of the body; that after the head when None.
    """
    column = cells(head) if indent is None else indent
    first, *rest = wrap(body, look.width - column if look.width else 0)
    return "\n".join([pad(head, column) + first, *(" " * column + more for more in rest)])


def span(seconds: object) -> str:
    """``0.4 s``, ``12 s``, ``3 min``, ``2 h 14 min``, ``3 d 4 h``; ``?`` for what is no number."""
    number = number_or_none(seconds)
    if number is None:
        return "?"
    if abs(number) < 9.95:
        return f"{number:.1f}".removesuffix(".0") + " s"
    whole = round(number)
    if whole < 120:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def money(microusd: object) -> str:
    """Micro-dollars as ``$1.20`` or, below a dollar, ``$0.0041``; ``unknown`` for None."""
    number = number_or_none(microusd)
    if number is None:
        return "unknown"
    dollars = number / 1_000_000
    if number == 0 or abs(number) >= 1_000_000:
        return f"${dollars:,.2f}"
    return f"${dollars:.4f}" if abs(number) >= 100 else f"${dollars:.6f}"


def round_money(microusd: object) -> str:
    """As ``money``, but whole cents without the zeros behind them: for figures that stand alone, such as a cap."""
    text = money(microusd)
    return text.removesuffix("00") if len(text.partition(".")[2]) == 4 else text


def count(value: object, noun: str, plural: str = "") -> str:
    """``1 note``, ``2,300 notes``."""
    number = int(number_or_none(value) or 0)
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def number_or_none(value: object) -> float | int | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > 1e15:  # noqa: PLR0124 - only a NaN differs from itself
        return None
    return value


def mapping(value: object) -> Mapping[str, Any]:
    """An object of JSON, or an empty one: fields may be missing in what an older daemon tells."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects of a JSON array."""
    if not isinstance(value, list | tuple):
        return []
    return [mapping(item) for item in cast("Sequence[object]", value)]


def lines_of(value: object) -> list[str]:
    """The entries of a JSON array as safe texts."""
    return [line(item) for item in cast("Sequence[object]", value)] if isinstance(value, list | tuple) else []


def columns(rows: Sequence[Sequence[str]], right: frozenset[int]) -> list[str]:
    """Rows as aligned columns, two spaces between them; those in ``right`` stand at the right."""
    widths = [max(cells(row[index]) for row in rows) for index in range(len(rows[0]))] if rows else []
    return [
        "  ".join(pad(cell, widths[index], right=index in right) for index, cell in enumerate(row)).rstrip()
        for row in rows
    ]


def fitting(rows: Sequence[Sequence[str]], width: int, spare: Sequence[str]) -> list[list[str]]:
    """A table without those columns that a narrow terminal has no room for.

    Args:
        rows: The first holds the names of the columns.
        width: Columns of the terminal; 0 leaves the table as it is.
        spare: Names of columns that may be left out, the first one first.
    """
    table = [list(row) for row in rows]
    for name in spare:
        if not width or max(map(cells, columns(table, frozenset())), default=0) <= width:
            break
        if name in table[0]:
            at = table[0].index(name)
            table = [[*row[:at], *row[at + 1 :]] for row in table]
    return table


def days_between(items: Iterable[Mapping[str, Any]], look: Look) -> list[str]:
    """For each item its day, where that is another than the one before."""
    days: list[str] = []
    last = ""
    for item in items:
        moment = look.moment(item.get("time"))
        day = f"{moment:%A %Y-%m-%d}" if moment else last
        days.append(day if day != last else "")
        last = day
    return days
