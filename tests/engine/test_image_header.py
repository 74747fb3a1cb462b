from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hudd.engine.image_header import ImageHeader, read_header
from tests.fakes.engine import jpeg_head, png

SIDES = st.integers(1, 65_535)


@given(SIDES, SIDES)
def test_the_size_of_a_jpeg(width: int, height: int) -> None:
    assert read_header(jpeg_head(width, height)) == ImageHeader("image/jpeg", width, height)


@given(st.integers(1, 400), st.integers(1, 40))
def test_the_size_of_a_png(width: int, height: int) -> None:
    assert read_header(png(width, height)) == ImageHeader("image/png", width, height)


def test_fill_bytes_and_bare_markers_are_passed_over() -> None:
    head = jpeg_head(640, 480)
    assert read_header(head[:2] + b"\xff\xff\xff\x01" + head[2:]) == ImageHeader("image/jpeg", 640, 480)


def test_tables_before_the_frame_are_passed_over() -> None:
    head = jpeg_head(640, 480)
    table = b"\xff\xc4\x00\x04\x00\x00"
    assert read_header(head[:2] + table + head[2:]) == ImageHeader("image/jpeg", 640, 480)


def test_no_side_is_zero() -> None:
    assert read_header(jpeg_head(0, 5)) is None
    assert read_header(jpeg_head(5, 0)) is None
    assert read_header(png(5, 5)[:16] + bytes(8) + png(5, 5)[24:]) is None


@given(st.binary(max_size=80), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0"]))
def test_garbage_is_none_or_a_possible_size(data: bytes, start: bytes) -> None:
    header = read_header(start + data)
    assert header is None or (1 <= header.width <= 65_535 and 1 <= header.height <= 65_535)


@given(st.integers(0, 60))
def test_a_cut_head_never_raises(length: int) -> None:
    for whole in (jpeg_head(640, 480), png(640, 480)):
        header = read_header(whole[:length])
        assert header is None or (header.width, header.height) == (640, 480)
