from __future__ import annotations

import asyncio
import logging

import pytest

from hudd.service.notify import SilentNotifier
from hudd.service.watchdog import Watchdog
from tests.fakes.clock import ManualClock


class Fed(SilentNotifier):
    def __init__(self) -> None:
        self.count = 0

    def watchdog(self) -> None:
        self.count += 1


class Part:
    def __init__(self) -> None:
        self.answers = True
        self.within_s: list[float] = []

    async def __call__(self, within_s: float) -> bool:
        self.within_s.append(within_s)
        return self.answers


def dog(notify: Fed, clock: ManualClock, **parts: Part) -> Watchdog:
    return Watchdog({f"the {name}": part for name, part in parts.items()}, notify=notify, clock=clock, interval_s=3.0)


async def test_it_is_fed_while_everybody_answers():
    fed, clock, door = Fed(), ManualClock(), Part()
    task = asyncio.create_task(dog(fed, clock, door=door).run())
    await clock.advance(0)
    await clock.advance(3)
    await clock.advance(3)
    task.cancel()
    assert fed.count == 3
    assert door.within_s == [1.5] * 3


async def test_one_that_was_silent_for_a_moment_is_asked_again_in_time():
    fed, clock, door = Fed(), ManualClock(), Part()
    task = asyncio.create_task(dog(fed, clock, door=door).run())
    await clock.advance(0)
    door.answers = False
    await clock.advance(3)  # half of what is allowed
    door.answers = True
    await clock.advance(0.5)
    assert fed.count == 2
    task.cancel()


async def test_one_that_is_silent_is_enough_and_is_named_once(caplog: pytest.LogCaptureFixture):
    fed, door, writer = Fed(), Part(), Part()
    watchdog = dog(fed, ManualClock(), door=door, writer=writer)
    writer.answers = False
    with caplog.at_level(logging.INFO, "hudd"):
        assert not await watchdog.round()
        assert not await watchdog.round()
        assert fed.count == 0
        writer.answers = True
        assert await watchdog.round()
    assert fed.count == 1
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "the writer does not answer; if that lasts, the watchdog ends hudd and it is started again",
        "Everything answers again, and the watchdog is fed.",
    ]
