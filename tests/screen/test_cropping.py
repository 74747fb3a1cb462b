from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageStat

from hudd.config.settings import PictureSettings
from hudd.errors import CaptureError, PictureError
from hudd.ledger.calibration import expected_image_tokens
from hudd.model import Picture, Shot, Source
from hudd.screen.change import Change, Tiles
from hudd.screen.cropping import details, text_map
from hudd.screen.source import Rect
from tests.bench.screen import WORDS, make_shot, text_frame
from tests.fakes.screen import Canvas

AUTO = PictureSettings()
LINE = "The quarterly figures of Larkspur are in the inbox, and the build passed."


def painted(width: int, height: int, letter_px: int, lines: dict[int, str], left: int = 40) -> Shot:
    """Lines of dark letters on white, by the row where they begin."""
    picture = Image.new("RGB", (width, height), (250, 250, 250))
    draw = ImageDraw.Draw(picture)
    for top, text in lines.items():
        draw.text((left, top), text, fill=(20, 20, 30), font=ImageFont.load_default(letter_px))
    return make_shot(bytearray(picture.tobytes("raw", "BGRX")), width, height)


def full(letter_px: int, width: int = 1920, height: int = 1080) -> Shot:
    text = " ".join(WORDS * 3)
    return painted(width, height, letter_px, dict.fromkeys(range(10, height - 40, letter_px * 2), text))


