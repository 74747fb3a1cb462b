"""Paints rectangles of a frame over, before anything else looks at it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from hudd.model import Shot
from hudd.screen.source import Rect

COLOUR: Final = bytes((0x60, 0x60, 0x60, 0xFF))
"""Grey, in the frame's order B G R X; unlike a black window it is not taken for a screen that is off."""


def paint_over(shot: Shot, rects: Sequence[Rect]) -> Shot:
    """The frame with rectangles of the desktop painted over, whole; itself when none of them touches it.

    Args:
        shot: The frame; it is copied, never changed.
        rects: In the pixels of the desktop. A frame of more pixels than its source has on the desktop (a scaled
            monitor) is painted at its own scale, rounded outwards.
    """
    boxes = [box for box in (_box(shot, rect) for rect in rects) if box is not None]
    if not boxes:
        return shot
    pixels = bytearray(shot.pixels)
    for left, top, right, bottom in boxes:
        _fill(pixels, shot.width, (left, top, right, bottom))
    return replace(shot, pixels=pixels, masked=shot.masked + len(boxes))


def keep_only(shot: Shot, rect: Rect, *, over: Sequence[Rect] = ()) -> Shot:
    """The frame with everything outside of one rectangle of the desktop painted over, and what lies over it, too.

    Args:
        shot: The frame; it is copied, never changed.
        rect: What is kept.
        over: What is painted over within it.
    """
    pixels = bytearray(COLOUR * (shot.width * shot.height))
    box = _box(shot, rect, outwards=False)
    if box is not None:
        left, top, right, bottom = box
        for row in range(top, bottom):
            start, end = 4 * (row * shot.width + left), 4 * (row * shot.width + right)
            pixels[start:end] = shot.pixels[start:end]
    for above in over:
        box = _box(shot, above)
        if box is not None:
            _fill(pixels, shot.width, box)
    return replace(shot, pixels=pixels, veiled=True)


def _box(shot: Shot, rect: Rect, *, outwards: bool = True) -> tuple[int, int, int, int] | None:
    """A rectangle of the desktop in the pixels of the frame, as left, top, right, bottom."""
    source_left, source_top, source_width, source_height = shot.source.rect
    x_scale = shot.width / source_width if source_width > 0 else 1.0
    y_scale = shot.height / source_height if source_height > 0 else 1.0
    down, up = (math.floor, math.ceil) if outwards else (math.ceil, math.floor)
    left = max(0, down((rect[0] - source_left) * x_scale))
    top = max(0, down((rect[1] - source_top) * y_scale))
    right = min(shot.width, up((rect[0] + rect[2] - source_left) * x_scale))
    bottom = min(shot.height, up((rect[1] + rect[3] - source_top) * y_scale))
    return (left, top, right, bottom) if left < right and top < bottom else None


def _fill(pixels: bytearray, width: int, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    line = COLOUR * (right - left)
    for row in range(top, bottom):
        start = 4 * (row * width + left)
        pixels[start : start + len(line)] = line
