from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hudd.flow.pauses import Pauses
from hudd.flow.status import PauseFacts
from hudd.notes.records import PauseState
from hudd.policy.facts import Facts
from tests.fakes.clock import ManualClock, settle


class House:
    """The journal's word about pauses, and who listens."""

    def __init__(self, pause: PauseState | None = None) -> None:
        self.clock = ManualClock()
        self.pause = pause
        self.facts = Facts()
        self.told = 0
        self.pauses = Pauses(state=self.state, facts=self.facts, clock=self.clock, on_state=self.tell)

    def state(self) -> PauseState | None:
        pause = self.pause
        return None if pause is None or (pause.until is not None and pause.until <= self.clock.wall()) else pause

    def tell(self) -> None:
        self.told += 1

    def begin(self, for_s: float | None = None) -> None:
        now = self.clock.wall()
        self.pause = PauseState(since=now, until=None if for_s is None else now + for_s, why="lunch")
        self.pauses.changed()

    def end(self) -> None:
        self.pause = None
        self.pauses.changed()

    @property
    def paused(self) -> bool:
        return self.facts.reasons == ("paused",)


@asynccontextmanager
async def running(house: House) -> AsyncIterator[House]:
    task = asyncio.create_task(house.pauses.run())
    await settle()
    try:
        yield house
    finally:
        task.cancel()
        await asyncio.wait([task])


def test_a_pause_of_the_last_run_holds_from_the_first_moment() -> None:
    assert House(PauseState(since=1.0, until=None, why="")).paused
    assert not House(PauseState(since=1.0, until=2.0, why="")).paused
    assert not House().paused


def test_the_status_tells_the_pause_in_force() -> None:
    house = House()
    assert house.pauses.facts() is None
    house.begin(60)
    since = house.clock.wall()
    assert house.pauses.facts() == PauseFacts(since=since, until=since + 60, why="lunch")


async def test_begin_and_end_by_command_are_facts_at_once() -> None:
    async with running(House()) as house:
        house.begin()
        assert house.paused
        assert house.told == 1
        await house.clock.advance(86_400)
        assert house.paused
        house.end()
        assert not house.paused
        assert house.told == 2


async def test_without_a_timed_pause_nothing_wakes_up() -> None:
    async with running(House()) as house:
        assert house.clock.sleeping == 0
        house.begin()
        await settle()
        assert house.clock.sleeping == 0
        house.begin(60)
        await settle()
        assert house.clock.sleeping == 1
        house.end()
        await settle()
        assert house.clock.sleeping == 0


async def test_a_timed_pause_ends_when_its_time_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hudd")
    async with running(House()) as house:
        house.begin(3600)
        await house.clock.advance(3599.9)
        assert house.paused
        assert house.told == 1
        await house.clock.advance(0.2)
        assert not house.paused
        assert house.told == 2
        assert "the pause is over" in caplog.text
        assert house.clock.sleeping == 0


async def test_a_longer_pause_replaces_a_shorter_one_and_a_shorter_one_a_longer() -> None:
    async with running(House()) as house:
        house.begin(60)
        await house.clock.advance(30)
        house.begin(600)
        await house.clock.advance(120)
        assert house.paused
        house.begin(10)
        await house.clock.advance(11)
        assert not house.paused


async def test_a_clock_that_is_set_forward_ends_the_pause_within_a_quarter_of_an_hour() -> None:
    async with running(House()) as house:
        house.begin(7200)
        await house.clock.advance(60)
        house.clock.jump_wall(7200)
        await house.clock.advance(900)
        assert not house.paused


async def test_a_clock_that_is_set_back_makes_the_pause_longer_and_never_shorter() -> None:
    async with running(House()) as house:
        house.begin(60)
        await house.clock.advance(30)
        house.clock.jump_wall(-3600)
        await house.clock.advance(3600)
        assert house.paused
        await house.clock.advance(1000)
        assert not house.paused


async def test_a_pause_that_is_being_committed_is_not_ended_from_here() -> None:
    async with running(House()) as house:
        house.facts.set("paused", True)
        await house.clock.advance(3600)
        assert house.paused
        assert house.told == 0
