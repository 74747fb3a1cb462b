"""Bad days: lost networks, dead accounts, limited rates."""

from __future__ import annotations

import asyncio
import json

import pytest

from hudd.errors import CaptureError, LinkRefusedError, WithheldError
from hudd.policy.facts import FACTS_CHANGED
from tests.fakes.clock import settle
from tests.fakes.conversation import SETTINGS, House, living


def unreachable(house: House, times: int) -> None:
    house.refusals.extend(LinkRefusedError("No connection to h: the name is not known.") for _ in range(times))


@pytest.fixture
def house() -> House:
    return House()


# ------------------------------------------------------------------------------------------- asked again


async def test_a_snap_is_asked_again_once_with_a_fresh_picture(house: House) -> None:
    house.peer.stop_after = "response.created"
    async with living(house):
        question = house.put()
        await house.until(lambda: house.asked() == 1)
        house.link.drop(1006)
        house.peer.stop_after = ""
        await house.clock.advance(0.6)
        await house.until(lambda: house.answers)
    [answer] = house.answers
    assert (answer.question.id, answer.question.asked_at) == (question.id, question.asked_at)
    assert [picture.hash for picture in answer.question.pictures] == ["fresh0"]
    urls = [json.dumps(event).count("ZnJlc2g=") for event in house.peer.received if event["type"] == "response.create"]
    assert urls == [0, 1], "the fresh picture's bytes left, the second time only"


async def test_a_snap_that_waited_over_a_change_of_facts_is_sent_with_a_fresh_picture(house: House) -> None:
    house.reasons = (FACTS_CHANGED,)
    house.on_retake = lambda: setattr(house, "reasons", ())
    async with living(house):
        question = house.put()
        await house.until(lambda: house.answers)
    [answer] = house.answers
    assert (answer.question.id, answer.status) == (question.id, "completed")
    assert [picture.hash for picture in answer.question.pictures] == ["fresh0"]
    assert house.asked() == 1


async def test_when_facts_change_without_end_a_snap_says_so(house: House) -> None:
    house.reasons = (FACTS_CHANGED,)
    async with living(house):
        house.put()
        await house.until(lambda: house.answers)
    [answer] = house.answers
    assert answer.error is not None
    assert (answer.status, answer.error.code, house.asked(), len(house.retaken)) == ("failed", "withheld", 0, 1)


@pytest.mark.parametrize(
    ("error", "code"), [(CaptureError("The monitor is gone."), "E_CAPTURE"), (WithheldError(("locked",)), "withheld")]
)
async def test_without_a_fresh_picture_a_snap_ends_with_the_reason(house: House, error: Exception, code: str) -> None:
    house.peer.stop_after = "response.created"
    house.retake_error = error
    async with living(house):
        house.put()
        await house.until(lambda: house.asked() == 1)
        house.link.drop(1006)
        await house.clock.advance(0.6)
        await house.until(lambda: house.answers)
    [answer] = house.answers
    assert answer.error is not None
    assert (answer.status, answer.error.code, answer.sent) == ("failed", code, True)
    assert house.asked() == 1


async def test_a_line_that_went_dead_silently_is_noticed_with_the_next_question(house: House) -> None:
    async with living(house):
        house.peer.silent_to.add("response.create")
        house.put()
        await house.until(lambda: house.asked() == 1)
        await house.clock.advance(SETTINGS.response_created_s + 0.1)
        assert house.link.closed == 1000
        house.peer.silent_to.clear()
        await house.clock.advance(0.6)
        await house.until(lambda: house.answers)
    assert [a.status for a in house.answers] == ["completed"]


# ------------------------------------------------------------------------------------------- flapping, nudges


@pytest.mark.parametrize("snaps", [False, True])
async def test_accept_then_close_is_tried_at_most_15_times_in_ten_minutes_but_for_snaps(
    house: House, snaps: bool
) -> None:
    house.greet = False
    until = house.clock.monotonic() + 600
    async with living(house):
        while house.clock.monotonic() < until:
            if house.links and house.link.closed is None:
                house.link.drop(1011)
            if snaps:
                house.conversation.nudge()
            await house.clock.advance(1)
    assert 8 <= len(house.links) <= (65 if snaps else 15), "a snap starts one every ten seconds"
    assert "flapping" in house.states


async def test_a_network_that_comes_up_starts_a_try_at_once_but_not_twice_in_ten_seconds(house: House) -> None:
    unreachable(house, 20)
    async with living(house):
        await house.clock.advance(120)
        before = house.conversation.status().connects
        house.conversation.network_up()
        house.conversation.network_up()
        await settle()
        assert house.conversation.status().connects == before + 1
        house.conversation.network_up()
        await settle()
        assert house.conversation.status().connects == before + 1


