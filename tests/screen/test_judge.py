from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from hudd.cli import main
from hudd.config.settings import GateSettings
from hudd.errors import NoDisplayError
from hudd.screen.gate import REASONS
from hudd.screen.judge import judge_folder
from tests.fakes.screen import Canvas

PICTURES = Path(__file__).parents[2] / "hudd" / "data" / "pictures"


def save(folder: Path, name: str, canvas: Canvas) -> None:
    shot = canvas.shot()
    Image.frombytes("RGB", (shot.width, shot.height), shot.pixels, "raw", "BGRX").save(folder / name)


def page() -> Canvas:
    """A frame of more than one colour."""
    return Canvas().fill((500, 280, 100, 20), 0x808080)


def test_each_file_gets_its_verdict_and_the_reason(tmp_path: Path) -> None:
    save(tmp_path, "1.png", page())
    save(tmp_path, "2.png", page())
    save(tmp_path, "3.png", page().fill((60, 30, 9, 17), 0))
    (tmp_path / "4.png").write_text("no picture")
    save(tmp_path, "5.png", page().write(20, 60, 40))
    save(tmp_path, "6.png", page().write(20, 60, 40).fill((400, 200, 8, 15), 0))
    verdicts = list(judge_folder(tmp_path, GateSettings()))
    assert [(v.file, v.action, v.reason) for v in verdicts if v.action != "error"] == [
        ("1.png", "send", "first"),
        ("2.png", "same", "same"),
        ("3.png", "same", "cursor"),
        ("5.png", "send", "changed"),
        ("6.png", "same", "cursor"),
    ]
    assert "no picture that can be read" in verdicts[3].reason
    assert verdicts[4].patches >= 5
    assert json.loads(json.dumps(verdicts[4].to_json()))["file"] == "5.png"


def test_the_gate_can_be_tuned(tmp_path: Path) -> None:
    save(tmp_path, "1.png", page())
    save(tmp_path, "2.png", page().fill((60, 30, 9, 17), 0))
    assert [v.action for v in judge_folder(tmp_path, GateSettings(min_tiles=1))] == ["send", "send"]
    assert [v.action for v in judge_folder(tmp_path, GateSettings(heartbeat_s=0.5))] == ["send", "same"]


def test_a_picture_of_one_colour_is_not_sent_and_the_one_after_it_is_compared_with_what_was(tmp_path: Path) -> None:
    for name, colour in (("1.png", 0), ("4.png", 0), ("5.png", 200)):
        Image.new("RGB", (640, 400), (colour, colour, colour)).save(tmp_path / name)
    save(tmp_path, "2.png", page())
    save(tmp_path, "3.png", page().write(20, 60, 40))
    save(tmp_path, "6.png", page().write(20, 60, 40))
    assert [(v.file, v.action, v.reason) for v in judge_folder(tmp_path, GateSettings())] == [
        ("1.png", "same", "uniform"),
        ("2.png", "send", "first"),
        ("3.png", "send", "changed"),
        ("4.png", "same", "uniform"),
        ("5.png", "same", "uniform"),
        ("6.png", "same", "same"),
    ]


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(NoDisplayError, match="cannot be read"):
        list(judge_folder(tmp_path / "nowhere", GateSettings()))


def test_every_shipped_picture_is_news() -> None:
    verdicts = list(judge_folder(PICTURES, GateSettings()))
    assert 6 <= len(verdicts) <= 8
    assert {v.action for v in verdicts} == {"send"}
    assert all(v.reason in REASONS for v in verdicts)


def test_shipped_pictures_are_small_and_of_one_size() -> None:
    for path in PICTURES.glob("*.png"):
        assert path.stat().st_size < 120_000
        with Image.open(path) as picture:
            assert picture.size == (1280, 800)


def test_a_folder_that_is_none_or_holds_no_pictures_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, sentence in (
        (tmp_path, f"There are no pictures in {tmp_path}. Give a folder with PNG or JPEG files."),
        (tmp_path / "no", f"{tmp_path / 'no'} is no folder. Give a folder with pictures, as hudd gate ./screens."),
    ):
        assert main(["gate", str(folder)]) == 1
        assert capsys.readouterr() == ("", f"hudd: {sentence}\n")
    assert main(["gate", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "pictures": []}
