"""What becomes of monitors that go, of frames that show nothing, of regions and windows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from hudd.config.settings import GateSettings
from hudd.errors import CaptureError
from hudd.flow.eyes import Eyes
from hudd.flow.mailbox import Mailbox
from hudd.model import Source, Target
from tests.fakes.clock import ManualClock
from tests.fakes.flow import watching
from tests.fakes.questions import make_question
from tests.fakes.text_screen import Desk, DeskPixels


@pytest.fixture
async def eyes() -> AsyncIterator[Eyes]:
    desk = Desk("left", "right")
    gone: list[str] = []
    opened = Eyes(
        open_screen=desk.open, pixels=DeskPixels(desk), gate=GateSettings(), clock=ManualClock(), on_gone=gone.append
    )
    opened.desk, opened.gone_names = desk, gone  # type: ignore[attr-defined]
    _, sources = await opened.open()
    for source in sources:
        opened.watcher(source)
    yield opened
    await opened.close()
    opened.end()


async def test_an_unplugged_monitor_is_told_until_it_is_back(eyes: Eyes) -> None:
    desk: Desk = eyes.desk  # type: ignore[attr-defined]
    assert eyes.missing() == ""
    shown = desk.shown.pop("right")
    await eyes.sources()
    assert eyes.missing() == "The monitor right was unplugged."
    assert eyes.gone_names == ["right"]  # type: ignore[attr-defined]
    with pytest.raises(CaptureError, match=r"The monitor right was unplugged; there are: left\."):
        await eyes.find("right")
    desk.shown["right"] = shown
    assert (await eyes.find("right")).name == "right"
    assert eyes.missing() == ""


async def test_a_region_and_a_window_are_sources_that_nothing_is_remembered_of(eyes: Eyes) -> None:
    desk: Desk = eyes.desk  # type: ignore[attr-defined]
    desk.windows = {7: (10, 10, 300, 200), 8: (0, 0, 50, 50)}
    region = await eyes.find(Target(region=(1, 2, 3, 4)))
    assert region == Source("region", "region", (1, 2, 3, 4))
    assert await eyes.find(Target(window="")) == Source("window", "window", (10, 10, 300, 200))
    assert await eyes.find(Target(window="window 8")) == Source("window", "window", (0, 0, 50, 50))
    with pytest.raises(CaptureError, match='No shown window is called "nine"'):
        await eyes.find(Target(window="nine"))
    await eyes.look(region, epoch=0, ignored=())
    assert [watcher.source.name for watcher in eyes.watchers] == ["left", "right"]


async def test_a_frame_of_one_colour_is_no_picture(eyes: Eyes) -> None:
    desk: Desk = eyes.desk  # type: ignore[attr-defined]
    desk.shown["left"] = "black"
    left = await eyes.find("left")
    look = await eyes.look(left, epoch=0, ignored=())
    assert look.uniform == "black"
    with pytest.raises(CaptureError, match="The monitor left shows nothing: the screen is one colour: locked, off"):
        await eyes.encode(look)
    decision = eyes.watcher(left).judge(look, 1.0)
    assert (decision.action, decision.reason) == ("same", "uniform")
    assert eyes.missing() == "left: the screen is one colour: locked, off, or capture is not permitted."
    desk.shown["left"] = "words"
    again = await eyes.look(left, epoch=0, ignored=())
    assert eyes.watcher(left).judge(again, 2.0).action == "send"
    assert eyes.missing() == ""


@pytest.mark.parametrize(
    ("settings", "why", "remedy"),
    [
        ({"masked": 1}, "because .privacy. hides the windows there", "Close or minimize them"),
        ({"veiled": True}, "because .privacy. strict keeps only the focused window", "Focus a window there"),
    ],
)
async def test_a_frame_that_is_painted_over_is_not_said_to_be_locked(
    eyes: Eyes, settings: dict[str, Any], why: str, remedy: str
) -> None:
    desk: Desk = eyes.desk  # type: ignore[attr-defined]
    desk.shown["left"] = "black"
    for target in ("left", Target(region=(1, 2, 3, 4))):
        look = await eyes.look(await eyes.find(target), epoch=0, ignored=())
        look = replace(look, uniform="black", shot=replace(look.shot, **settings))
        with pytest.raises(CaptureError, match=why) as caught:
            await eyes.encode(look)
        assert caught.value.hint.startswith(remedy)
        eyes.watcher(look.shot.source).judge(look, 1.0)
    assert "locked" not in eyes.missing()
    assert "painted over" in eyes.missing()


async def test_a_blank_screen_sends_nothing_and_is_counted_and_told() -> None:
    async with watching(Desk("eDP-1", damage=True)) as watch:
        await watch.quiet()
        watch.taken()
        watch.desk.show("eDP-1", "black")
        await watch.wait(10.0)
        assert watch.taken() == []
        assert watch.counters.uniform >= 1
        facts = watch.capture.facts()
        assert facts.sources[0].last_reason == "uniform"
        assert facts.degraded == "eDP-1: the screen is one colour: locked, off, or capture is not permitted."
        with pytest.raises(CaptureError, match="shows nothing"):
            await watch.capture.snap(None, "01J")
        watch.desk.show("eDP-1", "words")
        await watch.wait(10.0)
        assert len(watch.taken()) == 1


def test_the_slot_of_a_monitor_that_is_gone_ends() -> None:
    mailbox = Mailbox()
    mailbox.put(make_question(1, "change"))
    name = mailbox.take_nowait().source.name  # type: ignore[union-attr]
    mailbox.put(make_question(2, "change"))
    mailbox.end("another")
    assert len(mailbox) == 1
    mailbox.end(name)
    mailbox.end(name)
    assert len(mailbox) == 0
