"""Card numbers with a date or a code beside them: painted over in what the real reader reads, and taken out of notes."""

from __future__ import annotations

import threading

import pytest
from PIL import Image, ImageDraw, ImageFont

from hudd import redaction
from hudd.config.settings import PrivacySettings, RealtimeSettings, Settings
from hudd.model import Answer, Picture, Question, Shot, Source
from hudd.redaction import Redactor, scrubbed, scrubbed_aside
from hudd.screen.mask import COLOUR
from tests.fakes.delivery import delivering

SERVICE = Settings(realtime=RealtimeSettings(use="service"), privacy=PrivacySettings(redact=True))
LINES = (
    "Card 4111 1111 1111 1111 12/27",
    "Visa 5555 5555 5555 4444 09/28 123",
    "2026-11-21 4111 1111 1111 1111",
    "Amex 3782 822463 10005 1234",
    "Ordered 2026-11-21 10:31 for 12 34 56",
)


def answer(text: str) -> Answer:
    picture = Picture(Source("monitor", "m", (0, 0, 1, 1)), "image/jpeg", b"", 1, 1, 1.0, "00", 0.0, 1)
    return Answer(Question("1", "manual", (picture,), 0.0), "completed", text)


def test_a_card_number_is_painted_over_with_what_stands_beside_it() -> None:
    image = Image.new("RGB", (700, 50 + 50 * len(LINES)), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype("DejaVuSans.ttf", 20)
    for row, text in enumerate(LINES):
        draw.text((20, 20 + 50 * row), text, font=font, fill="black")
    pixels = image.convert("RGBA").tobytes("raw", "BGRA")
    after, count = Redactor(email=False).paint(
        Shot(Source("monitor", "m", (0, 0, *image.size)), pixels, *image.size, 0.0, 1)
    )

    def grey(row: int) -> bool:
        start = 4 * ((32 + 50 * row) * image.width + 40)
        return bytes(after.pixels[start : start + 240]) == COLOUR * 60

    assert [row for row in range(len(LINES)) if grey(row)] == [0, 1, 2, 3]
    assert count == 4


@pytest.mark.parametrize("line", LINES[:4])
def test_notes_say_no_card_number_with_what_stands_beside_it(line: str) -> None:
    told = scrubbed(answer(f"The page says {line}."), SERVICE).text
    assert "[card number]" in told
    assert "1111" not in told.replace("2026-11-21", "")
    assert "4444" not in told


async def test_answers_are_searched_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def noted(text: str, *, email: bool) -> str:
        threads.append(threading.current_thread())
        return f"{text} {email}"

    monkeypatch.setattr(redaction, "scrub", noted)
    told = answer("It shows a page.")
    assert (await scrubbed_aside(told, SERVICE)).text == "It shows a page. False"
    assert threads
    assert threads[0] is not threading.current_thread()
    assert await scrubbed_aside(told, Settings()) is told
    assert len(threads) == 1


async def test_a_note_is_cleaned_before_it_is_committed_and_published() -> None:
    async with delivering(clean=lambda told: scrubbed_aside(told, SERVICE)) as house:
        await house.outcome(answer(LINES[0]))
        assert house.store.notes[0].text == house.bodies[0]["text"] == "Card [card number] 12/27"
        assert house.remembered == [("m", "Card [card number] 12/27")]
