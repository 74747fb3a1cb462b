"""Whoever asks for many pages at once waits behind itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hudd.flow.turns import MOST, Turns
from hudd.notes.records import WrittenPage
from hudd.wire.codec import WrittenJson
from hudd.wire.messages import Note
from tests.fakes.clock import ManualClock, settle
from tests.fakes.command_house import FakeStore, House


class OneThread(FakeStore):
    """A journal that does one thing after the other, each when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[str] = []
        self.waiting: asyncio.Queue[tuple[str, asyncio.Event]] = asyncio.Queue()

    async def _turn(self, what: str) -> None:
        done = asyncio.Event()
        self.waiting.put_nowait((what, done))
        await done.wait()

    async def serve(self) -> None:
        while not self.waiting.empty():
            what, done = self.waiting.get_nowait()
            self.begun.append(what)
            done.set()
            await settle()

    async def written_since(self, seq: int, *, topic_prefix: str = "note/", limit: int = 500) -> WrittenPage:
        await self._turn(f"page {seq}")
        return WrittenPage(WrittenJson(json.dumps([])), head=9, oldest=1, more=False)

    async def search(self, **query: Any) -> list[Note]:
        await self._turn(f"search {query['limit']}")
        return []


async def test_the_pages_of_one_connection_are_read_between_those_of_others() -> None:
    store = OneThread()
    house = House(store)
    flood = [asyncio.create_task(house.ask("notes.since", seq=n, peer="0a")) for n in range(4)]
    searches = [asyncio.create_task(house.ask("notes.search", limit=n, peer="0a")) for n in (7, 8)]
    greps = [asyncio.create_task(house.ask("notes.search", limit=n, grep="x", peer="0a")) for n in (9, 10)]
    await settle()
    other = [asyncio.create_task(house.ask("notes.since", seq=n, peer="0b")) for n in (10, 11)]
    await settle()
    assert store.waiting.qsize() == 3  # a page, a search, a grep
    await store.serve()
    await asyncio.gather(*flood, *searches, *greps, *other)
    pages = [what for what in store.begun if what.startswith("page")]
    assert pages == ["page 0", "page 10", "page 1", "page 11", "page 2", "page 3"]


class Worked(ManualClock):
    """Time passes by work."""

    def skip(self, seconds: float) -> None:
        self._move(self.monotonic() + seconds)


async def test_each_peer_has_its_share_of_the_time() -> None:
    clock = Worked()
    turns, order = Turns(clock), list[str]()

    async def work(peer: str, seconds: float) -> None:
        async with turns.of(peer):
            order.append(peer)
            await asyncio.sleep(0)
            clock.skip(seconds)

    long = [asyncio.create_task(work("long", 0.04)) for _ in range(10)]
    short = [asyncio.create_task(work("short", 0.01)) for _ in range(40)]
    await asyncio.gather(*long, *short)
    for at in range(10, 40, 10):
        assert 1 <= order[at : at + 10].count("long") <= 3


async def test_a_short_page_waits_for_no_long_one() -> None:
    store = OneThread()
    house = House(store)
    long = [asyncio.create_task(house.ask("notes.since", seq=n, peer=f"{n:02x}")) for n in range(20)]
    await settle()
    short = asyncio.create_task(house.ask("notes.since", seq=77, limit=1, peer="aa"))
    await settle()
    assert store.waiting.qsize() == 2
    await store.serve()
    await asyncio.gather(*long, short)
    assert store.begun[:2] == ["page 0", "page 77"]  # both at once


async def test_what_was_taken_is_forgotten() -> None:
    turns = Turns(ManualClock())

    async def work(peer: str) -> None:
        async with turns.of(peer):
            await asyncio.sleep(0)
            assert len(turns._taken) <= MOST

    await asyncio.gather(*(work(f"peer {n}") for n in range(3 * MOST)))
    assert turns._taken == {}
    assert turns._waiting == []


async def test_who_leaves_while_waiting_for_a_turn_takes_none() -> None:
    turns, begun, gate = Turns(ManualClock()), list[int](), asyncio.Event()

    async def work(number: int) -> None:
        async with turns.of("a"):
            begun.append(number)
            await gate.wait()

    tasks = [asyncio.create_task(work(number)) for number in range(3)]
    await settle()
    tasks[1].cancel()
    await settle()
    gate.set()
    await asyncio.gather(tasks[0], tasks[2])
    assert begun == [0, 2]
    assert turns._waiting == []
    assert not turns._busy


async def test_who_leaves_at_the_moment_of_its_turn_hands_it_on() -> None:
    turns, begun, gate = Turns(ManualClock()), list[int](), asyncio.Event()

    async def work(number: int) -> None:
        async with turns.of("a"):
            begun.append(number)
            await gate.wait()
            if not number:
                tasks[1].cancel()  # before the turn is handed on
                asyncio.get_running_loop().call_soon(tasks[2].cancel)  # after it, and before it is taken

    tasks = [asyncio.create_task(work(number)) for number in range(4)]
    await settle()
    gate.set()
    await asyncio.wait(tasks, timeout=5)
    assert begun == [0, 3]
    assert [task.cancelled() for task in tasks] == [False, True, True, False]
