"""Which parts of a frame are worth a picture of their own, because their text is lost when all of it is made smaller.

Pure. What is believed of the service (realtime-protocol 4.3): a picture is reduced until its short side has 512 pixels,
and billed by squares of that size. So a part of 1024x512 pixels is not reduced at all and costs what the whole screen
costs; one of 512x512 costs three fifths of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from hudd.screen.change import TILE_HEIGHT_PX, TILE_WIDTH_PX, Tiles
from hudd.screen.source import Rect

MODEL_SHORT_SIDE_PX: Final = 512
"""To this the short side of a picture is believed to be reduced."""
LOST_PX: Final = 5.0
"""Lines lower than this where the model sees them, from the lowest stroke to the highest, count as lost.

By text recognition on real screens: at 4.4 pixels a tenth of the words is read, at 5.2 three quarters."""
LEGIBLE_PX: Final = 9.0
"""At this height nearly all words are read; a part is made smaller only as far as its lines keep it."""
LEAST_ENLARGEMENT: Final = 1.3
"""A part must show its text so much larger than the picture of the whole does."""
LEAST_INK: Final = 100
"""Strokes that a part must gain to be worth a picture: about two words have so many."""
LEAST_SHARE: Final = 0.4
"""Of the text in the focus so much must be lost, or a few low lines among readable ones would cost a picture."""
ENOUGH: Final = 0.9
"""A smaller, cheaper part is taken when it holds so much of what the best one holds."""
LOW_LINES: Final = 0.25
"""The scale suits all lines but this share of the lowest."""
SHAPES: Final = ((1, 1), (2, 1), (1, 2))
"""Sizes of a part in squares of 512 pixels as the model sees it: across, down; the cheapest first."""


@dataclass(frozen=True, slots=True)
class TextMap:
    """Where a frame has lines of text, tile by tile, row by row.

    Attributes:
        columns: Tiles in a row.
        rows: Rows of tiles.
        ink: Strokes of letters in each tile; 0 where there is no text.
        height_px: Mean height of the lines in each tile, from the lowest stroke to the highest, in pixels of the frame.
    """

    columns: int
    rows: int
    ink: Sequence[int]
    height_px: Sequence[float]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a frame that gets a picture of its own.

    Attributes:
        rect: ``(left, top, width, height)`` in pixels of the frame.
        scale: Picture pixels per pixel of the frame; 1 is native, less where letters are large enough for it.
    """

    rect: Rect
    scale: float


def model_scale(width: int, height: int, long_side_px: int) -> float:
    """Pixels that the model sees per pixel of the frame, when all of it is sent with this longest side."""
    return min(1.0, long_side_px / max(width, height, 1), MODEL_SHORT_SIDE_PX / max(1, min(width, height)))


def choose_parts(
    text: TextMap, focus: Tiles, *, width: int, height: int, seen_scale: float, most: int
) -> tuple[Part, ...]:
    """The parts with the most small text inside the focus, the best first.

    Args:
        text: Where the frame has text.
        focus: Tiles that matter: what changed, the window that is used, or everything.
        width: Pixels in a row of the frame.
        height: Rows of the frame.
        seen_scale: At which scale the model sees the whole frame; see ``model_scale``.
        most: So many parts at most.
    """
    gain = [
        ink if ink and text.height_px[place] * seen_scale < LOST_PX and focus.bits >> place & 1 else 0
        for place, ink in enumerate(text.ink)
    ]
    parts: list[Part] = []
    if sum(gain) < LEAST_SHARE * sum(ink for place, ink in enumerate(text.ink) if focus.bits >> place & 1):
        return ()
    while len(parts) < most and sum(gain) >= LEAST_INK:
        scale = _scale(text, gain)
        if scale < seen_scale * LEAST_ENLARGEMENT:
            break
        best = _best(text, gain, width, height, scale)
        if best.gain < LEAST_INK:
            break
        parts.append(Part(best.rect, scale))
        for place in best.places(text.columns):
            gain[place] = 0
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class _Window:
    """A candidate: tiles from ``column`` and ``row`` on."""

    gain: int
    context: int
    column: int
    row: int
    across: int
    down: int
    rect: Rect

    def places(self, columns: int) -> list[int]:
        return [
            row * columns + column
            for row in range(self.row, self.row + self.down)
            for column in range(self.column, self.column + self.across)
        ]


def _scale(text: TextMap, gain: Sequence[int]) -> float:
    """The scale at which nearly all lines can be read."""
    lines = sorted((text.height_px[place], ink) for place, ink in enumerate(gain) if ink)
    upto = accumulate(ink for _, ink in lines)
    low = sum(gain) * LOW_LINES
    low_px = next(height_px for (height_px, _), ink in zip(lines, upto, strict=True) if ink >= low)
    return min(1.0, LEGIBLE_PX / low_px)


def _best(text: TextMap, gain: Sequence[int], width: int, height: int, scale: float) -> _Window:
    """The window with the most gain; of equal ones that with the most text around it; a cheaper one if it does."""
    gains, contexts = _sums(gain, text.columns), _sums(text.ink, text.columns)
    found = [
        _best_of_size(text, gains, contexts, *_size(width, height, round(MODEL_SHORT_SIDE_PX / scale), shape))
        for shape in SHAPES
    ]
    cheap, *large = found
    best = max(large, key=lambda window: (window.gain, window.context))
    return cheap if cheap.gain >= ENOUGH * best.gain else best


def _size(width: int, height: int, square_px: int, shape: tuple[int, int]) -> tuple[tuple[int, int], int, int]:
    """The frame's size, and that of a window of a shape in it: never longer than its squares, or it would cost more."""
    wide, high = min(width, shape[0] * square_px), min(height, shape[1] * square_px)
    return (width, height), min(wide, shape[0] * high), min(high, shape[1] * wide)


def _best_of_size(
    text: TextMap,
    gains: Sequence[Sequence[int]],
    contexts: Sequence[Sequence[int]],
    frame: tuple[int, int],
    wide_px: int,
    high_px: int,
) -> _Window:
    across = min(text.columns, max(1, wide_px // TILE_WIDTH_PX))
    down = min(text.rows, max(1, high_px // TILE_HEIGHT_PX))
    best = (-1, -1, 0, 0)
    for row in range(text.rows - down + 1):
        for column in range(text.columns - across + 1):
            inside = _inside(gains, column, row, across, down)
            if inside >= best[0]:
                best = max(best, (inside, _inside(contexts, column, row, across, down), -row, -column))
    inside, context, row, column = best[0], best[1], -best[2], -best[3]
    left = min(column * TILE_WIDTH_PX, frame[0] - wide_px)
    top = min(row * TILE_HEIGHT_PX, frame[1] - high_px)
    return _Window(inside, context, column, row, across, down, (left, top, wide_px, high_px))


def _sums(values: Sequence[int], columns: int) -> list[list[int]]:
    """At ``[row][column]`` the sum of all values above and to the left of it."""
    table = [[0] * (columns + 1)]
    for start in range(0, len(values), columns):
        line = accumulate(values[start : start + columns], initial=0)
        table.append([above + own for above, own in zip(table[-1], line, strict=True)])
    return table


def _inside(sums: Sequence[Sequence[int]], column: int, row: int, across: int, down: int) -> int:
    low, high = sums[row + down], sums[row]
    return low[column + across] - low[column] - high[column + across] + high[column]
