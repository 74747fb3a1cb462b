from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.ledger.calibration import expected_image_tokens
from hudd.screen.change import TILE_HEIGHT_PX, TILE_WIDTH_PX, Tiles
from hudd.screen.crops import LEGIBLE_PX, Part, TextMap, choose_parts, model_scale

WIDTH, HEIGHT = 1920, 1080
COLUMNS, ROWS = 30, 34
EVERYTHING = Tiles.full(COLUMNS, ROWS)
SEEN = model_scale(WIDTH, HEIGHT, 1280)
Block = tuple[int, int, int, int]
"""First row, first column, last row, last column."""


def page(*blocks: Block, height_px: float = 9.0, ink: int = 200) -> TextMap:
    """A frame with text in blocks of tiles."""
    inks = [0] * (COLUMNS * ROWS)
    for top, left, bottom, right in blocks:
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                inks[row * COLUMNS + column] = ink
    return TextMap(COLUMNS, ROWS, inks, [height_px if ink else 0.0 for ink in inks])


def choose(text: TextMap, focus: Tiles = EVERYTHING, most: int = 1, seen: float = SEEN) -> tuple[Part, ...]:
    return choose_parts(text, focus, width=WIDTH, height=HEIGHT, seen_scale=seen, most=most)


def tokens(part: Part) -> int:
    _, _, width, height = part.rect
    return expected_image_tokens(round(width * part.scale), round(height * part.scale))


def block(top: int, left: int, bottom: int, right: int) -> Tiles:
    return Tiles.block(COLUMNS, ROWS, (top, left, bottom, right))


@pytest.mark.parametrize(
    ("size", "long_side", "scale"),
    [((1920, 1080), 1280, 512 / 1080), ((1920, 1080), 640, 640 / 1920), ((800, 400), 1280, 1.0), ((0, 0), 9, 1.0)],
)
def test_the_scale_at_which_the_model_sees_a_screen(size: tuple[int, int], long_side: int, scale: float) -> None:
    assert model_scale(*size, long_side) == scale


def test_a_changed_line_of_small_text_gets_a_part_around_it() -> None:
    [part] = choose(page((0, 0, 33, 29)), block(20, 10, 20, 14))
    left, top, width, height = part.rect
    assert part.scale == 1.0
    assert left <= 10 * TILE_WIDTH_PX
    assert left + width >= 15 * TILE_WIDTH_PX
    assert top <= 20 * TILE_HEIGHT_PX
    assert top + height >= 21 * TILE_HEIGHT_PX


def test_a_small_change_gets_the_cheaper_square_and_a_wide_one_the_size_that_is_never_reduced() -> None:
    [small] = choose(page((0, 0, 33, 29)), block(20, 10, 22, 14))
    assert small.rect[2:] == (512, 512)
    assert tokens(small) == 194
    [wide] = choose(page((0, 0, 33, 29)), block(10, 2, 22, 26))
    assert wide.rect[2:] == (1024, 512)
    assert tokens(wide) == 323


def test_a_tall_column_gets_a_tall_part() -> None:
    [part] = choose(page((2, 3, 33, 9)))
    assert part.rect[2:] == (512, 1024)
    assert part.rect[0] <= 3 * TILE_WIDTH_PX


def test_of_equal_places_the_one_with_more_text_around_is_taken() -> None:
    text = page((16, 10, 16, 12), (4, 13, 28, 17))
    [part] = choose(text, block(16, 10, 16, 12))
    assert part.rect[0] >= 9 * TILE_WIDTH_PX, "the text stands on the right of the change"


def test_text_that_can_be_read_on_the_whole_gets_no_part() -> None:
    assert choose(page((0, 0, 33, 29), height_px=12.0)) == ()
    assert choose(page((0, 0, 33, 29), height_px=9.0), seen=0.7) == ()


def test_a_few_low_lines_among_readable_ones_get_no_part() -> None:
    text = page((0, 0, 33, 29), height_px=14.0)
    heights = [8.0 if place < 90 else height for place, height in enumerate(text.height_px)]
    mixed = TextMap(COLUMNS, ROWS, text.ink, heights)
    assert choose(mixed) == ()
    assert choose(mixed, block(0, 0, 2, 29)) != (), "but they do when they are what changed"


def test_pictures_and_a_changed_letter_get_no_part() -> None:
    assert choose(page()) == ()
    assert choose(page((5, 5, 5, 5), ink=40)) == ()
    assert choose(page((0, 0, 33, 29)), Tiles(COLUMNS, ROWS)) == ()


def test_text_of_a_fine_screen_is_reduced_as_far_as_it_stays_legible() -> None:
    text = page((0, 0, 33, 29), height_px=18.0)
    [part] = choose(text, seen=0.24)
    assert part.scale * 18.0 == pytest.approx(LEGIBLE_PX)
    assert tokens(part) <= 323


def test_more_parts_show_other_places_and_end_when_nothing_is_left() -> None:
    text = page((2, 1, 6, 7), (26, 20, 30, 27))
    parts = choose(text, most=4)
    assert len(parts) == 2
    assert parts[0].rect != parts[1].rect
    assert choose(text, most=0) == ()


@given(
    st.integers(1, 4000),
    st.integers(1, 3000),
    st.data(),
    st.integers(1, 4),
    st.floats(0.1, 1.0),
)
def test_a_part_lies_inside_costs_no_more_than_a_screen_and_enlarges(
    width: int, height: int, data: st.DataObject, most: int, seen: float
) -> None:
    columns, rows = -(-width // TILE_WIDTH_PX), -(-height // TILE_HEIGHT_PX)
    low = data.draw(st.floats(5, 40))
    stripe = data.draw(st.integers(1, 5))
    inks = [150 if place % stripe == 0 else 0 for place in range(columns * rows)]
    text = TextMap(columns, rows, inks, [low] * (columns * rows))
    focus = Tiles(columns, rows, data.draw(st.integers(0, (1 << (columns * rows)) - 1)))
    parts = choose_parts(text, focus, width=width, height=height, seen_scale=seen, most=most)
    assert len(parts) <= most
    for part in parts:
        left, top, wide, high = part.rect
        assert left >= 0
        assert top >= 0
        assert wide >= 1
        assert high >= 1
        assert left + wide <= width
        assert top + high <= height
        assert seen < part.scale <= 1.0
        assert max(wide, high) * part.scale <= 1025
        assert min(wide, high) * part.scale <= 513
