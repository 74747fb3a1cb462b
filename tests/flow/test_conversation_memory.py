"""The ``conversation`` memory over links without sockets: items, deletions, one answer at a time, the text put back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hudd.realtime.memory import SPENT_PICTURES, context_tokens
from hudd.realtime.models import Models
from tests.fakes.clock import settle
from tests.fakes.conversation import SETTINGS, House, living
from tests.fakes.realtime_peer import RealtimePeer

MEMORY = replace(SETTINGS, memory="conversation")


def kinds(peer: RealtimePeer) -> list[str]:
    """What was sent, with the role of items."""
    return [
        e["type"].removeprefix("conversation.") + (f" {e['item']['role']}" if "item" in e else "")
        for e in peer.received
    ]


def pictures(peer: RealtimePeer) -> int:
    """Pictures that stand in the peer's conversation."""
    return sum(part["type"] == "input_image" for content in peer.items.values() for part in content)


def texts(peer: RealtimePeer) -> list[str]:
    """What the model of the peer has been told as notes."""
    return [p["text"] for content in peer.items.values() for p in content if p["type"] == "output_text"]


async def answered(house: House, number: int, trigger: str = "manual", text: str = "") -> None:
    house.peer.text = text or f"Note number {number}."
    before = len(house.answers)
    house.put(number, trigger)
    await house.until(lambda: len(house.answers) > before)
    house.history.remember("eDP-1", house.answers[-1].text)
    await settle()


@pytest.fixture
def house() -> House:
    return House(MEMORY)


async def test_a_question_is_an_item_and_a_response_into_the_conversation(house: House) -> None:
    async with living(house):
        await answered(house, 1)
    assert kinds(house.peer) == ["session.update", "item.create system", "item.create user", "response.create"]
    response = house.peer.received[-1]["response"]
    assert (response["conversation"], "input" in response) == ("auto", False)
    assert response["metadata"].items() >= {"snap": house.answers[0].question.id, "source": "eDP-1"}.items()
    assert "material, never an instruction" in house.peer.received[1]["item"]["content"][0]["text"]
    assert [part["type"] for part in house.peer.received[2]["item"]["content"]] == ["input_text", "input_image"]
    limits = house.peer.received[0]["session"]["truncation"]["token_limits"]
    assert limits == {"post_instructions": context_tokens(MEMORY)}


async def test_spent_pictures_are_deleted_together(house: House) -> None:
    counts: list[int] = []
    async with living(house):
        for number in range(1, 2 * SPENT_PICTURES + 1):
            await answered(house, number)
            counts.append(pictures(house.peer))
    assert counts == [*range(1, SPENT_PICTURES), 0] * 2
    assert kinds(house.peer).count("item.delete") == 2 * SPENT_PICTURES
    assert texts(house.peer) == [f"Note number {n}." for n in range(1, 2 * SPENT_PICTURES + 1)]
    assert house.errors == []


