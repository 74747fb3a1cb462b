"""A machine that slept: every socket is dead, and a session is there again within seconds of the network."""

from __future__ import annotations

import asyncio

import pytest

from hudd.errors import LinkRefusedError
from hudd.realtime.sentences import SLEPT
from tests.fakes.clock import settle
from tests.fakes.conversation import House, living


@pytest.fixture
def house() -> House:
    return House()


async def test_after_a_sleep_the_socket_is_dropped_and_a_new_session_opened_at_once(house: House) -> None:
    house.peer.stop_after = "response.created"
    async with living(house):
        await house.clock.advance(100)
        house.put()
        await house.until(lambda: house.asked() == 1)
        house.peer.stop_after = ""
        house.clock.jump_wall(3600)
        await house.clock.advance(15)
        assert house.links[0].aborted
        assert house.conversation.status().connection == "ready"
        assert len(house.links) == 2
        await house.until(lambda: house.answers)
        assert house.answers[0].question.pictures[0].data == b"fresh"
    assert [error.sentence for error in house.errors] == [SLEPT]


async def test_a_question_right_after_a_sleep_notices_it(house: House) -> None:
    async with living(house):
        await house.clock.advance(1)
        house.clock.jump_wall(600)
        house.put()
        await house.until(lambda: house.answers)
        assert len(house.links) == 2
        assert house.asked() == 1


async def test_a_sleep_without_a_network_ends_ready_within_five_seconds_of_it(house: House) -> None:
    async with living(house):
        house.refusals.extend(LinkRefusedError("No connection.") for _ in range(1000))
        house.conversation.woke()
        await house.clock.advance(47.3)
        house.refusals.clear()
        await house.clock.advance(5)
        assert house.conversation.status().connection == "ready"


async def test_a_sleep_during_the_opening_starts_it_anew(house: House) -> None:
    house.opening = asyncio.Event()
    async with living(house):
        assert house.conversation.status().connection == "connecting"
        house.opening = None
        house.clock.jump_wall(600)
        await house.clock.advance(15)
        assert house.conversation.status().connection == "ready"
        assert house.conversation.status().connects == 2


@pytest.mark.parametrize("jump_s", [-3600, 5])
async def test_a_clock_that_is_set_back_or_corrected_is_no_sleep(house: House, jump_s: float) -> None:
    async with living(house):
        house.clock.jump_wall(jump_s)
        await house.clock.advance(60)
        assert len(house.links) == 1


async def test_a_wake_that_is_told_twice_is_one(house: House) -> None:
    async with living(house):
        house.conversation.woke()
        await settle()
        house.conversation.woke()
        await settle()
        assert len(house.links) == 2


async def test_a_sleep_during_a_rollover_drops_both(house: House) -> None:
    async with living(house):
        await house.clock.advance(3299)
        house.greet = False
        await house.clock.advance(2)
        assert house.conversation.status().rollover == "opening"
        house.greet = True
        house.conversation.woke()
        await house.clock.advance(1)
        status = house.conversation.status()
        assert (status.connection, status.rollover, len(house.links)) == ("ready", None, 3)
        assert all(link.aborted for link in house.links[:2])


@pytest.mark.parametrize("awake_s", [1.0, 5.0, 9.0])
async def test_a_machine_that_goes_to_sleep_again_soon_after_a_wake_wakes_to_a_dead_socket_again(
    house: House, awake_s: float
) -> None:
    async with living(house):
        for count in (2, 3):  # monotonic time stands still in a sleep: only the wall clock tells them apart
            house.clock.jump_wall(3600)
            house.conversation.clock_jumped()
            house.conversation.woke()  # the same wake, told by another
            await house.clock.advance(awake_s)
            assert len(house.links) == count
            assert house.links[count - 2].aborted
        house.put()
        await house.until(lambda: house.answers)
        assert house.answers[0].status == "completed"


async def test_a_sleep_during_the_opening_is_told_as_what_it_is(house: House) -> None:
    house.opening = asyncio.Event()
    async with living(house):
        house.opening = None
        house.conversation.woke()
        await settle()
    assert [(error.code, error.sentence) for error in house.errors] == [("connection_lost", SLEPT)]
