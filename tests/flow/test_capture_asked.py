"""The eyes when they are asked, when the display fails, and at their end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from hudd.config.settings import GateSettings, ScreenSettings
from hudd.errors import CaptureError, NoDisplayError, PictureError, WithheldError
from hudd.flow.capture import REOPEN_S
from hudd.model import Question
from tests.fakes.clock import ManualClock, settle
from tests.fakes.flow import Watch, watching
from tests.fakes.text_screen import Desk

# ------------------------------------------------------------------------------------------------ displays that fail


async def test_a_missing_display_is_waited_for_told_once_and_watched_when_it_is_back() -> None:
    desk = Desk()
    desk.missing = 8
    async with watching(desk) as watch:
        assert watch.capture.facts().state == "no_display"
        assert watch.capture.facts().sentence == "There is no display."
        started, tried = watch.clock.monotonic(), [desk.tries]
        for _ in range(8):
            before = desk.tries
            while desk.tries == before:
                await watch.wait(0.25)
            tried.append(desk.tries)
        assert watch.clock.monotonic() - started == pytest.approx(1 + 2 + 5 + 5 + 10 * 4, abs=2.5)
        assert REOPEN_S[-1] == 10.0
        await watch.wait(1)
        assert watch.troubles == ["There is no display."]
        assert watch.counters.capture_errors == 1
        assert watch.capture.facts().state == "watching"
        assert watch.texts() == ["eDP-1 0"]


async def test_a_snap_without_a_display_says_why() -> None:
    desk = Desk()
    desk.missing = 1
    async with watching(desk) as watch:
        with pytest.raises(NoDisplayError, match="There is no display"):
            await watch.capture.snap(None, "snap-1")


async def test_a_snap_before_the_screen_is_open_waits_for_it() -> None:
    watch = Watch(Desk(), screen=ScreenSettings(), gate=GateSettings(), clock=ManualClock())
    snap = asyncio.create_task(watch.capture.snap(None, "snap-1"))
    await asyncio.sleep(0)
    assert not snap.done()
    running = asyncio.create_task(watch.capture.run())
    assert (await snap).id == "snap-1"
    running.cancel()
    await asyncio.wait({running})


async def test_a_display_lost_while_watching_is_opened_again() -> None:
    for damage in (False, True):
        desk = Desk(damage=damage)
        async with watching(desk, screen=ScreenSettings(max_interval_s=1.0)) as watch:
            await watch.wait(5)
            desk.lost = True
            desk.missing = 1
            desk.tell()
            await watch.wait(1.1)
            assert watch.capture.facts().state == "no_display"
            assert desk.opened[0].closed == 1
            await watch.wait(5)
            assert watch.capture.facts().state == "watching"
            assert len(desk.opened) == 2
            desk.show("eDP-1", "after the loss")
            await watch.wait(5)
            assert watch.texts()[-1] == "after the loss"
            assert watch.troubles == ["The display is gone."], "told once, until it is back"


async def test_a_display_that_dies_at_each_first_look_is_told_once_and_not_hammered() -> None:
    desk = Desk()

    def die() -> None:
        desk.lost = True
        raise NoDisplayError("The display is gone.")

    desk.on_grab = die
    async with watching(desk) as watch:
        await watch.wait(120)
        assert watch.troubles == ["The display is gone."]
        assert desk.tries <= 16
        assert all(screen.closed == 1 for screen in desk.opened[:-1])
        desk.on_grab = None
        await watch.wait(12)
        assert watch.texts() == ["eDP-1 0"]
        desk.on_grab = die
        await watch.wait(2)
        assert watch.troubles == ["The display is gone."] * 2


async def test_a_source_that_fails_is_told_once_until_it_can_be_looked_at_again_and_stops_no_other() -> None:
    desk = Desk("left", "right")
    desk.broken = {"left"}
    async with watching(desk) as watch:
        await watch.wait(30)
        assert watch.troubles == ["The monitor left could not be read."]
        assert watch.counters.capture_errors > 10
        assert watch.texts() == ["right 0"]
        assert watch.capture.facts().state == "watching"
        desk.broken = set()
        await watch.wait(5)
        assert watch.texts() == ["left 0"]
        desk.broken = {"left"}
        await watch.wait(5)
        assert len(watch.troubles) == 2


async def test_a_picture_that_cannot_be_encoded_stays_news() -> None:
    desk = Desk()
    desk.encode_error = PictureError("The picture does not fit.")
    async with watching(desk) as watch:
        await watch.wait(5)
        assert watch.troubles == ["The picture does not fit."]
        with pytest.raises(PictureError):
            await watch.capture.snap(None, "snap-1")
        desk.encode_error = None
        await watch.wait(5)
        assert watch.texts() == ["eDP-1 0"]


async def test_a_wanted_monitor_that_does_not_exist_is_a_failure_and_no_missing_display() -> None:
    desk = Desk()

    def refuse() -> None:
        raise CaptureError("A monitor does not exist: HDMI-9 (connected: eDP-1).")

    desk.on_open = refuse
    async with watching(desk) as watch:
        assert watch.capture.facts().state == "failed"
        assert "HDMI-9" in watch.capture.facts().sentence


# ------------------------------------------------------------------------------------------------ snaps


async def test_a_snap_bypasses_the_gate_and_is_no_news_afterwards() -> None:
    async with watching() as watch:
        watch.taken()
        question = await watch.capture.snap(None, "snap-1")
        assert question.id == "snap-1"
        assert question.trigger == "manual"
        assert len(watch.mailbox) == 0
        watch.desk.show("eDP-1", "news")
        assert (await watch.capture.snap("eDP-1", "snap-2")).pictures[0].data == b"news"
        await watch.wait(10)
        assert watch.texts() == []


async def together(watch: Watch, *snaps: Coroutine[Any, Any, Question]) -> list[asyncio.Task[Question]]:
    """Start snaps so that the monitors of all are found before the first one is grabbed."""
    start, found, go_on = threading.Event(), threading.Event(), threading.Event()
    thread = watch.eyes._thread

    def hold() -> None:
        found.set()
        assert go_on.wait(10)

    thread.submit(start.wait, 10)
    watch.desk.on_sources = lambda: thread.submit(hold)
    tasks = [asyncio.create_task(snap) for snap in snaps]
    await settle()
    start.set()
    assert await asyncio.to_thread(found.wait, 10)
    watch.desk.on_sources = None
    await settle()
    go_on.set()
    return tasks


async def test_two_snaps_before_the_grab_share_one_question_and_one_after_it_gets_its_own() -> None:
    desk = Desk("left", "right")
    async with watching(desk) as watch:
        inside, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            inside.set()
            assert go_on.wait(10)

        desk.on_grab = hold
        grabs = len(desk.grabs)
        snap = watch.capture.snap
        tasks = await together(watch, snap("left", "snap-1"), snap("left", "snap-2"), snap("right", "snap-3"))
        assert await asyncio.to_thread(inside.wait, 10)
        tasks.append(asyncio.create_task(snap("left", "snap-4")))
        await settle()
        go_on.set()
        ids = [question.id for question in await asyncio.gather(*tasks)]
        assert ids == ["snap-1", "snap-1", "snap-3", "snap-4"]
        assert len(desk.grabs) == grabs + 3
        assert (await snap("left", "snap-5")).id == "snap-5"


async def test_snaps_that_share_a_grab_share_its_failure() -> None:
    desk = Desk()
    async with watching(desk) as watch:
        desk.broken = {"eDP-1"}
        grabs = len(desk.grabs)
        tasks = await together(watch, watch.capture.snap(None, "snap-1"), watch.capture.snap(None, "snap-2"))
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [CaptureError, CaptureError]
        assert len(desk.grabs) == grabs + 1
        desk.broken = set()
        assert (await watch.capture.snap(None, "snap-3")).id == "snap-3"


async def test_a_question_that_is_asked_again_shows_what_is_there_now() -> None:
    desk = Desk("left", "right")
    async with watching(desk) as watch:
        question = await watch.capture.snap("right", "snap-1")
        desk.show("right", "later")
        again = await watch.capture.retake(question)
        assert (again.id, again.trigger, again.source.name) == ("snap-1", "manual", "right")
        assert again.pictures[0].data == b"later"
        watch.facts.set("paused", True)
        with pytest.raises(WithheldError):
            await watch.capture.retake(question)


async def test_a_snap_of_an_unknown_monitor_names_those_that_there_are() -> None:
    async with watching(Desk("left", "right")) as watch:
        with pytest.raises(CaptureError, match="no monitor 'middle'; there are: left, right"):
            await watch.capture.snap("middle", "snap-1")


async def test_what_a_snap_has_read_of_other_monitors_is_not_lost_to_the_loop() -> None:
    desk = Desk("left", "right", damage=True)
    async with watching(desk) as watch:
        await watch.wait(5)
        watch.taken()
        desk.shown["right"] = "news"
        desk.opened[0].rects.append((0, 0, 10, 10))  # read in the capture thread before the loop saw the descriptor
        await watch.capture.snap("left", "snap-1")
        assert watch.texts() == []
        await watch.wait(3)
        assert watch.texts() == ["news"]


# ------------------------------------------------------------------------------------------------ printing windows


async def test_changes_in_the_window_of_a_live_client_are_ignored_and_forgotten_with_its_process() -> None:
    desk = Desk()
    desk.windows = {77: (0, 0, 800, 600)}
    async with watching(desk) as watch:
        watch.taken()
        watch.alive = {4711}
        watch.capture.watch_client(4711, 77)
        watch.capture.watch_client(4712, 78)  # ended before it was looked at
        desk.show("eDP-1", "printed by follow")
        await watch.wait(10)
        assert watch.texts() == []
        assert desk.ignored[-1] == ((0, 0, 800, 600),)
        assert watch.capture.facts().sources[0].last_reason == "ignored_window"
        watch.alive = set()
        await watch.wait(10)
        assert desk.ignored[-1] == ()
        assert watch.texts() == ["printed by follow"]
        watch.alive = {4711}
        await watch.wait(10)
        assert desk.ignored[-1] == ()


async def test_a_window_that_is_hidden_ignores_nothing() -> None:
    desk = Desk()
    async with watching(desk) as watch:
        watch.taken()
        watch.alive = {4711}
        watch.capture.watch_client(4711, 77)
        desk.show("eDP-1", "news")
        await watch.wait(10)
        assert watch.texts() == ["news"]


# ------------------------------------------------------------------------------------------------ the end


async def run_until_cancelled(watch: Watch, held: bool) -> None:
    """Start, reach the middle of a grab or of the opening, cancel, and let the thread go on."""
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        assert go_on.wait(10)

    if held:
        watch.desk.on_grab = hold
    else:
        watch.desk.on_open = hold
    task = asyncio.create_task(watch.capture.run())
    await settle()
    await watch.clock.advance(0.06)
    if held:
        while not inside.is_set():
            await watch.clock.advance(0.06)
            await asyncio.sleep(0.001)
    assert await asyncio.to_thread(inside.wait, 10)
    task.cancel()
    await settle()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("held", [True, False])
async def test_a_stop_in_the_middle_of_a_grab_or_of_the_opening_leaves_no_screen_open(held: bool) -> None:
    desk = Desk(damage=True)
    watch = Watch(desk, screen=ScreenSettings(), gate=GateSettings(), clock=ManualClock())
    await run_until_cancelled(watch, held)
    await asyncio.to_thread(watch.eyes._thread.shutdown, wait=True)
    assert [screen.closed for screen in desk.opened] == [1]
    with pytest.raises(WithheldError, match="stopping"):
        await watch.capture.snap(None, "snap-1")


async def test_a_stop_while_waiting_for_a_display_is_at_once() -> None:
    desk = Desk()
    desk.missing = 99
    async with watching(desk) as watch:
        assert watch.clock.sleeping == 1
    assert watch.clock.sleeping == 0


async def test_a_snap_under_way_at_the_stop_ends_in_a_question_or_a_reason() -> None:
    desk = Desk()
    async with watching(desk) as watch:
        snaps = [asyncio.create_task(watch.capture.snap(None, f"snap-{n}")) for n in range(4)]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*snaps, return_exceptions=True)
    assert all(isinstance(o, Question | WithheldError | NoDisplayError) for o in outcomes), outcomes
