"""Snaps have a bound, and what nobody waits for any more is not done, unless it has begun."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable

import pytest

from hudd.errors import CaptureError, CommandError
from hudd.flow.grabs import Grab, Grabs
from hudd.flow.snaps import MOST, MOST_OF_A_PEER
from hudd.model import Question
from tests.fakes.clock import settle
from tests.fakes.command_house import House
from tests.fakes.questions import make_question


def ulid(number: int) -> str:
    return f"01JD{number:022d}"


def begin(house: House, numbers: range, peer: str = "01") -> list[asyncio.Task[object]]:
    return [asyncio.create_task(house.ask("snap", snap_id=ulid(n), peer=peer)) for n in numbers]


async def leave(tasks: list[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await settle()


async def test_snaps_that_nobody_waits_for_are_dropped_before_they_begin() -> None:
    house = House()
    house.looking.clear()
    for number in range(0, 1000, 4):  # a flood of one connection that leaves at once
        asking = begin(house, range(number, number + 4))
        await settle()
        assert not any(task.done() for task in asking)
        await leave(asking)
    house.looking.set()
    await settle()
    assert house.put == []
    asking = begin(house, range(7, 8))  # the same id begins anew
    await settle()
    assert [question.id for question in house.put] == [ulid(7)]
    house.waiters.end(ulid(7), {"seq": 1})
    assert await asking[0] == {"seq": 1}


async def test_what_has_begun_goes_on_and_what_others_wait_for() -> None:
    house = House()
    house.taking.clear()
    one = begin(house, range(1, 2))
    await settle()
    await leave(one)
    house.looking.clear()
    two = begin(house, range(2, 3)) + begin(house, range(2, 3), peer="02")
    await settle()
    await leave(two[:1])
    house.looking.set()
    house.taking.set()
    await settle()
    assert {question.id for question in house.put} == {ulid(1), ulid(2)}
    house.waiters.end(ulid(2), {"seq": 2})
    assert await two[1] == {"seq": 2}


async def test_one_connection_and_all_together_have_so_many_snaps_at_most() -> None:
    house = House()
    house.looking.clear()
    of_one = begin(house, range(MOST_OF_A_PEER + 1))
    await settle()
    with pytest.raises(CommandError, match="Too many snaps") as told:
        await of_one[-1]
    assert not any(task.done() for task in of_one[:-1])
    assert (told.value.code, told.value.retry_after_ms, bool(told.value.hint)) == ("E_BUSY", 500, True)
    others: list[asyncio.Task[object]] = []
    for peer in range(2, 60):  # each gets at least one, as long as there is room
        others += begin(house, range(peer * 100, peer * 100 + 8), peer=f"{peer:02}")
    await settle()
    under_way = [task for task in of_one + others if not task.done()]
    assert len(under_way) == MOST == len(house.snapped)
    assert not others[0].done()
    house.looking.set()
    await settle()
    assert len(house.put) == MOST
    again = begin(house, range(MOST_OF_A_PEER, MOST_OF_A_PEER + 1))  # refused, not remembered as failed
    await settle()
    assert not again[0].done()
    await leave([task for task in under_way + again + others if not task.done()])
    await asyncio.gather(*others, return_exceptions=True)


def held(gate: asyncio.Event, *, begun: bool) -> Callable[[Grab], Awaitable[Question]]:
    async def take(grab: Grab) -> Question:
        if begun:
            grab.begin()
        await gate.wait()
        question = make_question(trigger="manual")
        return Question(grab.question_id, "manual", question.pictures, question.asked_at)

    return take


async def test_a_shared_grab_outlives_the_one_who_asked_first_and_bears_the_id_of_who_stays() -> None:
    grabs, gate = Grabs(), asyncio.Event()
    shared = [asyncio.create_task(grabs.share("a", name, held(gate, begun=False))) for name in ("1", "2", "3")]
    await settle()
    shared[0].cancel()
    await settle()
    gate.set()
    assert [(await task).id for task in shared[1:]] == ["2", "2"]


async def test_a_grab_that_nobody_wants_is_dropped_and_the_next_one_is_another() -> None:
    grabs, gate = Grabs(), asyncio.Event()
    begun: list[str] = []
    left = asyncio.create_task(grabs.share("a", "1", held(gate, begun=False), lambda: begun.append("1")))
    await settle()
    left.cancel()
    later = asyncio.create_task(grabs.share("a", "2", held(gate, begun=True), lambda: begun.append("2")))
    await settle()
    gate.set()
    assert (await later).id == "2"
    assert begun == ["2"]
    assert left.cancelled()


async def test_a_grab_that_has_begun_ends_though_nobody_waits_for_it() -> None:
    grabs, gate, ended = Grabs(), asyncio.Event(), list[str]()

    async def take(grab: Grab) -> Question:
        question = await held(gate, begun=True)(grab)
        ended.append(question.id)
        return question

    left = asyncio.create_task(grabs.share("a", "1", take))
    await settle()
    left.cancel()
    await settle()
    gate.set()
    await settle()
    assert ended == ["1"]


async def test_a_grab_that_fails_when_nobody_waits_for_it_any_more_is_no_mistake_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    grabs, gate = Grabs(), asyncio.Event()

    async def take(grab: Grab) -> Question:
        await held(gate, begun=True)(grab)
        raise CaptureError("The region shows one colour only.")

    with caplog.at_level(logging.DEBUG):
        left = asyncio.create_task(grabs.share("a", "1", take))
        await settle()
        left.cancel()
        await settle()
        gate.set()
        await settle()
        gc.collect()  # where a failure that nobody looked at would be told
    assert [record.name for record in caplog.records] == ["hudd.screen"]
    assert "one colour" in caplog.text
