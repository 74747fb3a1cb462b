from __future__ import annotations

import io
import random
import threading
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hudd.config.settings import PictureSettings
from hudd.errors import CaptureError, PictureError
from hudd.model import Shot, Source
from hudd.screen.change import TILE_HEIGHT_PX, TILE_WIDTH_PX
from hudd.screen.pixels import Fingerprint, compare, encode, fingerprint, scaled, uniform
from tests.fakes.clock import ManualClock
from tests.fakes.screen import Canvas


def noise(width: int, height: int, seed: int = 1, rect: tuple[int, int, int, int] | None = None) -> Shot:
    pixels = random.Random(seed).randbytes(width * height * 4)
    return Shot(Source("monitor", "noise", rect or (0, 0, width, height)), pixels, width, height, 5.0, 7, 3.0)


def differ(before: Canvas, after: Canvas, **options: object):
    old = fingerprint(before.shot())
    return compare(fingerprint(after.shot(), old), old, **options)  # pyright: ignore[reportArgumentType]


def test_equal_frames_have_equal_hashes_and_no_change() -> None:
    first, second = fingerprint(noise(200, 100)), fingerprint(noise(200, 100))
    assert first.hash == second.hash
    assert len(first.hash) == 16
    assert not compare(second, first).tiles
    assert not compare(second, first).subtle


