"""Closing an asyncio feed while a task waits for its next note."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hudctl import AsyncFeed, Cursor, StateError
from tests.fakes.bus import SmallDaemon, await_until


async def waiting(feed: AsyncFeed) -> None:
    """Let the task begin to wait, past the welcome."""
    await await_until(lambda: feed.cursor is not None)
    await asyncio.sleep(0.05)


async def test_an_iteration_that_waits_ends(tmp_path: Path) -> None:
    async with SmallDaemon(tmp_path) as daemon, asyncio.timeout(5):
        feed = AsyncFeed(runtime_dir=tmp_path)

        async def read() -> list[int]:
            return [note.seq async for note in feed]

        reading = asyncio.create_task(read())
        await waiting(feed)
        daemon.note()
        await await_until(lambda: feed.cursor == Cursor("s1", 1))
        descriptors = feed._link.descriptors
        feed.close()
        feed.close()
        loop = asyncio.get_running_loop()
        assert not any(loop.remove_reader(found) for found in descriptors), "their numbers may be another's from now on"
        assert await reading == [1]


async def test_a_get_that_waits_says_so_and_so_does_each_later_one(tmp_path: Path) -> None:
    async with SmallDaemon(tmp_path), asyncio.timeout(5):
        feed = AsyncFeed(runtime_dir=tmp_path)
        getting = asyncio.ensure_future(feed.get())
        await waiting(feed)
        feed.close()
        with pytest.raises(StateError, match="The feed was closed"):
            await getting
        with pytest.raises(StateError, match="The feed was closed"):
            await feed.get()


async def test_a_feed_that_was_read_in_another_loop_is_closed_without_it(tmp_path: Path) -> None:
    async with SmallDaemon(tmp_path) as daemon:
        daemon.note()

        def elsewhere() -> int:
            feed = AsyncFeed(after=0, runtime_dir=tmp_path)
            try:
                return asyncio.run(feed.get()).seq
            finally:
                feed.close()

        async with asyncio.timeout(5):
            assert await asyncio.to_thread(elsewhere) == 1
