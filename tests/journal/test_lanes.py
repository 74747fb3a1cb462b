"""Who left is not worked for, unless something was to be written."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hudd.journal.lanes import Lane
from hudd.journal.store import Journal
from tests.fakes.journal import make_note


@pytest.fixture(params=[True, False], ids=["reads", "writes"])
def lane(request: pytest.FixtureRequest) -> Iterator[Lane]:
    made = Lane("lane", Path("unused"), lambda: sqlite3.connect(":memory:"), reads=request.param)
    yield made
    made.close()


async def test_a_job_whose_caller_left_is_begun_only_where_it_writes(
    lane: Lane, request: pytest.FixtureRequest
) -> None:
    gate, ran = threading.Event(), list[int]()
    blocked = asyncio.create_task(lane.run(lambda _: gate.wait(10)))
    await asyncio.sleep(0)
    left = [asyncio.create_task(lane.run(lambda _, n=n: ran.append(n))) for n in range(3)]
    await asyncio.sleep(0)
    for task in left:
        task.cancel()
    await asyncio.wait(left)
    assert all(task.cancelled() for task in left)
    gate.set()
    assert await blocked
    await lane.run(lambda _: ran.append(3))
    assert ran == ([3] if "reads" in request.node.callspec.id else [0, 1, 2, 3])


async def test_replay_for_those_who_left_is_not_read(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    pages_read: list[int] = []

    def written_since(_: sqlite3.Connection, __: str, seq: int, *___: object) -> None:
        pages_read.append(seq)

    monkeypatch.setattr("hudd.journal.pages.written_since", written_since)
    gate = threading.Event()
    blocked = asyncio.create_task(journal._pages.run(lambda _: gate.wait(10)))
    await asyncio.sleep(0)
    flood = [asyncio.create_task(journal.written_since(seq)) for seq in range(100)]
    await asyncio.sleep(0)
    for task in flood[:-1]:
        task.cancel()
    await asyncio.wait(flood[:-1])
    await journal.totals("2026-11-21")  # what the status needs waits for none of them
    gate.set()
    await asyncio.wait([blocked, *flood])
    assert pages_read == [99]


async def test_a_slow_search_whose_caller_left_is_stopped(journal: Journal) -> None:
    await journal.commit_note(make_note(text="a" * 40 + "b"), None)
    slow = asyncio.create_task(journal.search(grep="/(a|a)*$/"))
    await asyncio.sleep(0.3)  # it is in the middle of it now, on a machine of any speed, or just before
    slow.cancel()
    await asyncio.wait([slow])
    started = time.monotonic()
    assert len(await journal.search(grep="aab")) == 1
    assert time.monotonic() - started < 2  # it would have gone on for three seconds


async def test_a_long_reading_of_notes_stops_as_well(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hudd.journal.queries._CHUNK", 1)
    for _ in range(5):
        await journal.commit_note(make_note(text="x"), None)
    looked, met, gate = list[float](), threading.Event(), threading.Event()

    def monotonic() -> float:
        looked.append(0)
        if len(looked) == 2:  # the first is the beginning of its time
            met.set()
            gate.wait(10)
        return 0.0

    monkeypatch.setattr(journal._clock, "monotonic", monotonic)
    search = asyncio.create_task(journal.search(grep="nothing"))
    await asyncio.to_thread(met.wait, 10)
    search.cancel()
    await asyncio.wait([search])
    gate.set()
    await journal._grepper.run(lambda _: None)
    assert len(looked) == 2


async def test_an_expression_delays_no_search_by_words(journal: Journal) -> None:
    await journal.commit_note(make_note(text="a" * 40 + "b"), None)
    gate = threading.Event()
    held = asyncio.create_task(journal._grepper.run(lambda _: gate.wait(10)))
    slow = asyncio.create_task(journal.search(grep="/aab/"))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert len(await journal.search(limit=1)) == len(await journal.search(since=0.0)) == 1
    assert not slow.done()
    gate.set()
    assert await held
    assert len(await slow) == 1


async def test_a_long_page_delays_no_short_one(journal: Journal) -> None:
    await journal.commit_note(make_note(), None)
    gate = threading.Event()
    held = asyncio.create_task(journal._pages.run(lambda _: gate.wait(10)))
    await asyncio.sleep(0)
    long = asyncio.create_task(journal.written_since(0))
    async with asyncio.timeout(5):
        assert (await journal.written_since(0, limit=1)).head == 1
        assert await journal.errors(limit=1) == []
    assert not long.done()
    gate.set()
    assert await held
    assert (await long).head == 1
