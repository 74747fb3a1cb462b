"""Finds the small text of a frame by numpy, and makes the pictures of its parts.

A door to numpy beside ``hudd.screen.pixels``, which encodes. Blocks; may run in any thread.

A line of text is a band of rows with many jumps of brightness side by side, with rows of few jumps above and below.
That is counted in stripes as wide as a tile, so that columns, panels and windows beside each other do not meet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from hudd.clock import Clock
from hudd.config.settings import SERVICE_LONG_SIDE_PX, PictureSettings
from hudd.errors import CaptureError
from hudd.model import Picture, Shot, Source
from hudd.screen.arrange import cut_out
from hudd.screen.change import TILE_HEIGHT_PX, TILE_WIDTH_PX, Change, Tiles
from hudd.screen.crops import Part, TextMap, choose_parts, model_scale
from hudd.screen.pixels import encode
from hudd.screen.places import REGION
from hudd.screen.source import Rect

JUMP: Final = 32
"""Neighbouring pixels of a row that differ by so much in brightness, 0-255, are the edge of a stroke."""
LEAST_JUMPS: Final = 3
"""A row of a stripe with so many jumps beyond the emptiest row near it crosses letters: a straight line makes two."""
MOST_BESIDE: Final = 12
"""A tile with more jumps than these in all of its rows is a photograph or a pattern."""
LINE_PX: Final = (5, 40)
"""Bands of so many rows are lines of text; thinner ones are rules and dots, higher ones are headings and pictures."""
_BLOCK_ROWS: Final = 128  # rows that are looked at together: what is in between stays in the processor's cache


def text_map(shot: Shot) -> TextMap:
    """Where a frame has lines of text, and how high they are.

    Raises:
        CaptureError: The shot has not as many bytes as its size says.
    """
    columns, rows = -(-shot.width // TILE_WIDTH_PX), -(-shot.height // TILE_HEIGHT_PX)
    jumps = _jumps(shot, columns, rows)
    bands = jumps.reshape(rows, TILE_HEIGHT_PX, columns)
    # What runs down beside the text, as a border or a guide for indents, is in all rows of a tile.
    beside = bands.min(axis=1, keepdims=True)
    bands -= beside
    bands *= beside <= MOST_BESIDE
    inked = np.zeros((jumps.shape[0] + 2, columns), dtype=np.int8)
    inked[1:-1] = jumps >= LEAST_JUMPS
    steps = np.diff(inked.T, axis=1)
    stripes, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    heights = ends - starts
    fits = (heights >= LINE_PX[0]) & (heights <= LINE_PX[1])
    stripes, starts, ends, heights = stripes[fits], starts[fits], ends[fits], heights[fits]
    before = np.zeros((jumps.shape[0] + 1, columns), dtype=np.int64)
    np.cumsum(jumps, axis=0, out=before[1:])
    ink = before[ends, stripes] - before[starts, stripes]
    tiles = (starts + ends) // 2 // TILE_HEIGHT_PX * columns + stripes
    inks = np.bincount(tiles, ink, rows * columns)
    height = np.bincount(tiles, ink * heights, rows * columns) / np.maximum(inks, 1)
    return TextMap(columns, rows, tuple(inks.astype(np.int64).tolist()), tuple(height.tolist()))


def details(
    shot: Shot,
    change: Change | None,
    settings: PictureSettings,
    *,
    most: int,
    focus: Callable[[], Rect | None] = lambda: None,
    clock: Clock | None = None,
) -> tuple[Picture, ...]:
    """Pictures of the parts of a frame whose text would be too small to read on the picture of the whole.

    Args:
        shot: The frame; only read.
        change: What is new on it; None when all of it is.
        settings: Format, quality, byte budget; the longest side of the picture of the whole.
        most: So many at most.
        focus: Called when all of the frame is new: where the window is that is used, in desktop pixels, or None.
        clock: Measures ``encode_ms``; the machine's clock when None.

    Raises:
        CaptureError: The shot has not as many bytes as its size says.
        PictureError: A part does not fit the byte budget at any size that can be read.
    """
    seen = model_scale(shot.width, shot.height, settings.long_side_px or SERVICE_LONG_SIDE_PX)
    if most < 1 or seen >= 1.0 or (change is not None and not change.tiles):
        return ()
    text = text_map(shot)
    tiles = _window_tiles(shot, focus(), text) if change is None else change.tiles
    parts = choose_parts(text, tiles, width=shot.width, height=shot.height, seen_scale=seen, most=most)
    return tuple(_picture(shot, part, settings, clock) for part in parts)


def _picture(shot: Shot, part: Part, settings: PictureSettings, clock: Clock | None) -> Picture:
    left, top, width, height = shot.source.rect
    x_scale, y_scale = width / shot.width, height / shot.height
    x, y, wide, high = part.rect
    rect = (left + round(x * x_scale), top + round(y * y_scale), round(wide * x_scale), round(high * y_scale))
    # Cut by the frame's own pixels: rounded on the desktop it could become longer than two squares, and cost a third.
    framed = replace(shot, source=Source("monitor", shot.source.name, (0, 0, shot.width, shot.height)))
    own = replace(cut_out(framed, Source("region", REGION, part.rect)), source=Source("region", REGION, rect))
    long_side = round(max(own.width, own.height) * part.scale)
    # The grab counts once, with the picture of the whole.
    return replace(encode(own, replace(settings, long_side_px=long_side), clock=clock), grab_ms=0.0)


def _window_tiles(shot: Shot, rect: Rect | None, text: TextMap) -> Tiles:
    """The tiles of a window; all of them when none is known, or it is elsewhere."""
    if rect is None:
        return Tiles.full(text.columns, text.rows)
    left, top, width, height = shot.source.rect
    x_scale, y_scale = shot.width / max(1, width), shot.height / max(1, height)
    bounds = (
        int((rect[1] - top) * y_scale // TILE_HEIGHT_PX),
        int((rect[0] - left) * x_scale // TILE_WIDTH_PX),
        int((rect[1] + rect[3] - top) * y_scale // TILE_HEIGHT_PX),
        int((rect[0] + rect[2] - left) * x_scale // TILE_WIDTH_PX),
    )
    return Tiles.block(text.columns, text.rows, bounds) or Tiles.full(text.columns, text.rows)


def _jumps(shot: Shot, columns: int, rows: int) -> npt.NDArray[np.int16]:
    """For each row and stripe the number of jumps; both padded to whole tiles with none."""
    if shot.width < 1 or shot.height < 1 or len(shot.pixels) != shot.width * shot.height * 4:
        raise CaptureError(
            f"The frame of {shot.source.name} has {len(shot.pixels)} bytes instead of {shot.width}x{shot.height}x4.",
            hint="Look again; when it stays, report it: hudctl bugreport.",
        )
    pixels = np.frombuffer(shot.pixels, dtype=np.uint8).reshape(shot.height, shot.width, 4)
    counts = np.zeros((rows * TILE_HEIGHT_PX, columns), dtype=np.int16)
    flags = np.zeros((_BLOCK_ROWS, columns * TILE_WIDTH_PX), dtype=np.bool_)
    for top in range(0, shot.height, _BLOCK_ROWS):
        green = np.ascontiguousarray(pixels[top : top + _BLOCK_ROWS, :, 1])
        size = len(green)
        distance = np.maximum(green[:, 1:], green[:, :-1])
        distance -= np.minimum(green[:, 1:], green[:, :-1])
        np.greater_equal(distance, JUMP, out=flags[:size, : shot.width - 1])
        words = np.packbits(flags[:size], axis=1).view(np.uint64)
        counts[top : top + size] = _ones(words)
    return counts


def _ones(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """How many bits of each number are set."""
    pairs = words - ((words >> np.uint64(1)) & np.uint64(0x5555555555555555))
    fours = (pairs & np.uint64(0x3333333333333333)) + ((pairs >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bytes_ = (fours + (fours >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (bytes_ * np.uint64(0x0101010101010101)) >> np.uint64(56)
