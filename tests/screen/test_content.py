from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from hudd.model import Shot, Source
from hudd.screen.change import Tiles
from hudd.screen.content import MOST_TILES, describe
from hudd.screen.pixels import Fingerprint, compare, fingerprint

LIGHT, DARK = ("#202020", "#fdf6e3"), ("#d8d8d8", "#1e1e2e")
WORDS = ("invoice", "harbour", "timeout", "retry", "merge", "figures", "branch", "window", "release", "draft")


def page(seed: int, colours: tuple[str, str], size: tuple[int, int] = (640, 320)) -> Image.Image:
    chance = random.Random(seed)
    picture = Image.new("RGB", size, colours[1])
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    for top in range(6, size[1] - 16, 16):
        draw.text((8, top), " ".join(chance.choices(WORDS, k=size[0] // 70)), fill=colours[0], font=font)
    return picture


def film(seed: int, size: tuple[int, int] = (640, 320)) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 255, (size[1] // 12, size[0] // 12, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def print_of(picture: Image.Image, before: Fingerprint | None = None) -> Fingerprint:
    width, height = picture.size
    pixels = bytearray(picture.tobytes("raw", "BGRX"))
    return fingerprint(Shot(Source("monitor", "a", (0, 0, width, height)), pixels, width, height, 0.0, 0), before)


def described(before: Image.Image, after: Image.Image, *, moving: bool = False):
    old = print_of(before)
    new = print_of(after, old)
    return describe(compare(new, old), new, old, moving=moving)


SIZES = pytest.mark.parametrize("size", [(640, 320), (1920, 1088)])


@SIZES
@pytest.mark.parametrize(("one", "other"), [(LIGHT, DARK), (DARK, LIGHT), (LIGHT, ("#111111", "#ffffff"))])
def test_a_theme_changes_no_shapes(size: tuple[int, int], one: tuple[str, str], other: tuple[str, str]) -> None:
    change = described(page(1, one, size), page(1, other, size))
    assert change.tiles
    assert change.shapes is not None
    assert change.shapes.count <= change.tiles.count // 20


@SIZES
def test_other_words_are_other_shapes_also_in_another_theme(size: tuple[int, int]) -> None:
    for colours in (LIGHT, DARK):
        change = described(page(1, LIGHT, size), page(2, colours, size))
        assert change.shapes is not None
        assert change.shapes.count > 0.6 * change.tiles.count


def test_words_that_come_or_go_are_other_shapes() -> None:
    empty, full = Image.new("RGB", (640, 320), LIGHT[1]), page(1, LIGHT)
    for before, after in ((empty, full), (full, empty)):
        change = described(before, after)
        assert change.shapes is not None
        assert change.shapes.count > 0.9 * change.tiles.count


@SIZES
def test_one_line_among_new_colours_is_found(size: tuple[int, int]) -> None:
    after = page(1, DARK, size)
    ImageDraw.Draw(after).rectangle((0, 100, 640, 116), fill=DARK[1])
    change = described(page(1, LIGHT, size), after)
    assert change.shapes is not None
    assert change.shapes.within(Tiles.block(change.tiles.columns, change.tiles.rows, (3, 0, 3, 10)))
    assert change.shapes.count >= 6


@SIZES
def test_a_film_is_a_picture_and_a_page_is_none(size: tuple[int, int]) -> None:
    shown = described(page(1, LIGHT, size), film(1, size))
    assert shown.pictured is not None
    assert shown.pictured.count > 0.6 * shown.tiles.count
    text = described(film(1, size), page(1, LIGHT, size))
    assert text.pictured is not None
    assert text.pictured.count <= 0.02 * text.tiles.count


def test_while_most_of_a_large_screen_moves_shapes_are_left_open() -> None:
    size = (1920, 1088)
    change = described(page(1, LIGHT, size), page(2, DARK, size), moving=True)
    assert change.tiles.count > MOST_TILES
    assert change.shapes is None
    assert described(page(1, LIGHT), page(2, LIGHT), moving=True).shapes is not None


@given(st.binary(min_size=64, max_size=64), st.binary(min_size=64, max_size=64), st.integers(1, 20), st.booleans())
def test_whatever_the_frames_hold_shapes_and_pictures_are_a_part_of_the_change(
    one: bytes, other: bytes, tiles: int, moving: bool
) -> None:
    width, height = 64 * tiles, 40
    prints = []
    for pattern in (one, other):
        pixels = bytearray((pattern * (width * height * 4 // len(pattern) + 1))[: width * height * 4])
        prints.append(fingerprint(Shot(Source("monitor", "a", (0, 0, width, height)), pixels, width, height, 0.0, 0)))
    change = compare(prints[1], prints[0])
    told = describe(change, prints[1], prints[0], moving=moving)
    assert told.shapes is not None
    assert told.pictured is not None
    assert told.shapes.within(change.tiles)
    assert told.pictured.within(change.tiles)
    assert describe(change, prints[1], prints[0]) == describe(change, prints[1], prints[0])


def test_a_frame_of_another_size_has_other_shapes_everywhere_and_an_equal_one_none() -> None:
    old, new = print_of(page(1, LIGHT)), print_of(page(1, LIGHT, (320, 320)))
    change = describe(compare(new, old), new, old)
    assert change.shapes == change.tiles == Tiles.full(5, 10)
    assert not described(page(1, LIGHT), page(1, LIGHT)).shapes
