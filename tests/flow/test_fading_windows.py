"""A window that is painted over stays painted over while it fades out, however long ago the last frame was taken."""

from __future__ import annotations

import asyncio

import pytest

from hudd.flow.facts_windows import LINGER_S
from tests.fakes.window_facts import OTHER, SECRET, Room, Teller, followed


async def closed_after(room: Room, teller: Teller, still_s: float) -> None:
    """The window is there, nothing is grabbed for a while, and it closes."""
    assert room.grab().masked == 1
    await room.clock.advance(still_s)
    epoch = room.facts.epoch
    teller.show(OTHER)
    async with asyncio.timeout(20):
        while room.facts.epoch == epoch:  # noqa: ASYNC110 - a thread of its own works towards it
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("still_s", [0.0, 10.0, 3600.0])
async def test_one_that_closed_is_hidden_for_a_moment_and_no_longer(still_s: float) -> None:
    teller = Teller(OTHER, SECRET)
    room = Room(teller, on_excluded="mask")
    async with followed(room):
        await closed_after(room, teller, still_s)
        assert room.grab().masked == 1
        await room.clock.advance(LINGER_S - 0.01)
        assert room.grab().masked == 1
        await room.clock.advance(0.02)
        assert room.grab().masked == 0


async def test_one_that_closed_is_hidden_also_before_its_event_is_read() -> None:
    teller = Teller(OTHER, SECRET)
    room = Room(teller, on_excluded="mask")
    async with followed(room):
        assert room.grab().masked == 1
        await room.clock.advance(10.0)
        teller.shown = (OTHER,)  # nothing was told
        assert room.grab().masked == 1
