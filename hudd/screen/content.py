"""What sort of change a change is: other shapes, or only other colours; a picture, or not. By numpy, cheap.

A second door to numpy beside ``hudd.screen.pixels``, whose fingerprints are read here. Blocks; may run in any thread.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from hudd.screen.change import SAMPLE_STEP_PX, TILE_HEIGHT_PX, TILE_WIDTH_PX, Change, Tiles
from hudd.screen.pixels import Fingerprint

LEAST_RESIDUE: Final = 14.0
"""Root mean square, 0-255, of what the colours of one frame do not tell of the other's: above it, shapes differ."""
SOFT_STEP: Final = (4, 48)
"""Neighbours in a picture often differ by so much, 0-255; in text they are equal, or differ by more."""
SOFT_SHARE: Final = 0.25
"""A tile with at least this share of soft steps shows a picture. Films: 0.3 to 0.6 on average, text: below 0.14."""
MOST_TILES: Final = 320
"""So many changed tiles are judged one by one; of more, a few are looked at first."""
SAMPLED_TILES: Final = 24
FEW: Final = 0.1
"""When more than this share of the few has other shapes, all count so. Else each is judged after all: words that were
typed while the page around them was dimmed would be lost among those that were not looked at."""

_LEVEL_BITS: Final = 2
_LEVELS: Final = 256 >> _LEVEL_BITS
_ROWS: Final = TILE_HEIGHT_PX // SAMPLE_STEP_PX
_COLUMNS: Final = TILE_WIDTH_PX // SAMPLE_STEP_PX
_SAMPLES: Final = _ROWS * _COLUMNS // 2  # every other column is green in all rows, the rest is red and blue by turns

_Places = npt.NDArray[np.int64]
_Values = npt.NDArray[np.uint8]
_Residues = npt.NDArray[np.float64]


def describe(change: Change, now: Fingerprint, before: Fingerprint, *, moving: bool = False) -> Change:
    """Fill in ``shapes`` and ``pictured`` of a change between two frames.

    A theme, a selection or a filling bar gives each colour another one, and the shapes stay: then a sample's old colour
    tells its new one, and the other way round. Words that come, go or change break that rule, at least in one way.
    A frame of another size has other shapes everywhere.

    Args:
        change: What ``compare`` told of the two frames.
        now: The newer frame.
        before: The older one.
        moving: Most of the screen changed since the last look. ``shapes`` is then left open: the gate waits anyway, and
            the look after it tells.
    """
    tiles = change.tiles
    nothing = Tiles(tiles.columns, tiles.rows)
    if not tiles or now.samples.shape != before.samples.shape:
        return replace(change, shapes=tiles, pictured=nothing)
    places = _places(tiles)
    if len(places) > MOST_TILES:
        few = _Pairs(places[:: len(places) // SAMPLED_TILES], tiles, now, before)
        if moving or few.reshaped().mean() > FEW:
            pictured = tiles if few.soft_share() >= SOFT_SHARE else nothing
            return replace(change, shapes=None if moving else tiles, pictured=pictured)
    pairs = _Pairs(places, tiles, now, before)
    shaped = pairs.reshaped() | pairs.reshaped(backwards=True)
    return replace(change, shapes=_tiles(tiles, places[shaped]), pictured=_tiles(tiles, places[pairs.pictured()]))


class _Pairs:
    """The green samples of some tiles, in two frames: an array of 64 values for each tile."""

    def __init__(self, places: _Places, tiles: Tiles, now: Fingerprint, before: Fingerprint) -> None:
        at = _sample_places(places, tiles.columns, now.samples.shape[1])
        self._new = np.take(now.samples.reshape(-1), at, mode="clip")
        self._old = np.take(before.samples.reshape(-1), at, mode="clip")

    def reshaped(self, *, backwards: bool = False) -> npt.NDArray[np.bool_]:
        """Which tiles have a colour of before that has become several, or, backwards, one that was several."""
        known, told = (self._new, self._old) if backwards else (self._old, self._new)
        return _residues(known, told) > LEAST_RESIDUE**2

    def pictured(self) -> npt.NDArray[np.bool_]:
        """Which tiles show a picture now."""
        return self._soft().mean(axis=(1, 2)) >= SOFT_SHARE

    def soft_share(self) -> float:
        """Share of soft steps in all tiles together."""
        soft = self._soft()
        return np.count_nonzero(soft) / soft.size

    def _soft(self) -> npt.NDArray[np.bool_]:
        rows = self._new.reshape(-1, _ROWS, _COLUMNS // 2).astype(np.int16)
        steps = np.abs(rows[:, :, 1:] - rows[:, :, :-1])
        return (steps >= SOFT_STEP[0]) & (steps <= SOFT_STEP[1])


def _places(tiles: Tiles) -> _Places:
    """The numbers of the member tiles, row by row."""
    count = tiles.columns * tiles.rows
    flags = np.frombuffer(tiles.bits.to_bytes(-(-count // 8), "little"), dtype=np.uint8)
    return np.flatnonzero(np.unpackbits(flags, bitorder="little", count=count))


def _tiles(like: Tiles, places: _Places) -> Tiles:
    flags = np.zeros(like.columns * like.rows, dtype=np.uint8)
    flags[places] = 1
    return Tiles(like.columns, like.rows, int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little"))


def _sample_places(places: _Places, tile_columns: int, sample_columns: int) -> _Places:
    """Where the green samples of each tile stand in the flat samples; beyond an edge they are those of a neighbour."""
    rows, columns = np.divmod(places, tile_columns)
    first = rows * (_ROWS * sample_columns) + columns * _COLUMNS
    inside = np.arange(_ROWS)[:, None] * sample_columns + np.arange(0, _COLUMNS, 2)[None, :]
    return first[:, None] + inside.reshape(1, -1)


def _residues(known: _Values, told: _Values) -> _Residues:
    """For each tile the mean square of ``told`` around its mean at equal ``known``."""
    count = len(known)
    keys = ((known >> _LEVEL_BITS) + np.arange(0, count * _LEVELS, _LEVELS)[:, None]).ravel()
    size = count * _LEVELS
    values = told.astype(np.float64)
    numbers = np.bincount(keys, minlength=size)
    sums = np.bincount(keys, values.ravel(), size)
    between = (sums * sums / np.maximum(numbers, 1)).reshape(count, _LEVELS).sum(axis=1)
    return np.maximum(np.einsum("ij,ij->i", values, values) - between, 0.0) / _SAMPLES
