"""How the request tells which picture is what."""

from __future__ import annotations

from dataclasses import replace

from hudd.model import Picture, Source
from hudd.protocol.events import TextPart
from hudd.realtime.prompt import question_message
from tests.fakes.questions import make_picture, make_question


def told(*pictures: Picture) -> str:
    first = question_message(replace(make_question(), pictures=pictures)).parts[0]
    assert isinstance(first, TextPart)
    return first.text


def at(kind: str, rect: tuple[int, int, int, int]) -> Picture:
    source = Source("region" if kind == "region" else "monitor", kind, rect)
    return replace(make_picture(kind), source=source)


def test_a_part_is_named_with_its_place_on_the_first_picture() -> None:
    text = told(at("HDMI-1", (1920, 0, 1920, 1080)), at("region", (2000, 300, 1024, 512)))
    assert "(2 pictures, in this order)" in text
    assert (
        "Picture 2 is a part of picture 1, larger, to read its small text: 1024x512 pixels of the screen at 80,300."
        in text
    )


def test_a_picture_of_its_own_is_no_part() -> None:
    assert "part of" not in told(at("eDP-1", (0, 0, 1920, 1080)))
    assert "part of" not in told(at("eDP-1", (0, 0, 1920, 1080)), at("HDMI-1", (1920, 0, 1920, 1080)))
    assert "part of" not in told(at("eDP-1", (0, 0, 1920, 1080)), at("region", (1900, 0, 100, 100)))
    assert "part of" not in told(at("region", (0, 0, 1920, 1080)))
