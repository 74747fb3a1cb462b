"""Whoever looks for something private in what is received finds it, and a run in which it would not ends."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from hudd.config.settings import PictureSettings
from hudd.model import Shot, Source
from hudd.screen.pixels import encode
from tests.soak import private as private_module
from tests.soak.looking import SECRET, Looking, shows_secret
from tests.soak.private import Trial


def screen(colour: tuple[int, int, int] | None, rect: tuple[int, int, int, int] = (240, 40, 400, 160)) -> Image.Image:
    """A screen with windows in the colours of the desk, and one more."""
    image = Image.new("RGB", (640, 480), (0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle((40, 200, 200, 320), fill=(0x20, 0x40, 0xC0))
    draw.rectangle((240, 200, 540, 400), fill=(255, 255, 255))
    if colour is not None:
        draw.rectangle(rect, fill=colour)
    return image


def sent(image: Image.Image, **settings: Any) -> bytes:
    """As the daemon sends it."""
    pixels = image.convert("RGBA").tobytes("raw", "BGRA")
    shot = Shot(Source("monitor", "m", (0, 0, *image.size)), pixels, *image.size, 0.0, 1)
    return encode(shot, PictureSettings(**settings)).data


@pytest.mark.parametrize("quality", [30, 85])
def test_the_colour_is_seen_through_scaling_and_compression(quality: int) -> None:
    assert shows_secret(sent(screen(SECRET), quality=quality))
    assert shows_secret(sent(screen(SECRET), long_side_px=320, quality=quality))
    assert shows_secret(sent(screen(SECRET, (0, 0, 15, 15)), quality=quality)), "an edge of a window is enough"


@pytest.mark.parametrize("colour", [None, (255, 0, 0), (0, 0, 255), (255, 255, 255), (160, 0, 160), (255, 128, 255)])
def test_other_colours_are_not(colour: tuple[int, int, int] | None) -> None:
    assert not shows_secret(sent(screen(colour)))


def test_what_is_received_is_looked_at_in_every_part_of_a_question() -> None:
    parts = [
        {"type": "input_image", "image_url": f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"}
        for data in (sent(screen(None)), sent(screen(SECRET)))
    ]
    content = [{"type": "input_text", "text": "What is new?"}, *parts]
    response = {"input": [{"type": "message", "content": content}], "metadata": {"snap": "01JD"}}
    with Looking() as service:
        service.received(0, json.dumps({"type": "response.create", "response": response}))
        assert (service.pictures, service.secrets) == (2, ["01JD"])


class Desk:
    """Shows the colour, or only says so."""

    def __init__(self, *, shows: bool = True) -> None:
        self.shows = shows
        self.shown = False

    def behind(self, *, shown: bool) -> None:
        self.shown = shown and self.shows


class Client:
    """A snap reaches the service with whatever the desk shows."""

    def __init__(self, trial: Trial, desk: Desk) -> None:
        self.trial, self.desk = trial, desk

    def snap(self) -> None:
        if self.desk.shown:
            self.trial.service.secrets.append("01JD")


def begin(folder: Path, desk: Any) -> Trial:
    trial = Trial(folder, desk, 1, 100, mask=False)
    try:
        client: Any = Client(trial, desk)
        trial._control(client)
    finally:
        trial.close()
    return trial


def test_a_run_begins_with_the_colour_seen_and_forgotten(tmp_path: Path) -> None:
    desk = Desk()
    trial = begin(tmp_path, desk)
    assert (trial.report.allowed, trial.service.secrets, desk.shown) == (1, [], False)


def test_a_run_in_which_the_colour_is_not_seen_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_module, "READ_S", 0.1)
    with pytest.raises(AssertionError, match="the colour was not received"):
        begin(tmp_path, Desk(shows=False))
