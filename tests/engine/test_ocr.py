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
from hudd.engine.ocr import GreySheet, NoReader, TextReader, best_reader, find_tessdata, lines_of_tsv, reader_advice
from hudd.engine.picture import Page, decode

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
