"""Painting over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hudd.model import Shot, Source
from hudd.screen.mask import COLOUR, keep_only, paint_over

SIDE = st.integers(-30, 60)
RECT = st.tuples(SIDE, SIDE, st.integers(0, 60), st.integers(0, 60))


def shot(scale: int = 1, place: tuple[int, int] = (10, 20)) -> Shot:
    width, height = 20 * scale, 10 * scale
    pixels = b"".join(bytes((x % 250, y % 250, 1, 0)) for y in range(height) for x in range(width))
    return Shot(Source("monitor", "m", (*place, 20, 10)), pixels, width, height, 0.0, 1)


def pixel(frame: Shot, x: int, y: int) -> bytes:
    start = 4 * (y * frame.width + x)
    return bytes(frame.pixels[start : start + 4])


@given(RECT, RECT, st.sampled_from((1, 2)))
def test_exactly_what_lies_within_is_painted_and_the_frame_is_not_touched(
    one: tuple[int, int, int, int], two: tuple[int, int, int, int], scale: int
) -> None:
    before = shot(scale)
    kept = bytes(before.pixels)
    after = paint_over(before, [one, two])
    assert bytes(before.pixels) == kept
    for y in range(before.height):
        for x in range(before.width):
            left, top = 10 + x / scale, 20 + y / scale
            inside = any(r[0] <= left < r[0] + r[2] and r[1] <= top < r[1] + r[3] for r in (one, two))
            assert pixel(after, x, y) == (COLOUR if inside else pixel(before, x, y))


def test_windows_that_are_elsewhere_cost_nothing_and_are_not_counted() -> None:
    before = shot()
    assert paint_over(before, [(100, 100, 5, 5), (10, 20, 0, 5)]) is before
    assert paint_over(before, [(0, 0, 15, 25), (100, 100, 5, 5)]).masked == 1


def test_a_fraction_of_a_pixel_is_painted_whole() -> None:
    frame = Shot(Source("monitor", "m", (0, 0, 10, 10)), bytes(4 * 15 * 15), 15, 15, 0.0, 1)
    after = paint_over(frame, [(1, 1, 1, 1)])  # 1.5 to 3.0
    assert [pixel(after, x, 1) == COLOUR for x in range(4)] == [False, True, True, False]


def test_only_one_window_is_kept() -> None:
    before = shot()
    after = keep_only(before, (12, 22, 3, 3))
    for y in range(10):
        for x in range(20):
            inside = 2 <= x < 5 and 2 <= y < 5
            assert pixel(after, x, y) == (pixel(before, x, y) if inside else COLOUR)
    assert set(bytes(keep_only(before, (500, 500, 3, 3)).pixels)) == set(COLOUR)


@given(RECT, RECT, RECT, st.sampled_from((1, 2)))
def test_what_lies_over_the_window_that_is_kept_is_painted_over(
    kept: tuple[int, int, int, int], one: tuple[int, int, int, int], two: tuple[int, int, int, int], scale: int
) -> None:
    before = shot(scale)
    after = keep_only(before, kept, over=(one, two))
    alone, masked = keep_only(before, kept), paint_over(before, (one, two))
    assert after.veiled
    for y in range(before.height):
        for x in range(before.width):
            shown = pixel(alone, x, y) != COLOUR and pixel(masked, x, y) != COLOUR
            assert pixel(after, x, y) == (pixel(before, x, y) if shown else COLOUR)
