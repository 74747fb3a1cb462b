"""Waiting for the end of work, also in clean-up after a cancellation."""

from __future__ import annotations

import asyncio

import pytest

from hudd.clock import ends_within


async def test_work_that_ends_in_time() -> None:
    assert await ends_within(asyncio.sleep(0), 5.0)


async def test_work_that_does_not_end_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    assert not await ends_within(forever(), 0.01)
    assert cancelled.is_set()


async def test_an_error_of_the_work_is_raised() -> None:
    async def fails() -> None:
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        await ends_within(fails(), 5.0)


async def test_it_says_false_in_the_clean_up_of_a_cancelled_task() -> None:
    """``asyncio.timeout`` raises CancelledError there on Python up to 3.11.3."""
    told: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            told.append(await ends_within(asyncio.sleep(60), 0.01))

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert told == [False]
    assert task.cancelled()
