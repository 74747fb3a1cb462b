"""The pieces of text of a page, and which of them follows which. Pure.

All that is asked of one page is counted in steps: so long as it takes to judge a character, or to look at some pieces
near another one. So a page that would keep others waiting is known as one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MOST_STEPS: Final = 500_000
"""Of one page, about a second; a spreadsheet of 4,000 cells takes a third of it."""
_PIECES_A_STEP: Final = 4
WORD_GAP: Final = 3.0
"""Between two pieces of one line that belong together, in heights."""
LINE_GAP: Final = 2.0
"""Between two lines that belong together, in heights."""


class TooManyStepsError(Exception):
    """More was asked of a page than of any that shows something."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a line of text, and where it stands, in any unit."""

    text: str
    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.top + self.height


def pieces_of_lines(text: str) -> tuple[Piece, ...]:
    """The lines of a plain text as pieces, one below the other."""
    return tuple(Piece(line, 0.0, 2.0 * row, float(len(line)), 1.0) for row, line in enumerate(text.split("\n")))


class Page:
    """Which piece follows which; what was found once is remembered.

    Args:
        pieces: Of one page, in any order.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self.steps = 0
        self._by_top = sorted(range(len(pieces)), key=lambda at: pieces[at].top)
        self._tops = [pieces[at].top for at in self._by_top]
        self._by_bottom = sorted(range(len(pieces)), key=lambda at: pieces[at].bottom)
        self._bottoms = [pieces[at].bottom for at in self._by_bottom]
        self._rows: dict[tuple[int, float], list[int]] = {}
        self._lines: dict[tuple[int, bool, float], list[int]] = {}

    def step(self, count: int = 1) -> None:
        """Count what is done.

        Raises:
            TooManyStepsError: It was more than is ever needed.
        """
        self.steps += count
        if self.steps > MOST_STEPS:
            raise TooManyStepsError

    def row_of(self, at: int, gap: float) -> list[int]:
        """The pieces beside one that belong to it, itself too, from left to right; ``gap`` in heights.

        Raises:
            TooManyStepsError: See ``step``.
        """
        known = self._rows.get((at, gap))
        if known is None:
            known = self._rows[at, gap] = self._find_row(at, gap)
        return known

    def after(self, at: int) -> list[int]:
        """Where a text may go on: beside, or in the next line.

        Raises:
            TooManyStepsError: See ``step``.
        """
        row = self.row_of(at, WORD_GAP)
        return [*row[row.index(at) + 1 :][:1], *self.next_line(at)]

    def next_line(self, at: int, *, down: bool = True, gap: float = LINE_GAP) -> list[int]:
        """The pieces of the nearest line below (or above) that stand under what belongs to this one.

        Raises:
            TooManyStepsError: See ``step``.
        """
        known = self._lines.get((at, down, gap))
        if known is None:
            known = self._lines[at, down, gap] = self._find_line(at, down=down, gap=gap)
        return known

    def _find_row(self, at: int, gap: float) -> list[int]:
        own = self.pieces[at]
        beside = [at]
        for near in self._between(self._by_top, self._tops, own.top - own.height, own.top + own.height):
            other = self.pieces[near]
            shared = min(own.bottom, other.bottom) - max(own.top, other.top)
            if near != at and shared > 0.5 * min(own.height, other.height):
                beside.append(near)
        beside.sort(key=lambda one: self.pieces[one].left)
        first = last = beside.index(at)
        while first and self._apart(beside[first - 1], beside[first]) <= gap * own.height:
            first -= 1
        while last + 1 < len(beside) and self._apart(beside[last], beside[last + 1]) <= gap * own.height:
            last += 1
        return beside[first : last + 1]

    def _find_line(self, at: int, *, down: bool, gap: float) -> list[int]:
        own = self.pieces[at]
        left = self.pieces[self.row_of(at, WORD_GAP)[0]].left - own.height
        lap, reach = 0.3 * own.height, gap * own.height
        if down:
            around = self._between(self._by_top, self._tops, own.bottom - lap, own.bottom + reach)
        else:
            around = self._between(self._by_bottom, self._bottoms, own.top - reach, own.top + lap)
        found: list[tuple[float, int]] = []
        for near in around:
            other = self.pieces[near]
            away = other.top - own.bottom if down else own.top - other.bottom
            if near != at and other.left <= own.right and other.right >= left:
                found.append((away, near))
        nearest = min((away for away, _ in found), default=0.0)
        return sorted(near for away, near in found if away <= nearest + 0.5 * own.height)

    def _between(self, ranked: Sequence[int], edges: Sequence[float], low: float, high: float) -> Sequence[int]:
        """The pieces of which an edge lies between two heights."""
        near = ranked[bisect_left(edges, low) : bisect_right(edges, high)]
        self.step(1 + len(near) // _PIECES_A_STEP)
        return near

    def _apart(self, left: int, right: int) -> float:
        return self.pieces[right].left - self.pieces[left].right
