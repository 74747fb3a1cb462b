"""Boxes on a picture: which pieces, lines and changed tiles belong together. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from hudd.engine.findings import Area, TextLine, around

Box = tuple[int, int, int, int]  # left, top, right, bottom

MOST_LINE_PX: Final = 90  # no line of text is taller
TALL_WORD_PX: Final = 26  # taller pieces may be two rows whose letters touch, or an icon
_ROW_BUCKET_PX: Final = 16
_BLOCK_GAP: Final = 1.3  # in heights of a line: below it, lines stand together; a blank line parts them


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
    return gap <= max(7.0, 1.5 * min(high, 1.2 * low))


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
        inside = {line for line in touching if line.shared_with(heading) >= 0.6 * line.width * line.height}
        lines = [line for line in lines if line not in inside] + [heading]
    return lines


def _are_rows(lines: list[Area]) -> bool:
    """True when one line stands below another."""
    return bool(lines) and max(line.top for line in lines) >= min(line.top + line.height for line in lines)


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


def rows_of(lines: Iterable[TextLine], gap: float) -> list[tuple[TextLine, ...]]:
    """Put the pieces of text that stand beside each other into rows, left to right; the rows from top to bottom.

    Args:
        lines: Pieces as they were read.
        gap: How far apart two pieces of one row may stand, in heights of the taller one.
    """
    rows: list[list[TextLine]] = []
    buckets: dict[int, list[list[TextLine]]] = {}
    for line in sorted(lines, key=lambda one: (one.left, one.top)):
        span = range(line.top // _ROW_BUCKET_PX, (line.top + line.height) // _ROW_BUCKET_PX + 1)
        here = {id(row): row for bucket in span for row in buckets.get(bucket, ())}
        beside = [row for row in here.values() if _are_beside(row[-1], line, gap)]
        if beside:
            row = max(beside, key=lambda one: one[-1].left + one[-1].width)
            row.append(line)
        else:
            row = [line]
            rows.append(row)
        for bucket in span:
            buckets.setdefault(bucket, []).append(row)
    return sorted((tuple(row) for row in rows), key=lambda row: (min(line.top for line in row), row[0].left))


def _are_beside(left: TextLine, right: TextLine, gap: float) -> bool:
    low, high = sorted((left.height, right.height))
    shared = min(left.top + left.height, right.top + right.height) - max(left.top, right.top)
    between = right.left - left.left - left.width
    return shared >= 0.5 * low and high <= 3 * low and -0.5 * low <= between <= gap * high


def blocks_of(rows: Sequence[tuple[TextLine, ...]]) -> list[list[tuple[TextLine, ...]]]:
    """Put rows that stand one below the other, without a blank line between them, into blocks. Order is kept."""
    places = [around(line.area for line in row) for row in rows]
    parent = list(range(len(rows)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    order = sorted(range(len(rows)), key=lambda index: places[index].top)
    open_rows: list[int] = []
    for index in order:
        here = places[index]
        reach = _BLOCK_GAP * MOST_LINE_PX
        open_rows = [above for above in open_rows if places[above].top + places[above].height + reach >= here.top]
        for above in open_rows:
            if _stands_below(places[above], here):
                parent[root(index)] = root(above)
        open_rows.append(index)
    blocks: dict[int, list[tuple[TextLine, ...]]] = {}
    for index, row in enumerate(rows):
        blocks.setdefault(root(index), []).append(row)
    return list(blocks.values())


def _stands_below(above: Area, below: Area) -> bool:
    low, high = sorted((above.height, below.height))
    between = below.top - above.top - above.height
    shared = min(above.left + above.width, below.left + below.width) - max(above.left, below.left)
    return (
        -0.5 * low <= between <= _BLOCK_GAP * high and high <= 2.5 * low and 2 * shared >= min(above.width, below.width)
    )
