"""Boxes on a picture: which pieces make one line of text, which changed tiles make one rectangle. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hudd.engine.findings import Area

Box = tuple[int, int, int, int]  # left, top, right, bottom

TALL_WORD_PX: Final = 26  # taller pieces may be two rows whose letters touch, or an icon
_ROW_BUCKET_PX: Final = 16


def join_words(pieces: Iterable[Box]) -> list[list[int]]:
    """Join pieces that stand on one line with no more than a space between them."""
    lines: list[list[int]] = []
    buckets: dict[int, list[list[int]]] = {}
    for left, top, right, bottom in sorted(pieces):
        best: list[int] | None = None
        best_gap = float("inf")
        for bucket in range(top // _ROW_BUCKET_PX, bottom // _ROW_BUCKET_PX + 1):
            for line in buckets.get(bucket, ()):
                gap = left - line[2]
                if gap < best_gap and _on_one_line(line, top, bottom, gap):
                    best, best_gap = line, gap
        if best is None:
            best = [left, top, right, bottom]
            lines.append(best)
            fresh = range(top // _ROW_BUCKET_PX, bottom // _ROW_BUCKET_PX + 1)
        else:
            old = range(best[1] // _ROW_BUCKET_PX, best[3] // _ROW_BUCKET_PX + 1)
            best[:] = [min(best[0], left), min(best[1], top), max(best[2], right), max(best[3], bottom)]
            spread = range(best[1] // _ROW_BUCKET_PX, best[3] // _ROW_BUCKET_PX + 1)
            fresh = [bucket for bucket in spread if bucket not in old]
        for bucket in fresh:
            buckets.setdefault(bucket, []).append(best)
    return lines


def _on_one_line(line: list[int], top: int, bottom: int, gap: int) -> bool:
    tall, line_tall = bottom - top, line[3] - line[1]
    low, high = min(tall, line_tall), max(tall, line_tall)
    shared = min(bottom, line[3]) - max(top, line[1])
    if shared < 0.55 * low or (high > 2.6 * low and shared < 0.9 * low):
        return False
    if high > 1.8 * low and high > TALL_WORD_PX and gap > 3:  # an icon beside a label, not a letter beside a word
        return False
    if max(bottom, line[3]) - min(top, line[1]) > 1.6 * high:
        return False
    return gap <= max(7.0, 0.95 * min(high, 1.3 * low))


def with_headings(lines: list[Area], headings: Iterable[Area], least_height: int) -> list[Area]:
    """Add very large lines, found on a smaller picture, in place of the bits of them that were found at full size.

    What is no taller than ``least_height``, or covers lines one below the other, is no heading.
    """
    for heading in sorted(headings, key=lambda area: -area.width * area.height):
        if heading.height < least_height:
            continue
        touching = [line for line in lines if line.overlaps(heading)]
        if _are_rows([line for line in touching if line.width > 0.5 * heading.height]):
            continue
        inside = {line for line in touching if _shared(line, heading) >= 0.6 * line.width * line.height}
        lines = [line for line in lines if line not in inside] + [heading]
    return lines


def _are_rows(lines: list[Area]) -> bool:
    """True when one line stands below another."""
    return bool(lines) and max(line.top for line in lines) >= min(line.top + line.height for line in lines)


def _shared(one: Area, other: Area) -> int:
    """Pixels that two rectangles share."""
    across = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    down = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    return max(0, across) * max(0, down)


def join_tiles(tiles: Iterable[tuple[int, int]]) -> list[Box]:
    """Bounding boxes of groups of tiles that touch, also across one empty tile sideways (words of one line)."""
    left_over = set(tiles)
    boxes: list[Box] = []
    while left_over:
        stack = [left_over.pop()]
        x0, y0 = x1, y1 = stack[0]
        while stack:
            x, y = stack.pop()
            x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
            for dx in (-2, -1, 0, 1, 2):
                for dy in (-1, 0, 1):
                    near = (x + dx, y + dy)
                    if near in left_over:
                        left_over.remove(near)
                        stack.append(near)
        boxes.append((x0, y0, x1 + 1, y1 + 1))
    return boxes
