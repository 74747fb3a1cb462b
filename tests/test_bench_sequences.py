"""Sequences of real pictures: printed beside the gate's figures, or judged by text recognition."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from hudd.engine.ocr import best_reader
from tests.bench import sequences
from tests.bench.rows import NO_BAR
from tests.bench.sequences import Pair, bench_sequences, differing, judged, main, pairs

WORDS = "Larkspur writes a whole line of words here and another clause follows"


def screen(lines: int, *, cursor: int = 0) -> Image.Image:
    """A white screen with so many lines of twelve words, and a small block in another place each time."""
    image = Image.new("RGB", (900, 400), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    for row in range(lines):
        draw.text((20, 20 + 40 * row), WORDS, fill=0, font=ImageFont.load_default(18))
    draw.rectangle((40 * cursor, 380, 40 * cursor + 8, 396), fill=(0, 0, 0))
    return image


def save(folder: Path, *images: Image.Image) -> None:
    folder.mkdir()
    for number, image in enumerate(images):
        image.save(folder / f"{number}.png")


def test_each_folder_of_pictures_is_a_row_with_the_gates_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "typing", screen(0), screen(1), screen(1), screen(2))
    (tmp_path / "typing" / "9.png").write_text("no picture")
    (tmp_path / "alone.png").write_text("no sequence")
    monkeypatch.setenv("HUDD_SCREENS", str(tmp_path))
    (row,) = bench_sequences()
    assert (row.name, row.measured, row.bar) == ("gate, sent of the sequence typing", 60.0, NO_BAR)
    assert row.how == "3 of 5; changed 2, first 1, same 1, no picture 1"


def test_without_a_folder_there_is_none() -> None:
    assert bench_sequences() == []


def test_words_that_came_or_went_tell_what_was_to_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if best_reader().name != "tesserocr":
        pytest.skip("Tesseract or its data is not installed")
    save(tmp_path / "work", screen(1), screen(1, cursor=12), screen(3), screen(3, cursor=12), screen(1))
    reader = sequences.WordReader()
    told = list(pairs(tmp_path / "work", reader))
    assert [(pair.file, pair.before, pair.action) for pair in told] == [
        ("1.png", "0.png", "same"),
        ("2.png", "0.png", "send"),
        ("3.png", "2.png", "same"),
        ("4.png", "2.png", "send"),
    ]
    assert [pair.words for pair in told] == [0, 22, 0, 22]  # "a" is no word: it is too short to be sure of
    monkeypatch.setenv("HUDD_SEQUENCES", str(tmp_path))
    missed, sent = bench_sequences()
    assert (missed.measured, sent.measured) == (0.0, 0.0)
    # A gate that sends nothing misses all of it, and it is told which.
    monkeypatch.setattr(
        sequences, "pairs", lambda _folder, _reader: [Pair("work", "2.png", "0.png", "same", "cursor", 22)]
    )
    assert [row.word for row in bench_sequences()] == ["over", "ok"]
    main(["--save", str(tmp_path / "seen"), "--json", str(tmp_path / "all.json")])
    assert "held back: work 0.png 2.png: 22 words, cursor" in capsys.readouterr().out
    with Image.open(tmp_path / "seen" / "work-2.png") as both:
        assert both.size == (1800, 400)


def test_the_bars_count_many_words_and_none() -> None:
    def pair(words: int, action: str) -> Pair:
        return Pair("a", "b", "c", action, "changed", words)

    told = [pair(10, "send"), pair(12, "same"), pair(9, "same"), pair(0, "same"), pair(0, "same"), pair(0, "send")]
    missed, sent = judged(told)
    assert missed.measured == 50.0
    assert sent.measured == pytest.approx(33.3, abs=0.1)
    assert "1 changes of 1 to 9 words" in missed.how


def test_what_differs_is_boxed_and_noise_is_not() -> None:
    before, after = screen(0), screen(0, cursor=20)
    assert differing(before, before.point(lambda value: max(0, value - 20))) == []
    assert sorted(differing(before, after)) == [(0, 340, 56, 400), (776, 340, 856, 400)]
    assert differing(before, before.crop((0, 0, 800, 300))) == [(0, 0, 800, 300)]
