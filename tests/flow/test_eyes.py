from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from hudd.config.settings import GateSettings
from hudd.errors import CaptureError, NoDisplayError, WithheldError
from hudd.flow.eyes import Eyes
from hudd.screen.source import Screen
from tests.fakes.clock import ManualClock, settle
from tests.fakes.text_screen import Desk, DeskPixels


def make_eyes(desk: Desk) -> Eyes:
    return Eyes(open_screen=desk.open, pixels=DeskPixels(desk), gate=GateSettings(), clock=ManualClock())


def held(inside: threading.Event, go_on: threading.Event) -> Callable[[], None]:
    """A hook that tells when it is reached and waits to go on."""

    def hook() -> None:
        inside.set()
        assert go_on.wait(10)

    return hook


async def test_everything_that_blocks_runs_in_the_one_thread_of_the_eyes() -> None:
    desk = Desk()
    eyes = make_eyes(desk)
    await eyes.open()
    look = await eyes.look(desk.source("eDP-1"), epoch=3, ignored=())
    await eyes.encode(look)
    assert look.shot.epoch == 3
    assert len(desk.threads) == 1
    assert desk.threads.pop().startswith("hudd-eyes")
    await eyes.close()
    eyes.end()


async def test_open_tells_status_and_sources_and_close_may_come_twice() -> None:
    desk = Desk("left", "right", damage=True)
    eyes = make_eyes(desk)
    assert not eyes.is_open
    status, sources = await eyes.open()
    assert eyes.is_open
    assert status.backend == "desk"
    assert [source.name for source in sources] == ["left", "right"]
    assert eyes.damage_fd() is not None
    await eyes.close()
    await eyes.close()
    assert not eyes.is_open
    assert eyes.damage_fd() is None
    assert not eyes.take_damage()
    assert desk.opened[0].closed == 1
    eyes.end()


async def test_a_closed_screen_can_be_opened_again_and_still_knows_what_was_sent() -> None:
    desk = Desk()
    eyes = make_eyes(desk)
    await eyes.open()
    source = desk.source("eDP-1")
    eyes.watcher(source).sent(await eyes.look(source, epoch=1, ignored=()), 1.0)
    await eyes.close()
    with pytest.raises(NoDisplayError, match="not open yet"):
        await eyes.look(source, epoch=1, ignored=())
    await eyes.open()
    look = await eyes.look(source, epoch=1, ignored=())
    assert look.since_sent is not None
    assert not look.since_sent.tiles
    await eyes.close()
    eyes.end()


async def test_find_takes_the_first_or_the_named_and_names_those_that_there_are() -> None:
    desk = Desk("left", "right")
    eyes = make_eyes(desk)
    await eyes.open()
    assert (await eyes.find(None)).name == "left"
    assert (await eyes.find("right")).name == "right"
    with pytest.raises(CaptureError, match=r"no monitor 'middle'; there are: left, right\.") as refused:
        await eyes.find("middle")
    assert not isinstance(refused.value, NoDisplayError)
    await eyes.close()
    eyes.end()


async def test_what_is_remembered_of_a_monitor_that_is_gone_is_dropped() -> None:
    desk = Desk("left", "right")
    eyes = make_eyes(desk)
    _, sources = await eyes.open()
    for source in sources:
        eyes.watcher(source)
    del desk.shown["right"]
    await eyes.sources()
    assert [watcher.source.name for watcher in eyes.watchers] == ["left"]
    await eyes.close()
    eyes.end()


async def test_a_monitor_that_moved_is_known_by_its_new_place() -> None:
    desk = Desk("left", "right")
    eyes = make_eyes(desk)
    right = desk.source("right")
    watcher = eyes.watcher(right)
    del desk.shown["left"]
    assert eyes.watcher(desk.source("right")) is watcher
    assert watcher.source.rect[0] == 0
    eyes.end()


async def test_what_is_refused_before_the_grab_is_never_grabbed() -> None:
    desk = Desk()
    eyes = make_eyes(desk)
    await eyes.open()

    def refuse() -> None:
        raise WithheldError(("paused",))

    with pytest.raises(WithheldError):
        await eyes.look(desk.source("eDP-1"), epoch=1, ignored=(), before_grab=refuse)
    assert desk.grabs == []
    await eyes.close()
    eyes.end()


async def test_only_windows_that_are_shown_have_a_place() -> None:
    desk = Desk()
    desk.windows = {7: (10, 10, 100, 50)}
    eyes = make_eyes(desk)
    await eyes.open()
    assert await eyes.window_rects([7, 8]) == ((10, 10, 100, 50),)
    await eyes.close()
    eyes.end()


async def test_after_the_end_everything_says_that_hudd_is_stopping() -> None:
    desk = Desk()
    eyes = make_eyes(desk)
    await eyes.open()
    await eyes.close()
    eyes.end()
    for work in (eyes.open(), eyes.find(None), eyes.look(desk.source("eDP-1"), epoch=1, ignored=())):
        with pytest.raises(WithheldError, match="stopping"):
            await work


async def test_work_that_was_asked_for_before_the_end_is_still_done() -> None:
    desk = Desk()
    eyes = make_eyes(desk)
    await eyes.open()
    inside, go_on = threading.Event(), threading.Event()
    desk.on_grab = held(inside, go_on)
    look = asyncio.create_task(eyes.look(desk.source("eDP-1"), epoch=1, ignored=()))
    assert await asyncio.to_thread(inside.wait, 10)
    closing = asyncio.create_task(eyes.close())
    await settle()
    eyes.end()
    go_on.set()
    assert (await look).shot.epoch == 1
    await closing
    assert desk.opened[0].closed == 1


async def test_a_screen_that_opens_too_late_is_closed_and_not_left_behind() -> None:
    desk = Desk()
    inside, go_on, closed = threading.Event(), threading.Event(), threading.Event()
    desk.on_open = held(inside, go_on)
    eyes = make_eyes(desk)
    opening = asyncio.create_task(eyes.open())
    assert await asyncio.to_thread(inside.wait, 10)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await eyes.close()
    eyes._thread.submit(lambda: None).add_done_callback(lambda _: closed.set())
    eyes.end()
    go_on.set()
    assert await asyncio.to_thread(closed.wait, 10)
    assert desk.opened[0].closed == 1


async def test_a_close_is_done_although_its_caller_was_cancelled() -> None:
    desk = Desk()
    eyes = make_eyes(desk)
    await eyes.open()
    inside, go_on = threading.Event(), threading.Event()
    desk.on_grab = held(inside, go_on)
    look = asyncio.create_task(eyes.look(desk.source("eDP-1"), epoch=1, ignored=()))
    assert await asyncio.to_thread(inside.wait, 10)
    closing = asyncio.create_task(eyes.close())
    await settle()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    go_on.set()
    await look
    eyes.end()
    await asyncio.to_thread(eyes._thread.shutdown, wait=True)
    assert desk.opened[0].closed == 1


async def test_a_screen_that_opens_and_has_no_sources_is_closed_by_close() -> None:
    desk = Desk()

    def open_and_lose() -> Screen:
        screen = desk.open()
        desk.lost = True
        return screen

    eyes = Eyes(open_screen=open_and_lose, pixels=DeskPixels(desk), gate=GateSettings(), clock=ManualClock())
    with pytest.raises(NoDisplayError):
        await eyes.open()
    await eyes.close()
    assert desk.opened[0].closed == 1
    eyes.end()
