"""A model that is gone is followed by the next; each session keeps the model that it was opened with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hudd.errors import LinkRefusedError
from hudd.realtime.models import Models
from tests.fakes.clock import settle
from tests.fakes.conversation import House, living
from tests.fakes.realtime_peer import RealtimePeer

GONE = '{"error": {"code": "model_not_found"}}'


@pytest.mark.parametrize("how", ["code", "close"])
async def test_a_model_that_is_gone_is_followed_by_the_next_and_said(how: str) -> None:
    house = House(models=Models("gone", ("also-gone", "there")))
    house.greet = False
    async with living(house):
        for name in ("gone", "also-gone"):
            assert house.conversation.status().model == name
            if how == "code":
                house.link.feed(house.peer.error_event("invalid_model"))
            else:
                house.link.drop(4004, "invalid_request_error.model_not_found")
            await house.clock.advance(1)
        assert house.conversation.status().model == "there"
        house.link.feed(*house.peer.greeting())
        await settle()
        assert house.conversation.status().connection == "ready"
        assert house.models_told == ["there"], "prices are those of a session that answers"
        said = [error.sentence for error in house.errors]
        assert len(said) == 2, "one failure is told once, and nobody is sent to mend what hudd has mended"
        assert all("fallback_models" in sentence for sentence in said)
        assert "gone" in said[0]
        assert not any(error.fatal for error in house.errors)


async def test_without_a_further_model_the_attempts_stop_and_a_person_begins_with_the_first() -> None:
    house = House(models=Models("gone", ("also-gone",)))
    house.refusals.extend(LinkRefusedError("h", status=404, body=GONE) for _ in range(2))
    async with living(house):
        status = house.conversation.status()
        assert (status.connection, status.model, status.connects) == ("needs_attention", "also-gone", 2)
        house.conversation.resume()
        await settle()
        assert (house.conversation.status().connection, house.conversation.status().model) == ("ready", "gone")
        assert house.models_told == ["gone"]


async def test_a_wrong_key_is_no_reason_for_another_model() -> None:
    house = House(models=Models("one", ("two",)))
    house.refusals.append(LinkRefusedError("h", status=404, body='{"error": {"code": "invalid_api_key"}}'))
    async with living(house):
        assert house.conversation.status().connection == "needs_attention"
        assert house.conversation.status().model == "one"


async def test_a_model_that_disappears_within_a_session_is_replaced() -> None:
    house = House(models=Models("gone", ("there",)))
    async with living(house):
        house.peer.status, house.peer.error = "failed", {"code": "model_not_found"}
        house.put()
        await house.until(lambda: house.answers)
        await house.clock.advance(1)
        assert len(house.links) == 2
        assert house.conversation.status().model == "there"
    assert [a.status for a in house.answers] == ["failed"]


# ------------------------------------------------------------------------------------------- at a rollover


@asynccontextmanager
async def about_to_roll_over(first: str, *fallback: str) -> AsyncIterator[House]:
    """One that is ready with the first model a second before the next session is due; each session has its own id."""
    house = House(models=Models(first, fallback))

    def make(number: int) -> RealtimePeer:
        peer = RealtimePeer()
        peer.session_id = f"sess_{number + 1}"
        peer.expires_at = int(house.clock.wall()) + 3600
        return peer

    house.peer_of = make
    async with living(house):
        await house.clock.advance(3299)
        yield house


async def answered(house: House, number: int) -> tuple[str, str]:
    """Ask; gives the session that answered and the model that the money was reserved for."""
    house.put(number)
    await house.until(lambda: house.answers and house.answers[-1].question.id.endswith(str(number)))
    return house.answers[-1].session_id, house.reserved_for[-1]


async def test_a_model_that_is_gone_at_a_rollover_still_answers_and_is_paid_until_the_next_one_takes_over() -> None:
    async with about_to_roll_over("old", "new") as house:
        house.refusals.append(LinkRefusedError("h", status=404, body=GONE))
        house.greet = False
        await house.clock.advance(2)
        assert await answered(house, 1) == ("sess_1", "old")
        assert (house.conversation.status().model, house.models_told) == ("old", ["old"])
        await house.clock.advance(5)
        assert house.conversation.status().model == "old", "the next one is not ready yet"
        house.link.feed(*house.link.peer.greeting())
        await settle()
        assert await answered(house, 2) == ("sess_2", "new")
        assert (house.conversation.status().model, house.models_told) == ("new", ["old", "new"])


async def test_a_question_that_was_given_to_the_old_session_is_paid_at_its_price_though_the_next_took_over() -> None:
    async with about_to_roll_over("old", "new") as house:
        house.refusals.append(LinkRefusedError("h", status=404, body=GONE))
        house.reserving = asyncio.Event()
        house.put(1)
        house.put(2)
        await house.until(lambda: house.reserved_for == ["old"])
        await house.clock.advance(10)
        assert house.models_told == ["old", "new"]
        house.reserving.set()
        await house.until(lambda: len(house.answers) == 2)
        assert house.reserved_for == ["old", "old"]
        assert {answer.session_id for answer in house.answers} == {"sess_1"}


async def test_a_person_who_begins_anew_changes_no_model_before_the_first_one_is_there_again() -> None:
    async with about_to_roll_over("first", "second") as house:
        house.link.drop(4004, "invalid_request_error.model_not_found")
        await house.clock.advance(3299)
        assert house.models_told[-1] == "second"
        house.refusals.append(LinkRefusedError("h", status=401))
        await house.clock.advance(2)
        assert house.conversation.status().rollover == "stopped"
        house.opening = asyncio.Event()
        house.conversation.resume()
        assert (await answered(house, 1))[1] == "second"
        assert (house.conversation.status().model, house.models_told[-1]) == ("second", "second")
        house.opening.set()
        await settle()
        assert (await answered(house, 2))[1] == "first"
        assert (house.conversation.status().model, house.models_told[-1]) == ("first", "first")


async def test_the_end_of_a_session_whose_model_was_left_already_takes_no_further_step() -> None:
    async with about_to_roll_over("gone", "there", "never") as house:
        house.refusals.append(LinkRefusedError("h", status=404, body=GONE))
        await house.clock.advance(2)
        house.link.drop(4004, "invalid_request_error.model_not_found")
        await settle()
        assert (house.conversation.status().connection, house.conversation.status().model) == ("ready", "there")
        assert house.models_told == ["gone", "there"]