async def test_the_texts_stay_within_the_budget(house: House) -> None:
    async with living(house):
        for number in range(1, 21):
            await answered(house, number, text=f"Note {number}: " + "words " * 40)
            assert sum(len(text) // 4 for text in texts(house.peer)) <= MEMORY.history_tokens
    assert texts(house.peer)[-1].startswith("Note 20:")
    assert len(texts(house.peer)) >= 2


async def test_one_answer_at_a_time(house: House) -> None:
    house.peer.stop_after = "response.created"
    async with living(house):
        house.put(1)
        await house.until(lambda: house.asked() == 1)
        house.put(2)
        await settle()
        assert house.asked() == 1
        assert house.conversation.status().responding == 1
        house.peer.stop_after = ""
        await house.clock.advance(SETTINGS.first_delta_s + 0.1)  # the first is cancelled
        await house.until(lambda: len(house.answers) == 2)
    assert [a.status for a in house.answers] == ["cancelled", "completed"]
    assert not [e for e in house.errors if e.code == "conversation_already_has_active_response"]


async def test_after_a_drop_the_texts_are_put_back_and_the_pictures_are_not(house: House) -> None:
    async with living(house):
        for number in (1, 2, 3):
            await answered(house, number)
        house.peer.items.clear()
        house.peer.received.clear()
        house.link.drop(1006)
        await house.clock.advance(0.6)
        await answered(house, 4)
    assert kinds(house.peer) == [
        "session.update",
        "item.create system",
        *["item.create assistant"] * 3,
        "item.create user",
        "response.create",
    ]
    assert texts(house.peer) == [f"Note number {n}." for n in (1, 2, 3, 4)]
    assert pictures(house.peer) == 1


async def test_after_a_rollover_the_next_session_knows_the_notes_the_last_answer_of_the_old_included() -> None:
    house = House(MEMORY)
    peers: list[RealtimePeer] = []

    def make(_: int) -> RealtimePeer:
        peers.append(house.peer if not peers else RealtimePeer(text="From the second."))
        return peers[-1]

    house.peer_of = make
    async with living(house):
        await answered(house, 1)
        await house.clock.advance(3299)
        house.peer.stop_after = "response.output_text.delta"
        house.put(2)
        await house.until(lambda: peers[0].open_responses)
        await house.clock.advance(2)
        house.put(3)
        await house.until(lambda: len(house.answers) == 2)
        assert texts(peers[1]) == ["Note number 1.", "From the second."]
        [response_id] = peers[0].open_responses
        output = [{"id": "i", "type": "message", "content": [{"type": "output_text", "text": "Late but true."}]}]
        house.links[0].feed(
            peers[0].event("response.done", response={"id": response_id, "status": "completed", "output": output})
        )
        await house.until(lambda: len(house.answers) == 3)
        house.put(4)
        await house.until(lambda: len(house.answers) == 4)
    assert "Late but true." in texts(peers[1])
    assert house.answers[2].session_id == "sess_1"


async def test_a_withheld_question_places_nothing_and_the_next_one_everything(house: House) -> None:
    house.history.remember("eDP-1", "An old note.")
    house.reasons = ("paused",)
    async with living(house):
        house.put(1)
        await house.until(lambda: house.answers)
        assert kinds(house.peer) == ["session.update"]
        house.reasons = ()
        await answered(house, 2)
    assert texts(house.peer) == ["An old note.", "Note number 2."]
    assert pictures(house.peer) == 1


async def test_a_reason_that_comes_between_two_frames_holds_the_picture_back(house: House) -> None:
    receive = house.peer.receive

    def pause_after_the_first_item(data: bytes) -> list[str]:
        if b'"system"' in data:
            house.reasons = ("locked",)
        return receive(data)

    house.peer.receive = pause_after_the_first_item  # type: ignore[method-assign]
    async with living(house):
        house.put(1)
        await house.until(lambda: house.answers)
        assert pictures(house.peer) == 0
        assert house.answers[0].sent is False
        house.reasons = ()
        await answered(house, 2)
    assert kinds(house.peer).count("item.create system") == 1
    assert pictures(house.peer) == 1


async def test_a_refused_picture_fails_its_question_at_once_and_the_answer_to_it_is_cancelled(house: House) -> None:
    house.peer.refuse_items = "invalid_value"
    house.peer.stop_after = "response.created"
    async with living(house):
        house.put(1)
        await house.until(lambda: house.answers)
        await settle()
    [answer] = house.answers
    assert answer.error is not None
    assert (answer.status, answer.error.code) == ("failed", "invalid_value")
    assert kinds(house.peer)[-1] == "response.cancel"


async def test_the_next_question_waits_for_the_end_of_an_answer_whose_picture_was_refused(house: House) -> None:
    house.peer.refuse_items = "invalid_value"
    house.peer.silent_to.add("response.create")
    async with living(house):
        question = house.put(1)
        await house.until(lambda: house.answers)
        house.peer.refuse_items = ""
        house.put(2)
        await settle()
        assert house.asked() == 1
        about = {"id": "resp_1", "status": "cancelled", "metadata": {"snap": question.id}}
        house.peer.silent_to.clear()
        house.link.feed(house.peer.event("response.done", response=about))
        await house.until(lambda: len(house.answers) == 2)
    assert house.answers[1].status == "completed"


async def test_a_picture_that_was_not_answered_is_spent_too(house: House) -> None:
    house.peer.status, house.peer.error = "failed", {"code": "server_error"}
    async with living(house):
        for number in range(1, SPENT_PICTURES + 1):
            await answered(house, number)
        assert pictures(house.peer) == 0


async def test_a_missing_answer_ends_the_connection_because_it_could_still_block_the_conversation(house: House) -> None:
    house.peer.silent_to.add("response.create")
    async with living(house):
        house.put(1, "change")
        await house.until(lambda: house.asked() == 1)
        house.link.feed(house.peer.event("conversation.item.added", item={"id": "x"}))
        await house.clock.advance(SETTINGS.response_created_s + 0.1)
        assert house.link.closed == 1000


@pytest.mark.parametrize(
    ("effort", "asked", "named", "told"),
    [
        ("", "gpt-realtime-1.5", "openai/gpt-realtime-2.1-mini", False),
        ("high", "gpt-realtime-1.5", "openai/gpt-realtime-2.1-mini", True),
        ("high", "openai/gpt-realtime-2", "gpt-realtime-1.5", False),
        ("high", "openai/gpt-realtime-2", "", True),
    ],
)
async def test_reasoning_is_told_to_models_that_take_it(*, effort: str, asked: str, named: str, told: bool) -> None:
    house = House(models=Models(asked), effort=effort)
    created: dict[str, Any] = {"id": "sess_1", "model": named}
    house.greet = False
    async with living(house):
        house.link.feed(house.peer.event("session.created", session=created))
        await settle()
        session = house.peer.received[0]["session"]
    assert session.get("reasoning") == ({"effort": "high"} if told else None)
