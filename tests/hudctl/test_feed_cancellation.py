"""A feed of asyncio whose reader is cancelled thousands of times, at every moment, loses and doubles nothing."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path

import pytest

from hudctl import AsyncFeed, Cursor, Note
from tests.fakes.bus import SmallDaemon

CANCELS = 2500
LOST_SHARE = 0.2


async def _publish(daemon: SmallDaemon, chance: random.Random, stop: asyncio.Event) -> None:
    """Notes without a pause worth naming; some frames are lost on the way."""
    while not stop.is_set():
        for _ in range(chance.randrange(4)):
            if chance.random() < LOST_SHARE:
                daemon.journal.append()
            else:
                daemon.note()
        await asyncio.sleep(chance.choice((0, 0, 0.0005, 0.002)))
    daemon.note()


async def _cancelled(feed: AsyncFeed, chance: random.Random) -> Note | None:
    """One try that is cut off after some turns of the loop, or some time, and what it brought."""
    task = asyncio.create_task(feed.get())
    if chance.random() < 0.7:
        for _ in range(chance.randrange(5)):
            await asyncio.sleep(0)
    else:
        await asyncio.sleep(chance.random() * 0.002)
    task.cancel()
    try:
        return await task
    except asyncio.CancelledError:
        return None


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", [1])
async def test_thousands_of_cancellations_lose_nothing(tmp_path: Path, seed: int) -> None:
    chance, stop, cut = random.Random(seed), asyncio.Event(), 0
    got: list[int] = []
    async with SmallDaemon(tmp_path) as daemon, AsyncFeed(after=0, runtime_dir=tmp_path) as feed:
        source = asyncio.create_task(_publish(daemon, random.Random(seed + 100), stop))
        while cut < CANCELS:
            note = await _cancelled(feed, chance)
            if note is None:
                cut += 1
            else:
                got.append(note.seq)
                assert feed.cursor == Cursor("s1", note.seq)
        stop.set()
        await source
        async with asyncio.timeout(30):
            while len(got) < len(daemon.journal.notes):
                got.append((await feed.get()).seq)
    assert got == list(range(1, len(got) + 1))
    assert len(got) > 500, "too few notes came between the cancellations to prove anything"


async def test_time_limits_lose_nothing(tmp_path: Path) -> None:
    """As people write it: a limit around each ``get``."""
    chance, stop, late = random.Random(3), asyncio.Event(), 0
    got: list[int] = []
    async with SmallDaemon(tmp_path) as daemon, AsyncFeed(after=0, runtime_dir=tmp_path) as feed:
        source = asyncio.create_task(_publish(daemon, random.Random(4), stop))
        while late < 300:
            try:
                async with asyncio.timeout(chance.random() * 0.001):
                    got.append((await feed.get()).seq)
            except TimeoutError:
                late += 1
        stop.set()
        await source
        async with asyncio.timeout(30):
            while len(got) < len(daemon.journal.notes):
                got.append((await feed.get()).seq)
    assert got == list(range(1, len(got) + 1))


async def test_a_reader_that_survived_a_cancellation_still_asks_again(tmp_path: Path) -> None:
    """The feed's own waiting ends by itself also in a task whose cancellation was suppressed."""
    async with SmallDaemon(tmp_path) as daemon, AsyncFeed(after=0, runtime_dir=tmp_path) as feed:

        async def read() -> int:
            with contextlib.suppress(asyncio.CancelledError):
                await feed.get()
            await feed._wait(0.01)
            return (await feed.get()).seq

        task = asyncio.create_task(read())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0.05)
        daemon.note()
        assert await task == 1
