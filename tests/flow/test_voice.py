"""An outage in words: each cause once, their number at the end, and nothing that repeats in the log."""

from __future__ import annotations

import logging

import pytest

from hudd.errors import LinkRefusedError
from hudd.realtime.retry import STEADY_S
from tests.fakes.clock import settle
from tests.fakes.conversation import House, living


async def test_causes_that_take_turns_are_told_once_each_and_their_number_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "hudd")
    house = House()
    async with living(house):
        assert not house.conversation.status().tries_again
        house.refusals.extend(LinkRefusedError(f"No connection to h: cause {number % 2}.") for number in range(8))
        house.link.drop(1006)
        await settle()
        assert house.conversation.status().failures == 1
        for _ in range(10):
            await house.clock.advance(31)
        assert house.conversation.status().connection == "ready"
        assert house.conversation.status().failures == 0
    assert [error.sentence[-8:] for error in house.errors[1:]] == ["cause 0.", "cause 1."]
    [told] = [record.getMessage() for record in caplog.records if "works again" in record.getMessage()]
    assert told.startswith("the connection works again, after 9 failures in ")


async def test_a_single_drop_is_told_by_its_error_and_the_state_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hudd")
    house = House()
    async with living(house):
        house.link.drop(1006)
        await house.clock.advance(1)
        assert house.conversation.status().connection == "ready"
    assert len(house.errors) == 1
    assert "works again" not in caplog.text


async def test_a_try_within_an_outage_is_no_state_of_its_own() -> None:
    house = House()
    house.peer.silent_to.add("session.update")
    async with living(house):
        status = house.conversation.status()
        assert (status.connection, status.tries_again) == ("configuring", False), "the first one after the start"
        house.link.drop(1006)
        await settle()
        status = house.conversation.status()
        assert (status.connection, status.tries_again) == ("backing_off", False)
        await house.clock.advance(1)
        status = house.conversation.status()
        assert (status.connection, status.tries_again) == ("configuring", True)


async def flap(house: House, times: int, *, after_s: float = 0.0) -> None:
    """The server ends each connection so long after it opened."""
    for _ in range(times):
        opened = len(house.links)
        await house.clock.advance(after_s)
        house.link.drop(1011, "bye")
        await settle()
        while len(house.links) == opened:
            await house.clock.advance(1)


@pytest.mark.parametrize("greet", [True, False], ids=["ready", "not ready"])
@pytest.mark.parametrize("after_s", [0.0, 7.0])
async def test_a_server_that_ends_every_connection_is_told_once_and_its_recovery_when_it_lasts(
    after_s: float, greet: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hudd")
    house = House()
    house.greet = greet
    async with living(house):
        await flap(house, 6, after_s=after_s)
        shown, errors, lines = list(house.shown), len(house.errors), len(caplog.records)
        assert shown[-1] == ("flapping" if after_s == 0.0 else "backing_off")
        await flap(house, 40, after_s=after_s)
        assert (house.shown, len(house.errors), len(caplog.records)) == (shown, errors, lines)
        assert house.conversation.status().failures > 40
        house.greet = True
        await flap(house, 1)
        assert house.conversation.status().connection == "ready"
        await house.clock.advance(STEADY_S)
        assert house.shown == [*shown, "ready"]
        assert house.conversation.status().failures == 0
    told = [record.getMessage() for record in caplog.records if "works again" in record.getMessage()]
    assert len(told) == 1
    assert int(told[0].split(" failures")[0].split()[-1]) > 40


async def test_an_answer_proves_that_a_connection_works() -> None:
    house = House()
    async with living(house):
        await flap(house, 5)
        assert (house.conversation.status().connection, house.shown[-1]) == ("ready", "flapping")
        house.put()
        await house.until(lambda: house.answers)
        assert house.shown[-1] == "ready"
        told = len(house.errors)
        house.link.drop(1011, "bye")
        await settle()
        assert len(house.errors) == told + 1, "this is another outage"


async def test_a_connection_that_comes_back_and_stays_costs_no_wake_up() -> None:
    house = House()
    async with living(house):
        house.link.drop(1006)
        await house.clock.advance(1)
        sleeping = house.clock.sleeping
        assert house.shown[-1] == "ready"
        await house.clock.advance(STEADY_S)
        assert house.clock.sleeping == sleeping - 1
