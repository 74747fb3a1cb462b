"""Waiting for whichever comes first."""

from __future__ import annotations

import asyncio

import pytest

from hudd.flow.waiting import wait_for_any
from tests.fakes.clock import ManualClock, settle


async def test_an_event_that_is_set_needs_no_wait() -> None:
    event = asyncio.Event()
    event.set()
    assert await wait_for_any(ManualClock(), 0.0, event)


async def test_time_that_is_over_needs_no_wait() -> None:
    assert not await wait_for_any(ManualClock(), -1.0, asyncio.Event())


async def test_the_time_ends_the_wait() -> None:
    clock = ManualClock()
    wait = asyncio.create_task(wait_for_any(clock, 5.0, asyncio.Event()))
    await clock.advance(4.9)
    assert not wait.done()
    await clock.advance(0.2)
    assert await wait is False


async def test_an_event_ends_the_wait_and_the_sleep() -> None:
    clock, one, other = ManualClock(), asyncio.Event(), asyncio.Event()
    wait = asyncio.create_task(wait_for_any(clock, 5.0, one, other))
    await settle()
    other.set()
    assert await wait is True
    assert clock.sleeping == 0


async def test_without_a_time_nothing_sleeps() -> None:
    clock, one, other = ManualClock(), asyncio.Event(), asyncio.Event()
    wait = asyncio.create_task(wait_for_any(clock, None, one, other))
    await settle()
    assert clock.sleeping == 0
    one.set()
    assert await wait is True


async def test_cancelling_leaves_nothing_behind() -> None:
    clock = ManualClock()
    wait = asyncio.create_task(wait_for_any(clock, 5.0, asyncio.Event(), asyncio.Event()))
    await settle()
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    assert clock.sleeping == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}
