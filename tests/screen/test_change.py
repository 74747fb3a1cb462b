from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hudd.screen.change import Tiles


@st.composite
def tile_sets(draw: st.DrawFn) -> Tiles:
    columns, rows = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    return Tiles(columns, rows, draw(st.integers(0, (1 << (columns * rows)) - 1)))


def places(tiles: Tiles) -> set[tuple[int, int]]:
    return set(tiles)


def test_members_are_told_in_reading_order() -> None:
    assert list(Tiles(3, 2, 0b100_101)) == [(0, 0), (0, 2), (1, 2)]


@given(tile_sets())
def test_growing_adds_exactly_the_neighbours(tiles: Tiles) -> None:
    expected = {
        (row + dy, column + dx)
        for row, column in tiles
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
        if 0 <= row + dy < tiles.rows and 0 <= column + dx < tiles.columns
    }
    assert places(tiles.grown()) == expected


@given(tile_sets())
def test_clusters_part_the_set_and_do_not_touch_each_other(tiles: Tiles) -> None:
    clusters = list(tiles.clusters())
    assert sum(cluster.count for cluster in clusters) == tiles.count
    together = Tiles(tiles.columns, tiles.rows)
    for cluster in clusters:
        assert not cluster.grown().meets(together)
        together = together.union(cluster)
    assert together == tiles


@given(tile_sets(), st.data())
def test_a_block_holds_what_lies_between_its_bounds(tiles: Tiles, data: st.DataObject) -> None:
    edge = st.integers(-3, 12)
    top, left, bottom, right = (data.draw(edge) for _ in range(4))
    block = Tiles.block(tiles.columns, tiles.rows, (top, left, bottom, right))
    assert places(block) == {
        (row, column)
        for row in range(tiles.rows)
        for column in range(tiles.columns)
        if top <= row <= bottom and left <= column <= right
    }


@given(tile_sets())
def test_bounds_are_tight(tiles: Tiles) -> None:
    if not tiles:
        return
    block = Tiles.block(tiles.columns, tiles.rows, tiles.bounds())
    assert tiles.within(block)
    top, left, bottom, right = tiles.bounds()
    rows, columns = {row for row, _ in tiles}, {column for _, column in tiles}
    assert (min(rows), min(columns), max(rows), max(columns)) == (top, left, bottom, right)


def test_full_has_every_tile() -> None:
    assert Tiles.full(4, 3).count == 12
