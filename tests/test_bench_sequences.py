"""Sequences of real pictures are printed beside the gate's figures, and judged by nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from tests.bench.gate_table import sequence_rows
from tests.bench.rows import NO_BAR


def test_each_folder_of_pictures_is_a_row_with_the_gates_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequence = tmp_path / "typing"
    sequence.mkdir()
    for number, words in enumerate((0, 1, 1, 2)):
        image = Image.new("RGB", (640, 400), (255, 255, 255))
        for row in range(words):
            ImageDraw.Draw(image).text((20, 20 + 40 * row), "Larkspur writes a whole line of words here", fill=0)
        image.save(sequence / f"{number}.png")
    (sequence / "9.png").write_text("no picture")
    (tmp_path / "alone.png").write_text("no sequence")
    monkeypatch.setenv("HUDD_SCREENS", str(tmp_path))
    (row,) = sequence_rows()
    assert (row.name, row.measured, row.bar) == ("gate, sent of the sequence typing", 40.0, NO_BAR)
    told = "2 of 5; uniform 1, first 1, same 1, changed 1, no picture 1"
    assert row.how == told


def test_without_a_folder_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUDD_SCREENS", raising=False)
    assert sequence_rows() == []
