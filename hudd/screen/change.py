"""Where two frames differ, as small values: tiles as bits, and the change that the gate judges. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hudd.screen.source import Rect

TILE_WIDTH_PX = 64
TILE_HEIGHT_PX = 32
SAMPLE_STEP_PX = 4


@dataclass(frozen=True, slots=True)
class Tiles:
    """A set of tiles of a frame, one bit each, row by row.

    Attributes:
        columns: Tiles in a row.
        rows: Rows of tiles.
        bits: Bit ``row * columns + column`` is set when the tile is a member.
    """

    columns: int
    rows: int
    bits: int = 0

    @property
    def count(self) -> int:
        """How many tiles are members."""
        return self.bits.bit_count()

    def __bool__(self) -> bool:
        return self.bits != 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """The members as ``(row, column)``, in order."""
        rest = self.bits
        while rest:
            low = rest & -rest
            yield divmod(low.bit_length() - 1, self.columns)
            rest ^= low

    def fits(self, other: Tiles) -> bool:
        """Whether both belong to frames of the same size."""
        return (self.columns, self.rows) == (other.columns, other.rows)

    def union(self, other: Tiles) -> Tiles:
        """Members of either. ``other`` must be of the same size."""
        return Tiles(self.columns, self.rows, self.bits | other.bits)

    def without(self, other: Tiles) -> Tiles:
        """Members that are not in ``other``."""
        return Tiles(self.columns, self.rows, self.bits & ~other.bits)

    def common(self, other: Tiles) -> Tiles:
        """Members of both."""
        return Tiles(self.columns, self.rows, self.bits & other.bits)

    def meets(self, other: Tiles) -> bool:
        """Whether they share a tile."""
        return bool(self.bits & other.bits)

    def within(self, other: Tiles) -> bool:
        """Whether every member is a member of ``other``."""
        return not self.bits & ~other.bits

    def grown(self) -> Tiles:
        """The members and their eight neighbours."""
        everything, first_column = self._edges()
        last_column = first_column << (self.columns - 1)
        wide = self.bits | (self.bits & ~last_column) << 1 | (self.bits & ~first_column) >> 1
        return Tiles(self.columns, self.rows, (wide | wide << self.columns | wide >> self.columns) & everything)

    def clusters(self) -> Iterator[Tiles]:
        """The members in groups that touch, corners included."""
        rest = self.bits
        while rest:
            cluster = Tiles(self.columns, self.rows, rest & -rest)
            while True:
                more = self._streaks(cluster.grown().bits & rest, rest)
                if more == cluster.bits:
                    break
                cluster = Tiles(self.columns, self.rows, more)
            rest &= ~cluster.bits
            yield cluster

    def _streaks(self, bits: int, within: int) -> int:
        """``bits`` and all that lies in one line with them inside of ``within``, in steps that double."""
        _, first_column = self._edges()
        last_column = first_column << (self.columns - 1)
        for step, length, up, down in (
            (1, self.columns, within & ~first_column, within & ~last_column),
            (self.columns, self.rows, within, within),
        ):
            reach, upwards, downwards = 1, up, down
            while reach < length:
                bits |= (bits << step * reach) & upwards | (bits >> step * reach) & downwards
                upwards &= upwards << step * reach
                downwards &= downwards >> step * reach
                reach *= 2
        return bits

    def _edges(self) -> tuple[int, int]:
        """All tiles, and those of the first column: the lowest bit of each row."""
        everything = (1 << (self.columns * self.rows)) - 1
        return everything, everything // ((1 << self.columns) - 1)

    def bounds(self) -> tuple[int, int, int, int]:
        """``(first row, first column, last row, last column)``; there must be a member."""
        places = list(self)
        rows = [row for row, _ in places]
        columns = [column for _, column in places]
        return min(rows), min(columns), max(rows), max(columns)

    @classmethod
    def full(cls, columns: int, rows: int) -> Tiles:
        """All tiles of a frame."""
        return cls(columns, rows, (1 << (columns * rows)) - 1)

    @classmethod
    def block(cls, columns: int, rows: int, bounds: tuple[int, int, int, int]) -> Tiles:
        """The tiles from first to last row and column; what lies outside of the frame is left out."""
        top, left, bottom, right = bounds
        top, left = max(0, top), max(0, left)
        bottom, right = min(rows - 1, bottom), min(columns - 1, right)
        if bottom < top or right < left:
            return cls(columns, rows)
        line = ((1 << (right - left + 1)) - 1) << left
        return cls(columns, rows, sum(line << (row * columns) for row in range(top, bottom + 1)))


@dataclass(frozen=True, slots=True)
class Change:
    """How a frame differs from an earlier one, after the ignored rectangles were left out.

    Attributes:
        tiles: Where the brightness changed by at least the step that counts.
        rect: Smallest rectangle around all of it, in desktop pixels; None when nothing changed.
        fraction: Changed tiles over all tiles.
        patches: Size in tiles of what changed, wherever the grid happens to cut it: the largest connected spot counted
            in tile-sized patches, or half of all patches when many small spots changed. A cursor, or a cursor and a
            clock, make 1.
        ignored: True when something changed inside the rectangles that were to be ignored.
        subtle: True when nothing counted anywhere, and the frames were not known to be equal: mostly pixels differ, but
            too little or too finely.
        shapes: Those of ``tiles`` that show other shapes, not only the same ones in other colours; None when nobody
            looked closer, and then all of them count so.
        pictured: Those of ``tiles`` that show a picture now, no text; None when nobody looked closer.
    """

    tiles: Tiles
    rect: Rect | None = None
    fraction: float = 0.0
    patches: int = 0
    ignored: bool = False
    subtle: bool = False
    shapes: Tiles | None = None
    pictured: Tiles | None = None