def changed(shot: Shot, rect: Rect) -> Change:
    columns, rows = -(-shot.width // 64), -(-shot.height // 32)
    left, top, width, height = rect
    bounds = (top // 32, left // 64, (top + height - 1) // 32, (left + width - 1) // 64)
    tiles = Tiles.block(columns, rows, bounds)
    return Change(tiles, rect, tiles.count / (columns * rows), tiles.count)


def same_pixels(picture: Picture, shot: Shot) -> bool:
    """Whether a part shows what the frame has at its place, at native scale."""
    whole = Image.frombuffer("RGB", (shot.width, shot.height), bytes(shot.pixels), "raw", "BGRX", 0, 1)
    left, top, width, height = picture.source.rect
    own = Image.open(io.BytesIO(picture.data)).convert("RGB")
    difference = ImageChops.difference(own, whole.crop((left, top, left + width, top + height)))
    return own.size == (width, height) and max(ImageStat.Stat(difference).mean) < 6


@pytest.mark.parametrize("letter_px", [10, 13, 16, 24])
def test_the_height_of_lines_is_found(letter_px: int) -> None:
    text = text_map(painted(640, 320, letter_px, {40: LINE, 120: LINE, 200: LINE}))
    heights = [height for height, ink in zip(text.height_px, text.ink, strict=True) if ink]
    # From the top of a tall letter to the foot of a long one is about the size of the font; some tiles have neither.
    assert 0.6 * letter_px <= sum(heights) / len(heights) <= 1.1 * letter_px


def test_ink_is_where_the_text_is() -> None:
    text = text_map(painted(640, 320, 13, {100: LINE}))
    rows = {place // text.columns for place, ink in enumerate(text.ink) if ink}
    assert rows == {3}


@pytest.mark.parametrize("colours", [((30, 32, 40), (220, 220, 220)), ((250, 250, 250), (20, 20, 30))])
def test_dark_and_light_themes_are_alike(colours: tuple[tuple[int, int, int], tuple[int, int, int]]) -> None:
    picture = Image.new("RGB", (640, 320), colours[0])
    ImageDraw.Draw(picture).text((40, 100), LINE, fill=colours[1], font=ImageFont.load_default(13))
    text = text_map(make_shot(bytearray(picture.tobytes("raw", "BGRX")), 640, 320))
    assert sum(text.ink) > 300


def test_borders_rules_blocks_and_photographs_are_no_text() -> None:
    canvas = Canvas(640, 320).fill((100, 0, 2, 320), 0).fill((0, 100, 640, 2), 0).fill((300, 150, 200, 100), 0x2040A0)
    assert sum(text_map(canvas.shot()).ink) == 0
    noise = Image.effect_noise((640, 320), 80).convert("RGB")
    assert sum(text_map(make_shot(bytearray(noise.tobytes("raw", "BGRX")), 640, 320)).ink) == 0


def test_a_guide_beside_the_text_does_not_hide_it() -> None:
    shot = painted(640, 320, 13, dict.fromkeys(range(10, 300, 22), LINE))
    with_guides = bytearray(shot.pixels)
    for x in (70, 90, 130):
        for row in range(320):
            with_guides[(row * 640 + x) * 4 : (row * 640 + x) * 4 + 3] = b"\x90\x90\x90"
    plain, guided = text_map(shot), text_map(replace(shot, pixels=with_guides))
    assert sum(guided.ink) >= 0.8 * sum(plain.ink)


def test_a_changed_spot_of_small_text_is_shown_in_full_size() -> None:
    shot = full(12)
    [part] = details(shot, changed(shot, (1100, 700, 300, 60)), AUTO, most=1)
    left, top, width, height = part.source.rect
    assert part.source.kind == "region"
    assert left <= 1100
    assert top <= 700
    assert left + width >= 1400
    assert top + height >= 760
    assert part.scale == 1.0
    assert same_pixels(part, shot)
    assert expected_image_tokens(part.width, part.height) <= 323
    assert part.grab_ms == 0.0, "one grab, told by the whole"
    assert (part.epoch, part.captured_at) == (shot.epoch, shot.captured_at)


def test_two_parts_of_one_frame_have_hashes_of_their_own() -> None:
    shot = make_shot(text_frame(1920, 1080, 1), 1920, 1080)
    first, second = details(shot, None, AUTO, most=2)
    assert first.source.rect != second.source.rect
    assert first.hash != second.hash


@pytest.mark.parametrize(
    ("shot", "change"),
    [
        (full(30), None),
        (full(10, 900, 500), None),
        (Canvas(1920, 1080).shot(), None),
        (full(12), Change(Tiles(30, 34))),
    ],
    ids=["large letters", "a screen that is not reduced", "no text", "nothing changed"],
)
def test_no_part_where_it_gains_nothing(shot: Shot, change: Change | None) -> None:
    assert details(shot, change, AUTO, most=1) == ()


def test_a_change_without_text_gets_none() -> None:
    shot = painted(1920, 1080, 12, dict.fromkeys(range(10, 1000, 24), LINE))
    assert details(shot, changed(shot, (1200, 300, 600, 400)), AUTO, most=1) == ()
    assert details(shot, changed(shot, (40, 300, 400, 100)), AUTO, most=1) != ()


def test_when_all_is_new_the_window_that_is_used_counts() -> None:
    shot = full(12)
    [part] = details(shot, None, AUTO, most=1, focus=lambda: (1000, 500, 420, 300))
    assert part.source.rect[0] <= 1024
    assert 500 - 512 <= part.source.rect[1] <= 512
    [elsewhere] = details(shot, None, AUTO, most=1, focus=lambda: (9000, 9000, 10, 10))
    assert elsewhere == replace(details(shot, None, AUTO, most=1)[0], encode_ms=elsewhere.encode_ms)


def test_the_windows_are_not_asked_for_when_a_change_says_where() -> None:
    def never() -> Rect | None:
        raise AssertionError

    shot = full(10)
    assert details(shot, changed(shot, (40, 300, 400, 100)), AUTO, most=1, focus=never)


def test_a_monitor_elsewhere_on_the_desktop_with_more_pixels_than_its_place() -> None:
    shot = full(24, 3840, 2160)
    shot = replace(shot, source=Source("monitor", "HDMI-1", (1920, 100, 1920, 1080)))
    [part] = details(shot, None, AUTO, most=1)
    left, top, width, height = part.source.rect
    assert left >= 1920
    assert top >= 100
    assert left + width <= 3840
    assert top + height <= 1180
    assert expected_image_tokens(part.width, part.height) <= 323


def test_a_part_keeps_to_the_byte_budget_and_the_format() -> None:
    shot = make_shot(text_frame(1920, 1080, 1), 1920, 1080)
    [part] = details(shot, None, replace(AUTO, format="png"), most=1)
    assert part.media_type == "image/png"
    [small] = details(shot, None, replace(AUTO, max_bytes=20_000), most=1)
    assert len(small.data) <= 20_000
    with pytest.raises(PictureError):
        details(shot, None, replace(AUTO, max_bytes=1), most=1)


def test_a_damaged_frame_is_told() -> None:
    with pytest.raises(CaptureError, match="bytes instead of"):
        details(Shot(Source("monitor", "m", (0, 0, 1920, 1080)), b"ab", 1920, 1080, 0.0, 0), None, AUTO, most=1)


@given(st.integers(1, 300), st.integers(1, 300), st.binary(min_size=1, max_size=64))
@settings(max_examples=60, deadline=None)
def test_any_frame_has_a_map(width: int, height: int, some: bytes) -> None:
    size = width * height * 4
    shot = Shot(
        Source("monitor", "m", (0, 0, width, height)), (some * (size // len(some) + 1))[:size], width, height, 0, 0
    )
    text = text_map(shot)
    assert len(text.ink) == len(text.height_px) == text.columns * text.rows
    assert min(text.ink) >= 0
    assert all(5 <= height <= 40 for height, ink in zip(text.height_px, text.ink, strict=True) if ink)
