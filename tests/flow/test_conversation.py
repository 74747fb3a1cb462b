"""The conversation over links without sockets, with time that a test moves: questions, answers and its end."""

from __future__ import annotations

import asyncio
import logging

import pytest

from hudd.errors import LinkRefusedError, StorageError, WithheldError
from hudd.protocol.events import Malformed
from tests.fakes.clock import settle
from tests.fakes.conversation import House, living
from tests.fakes.official_types import check_client_event


@pytest.fixture
def house() -> House:
    return House()


async def test_it_connects_configures_and_is_ready(house: House) -> None:
    async with living(house):
        assert house.states == ["configuring", "ready"]
        status = house.conversation.status()
        assert (status.connection, status.session_id, status.expires_at) == ("ready", "sess_1", 1_795_347_066.0)
        assert (status.sentence, status.next_try_s, status.connects) == ("", None, 1)


async def test_idle_means_idle(house: House) -> None:
    async with living(house):
        assert house.clock.next_due_s is not None
        assert house.clock.next_due_s >= 15


async def test_a_question_streams_and_ends_in_one_answer(house: House) -> None:
    async with living(house):
        question = house.put()
        await house.until(lambda: house.answers)
    assert house.log == ["guard 1", "reserve 1", "guard 1", "sent 1", "answer 1 completed"]
    assert "".join(text for _, _, text in house.deltas) == house.peer.text
    assert [n for _, n, _ in house.deltas] == list(range(len(house.deltas)))
    [answer] = house.answers
    assert (answer.question, answer.text, answer.sent, answer.session_id) == (question, house.peer.text, True, "sess_1")


async def test_everything_sent_is_official(house: House) -> None:
    sent: list[bytes] = []
    receive = house.peer.receive
    house.peer.receive = lambda data: sent.append(data) or receive(data)  # type: ignore[func-returns-value, method-assign]
    house.history.remember("eDP-1", "A note.")
    async with living(house):
        house.put()
        await house.until(lambda: house.answers)
    assert [check_client_event(data)["type"] for data in sent] == ["session.update", "response.create"]


async def test_questions_wait_until_the_session_is_ready(house: House) -> None:
    house.peer.silent_to.add("session.update")
    house.put()
    async with living(house):
        assert house.asked() == 0
        assert house.conversation.status().connection == "configuring"
        house.link.feed(house.peer.event("session.updated", session={}))
        await house.until(lambda: house.answers)


async def test_notes_that_were_remembered_go_along(house: House) -> None:
    async with living(house):
        house.history.remember("eDP-1", "Earlier note.")
        house.put()
        await house.until(lambda: house.answers)
    request = house.peer.received[-1]["response"]
    assert request["input"][1]["content"] == [{"type": "output_text", "text": "Earlier note."}]


async def test_an_automatic_question_waits_for_the_one_in_flight(house: House) -> None:
    house.peer.stop_after = "response.created"
    async with living(house):
        house.put(1, "change")
        await house.until(lambda: house.asked() == 1)
        house.put(2, "change")
        house.put(3, "manual")
        await house.until(lambda: house.asked() == 2)
        assert house.conversation.status().responding == 2
        assert [line for line in house.log if line.startswith("sent")] == ["sent 1", "sent 3"]


# ------------------------------------------------------------------------------------------------ withheld


async def test_a_withheld_question_never_leaves_and_ends_in_an_answer(house: House) -> None:
    house.reasons = ("paused", "locked")
    async with living(house):
        house.put()
        await house.until(lambda: house.answers)
        assert house.asked() == 0
        assert house.conversation.status().responding == 0
    [answer] = house.answers
    assert (answer.status, answer.sent) == ("failed", False)
    assert answer.error is not None
    assert (answer.error.code, answer.error.param) == ("withheld", "paused, locked")
    assert house.log == ["guard 1", "reserve 1", "guard 1", "answer 1 failed"]


async def test_a_reason_that_comes_during_the_reservation_still_holds_it_back(house: House) -> None:
    house.reserving = asyncio.Event()
    async with living(house):
        house.put()
        await house.until(lambda: "reserve 1" in house.log)
        house.reasons = ("paused",)
        house.reserving.set()
        await house.until(lambda: house.answers)
        assert house.asked() == 0


