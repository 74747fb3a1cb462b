"""What to read of a picture, in which order, and what need not be read because it was read before.

The plan is pure: areas in, areas out. Lines that show the same pixels as before keep their words, wherever they moved;
lines that changed in place come first, then new ones, largest first, until the time budget ends. What an earlier budget
left unread, and has not changed since, comes last and gets little time: the news must not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from hudd.engine.findings import Area, PictureFacts, Reading, TextLine

LATE_S: Final = 0.8  # what was left unread before may delay the answer about what changed this far, no further
MOST_CANDIDATES: Final = 6  # lines of one size to compare with, nearest first

PageT_contra = TypeVar("PageT_contra", contravariant=True)


class Sheet(Protocol):
    """A picture made ready for reading, with the areas of its lines."""

    @property
    def areas(self) -> Sequence[Area]:
        """Where text is likely, top to bottom."""
        ...

    def shows_same(self, area: Area, before: Sheet, area_before: Area) -> bool:
        """True when the area shows the same pixels as an area of an earlier picture, JPEG noise apart."""
        ...


class TextReader(Protocol[PageT_contra]):
    """Reads text from pages of one kind. Not safe for concurrent use."""

    @property
    def name(self) -> str:
        """``tesserocr``, ``rapidocr`` or ``none``."""
        ...

    def find_lines(self, page: PageT_contra) -> Sheet:
        """Find where text is likely, without reading it."""
        ...

    def read_lines(self, sheet: Sheet, areas: Sequence[Area], deadline_s: float) -> list[tuple[TextLine, ...] | None]:
        """Read areas in the order given; none is begun after the deadline (``time.monotonic``), those are None."""
        ...


_Page = TypeVar("_Page")


@dataclass(frozen=True, slots=True)
class KnownLine:
    """An area that was read, and what stood there (nothing, when it was no text)."""

    area: Area
    lines: tuple[TextLine, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with the areas of a picture. Every area is in exactly one of the four.

    Attributes:
        kept: Areas whose words are known already, moved to where they are now.
        again: Areas where a known line stood and something else stands now; top to bottom.
        new: Areas where no line was known; largest first.
        late: Areas that were left unread before and show the same since; largest first.
    """

    kept: tuple[KnownLine, ...]
    again: tuple[Area, ...]
    new: tuple[Area, ...]
    late: tuple[Area, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of a picture for the next one of its stream."""

    sheet: Sheet
    known: tuple[KnownLine, ...]
    unread: tuple[Area, ...] = ()


def plan_reading(
    areas: Sequence[Area],
    known: Sequence[KnownLine],
    same: Callable[[Area, Area], bool],
    unread: Sequence[Area] = (),
) -> Plan:
    """Decide what to read.

    Args:
        areas: Where text is likely now.
        known: What was read on the picture before.
        same: Tells whether an area of now shows the pixels of an area of before; only asked for areas of one size.
        unread: Where text was likely on the picture before and was not read.
    """
    by_size: dict[tuple[int, int], list[KnownLine]] = {}
    for line in known:
        by_size.setdefault((line.area.width, line.area.height), []).append(line)
    kept: list[KnownLine] = []
    again: list[Area] = []
    new: list[Area] = []
    late: list[Area] = []
    left_over = set(unread)
    for area in areas:
        candidates = sorted(by_size.get((area.width, area.height), ()), key=lambda line: _distance(area, line.area))
        match = next((line for line in candidates[:MOST_CANDIDATES] if same(area, line.area)), None)
        if match is not None:
            kept.append(_moved(match, area))
        elif area in left_over and same(area, area):
            late.append(area)
        elif any(line.area.overlaps(area) for line in known):
            again.append(area)
        else:
            new.append(area)
    again.sort(key=lambda area: (area.top, area.left))
    new.sort(key=_largest_first)
    late.sort(key=_largest_first)
    return Plan(tuple(kept), tuple(again), tuple(new), tuple(late))


def read_picture(
    page: _Page,
    facts: PictureFacts,
    memory: Memory | None,
    reader: TextReader[_Page],
    *,
    started_s: float,
    budget_s: float,
    monotonic: Callable[[], float],
    whole: bool = False,
) -> tuple[Reading, Memory]:
    """Read a picture within a time budget, using what is remembered of the one before.

    Args:
        page: The decoded picture.
        facts: What is known of it without reading.
        memory: What was remembered of an earlier picture of the stream, of any size.
        reader: Reads; it stops by itself at the deadline it is given.
        started_s: When the picture arrived, on the clock of ``monotonic``, which is the reader's as well.
        budget_s: Time from then on after which no further line is begun.
        monotonic: The clock.
        whole: The whole screen was asked for, so that what was left unread before is as wanted as the news.
    """
    deadline_s = started_s + budget_s
    sheet = reader.find_lines(page)
    earlier, left_over = (memory.known, memory.unread) if memory is not None else ((), ())

    def same(area: Area, area_before: Area) -> bool:
        return memory is not None and sheet.shows_same(area, memory.sheet, area_before)

    plan = plan_reading(sheet.areas, earlier, same, left_over)
    news = plan.again + plan.new
    results = reader.read_lines(sheet, news, deadline_s)
    late_s = deadline_s if whole else min(deadline_s, started_s + LATE_S)
    results += reader.read_lines(sheet, plan.late, late_s)
    known = list(plan.kept)
    unread: list[Area] = []
    for area, lines in zip(news + plan.late, results, strict=True):
        if lines is None:
            unread.append(area)
        else:
            known.append(KnownLine(area, lines))
    lines = sorted((line for item in known for line in item.lines), key=lambda line: (line.top, line.left))
    total = sum(area.width * area.height for area in sheet.areas)
    reading = Reading(
        lines=tuple(lines),
        width=facts.width,
        height=facts.height,
        unread_fraction=sum(area.width * area.height for area in unread) / total if total else 0.0,
        reader=reader.name,
        elapsed_ms=round((monotonic() - started_s) * 1000),
        picture=facts,
        unread=tuple(unread),
    )
    return reading, Memory(sheet, tuple(known), tuple(unread))


def _largest_first(area: Area) -> tuple[int, int, int]:
    return -area.width * area.height, area.top, area.left


def _distance(one: Area, other: Area) -> int:
    return abs(one.left - other.left) + abs(one.top - other.top)


def _moved(line: KnownLine, area: Area) -> KnownLine:
    across, down = area.left - line.area.left, area.top - line.area.top
    if not across and not down:
        return line
    moved = tuple(replace(text, left=text.left + across, top=text.top + down) for text in line.lines)
    return KnownLine(area, moved)
