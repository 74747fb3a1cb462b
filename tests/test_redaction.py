"""Secrets on a real page, read by the real reader, are painted over; what may be read stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from hudd.adapters import FramePixels
from hudd.config.settings import PictureSettings, PrivacySettings, RealtimeSettings, Settings
from hudd.engine.findings import Area, TextLine
from hudd.engine.ocr import NoReader, best_reader
from hudd.errors import PictureError
from hudd.model import Answer, Picture, Question, Shot, Source
from hudd.redaction import Redactor, redactor, scrubbed
from hudd.screen.mask import COLOUR

LINES = (
    "Invoice for Larkspur Ltd",
    "Card 4111 1111 1111 1111 valid",
    "IBAN DE89 3704 0044 0532 0130 00",
    "OPENAI_API_KEY=sk-proj-abcDEF0123456789abcd",
    "Write to ada@example.org",
)
SERVICE = Settings(realtime=RealtimeSettings(use="service"), privacy=PrivacySettings(redact=True))


def page() -> Shot:
    image = Image.new("RGB", (900, 300), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype("DejaVuSans.ttf", 20)
    for number, text in enumerate(LINES):
        draw.text((20, 20 + 50 * number), text, font=font, fill="black")
    pixels = image.convert("RGBA").tobytes("raw", "BGRA")
    return Shot(Source("monitor", "m", (100, 50, 900, 300)), pixels, 900, 300, 0.0, 1)


def painted(shot: Shot, number: int) -> bool:
    """Whether the beginning of a line is grey."""
    start = 4 * ((32 + 50 * number) * shot.width + 40)
    return bytes(shot.pixels[start : start + 4 * 60]) == COLOUR * 60


@pytest.mark.parametrize(("email", "expected"), [(False, [1, 2, 3]), (True, [1, 2, 3, 4])])
def test_lines_with_secrets_are_painted_over_and_counted(*, email: bool, expected: list[int]) -> None:
    assert best_reader().name != "none"
    before = page()
    kept = bytes(before.pixels)
    after, count = Redactor(email=email).paint(before)
    assert [number for number in range(len(LINES)) if painted(after, number)] == expected
    assert count == len(expected)
    assert bytes(before.pixels) == kept
    assert after.source == before.source


RANDOM = "Xq7RkT2mZ9vB4nLc8WdYp3GhJ6sFaE1uKoM5iQxNzU8tVbCrD4yHwPjS7gAe3fKd"
WRAPPED = (
    "-----BEGIN RSA PRIVATE KEY-----",
    RANDOM,
    RANDOM[::-1],
    "-----END RSA PRIVATE KEY-----",
    "def main() -> int:",
    f"token: eyJ{RANDOM[:50]}.eyJ",
    RANDOM[5:60],
    f"{RANDOM[20:50]}.{RANDOM[:12]}",
    "The quick brown fox",
    f"OPENAI_API_KEY=sk-proj-{RANDOM[:40]}",
    RANDOM[30:58],
    "DEBUG=true",
)


def test_every_line_of_what_wraps_is_painted_over_and_fields_of_a_form_too() -> None:
    image = Image.new("RGB", (900, 100 + 30 * len(WRAPPED)), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype("DejaVuSansMono.ttf", 16)
    for row, text in enumerate(WRAPPED):
        draw.text((20, 20 + 30 * row), text, font=font, fill="black")
    top = 40 + 30 * len(WRAPPED)
    for field, digits in enumerate(("4111", "1111", "1111", "1111")):
        draw.rectangle((20 + 150 * field, top, 120 + 150 * field, top + 34), outline="black")
        draw.text((40 + 150 * field, top + 8), digits, font=font, fill="black")
    shot = Shot(
        Source("monitor", "m", (0, 0, *image.size)), image.convert("RGBA").tobytes("raw", "BGRA"), *image.size, 0.0, 1
    )
    after, count = Redactor(email=False).paint(shot)

    def grey(x: int, y: int) -> bool:
        start = 4 * (y * shot.width + x)
        return bytes(after.pixels[start : start + 80]) == COLOUR * 20

    assert [row for row in range(len(WRAPPED)) if grey(30, 30 + 30 * row)] == [0, 1, 2, 3, 5, 6, 7, 9, 10]
    assert [grey(50 + 150 * field, top + 16) for field in range(4)] == [True] * 4
    assert count == 4


class SlowReader:
    """Finds a line, and has no time to read it."""

    name = "slow"

    def find_lines(self, page: Any) -> Any:
        del page

        class Sheet:
            areas: Sequence[Area] = (Area(20, 20, 300, 30),)

        return Sheet()

    def read_lines(self, sheet: Any, areas: Sequence[Area], deadline_s: float) -> list[tuple[TextLine, ...] | None]:
        del sheet, deadline_s
        return [None for _ in areas]


def test_what_could_not_be_read_in_time_is_painted_over() -> None:
    slow: Any = SlowReader()
    after, count = Redactor(email=False, load=lambda: slow).paint(page())
    assert (painted(after, 0), count) == (True, 0)


class SlowerReader(SlowReader):
    """Has time for a first look at what may be a box, and none for the second."""

    def __init__(self) -> None:
        self.looks = 0

    def read_lines(self, sheet: Any, areas: Sequence[Area], deadline_s: float) -> list[tuple[TextLine, ...] | None]:
        self.looks += 1
        return [() for _ in areas] if self.looks == 1 else super().read_lines(sheet, areas, deadline_s)


def test_a_box_that_could_not_be_read_again_in_time_is_painted_over() -> None:
    slower: Any = SlowerReader()
    after, _ = Redactor(email=False, load=lambda: slower).paint(page())
    assert (painted(after, 0), slower.looks) == (True, 2)


def test_without_a_reader_nothing_leaves() -> None:
    with pytest.raises(PictureError, match="no text reader"):
        Redactor(email=False, load=NoReader).paint(page())


def test_the_whole_and_its_parts_are_read_once_and_the_picture_says_how_many() -> None:
    reads: list[Shot] = []
    redact = Redactor(email=False).paint

    def once(shot: Shot) -> tuple[Shot, int]:
        reads.append(shot)
        return redact(shot)

    pixels, shot = FramePixels(PictureSettings(), 16, once), page()
    picture = pixels.encode(shot, frame_hash="00")
    pixels.details(shot, None, most=1, focus=lambda: None)
    assert (picture.redacted, len(reads)) == (3, 1)


def answer(text: str) -> Answer:
    picture = Picture(Source("monitor", "m", (0, 0, 1, 1)), "image/jpeg", b"", 1, 1, 1.0, "00", 0.0, 1)
    return Answer(Question("1", "manual", (picture,), 0.0), "completed", text)


def test_the_same_shapes_are_taken_out_of_answers() -> None:
    told = answer("The card 4111 1111 1111 1111 is shown.")
    assert scrubbed(told, SERVICE).text == "The card [card number] is shown."
    assert scrubbed(told, Settings()) is told


def test_only_what_goes_to_the_service_is_read() -> None:
    assert redactor(SERVICE) is not None
    assert redactor(Settings(privacy=PrivacySettings(redact=True))) is None
    assert redactor(Settings(realtime=RealtimeSettings(use="service"))) is None
