from __future__ import annotations

import io
import logging
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hudd.errors import CaptureError, NoDisplayError, PictureError
from hudd.screen.pictures import PictureFolder, list_pictures, read_picture
from tests.fakes.clock import ManualClock

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def paint(folder: Path, name: str, colour: tuple[int, int, int], size: tuple[int, int] = (8, 4)) -> Path:
    path = folder / name
    Image.new("RGB", size, colour).save(path)
    return path


def shown(screen: PictureFolder) -> tuple[int, int, int]:
    """The colour on the screen now."""
    (source,) = screen.sources()
    assert (source.kind, source.name) == ("monitor", "pictures")
    pixels = screen.grab(source, epoch=0, captured_at=0.0).pixels
    return pixels[2], pixels[1], pixels[0]


async def test_files_are_shown_in_order_each_for_its_time_and_the_last_stays(tmp_path: Path) -> None:
    paint(tmp_path, "b.png", GREEN)
    paint(tmp_path, "a.png", RED)
    clock = ManualClock()
    screen = PictureFolder(tmp_path, 5.0, clock)
    assert shown(screen) == RED
    await clock.advance(4.9)
    assert shown(screen) == RED
    await clock.advance(0.2)
    assert shown(screen) == GREEN
    await clock.advance(500)
    assert shown(screen) == GREEN


async def test_a_picture_that_is_dropped_in_is_shown_whatever_its_name(tmp_path: Path) -> None:
    paint(tmp_path, "m.png", RED)
    clock = ManualClock()
    screen = PictureFolder(tmp_path, 5.0, clock)
    assert shown(screen) == RED
    await clock.advance(60)
    paint(tmp_path, "a.png", BLUE)
    assert shown(screen) == BLUE
    await clock.advance(60)
    assert shown(screen) == BLUE


async def test_a_file_that_is_written_again_is_shown_again(tmp_path: Path) -> None:
    path = paint(tmp_path, "a.png", RED)
    clock = ManualClock()
    screen = PictureFolder(tmp_path, 5.0, clock)
    assert shown(screen) == RED
    await clock.advance(10)
    paint(tmp_path, "a.png", BLUE)
    os.utime(path, ns=(1, 1))
    assert shown(screen) == BLUE


async def test_a_file_that_is_no_picture_is_passed_over_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    paint(tmp_path, "b.png", GREEN)
    clock = ManualClock()
    screen = PictureFolder(tmp_path, 5.0, clock)
    with caplog.at_level(logging.WARNING, "hudd.screen"):
        assert shown(screen) == GREEN
        await clock.advance(60)
        assert shown(screen) == GREEN
    assert [record.message.split()[0] for record in caplog.records] == ["a.png"]


async def test_a_picture_that_is_dropped_in_slowly_is_shown_when_it_is_whole(tmp_path: Path) -> None:
    whole = paint(tmp_path, "whole.png", BLUE, (64, 64)).read_bytes()
    (tmp_path / "whole.png").unlink()
    clock = ManualClock()
    screen = PictureFolder(tmp_path, 5.0, clock)
    (tmp_path / "a.png").write_bytes(whole[:60])
    with pytest.raises(NoDisplayError, match="no picture that can be read"):
        screen.sources()
    (tmp_path / "a.png").write_bytes(whole)
    assert shown(screen) == BLUE


async def test_pictures_of_different_sizes_change_the_source(tmp_path: Path) -> None:
    paint(tmp_path, "a.png", RED, (8, 4))
    paint(tmp_path, "b.png", GREEN, (20, 10))
    clock = ManualClock()
    screen = PictureFolder(tmp_path, 1.0, clock)
    (first,) = screen.sources()
    await clock.advance(2)
    shot = screen.grab(first, epoch=3, captured_at=4.0)
    assert (shot.width, shot.height, shot.source.rect, shot.epoch, shot.captured_at) == (20, 10, (0, 0, 20, 10), 3, 4.0)


def test_no_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="There is no folder") as caught:
        PictureFolder(tmp_path / "nowhere", 5.0, ManualClock())
    assert not isinstance(caught.value, NoDisplayError)


async def test_a_folder_that_vanishes_is_a_display_that_went_away(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    clock = ManualClock()
    screen = PictureFolder(folder, 5.0, clock)
    with pytest.raises(NoDisplayError, match="Put PNG or JPEG"):
        screen.sources()
    folder.rmdir()
    with pytest.raises(NoDisplayError, match="cannot be read"):
        screen.sources()
    folder.mkdir()
    paint(folder, "a.png", RED)
    assert shown(screen) == RED


def test_only_plain_picture_files_are_listed(tmp_path: Path) -> None:
    paint(tmp_path, "a.png", RED)
    paint(tmp_path, ".hidden.png", RED)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    assert [file.name for file in list_pictures(tmp_path)] == ["a.png"]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "LA", "I;16"])
def test_any_kind_of_picture_becomes_four_bytes_a_pixel(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (7, 3)).save(tmp_path / "a.png")
    pixels, width, height = read_picture(tmp_path / "a.png")
    assert (len(pixels), width, height) == (84, 7, 3)


def test_a_picture_that_is_too_large_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    Image.new("1", (9000, 8000)).save(tmp_path / "a.png")
    with pytest.raises(PictureError, match="9000x8000"):
        read_picture(tmp_path / "a.png")


def test_programs_are_not_started_for_odd_formats(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    with pytest.raises(PictureError):
        read_picture(tmp_path / "a.png")


def read_or_refuse(path: Path) -> None:
    """Every file is either a whole picture or one sentence; anything else that is raised fails the test."""
    try:
        pixels, width, height = read_picture(path)
    except PictureError as error:
        sentence = str(error)
    else:
        sentence = ""
        assert len(pixels) == width * height * 4
    assert "\n" not in sentence


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"P6 "])
)
@settings(max_examples=80, deadline=None)
def test_no_bytes_do_more_than_fail(data: bytes, start: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.png")
        path.write_bytes(start + data)
        read_or_refuse(path)


@given(
    st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM"]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    st.integers(0, 10_000),
)
@settings(max_examples=120, deadline=None)
def test_no_damaged_picture_does_more_than_fail(form: str, edits: list[tuple[int, int]], keep: int) -> None:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(out, form)
    data = bytearray(out.getvalue())
    for at, value in edits:
        data[at % len(data)] = value
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.png")
        path.write_bytes(data[: max(1, keep % len(data))] if keep % 3 == 0 else data)
        read_or_refuse(path)


def test_it_has_neither_damage_nor_windows(tmp_path: Path) -> None:
    screen = PictureFolder(tmp_path, 5.0, ManualClock())
    assert (screen.damage_fd(), screen.take_damage(), screen.window_rect(5)) == (None, (), None)
    assert str(tmp_path) in screen.status().backend
    screen.close()
    screen.close()