@pytest.mark.parametrize(
    "error", [WithheldError(("cap_reached",)), StorageError("The disk is full.", hint="Free some.")]
)
async def test_without_a_reservation_nothing_leaves(house: House, error: Exception) -> None:
    house.reserve_error = error
    async with living(house):
        house.put()
        await house.until(lambda: house.answers)
        assert house.asked() == 0
        house.reserve_error = None
        house.put(2)
        await house.until(lambda: len(house.answers) == 2)
    assert [(a.status, a.sent) for a in house.answers] == [("failed", False), ("completed", True)]
    assert house.answers[0].error is not None
    assert house.answers[0].error.code == "withheld"


# ------------------------------------------------------------------------------------------------ noise


async def test_noise_is_counted_and_harmless(house: House) -> None:
    async with living(house):
        house.link.feed(house.peer.event("nobody.knows"), "{", Malformed("a binary frame"), "[]")
        house.link.feed('{"type":"conversation.item.added","item":{"id":"' + "x" * 400_000 + '"}}')
        house.put()
        await house.until(lambda: house.answers)
        status = house.conversation.status()
        assert (status.unknown_events, status.malformed_events) == (1, 3)
        assert status.last_event_at == house.clock.monotonic()
        house.link.drop()
        await settle()
        after = house.conversation.status()
        assert (after.unknown_events, after.malformed_events, after.session_id) == (1, 3, "")


async def test_errors_are_told_and_the_last_three_kept(house: House) -> None:
    async with living(house):
        house.link.feed(*(house.peer.error_event(f"code_{number}") for number in range(5)))
        await settle()
        assert [error.code for error in house.errors] == [f"code_{number}" for number in range(5)]
        assert [error.code for error in house.conversation.status().last_errors] == ["code_4", "code_3", "code_2"]
        assert house.conversation.status().connection == "ready"


async def test_the_debug_log_holds_no_picture_and_no_text(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "hudd")
    async with living(house):
        house.put()
        await house.until(lambda: house.answers)
    text = caplog.text
    assert "> ResponseCreate" in text
    assert "< ResponseDone" in text
    assert "base64" not in text
    assert "terminal" not in text


# ------------------------------------------------------------------------------------------------ ends


async def test_cancelling_closes_the_link_and_ends_every_question(house: House) -> None:
    house.peer.stop_after = "response.created"
    async with living(house):
        house.put()
        await house.until(lambda: house.asked() == 1)
    assert house.link.closed == 1000
    assert [(a.status, a.sent) for a in house.answers] == [("vanished", True)]


async def test_cancelling_takes_at_most_about_a_second(house: House) -> None:
    async with living(house):
        house.link.stall_close = True
        before = asyncio.get_running_loop().time()
    assert house.link.aborted
    assert asyncio.get_running_loop().time() - before < 2


async def test_cancelling_during_a_wait_and_during_the_opening(house: House) -> None:
    house.refusals.append(LinkRefusedError("No connection."))
    async with living(house):
        assert house.conversation.status().connection == "backing_off"
    other = House()
    other.opening = asyncio.Event()
    async with living(other):
        assert other.conversation.status().connection == "connecting"
    assert other.links == []


async def test_draining_lets_the_answer_in_flight_end_and_takes_nothing_new(house: House) -> None:
    house.peer.stop_after = "response.created"
    async with living(house):
        question = house.put(1)
        await house.until(lambda: house.asked() == 1)
        drain = asyncio.create_task(house.conversation.drain(5))
        await settle()
        house.put(2)
        await settle()
        assert not drain.done()
        [response_id] = house.peer.open_responses
        response = {"id": response_id, "status": "completed", "metadata": {"snap": question.id}}
        house.link.feed(house.peer.event("response.done", response=response))
        assert await drain is True
        assert house.asked() == 1
    assert [a.status for a in house.answers] == ["completed"]


async def test_draining_gives_up_in_time(house: House) -> None:
    house.peer.stop_after = "response.created"
    async with living(house):
        house.put()
        await house.until(lambda: house.asked() == 1)
        drain = asyncio.create_task(house.conversation.drain(5))
        await house.clock.advance(5.1)
        assert await drain is False


async def test_draining_with_nothing_to_wait_for_is_over_at_once(house: House) -> None:
    async with living(house):
        assert await house.conversation.drain(5) is True


async def test_draining_ends_what_waits_to_be_asked_again(house: House) -> None:
    house.peer.stop_after = "response.created"
    async with living(house):
        house.put()
        await house.until(lambda: house.asked() == 1)
        house.link.drop(1006)
        await settle()
        assert await house.conversation.drain(5) is True
    assert [a.status for a in house.answers] == ["vanished"]