@given(st.integers(0, 199), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_no_pixel_changes_without_its_band(column: int, row: int) -> None:
    shot = noise(200, 100)
    before = fingerprint(shot)
    changed = bytearray(shot.pixels)
    changed[row * 200 * 4 + column * 4] ^= 1
    after = fingerprint(replace(shot, pixels=changed), before)
    bands = zip(after.bands, before.bands, strict=True)
    assert [index for index, (new, old) in enumerate(bands) if new != old] == [row // TILE_HEIGHT_PX]


def test_the_hash_is_that_of_the_frame_whatever_came_before() -> None:
    shot, other = noise(200, 100, 1), noise(200, 100, 2)
    assert fingerprint(shot, fingerprint(other)).hash == fingerprint(shot).hash != fingerprint(other).hash


def test_equal_frames_after_a_change_are_equal() -> None:
    changed = fingerprint(noise(200, 100, 2), fingerprint(noise(200, 100, 1)))
    again = fingerprint(noise(200, 100, 2), changed)
    third = fingerprint(noise(200, 100, 2), again)
    for earlier, later in ((changed, again), (again, third), (changed, third)):
        assert not compare(later, earlier, luma_step=1).tiles
    assert third.bands == again.bands
    assert third.samples is again.samples


def test_a_pixel_that_hardly_changes_is_subtle_and_no_news() -> None:
    change = differ(Canvas(), Canvas().fill((100, 100, 40, 40), 0xF8F8F8))
    assert change.subtle
    assert (change.tiles.count, change.patches, change.rect) == (0, 0, None)


@pytest.mark.parametrize(
    ("colour", "ground"),
    [
        *((colour, 0xFFFFFF) for colour in (0x000000, 0x999999, 0xCD0000, 0x0000EE, 0x00CD00)),
        *((colour, 0x101014) for colour in (0xFFFFFF, 0x777777, 0xCD0000, 0x0000EE, 0x00CD00)),
    ],
)
def test_a_line_of_text_in_any_colour_is_seen_where_it_is(colour: int, ground: int) -> None:
    change = differ(Canvas(colour=ground), Canvas(colour=ground).write(201, 99, 40, colour))
    assert change.patches >= 4
    assert change.rect is not None
    left, top, width, height = change.rect
    assert 190 <= left <= 220
    assert 92 <= top <= 104
    assert 280 <= width <= 332
    assert height <= 24


@given(st.integers(0, 560), st.integers(0, 290))
@settings(max_examples=60, deadline=None)
def test_a_cursor_is_one_patch_wherever_the_grid_cuts_it(left: int, top: int) -> None:
    change = differ(Canvas(), Canvas().fill((left, top, 9, 17), 0))
    assert change.patches == 1
    assert 1 <= change.tiles.count <= 4


def test_a_cursor_and_a_clock_are_one_patch_and_many_small_spots_are_more() -> None:
    two = Canvas().fill((60, 30, 9, 17), 0).fill((500, 250, 61, 14), 0)
    assert differ(Canvas(), two).patches == 1
    many = Canvas()
    for spot in range(5):
        many.fill((10 + 128 * spot, 10 + 64 * (spot % 4), 30, 14), 0)
    assert differ(Canvas(), many).patches == 2


@given(st.integers(1, 200), st.integers(1, 120), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_frames_of_any_size_can_be_compared(width: int, height: int, seed: int) -> None:
    before, after = fingerprint(noise(width, height, seed)), fingerprint(noise(width, height, seed + 1))
    change = compare(after, before, luma_step=1)
    assert (change.tiles.columns, change.tiles.rows) == (-(-width // TILE_WIDTH_PX), -(-height // TILE_HEIGHT_PX))
    assert change.patches <= change.tiles.columns * change.tiles.rows
    if change.rect is not None:
        left, top, wide, high = change.rect
        assert 0 <= left < left + wide <= width
        assert 0 <= top < top + high <= height


@given(st.integers(0, 500), st.integers(0, 250), st.integers(8, 130), st.integers(8, 70))
@settings(max_examples=60, deadline=None)
def test_changed_tiles_are_those_that_the_change_meets(left: int, top: int, width: int, height: int) -> None:
    change = differ(Canvas(), Canvas().fill((left, top, width, height), 0))
    for row, column in change.tiles:
        assert column * TILE_WIDTH_PX < left + width
        assert (column + 1) * TILE_WIDTH_PX > left
        assert row * TILE_HEIGHT_PX < top + height
        assert (row + 1) * TILE_HEIGHT_PX > top
    # White to black shows in any channel, so every tile that holds a sample of the change must be found.
    sampled = {
        (y // TILE_HEIGHT_PX, x // TILE_WIDTH_PX)
        for y in range(-(-top // 4) * 4, min(320, top + height), 4)
        for x in range(-(-left // 4) * 4, min(640, left + width), 4)
    }
    assert set(change.tiles) == sampled


def test_a_fingerprint_made_from_the_one_before_equals_one_made_alone() -> None:
    before = fingerprint(Canvas().shot())
    after = Canvas().write(50, 70, 30).shot()
    step, alone = fingerprint(after, before), fingerprint(after)
    assert (step.samples == alone.samples).all()
    assert (before.samples == fingerprint(Canvas().shot()).samples).all()


def test_a_fingerprint_is_small_and_holds_no_frame() -> None:
    shot = noise(1920, 1080)
    print_ = fingerprint(shot)
    assert print_.samples.base is None
    assert print_.samples.nbytes * 60 < len(shot.pixels)
    assert fingerprint(shot, print_).samples is print_.samples


def test_ignored_rectangles_hide_what_changes_inside_and_nothing_else() -> None:
    after = Canvas().write(100, 100, 20)
    hidden = differ(Canvas(), after, ignored=[(90, 90, 200, 40)])
    assert (hidden.tiles.count, hidden.ignored, hidden.subtle) == (0, True, False)
    beside = differ(Canvas(), after.write(400, 100, 20), ignored=[(90, 90, 200, 40)])
    assert beside.ignored
    assert beside.rect is not None
    assert beside.rect[0] >= 396
    assert not differ(Canvas(), Canvas().write(400, 100, 20), ignored=[(-50, -50, 60, 60), (5000, 0, 9, 9)]).ignored


def test_ignored_rectangles_are_in_desktop_pixels() -> None:
    def at(canvas: Canvas, rect: tuple[int, int, int, int]) -> Fingerprint:
        shot = canvas.shot()
        return fingerprint(replace(shot, source=Source("monitor", "right", rect)))

    # The second monitor, and one with two pixels for each point of the desktop.
    for rect, ignored in (((640, 0, 640, 320), (730, 90, 200, 40)), ((640, 0, 320, 160), (685, 45, 100, 20))):
        before, after = at(Canvas(), rect), at(Canvas().write(100, 100, 20), rect)
        assert compare(after, before, ignored=[ignored]).ignored
        assert not compare(after, before, ignored=[ignored]).tiles
        change = compare(after, before)
        assert change.rect is not None
        assert rect[0] <= change.rect[0]
        assert change.rect[0] + change.rect[2] <= rect[0] + rect[2]


def test_another_size_is_another_screen() -> None:
    change = compare(fingerprint(Canvas(320, 200).shot()), fingerprint(Canvas().shot()))
    assert change.fraction == 1.0
    assert change.tiles.count == change.patches == 5 * 7


@pytest.mark.parametrize(
    ("canvas", "word"),
    [
        (Canvas(colour=0), "black"),
        (Canvas(colour=0x2B4B6F), "one-coloured"),
        (Canvas(colour=0).fill((301, 203, 1, 1), 0x010101), ""),
        (Canvas(colour=0xFF000000), "black"),
    ],
)
def test_one_coloured_frames_are_known(canvas: Canvas, word: str) -> None:
    assert uniform(canvas.shot()) == word


@pytest.mark.parametrize("work", [fingerprint, uniform, lambda shot: encode(shot, PictureSettings())])
def test_a_frame_of_the_wrong_length_is_refused(work: object) -> None:
    with pytest.raises(CaptureError, match="bytes instead of 20x10x4"):
        work(Shot(Source("monitor", "x", (0, 0, 20, 10)), bytes(799), 20, 10, 0.0, 0))  # type: ignore[operator]


# Pictures


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def test_colours_come_out_as_they_were() -> None:
    canvas = Canvas(colour=0xFFFFFF).fill((0, 0, 320, 320), 0xE02010)
    for form in ("png", "jpeg"):
        picture = opened(encode(canvas.shot(), PictureSettings(format=form)).data).convert("RGB")
        for got, wanted in (
            (picture.getpixel((40, 40)), (0xE0, 0x20, 0x10)),
            (picture.getpixel((600, 40)), (255,) * 3),
        ):
            assert isinstance(got, tuple)
            assert all(abs(a - b) <= 4 for a, b in zip(got, wanted, strict=True))


@pytest.mark.parametrize(
    ("size", "long_side", "expected"),
    [
        ((1920, 1080), 1280, (1280, 720)),
        ((3840, 2160), 1280, (1280, 720)),
        ((1080, 1920), 1280, (720, 1280)),
        ((640, 320), 1280, (640, 320)),
        ((3000, 10), 256, (256, 1)),
        ((2560, 1440), 1280, (1280, 720)),
    ],
)
def test_the_longest_side_is_what_the_settings_say(
    size: tuple[int, int], long_side: int, expected: tuple[int, int]
) -> None:
    for half_colour in (False, True):
        assert scaled(Canvas(*size).shot(), long_side, half_colour=half_colour).size == expected


@given(st.integers(1, 900), st.integers(1, 900), st.integers(256, 800))
@settings(max_examples=40, deadline=None)
def test_any_frame_fits_the_longest_side(width: int, height: int, long_side: int) -> None:
    shot = Shot(Source("monitor", "x", (0, 0, width, height)), bytes(width * height * 4), width, height, 0.0, 0)
    for half_colour in (False, True):
        got = scaled(shot, long_side, half_colour=half_colour).size
        assert max(got) == min(long_side, max(width, height))
        assert min(got) >= 1


@pytest.mark.parametrize("size", [(960, 480), (1281, 641), (1920, 1080), (2001, 1001)])
@pytest.mark.parametrize("long_side", [640, 641, 900])
def test_colours_at_half_resolution_stay_true(size: tuple[int, int], long_side: int) -> None:
    canvas = Canvas(*size, colour=0xF4F0E8).fill((0, 0, size[0] // 2, size[1]), 0x205090)
    canvas.fill((size[0] // 2 + 40, 40, 200, 200), 0xCC2010)
    whole = scaled(canvas.shot(), long_side)
    half = scaled(canvas.shot(), long_side, half_colour=True).convert("RGB")
    for x in range(0, whole.width, 7):
        for y in range(0, whole.height, 7):
            # Right at an edge colours may bleed by a pixel; everywhere else both ways agree.
            area = whole.crop((x - 4, y - 4, x + 5, y + 5)).getextrema()
            if all(high - low <= 2 for low, high in area):  # type: ignore[operator,misc]
                pairs = zip(whole.getpixel((x, y)), half.getpixel((x, y)), strict=True)  # type: ignore[arg-type]
                assert all(abs(a - b) <= 4 for a, b in pairs)


def test_a_picture_tells_where_it_came_from() -> None:
    clock = ManualClock()
    shot = noise(1920, 1080, rect=(1920, 0, 1920, 1080))
    picture = encode(shot, PictureSettings(), clock=clock)
    assert (picture.source, picture.captured_at, picture.epoch, picture.grab_ms) == (shot.source, 5.0, 7, 3.0)
    assert (picture.media_type, picture.width, picture.height, picture.scale) == ("image/jpeg", 1280, 720, 0.6667)
    assert picture.hash == fingerprint(shot).hash
    assert picture.encode_ms == 0.0
    assert opened(picture.data).size == (1280, 720)
    assert encode(shot, PictureSettings(), frame_hash="abc").hash == "abc"


def test_jpeg_has_half_the_colour_resolution() -> None:
    picture = opened(encode(noise(320, 200), PictureSettings()).data)
    assert picture.layer[0][1:3] == (2, 2)  # type: ignore[attr-defined]
    assert picture.layer[1][1:3] == (1, 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_the_byte_budget_is_kept_by_quality_first_and_size_then(form: str) -> None:
    shot = noise(900, 700)
    free = encode(shot, PictureSettings(format=form, max_bytes=4_000_000))
    assert free.width == 900
    tight = encode(shot, PictureSettings(format=form, max_bytes=len(free.data) // 2))
    assert tight.width == 900
    assert len(tight.data) <= len(free.data) // 2
    tiny = encode(shot, PictureSettings(format=form, max_bytes=60_000))
    assert len(tiny.data) <= 60_000
    assert 256 <= tiny.width < 900
    assert opened(tiny.data).size == (tiny.width, tiny.height)


def test_a_budget_that_cannot_be_kept_is_said() -> None:
    with pytest.raises(PictureError, match="does not fit into 2000 bytes"):
        encode(noise(900, 700), replace(PictureSettings(), max_bytes=2000))


def test_the_frame_is_neither_changed_nor_kept() -> None:
    shot = noise(640, 480)
    frame = bytearray(shot.pixels)
    encode(replace(shot, pixels=frame), PictureSettings())
    fingerprint(replace(shot, pixels=frame))
    assert frame == shot.pixels
    frame.clear()  # a view that somebody kept would forbid this


def test_other_threads_run_while_a_picture_is_made() -> None:
    shot, ticks, done = noise(3840, 2160), 0, threading.Event()

    def work() -> None:
        for _ in range(3):
            encode(shot, PictureSettings())
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    while not done.is_set():
        time.sleep(0.001)
        ticks += 1
    worker.join()
    # Three such pictures take 0.1 s and more; a held interpreter lock would leave a handful of ticks.
    assert ticks >= 15
