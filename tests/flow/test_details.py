from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from hudd.adapters import FramePixels
from hudd.config.settings import GateSettings, PictureSettings
from hudd.errors import CaptureError
from hudd.flow.details import pictures_of
from hudd.flow.eyes import TIDY_EVERY, Eyes
from hudd.flow.watcher import Look
from hudd.model import Question, Shot, Target
from tests.bench.screen import make_shot, text_frame
from tests.fakes.clock import ManualClock
from tests.fakes.flow import watching
from tests.fakes.text_screen import Desk, DeskPixels, DeskScreen, Print

WINDOW = (100, 50, 800, 600)


def rects(question: Question) -> list[tuple[str, tuple[int, int, int, int]]]:
    return [(picture.source.kind, picture.source.rect) for picture in question.pictures]


async def test_a_change_is_sent_whole_and_with_the_part_that_changed() -> None:
    async with watching(details=lambda _: 1) as watch:
        watch.taken()
        watch.desk.show("eDP-1", "mail")
        await watch.wait(10)
        (question,) = watch.taken()
        assert rects(question) == [("monitor", (0, 0, 1920, 1080)), ("region", (0, 0, 1920, 1080))]
        assert watch.desk.details[-1] == (1, (0, 0, 1920, 1080))
        assert question.source.name == "eDP-1", "the whole names the topic"


async def test_whether_a_part_may_go_is_asked_for_every_question_and_told_who_asks() -> None:
    asked: list[bool] = []

    def allowed(automatic: bool) -> int:
        asked.append(automatic)
        return 0 if automatic else 2

    async with watching(details=allowed) as watch:
        assert [len(question.pictures) for question in watch.taken()] == [1]
        assert len((await watch.capture.snap(None, "S")).pictures) == 3
        assert asked == [True, False]
        assert watch.desk.details == [(2, None)], "of a snap all counts, not only what changed"


async def test_a_snap_looks_closer_at_the_focused_window() -> None:
    desk = Desk()
    desk.windows = {7: WINDOW, 8: (0, 0, 10, 10)}
    async with watching(desk, details=lambda _: 1) as watch:
        question = await watch.capture.snap(None, "S")
        assert rects(question)[1] == ("region", WINDOW)


async def test_without_a_list_of_windows_the_whole_frame_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_: Any) -> Any:
        raise CaptureError("Wayland does not tell.")

    monkeypatch.setattr(DeskScreen, "windows", silent)
    async with watching(details=lambda _: 1) as watch:
        assert rects(await watch.capture.snap(None, "S"))[1] == ("region", (0, 0, 1920, 1080))


async def test_parts_are_made_in_the_capture_thread() -> None:
    async with watching(details=lambda _: 1) as watch:
        await watch.capture.snap(None, "S")
        assert threading.current_thread().name not in watch.desk.threads


async def test_a_question_that_is_taken_again_has_one_whole_and_a_fresh_part() -> None:
    async with watching(details=lambda _: 1) as watch:
        first = await watch.capture.snap(None, "S")
        watch.desk.show("eDP-1", "later")
        again = await watch.capture.retake(first)
        assert [picture.data for picture in again.pictures] == [b"later", b"later"]
        region = await watch.capture.snap(Target(region=WINDOW), "R")
        assert rects(await watch.capture.retake(region))[0] == ("region", WINDOW)


async def test_a_question_with_a_part_that_was_not_sent_is_news_again() -> None:
    async with watching(details=lambda _: 1) as watch:
        (question,) = watch.taken()
        watch.capture.unsent(question)
        await watch.wait(10)
        assert len(watch.taken()) == 1


async def test_the_status_says_why_there_is_only_the_whole() -> None:
    allowed = {True: 1, False: 1}
    async with watching(details=allowed.__getitem__) as watch:

        def why() -> list[str]:
            return [source.whole_only for source in watch.capture.facts().sources]

        await watch.capture.snap(None, "A")
        assert why() == [""]
        watch.desk.no_parts = True
        await watch.capture.snap(None, "B")
        assert why() == ["settings"]
        allowed[False] = 0
        await watch.capture.snap(None, "C")
        assert why() == ["pace"]
        watch.desk.no_parts = False
        await watch.capture.snap(Target(region=WINDOW), "D")
        assert why() == ["pace"], "a region is nobody's newest question"


async def test_after_many_frames_the_capture_thread_tidies_up() -> None:
    tidied: list[str] = []
    desk = Desk()
    eyes = Eyes(
        open_screen=desk.open,
        pixels=DeskPixels(desk),
        gate=GateSettings(),
        clock=ManualClock(),
        tidy=lambda: tidied.append(threading.current_thread().name),
    )
    await eyes.open()
    try:
        look = await eyes.look(desk.source("eDP-1"), epoch=1, ignored=())
        for _ in range(2 * TIDY_EVERY):
            await eyes.encode(look)
        assert len(tidied) == 2
        assert threading.current_thread().name not in tidied
    finally:
        await eyes.close()
        eyes.end()


def test_no_part_is_looked_for_when_none_is_allowed() -> None:
    desk = Desk()
    with closing(DeskScreen(desk)) as screen:
        look = Look(screen.grab(desk.source("eDP-1"), epoch=1, captured_at=2.0), Print("a"), None, None)
        assert len(pictures_of(screen, DeskPixels(desk), look, most=0, automatic=True)) == 1
    assert desk.details == []


# ------------------------------------------------------------------------------------------- with the settings


def parts(settings: PictureSettings, most: int = 3) -> int:
    shot = make_shot(text_frame(1920, 1080, 1), 1920, 1080)
    pixels = FramePixels(settings, 16)
    assert pixels.no_parts == (settings.crops != "auto" or settings.max_pictures < 2)
    return len(pixels.details(shot, None, most=most, focus=lambda: None))


def test_the_settings_say_how_many_pictures_a_question_has() -> None:
    settings = PictureSettings()
    assert parts(settings) == 1
    assert parts(settings, most=0) == 0
    assert parts(replace(settings, max_pictures=3)) == 2
    assert parts(replace(settings, max_pictures=1)) == 0
    assert parts(replace(settings, crops="never")) == 0


def test_a_question_that_was_too_big_for_the_endpoint_leaves_its_parts_out() -> None:
    pixels = FramePixels(PictureSettings(), 16)
    shot = make_shot(text_frame(1920, 1080, 1), 1920, 1080)
    before = pixels.encode(shot, frame_hash="h")
    assert pixels.shrink()
    assert pixels.details(shot, None, most=1, focus=lambda: None) == ()
    assert len(pixels.encode(shot, frame_hash="h").data) <= len(before.data) // 2


def test_parts_are_cut_from_the_frame_whose_secrets_were_painted_over_once() -> None:
    """Half of a secret at the edge of a part has its shape no more, so a part is never read by itself."""
    shot = make_shot(text_frame(1920, 1080, 1), 1920, 1080)
    half = len(shot.pixels) // 2
    clean = replace(shot, pixels=bytes(half) + bytes(shot.pixels[half:]))
    painted: list[Shot] = []

    def paint(frame: Shot) -> tuple[Shot, int]:
        painted.append(frame)
        return clean, 2

    redacting, plain = FramePixels(PictureSettings(), 16, paint), FramePixels(PictureSettings(), 16)
    whole = redacting.encode(shot, frame_hash="h")
    [part] = redacting.details(shot, None, most=1, focus=lambda: None)
    assert painted == [shot]
    assert (whole.redacted, part.redacted) == (2, 0), "each secret counts once"
    assert part.data == plain.details(clean, None, most=1, focus=lambda: None)[0].data