async def test_an_open_connection_is_asked_for_a_sign_of_life_when_the_network_comes_up(house: House) -> None:
    async with living(house):
        house.conversation.network_up()
        assert [link.probes for link in house.links] == [1]
        house.link.drop()  # what the link does when none comes
        await house.clock.advance(1)
        assert house.conversation.status().connection == "ready"
        assert len(house.links) == 2


async def test_after_a_network_came_up_tries_follow_each_other_within_five_seconds(house: House) -> None:
    unreachable(house, 30)
    async with living(house):
        await house.clock.advance(300)
        house.conversation.network_up()
        for _ in range(8):
            await settle()
            next_try_s = house.conversation.status().next_try_s
            assert next_try_s is not None
            assert next_try_s <= 4.0
            await house.clock.advance(next_try_s + 0.01)


@pytest.mark.parametrize("before_s", [1.0, 3.0, 9.0])
async def test_an_opening_that_hangs_when_the_network_comes_up_is_begun_anew(house: House, before_s: float) -> None:
    house.opening = asyncio.Event()  # packets that went nowhere: nothing comes of it for ten seconds
    async with living(house):
        await house.clock.advance(before_s)
        house.opening = None
        house.conversation.network_up()
        await house.clock.advance(1)
        assert (house.conversation.status().connection, house.conversation.status().connects) == ("ready", 2)
        assert house.errors == [], "nothing of it is an error"


async def test_a_person_who_is_asked_for_the_key_is_not_asked_again_when_the_network_comes_up(house: House) -> None:
    house.opening = asyncio.Event()
    house.dials = False
    async with living(house):
        await house.clock.advance(9)
        house.conversation.network_up()
        await settle()
        house.opening.set()
        await settle()
        assert (house.conversation.status().connection, house.conversation.status().connects) == ("ready", 1)


async def test_an_opening_that_has_just_begun_goes_on_when_the_network_comes_up(house: House) -> None:
    house.opening = asyncio.Event()
    async with living(house):
        await house.clock.advance(0.5)
        house.conversation.network_up()
        await house.clock.advance(0.5)
        house.opening.set()
        await settle()
        assert (house.conversation.status().connection, house.conversation.status().connects) == ("ready", 1)


async def test_all_who_want_a_try_share_one_in_ten_seconds(house: House) -> None:
    unreachable(house, 1000)
    async with living(house):
        await house.clock.advance(300)
        tries: list[float] = []
        before = house.conversation.status().connects
        for number in range(600):
            for act in ("nudge", "resume") if number % 2 else ("resume", "nudge"):
                getattr(house.conversation, act)()
            await house.clock.advance(0.1)
            if house.conversation.status().connects > before:
                before = house.conversation.status().connects
                tries.append(house.clock.monotonic())
    # Each resume begins the back-off anew, whose own tries come between; none of these is faster than they are alone.
    assert len(tries) <= 6 * 6


async def test_a_snap_while_connections_flap_is_tried_within_ten_seconds(house: House) -> None:
    house.greet = False
    async with living(house):
        for _ in range(4):
            house.link.drop(1011)
            await house.clock.advance(1)
        assert house.conversation.status().connection == "flapping"
        house.conversation.nudge()
        await settle()
        house.link.drop(1011)
        await house.clock.advance(1)
        house.conversation.nudge()
        before = house.conversation.status().connects
        await house.clock.advance(8.8)
        assert house.conversation.status().connects == before
        await house.clock.advance(0.3)
        assert house.conversation.status().connects == before + 1


async def test_a_reconnect_lifts_a_stop_and_is_no_error(house: House) -> None:
    house.refusals.append(LinkRefusedError("h refused (HTTP 401).", status=401))
    async with living(house):
        assert house.conversation.status().connection == "needs_attention"
        house.conversation.reconnect("The settings changed.")
        await settle()
        assert house.conversation.status().connection == "ready"
        errors = len(house.errors)
        house.conversation.reconnect("The settings changed once more.")
        await settle()
        assert house.links[0].aborted
        assert house.conversation.status().connection == "ready"
        assert len(house.errors) == errors


async def test_a_reconnect_during_the_opening_is_no_error_either(house: House) -> None:
    house.opening = asyncio.Event()
    async with living(house):
        house.opening = None
        house.conversation.reconnect("The settings changed.")
        await settle()
        assert (house.conversation.status().connection, house.conversation.status().connects) == ("ready", 2)
        assert house.errors == []


