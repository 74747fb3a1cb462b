"""Questions for tests."""

from __future__ import annotations

from hudd.model import Picture, Question, Source, Trigger

JPEG = b"\xff\xd8\xff\xe0 not really a picture \xff\xd9"


def make_picture(source: str = "eDP-1", *, data: bytes = JPEG, captured_at: float = 1_795_343_466.0) -> Picture:
    return Picture(
        source=Source("monitor", source, (0, 0, 1920, 1080)),
        media_type="image/jpeg",
        data=data,
        width=1280,
        height=720,
        scale=0.67,
        hash="9f3c",
        captured_at=captured_at,
        epoch=0,
    )


def make_question(
    number: int = 1, trigger: Trigger = "manual", *, source: str = "eDP-1", asked_at: float = 1000.0, data: bytes = JPEG
) -> Question:
    return Question(f"01J{number:023d}", trigger, (make_picture(source, data=data),), asked_at)
