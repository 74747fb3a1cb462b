from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.errors import CaptureError
from hudd.model import Shot, Source
from hudd.screen.arrange import Raw, arranged, cut_out

PIXELS = bytes(range(96))  # 6 x 4 pixels of 4 bytes


def words(data: bytes, width: int) -> list[list[int]]:
    return np.frombuffer(data, "<u4").reshape(-1, width).tolist()


def test_a_plain_frame_is_not_copied() -> None:
    data, width, height = arranged(Raw(PIXELS, 1, 6, 4, 24))
    assert data is PIXELS
    assert (width, height) == (6, 4)


def test_padding_is_left_out() -> None:
    data, width, height = arranged(Raw(PIXELS, 0, 5, 4, 24))
    assert (width, height, len(data)) == (5, 4, 80)
    assert words(data, 5) == [row[:5] for row in words(PIXELS, 6)]


def test_the_last_row_may_come_first() -> None:
    data, _, _ = arranged(Raw(PIXELS, 1, 6, 4, 24, upside_down=True))
    assert words(data, 6) == words(PIXELS, 6)[::-1]


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (1, 0x00102030),
        (0x34324258, 0x00302010),
        (0x34324241, 0x00302010),
        (0x30335258, 0x10 << 22 | 0x20 << 12 | 0x30 << 2),
        (0x30334258, 0x30 << 22 | 0x20 << 12 | 0x10 << 2),
    ],
)
def test_every_format_becomes_blue_green_red(code: int, word: int) -> None:
    data, _, _ = arranged(Raw(word.to_bytes(4, "little"), code, 1, 1, 4))
    assert data[:3] == b"\x30\x20\x10"


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(CaptureError, match="0x99"):
        arranged(Raw(PIXELS, 0x99, 6, 4, 24))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200), st.integers(0, 7), st.binary(max_size=300))
def test_whatever_comes_is_a_whole_frame_or_an_error(
    width: int, height: int, stride: int, turn: int, data: bytes
) -> None:
    try:
        pixels, wide, high = arranged(Raw(data, 1, width, height, stride, turn))
    except CaptureError:
        return
    assert len(pixels) >= wide * high * 4
    assert {wide, high} == {width, height}


def test_a_part_is_cut_out_in_the_pixels_of_the_frame() -> None:
    """The frame has twice the pixels of its place on the desktop."""
    shot = Shot(Source("monitor", "m", (100, 50, 3, 2)), PIXELS, 6, 4, 1.0, 7)
    part = cut_out(shot, Source("region", "region", (101, 51, 2, 1)))
    assert (part.width, part.height, part.epoch, part.source.name) == (4, 2, 7, "region")
    assert words(bytes(part.pixels), 4) == [row[2:6] for row in words(PIXELS, 6)[2:4]]


def test_a_part_outside_is_an_error() -> None:
    shot = Shot(Source("monitor", "m", (0, 0, 6, 4)), PIXELS, 6, 4, 1.0, 0)
    with pytest.raises(CaptureError, match="The region lies outside of the screen"):
        cut_out(shot, Source("region", "region", (6, 0, 10, 10)))