async def test_a_session_that_must_be_forgotten_ends_at_once_each_time(house: House) -> None:
    async with living(house):
        for count in (2, 3, 4):  # not only every ten seconds
            house.conversation.renew()
            await settle()
            assert len(house.links) == count
            assert house.links[count - 2].aborted
        await house.clock.advance(1)
        assert house.conversation.status().connection == "ready"


async def test_changed_instructions_reach_the_open_session_and_those_after_it(house: House) -> None:
    async with living(house):
        house.conversation.change_instructions("Keep notes in verse.")
        await settle()
        house.conversation.renew()
        await settle()
        told = [e["session"]["instructions"] for e in house.peer.received if e["type"] == "session.update"]
        assert told == ["Keep notes.", "Keep notes in verse.", "Keep notes in verse."]


# ------------------------------------------------------------------------------------------- too big


@pytest.mark.parametrize("smaller", [True, False])
async def test_a_message_that_is_too_big_is_asked_smaller_or_ends_with_an_error(smaller: bool) -> None:
    house = House()
    house.peer.silent_to.add("response.create")
    house.shrinks = [smaller, False]
    async with living(house):
        house.put()
        await house.until(lambda: house.asked() == 1)
        house.link.drop(1009)
        await house.clock.advance(1)
        if smaller:
            await house.until(lambda: house.asked() == 2)
            assert len(house.retaken) == 1, "asked with a picture that was made after the pictures became smaller"
            house.link.drop(1009)
            await house.clock.advance(1)
        await house.until(lambda: house.answers)
        await house.clock.advance(30)
        assert house.asked() == 1 + smaller, "the same size is never asked twice"
    [answer] = house.answers
    assert answer.status == "vanished"
    assert answer.error is not None
    assert "too big" in answer.error.sentence


# ------------------------------------------------------------------------------------------- doubled events


async def test_an_event_that_comes_twice_is_heard_once(house: House) -> None:
    async with living(house):
        house.peer.twice = True
        house.put()
        await house.until(lambda: house.answers)
        assert house.answers[0].text == house.peer.text
        assert "".join(text for _, _, text in house.deltas) == house.peer.text
        assert house.conversation.status().repeated_events > 5


@pytest.mark.parametrize("act", ["nudge", "network_up", "woke"])
async def test_nothing_but_a_person_lifts_a_stop(house: House, act: str) -> None:
    house.refusals.append(LinkRefusedError("h refused (HTTP 401).", status=401))
    async with living(house):
        getattr(house.conversation, act)()
        await house.clock.advance(10_000)
        assert house.conversation.status().connects == 1
        house.conversation.resume()
        await settle()
        assert house.conversation.status().connection == "ready"


async def test_a_person_who_asks_often_gets_a_try_every_ten_seconds_and_the_last_wish_is_not_forgotten(
    house: House,
) -> None:
    house.refusals.extend(LinkRefusedError("h refused (HTTP 401).", status=401) for _ in range(3))
    async with living(house):
        house.conversation.resume()
        await settle()
        assert house.conversation.status().connects == 2
        for _ in range(5):
            house.conversation.resume()
            await house.clock.advance(1)
        assert house.conversation.status().connects == 2
        await house.clock.advance(5.1)
        assert house.conversation.status().connects == 3
        await house.clock.advance(100)
        assert house.conversation.status().connects == 3
        house.conversation.resume()
        await settle()
        assert house.conversation.status().connection == "ready"


# ------------------------------------------------------------------------------------------- rates


async def test_a_rate_limit_slows_automatic_questions_down_and_lets_snaps_pass(house: House) -> None:
    house.peer.status, house.peer.error = "failed", {"code": "rate_limit_exceeded"}
    async with living(house):
        house.put(1, "change")
        await house.until(lambda: len(house.answers) == 1)
        house.put(2, "change")
        await settle()
        assert len(house.mailbox) == 1
        house.put(3, "manual")
        await house.until(lambda: len(house.answers) == 2)
        assert house.answers[1].question.id[-1] == "3"
        assert len(house.mailbox) == 1
        house.peer.status = "completed"
        await house.clock.advance(1)
        assert len(house.mailbox) == 1
        await house.clock.advance(6)
        await house.until(lambda: len(house.answers) == 3)
        assert house.conversation.status().connection == "ready"
    assert [a.status for a in house.answers] == ["failed", "failed", "completed"]
