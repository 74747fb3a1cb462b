"""The text readers, with the real libraries: what they read, that they stop in time, and how they are chosen."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from hudd.engine import ocr
from hudd.engine.errors import ReaderError
from hudd.engine.findings import Area
from hudd.engine.ocr import (
    GreySheet,
    NoReader,
    TextReader,
    best_reader,
    find_tessdata,
    lines_of_tsv,
    mended,
    reader_advice,
)
from hudd.engine.picture import Page, clearest, dark_on_white, decode, find_segments

LINES = [
    "Quarterly report of the larkspur project",
    "error: cannot find crate serde",
    "Total 1042 items in 17 folders",
    "Please review the invoice before Friday",
]


def page_of(lines: Sequence[str], *, dark: bool = False, size: int = 17, kind: str = "PNG") -> Page:
    image = Image.new("RGB", (900, 60 + 40 * len(lines)), (22, 24, 35) if dark else (252, 252, 250))
    pen = ImageDraw.Draw(image)
    for n, text in enumerate(lines):
        pen.text(
            (40, 30 + 40 * n), text, fill=(200, 205, 160) if dark else (30, 30, 60), font=ImageFont.load_default(size)
        )
    data = io.BytesIO()
    image.save(data, kind)
    return decode(data.getvalue(), f"image/{kind.lower()}")


def load(name: str) -> TextReader:
    try:
        return best_reader(name)
    except ReaderError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{error}")


def words_of(reader: TextReader, page: Page) -> list[str]:
    sheet = reader.find_lines(page)
    found = reader.read_lines(sheet, sheet.areas, time.monotonic() + 60)
    assert all(lines is not None for lines in found)
    return [line.text for lines in found for line in lines or ()]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tesserocr", "rapidocr"])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_readers_read_light_and_dark_screens(name: str, dark: bool, kind: str):
    read = [text.replace(" ", "") for text in words_of(load(name), page_of(LINES, dark=dark, kind=kind))]
    assert read == [text.replace(" ", "") for text in LINES]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tesserocr", "rapidocr"])
def test_lines_stand_where_they_are_on_the_picture(name: str):
    reader = load(name)
    sheet = reader.find_lines(page_of(LINES))
    (lines,) = reader.read_lines(sheet, sheet.areas[1:2], time.monotonic() + 60)
    assert lines is not None
    (line,) = lines
    assert abs(line.left - 40) < 8
    assert abs(line.top - 74) < 10
    assert 150 < line.width < 320
    assert 0.7 < line.confidence <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tesserocr", "rapidocr"])
def test_nothing_is_begun_after_the_deadline(name: str):
    reader = load(name)
    sheet = reader.find_lines(page_of(LINES))
    assert reader.read_lines(sheet, sheet.areas, time.monotonic() - 1) == [None] * len(LINES)
    assert reader.read_lines(sheet, [], time.monotonic() + 1) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tesserocr", "rapidocr"])
def test_areas_without_text_do_no_harm(name: str):
    reader = load(name)
    noise = np.random.default_rng(7).integers(0, 255, (200, 400), dtype=np.uint8)
    sheet = GreySheet(noise, [])
    areas = [Area(0, 0, 5, 5), Area(390, 190, 10, 10), Area(10, 10, 300, 20), Area(0, 0, 400, 90), Area(0, 0, 1, 1)]
    found = reader.read_lines(sheet, areas, time.monotonic() + 60)
    assert all(lines is not None for lines in found)


def test_without_libraries_nothing_is_read():
    reader = best_reader("none")
    assert isinstance(reader, NoReader)
    sheet = reader.find_lines(page_of(LINES))
    assert list(sheet.areas) == []
    assert reader.read_lines(sheet, [Area(0, 0, 9, 9)], 0.0) == [None]


def test_an_unknown_reader_is_refused():
    with pytest.raises(ReaderError, match="no text reader 'magic'"):
        best_reader("magic")


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(ocr, "_installed", lambda name: name in names)


def test_a_reader_asked_for_by_name_is_not_replaced(monkeypatch: pytest.MonkeyPatch):
    installed(monkeypatch)
    with pytest.raises(ReaderError, match=r"tesserocr is not installed\. Install hudd\[local\]"):
        best_reader("tesserocr")
    assert best_reader("auto").name == "none"


def test_advice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(ocr, "find_tessdata", lambda: None)
    installed(monkeypatch)
    assert reader_advice() == "Install hudd[local] to read the text."
    installed(monkeypatch, "rapidocr", "onnxruntime")
    assert "tesseract-ocr-eng" in (reader_advice() or "")
    installed(monkeypatch, "tesserocr")
    assert "eng.traineddata" in (reader_advice() or "")
    monkeypatch.setattr(ocr, "find_tessdata", lambda: tmp_path)
    assert reader_advice() is None


@pytest.mark.parametrize("below", [".", "tessdata"])
def test_the_language_file_is_found_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, below: str
):
    folder = tmp_path / below
    folder.mkdir(exist_ok=True)
    (folder / "eng.traineddata").touch()
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
    found = find_tessdata()
    assert found is not None
    assert found.resolve() == folder.resolve()


def tsv_row(word: str, confidence: float, left: int = 10, line: int = 1) -> str:
    return "\t".join(map(str, (5, 1, 1, 1, line, 1, left, 10, 40, 20, confidence, word)))


def test_words_become_lines_in_the_pixels_of_the_picture():
    tsv = "\n".join([tsv_row("Hello", 95), tsv_row("world", 85, left=60), tsv_row("below", 90, line=2)])
    first, second = lines_of_tsv(tsv, (100, 200), 2.0)
    assert first.text == "Hello world"
    assert (first.left, first.top, first.width, first.height) == (100, 200, 45, 10)
    assert first.confidence == pytest.approx(0.9)
    assert second.text == "below"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([("@7:30", 90), ("2048@", 90), ("sleep", 95), ("@.5;", 90)], "07:30 20480 sleep 0.5;"),
        ([("ada@box", 95), ("@ada", 95)], "ada@box @ada"),
        ([("®", 90), ("main.py", 91), ("x", 60)], "main.py"),
        ([("©", 30), ("|", 90)], ""),
        ([("$", 70), ("ls", 95)], "$ ls"),
        ([("A", 95), ("line", 95)], "A line"),
        ([("oo", 40), ("line", 95)], "line"),
    ],
)
def test_marks_that_icons_leave_are_dropped(words: list[tuple[str, float]], text: str):
    lines = lines_of_tsv("\n".join(tsv_row(word, confidence) for word, confidence in words), (0, 0), 1.0)
    assert " ".join(line.text for line in lines) == text


@pytest.mark.parametrize(
    ("read", "meant"),
    [
        ("[main 4cle9ab] Apply", "[main 4c1e9ab] Apply"),
        ("8d20f71..4cle9ab main", "8d20f71..4c1e9ab main"),
        ("commit 4cle9ab", "commit 4c1e9ab"),
        ("label24 and cable100 of allocated", "label24 and cable100 of allocated"),
        ("the file 2018-10-10.log", "the file 2018-10-10.log"),
        ("build \u00ab tidewater", "build - tidewater"),
        ("\u00ab build \u00bb", "\u00ab build \u00bb"),
    ],
)
def test_what_recognition_always_gets_wrong_is_put_right(read: str, meant: str):
    assert mended(read) == meant


def tsv(*words: tuple[str, float]) -> str:
    rows = [f"5\t1\t1\t1\t1\t{n}\t{40 * n}\t10\t30\t12\t{100 * c:.0f}\t{text}" for n, (text, c) in enumerate(words, 1)]
    return "\n".join(rows)


def test_a_figure_at_an_end_is_never_left_out():
    for words in (
        [("1", 0.5), ("920", 0.9)],
        [("1", 0.4), ("test", 0.9), ("failed", 0.9)],
        [("column", 0.9), ("4", 0.3)],
    ):
        (found,) = lines_of_tsv(tsv(*words), (0, 0), 1.0)
        assert found.text == " ".join(text for text, _ in words)
    (found,) = lines_of_tsv(tsv(("x", 0.5), ("fares", 0.9)), (0, 0), 1.0)
    assert found.text == "fares"


def colours(*parts: tuple[int, tuple[int, int, int], tuple[int, int, int], str]) -> Page:
    """A line of text over windows side by side: left edge, paper, ink, words."""
    image = Image.new("RGB", (800, 300))
    pen = ImageDraw.Draw(image)
    for left, paper, ink, words in parts:
        pen.rectangle((left, 0, 800, 300), fill=paper)
        pen.text((left + 4, 120), words, fill=ink, font=ImageFont.load_default(17))
    data = io.BytesIO()
    image.save(data, "PNG")
    return decode(data.getvalue(), "image/png")


def test_a_line_ends_where_another_window_begins():
    dark, light = (24, 25, 30), (251, 250, 246)
    page = colours(
        (0, dark, (220, 220, 220), "expected fare of the child ti"), (220, light, dark, "Fares are kept in cents")
    )
    areas = find_segments(np.asarray(page.grey))
    assert len(areas) == 2
    assert abs(areas[0].left + areas[0].width - 220) <= 2
    one_window = colours((0, light, dark, "expected fare of the child ticket Fares are kept in cents"))
    assert len(find_segments(np.asarray(one_window.grey))) == 1


def test_coloured_letters_are_read_on_the_plane_where_they_stand_out():
    area = Area(0, 110, 400, 40)
    for ink, better in (((205, 0, 0), True), ((0, 205, 0), False), ((220, 220, 220), False)):
        page = colours((0, (24, 25, 30), ink, "one test failed"))
        assert page.red is not None
        grey, red = np.asarray(page.grey), np.asarray(page.red)
        assert (clearest(grey, red, area) is red) == better
        assert clearest(grey, None, area) is grey


def test_a_shadow_does_not_count_as_ink():
    strip = np.full((20, 200), 165, dtype=np.uint8)
    strip[5:15, 50:150:4] = 255
    strip[6:16, 51:151:4] = 100
    strip[5:15, 52:152:4] = 255
    ink = dark_on_white(strip, Area(0, 5, 200, 10), 3)
    assert ink[7, 50 - 0] < 60
    assert ink[7, 51] > 200
