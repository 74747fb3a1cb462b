"""The conversation when its connection fails: what is tried again, what stops until a person acts, and what becomes of questions."""

from __future__ import annotations

import pytest

from hudd.errors import KeyMissingError, LinkRefusedError
from tests.fakes.clock import settle
from tests.fakes.conversation import SETTINGS, House, living


@pytest.fixture
def house() -> House:
    return House()


# ------------------------------------------------------------------------------------------------ drops


async def test_a_snap_is_asked_again_after_a_drop(house: House) -> None:
    house.peer.stop_after = "response.created"
    async with living(house):
        house.put()
        await house.until(lambda: house.asked() == 1)
        house.link.drop(1006)
        await settle()
        assert house.conversation.status().connection == "backing_off"
        assert house.answers == []
        house.peer.stop_after = ""
        await house.clock.advance(0.6)
        await house.until(lambda: house.answers)
    assert [(a.status, a.sent) for a in house.answers] == [("completed", True)]
    assert house.log.count("reserve 1") == 2


async def test_an_automatic_question_gives_way_to_a_drop(house: House) -> None:
    house.peer.stop_after = "response.created"
    async with living(house):
        house.put(1, "change")
        await house.until(lambda: house.asked() == 1)
        house.link.drop(1001)
        await settle()
    assert [(a.status, a.sent) for a in house.answers] == [("vanished", True)]


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1011, 1012, 1013])
async def test_every_drop_is_followed_by_a_new_connection(house: House, code: int) -> None:
    async with living(house):
        house.link.drop(code)
        await settle()
        status = house.conversation.status()
        assert (status.connection, status.next_try_s) == ("backing_off", 0.5)
        assert status.sentence
        await house.clock.advance(0.6)
        assert house.conversation.status().connection == "ready"
        assert len(house.links) == 2
    assert [error.close_code for error in house.errors] == [code]


async def test_an_outage_is_told_once_until_it_is_over(house: House) -> None:
    async with living(house):
        house.refusals.extend(LinkRefusedError("No connection to h: nothing listens there.") for _ in range(4))
        house.link.drop(1006)
        for _ in range(6):
            await house.clock.advance(31)
        assert house.conversation.status().connection == "ready"
    assert [(error.close_code, error.sentence[:7]) for error in house.errors] == [(1006, "The con"), (None, "No conn")]


async def test_three_short_lives_are_flapping(house: House) -> None:
    async with living(house):
        last = house.conversation.status()
        for _ in range(3):
            house.link.drop(1000)
            await settle()
            next_try_s = house.conversation.status().next_try_s
            assert next_try_s is not None
            last = house.conversation.status()
            if last.connection != "flapping":
                await house.clock.advance(next_try_s + 0.1)
        assert (last.connection, last.next_try_s) == ("flapping", 60.0)
        await house.clock.advance(59)
        assert len(house.links) == 3
        await house.clock.advance(2)
        assert len(house.links) == 4


async def test_retry_after_is_honoured(house: House) -> None:
    house.refusals.append(LinkRefusedError("h refused (HTTP 429).", status=429, retry_after_s=40))
    async with living(house):
        assert house.conversation.status().next_try_s == 40


async def test_a_timeout_of_the_handshake_closes_and_tries_again(house: House) -> None:
    house.greet = False
    async with living(house):
        await house.clock.advance(SETTINGS.created_s + 0.1)
        assert house.link.closed == 1000
        assert house.errors[0].param == "session.created"
        house.greet = True
        await house.clock.advance(0.6)
        assert house.conversation.status().connection == "ready"


async def test_a_timeout_of_an_answer_cancels_it(house: House) -> None:
    house.peer.stop_after = "response.created"
    async with living(house):
        house.put()
        await house.until(lambda: house.conversation.status().responding and house.asked())
        await house.clock.advance(SETTINGS.first_delta_s + 0.1)
        await house.until(lambda: house.answers)
    assert house.peer.received_types()[-1] == "response.cancel"
    assert house.answers[0].status == "cancelled"


# ------------------------------------------------------------------------------------------------ stops


@pytest.mark.parametrize(
    "refusal",
    [
        LinkRefusedError("h refused (HTTP 401).", status=401),
        KeyMissingError("No key was found.", hint="Set HUDD_REALTIME_KEY."),
    ],
)
async def test_a_refusal_that_cannot_heal_stops_until_a_person_acts(house: House, refusal: Exception) -> None:
    house.refusals.append(refusal)
    async with living(house):
        status = house.conversation.status()
        assert (status.connection, status.next_try_s) == ("needs_attention", None)
        assert status.sentence
        await house.clock.advance(10_000)
        assert house.links == []
        house.conversation.nudge()
        await settle()
        assert house.links == []
        house.conversation.rearm()
        await settle()
        assert house.conversation.status().connection == "ready"


async def test_a_wrong_key_stops_though_the_upgrade_succeeded(house: House) -> None:
    house.greet = False
    async with living(house):
        house.link.feed(house.peer.error_event("invalid_api_key"))
        await house.clock.advance(1)
        assert house.conversation.status().connection == "needs_attention"
        await house.clock.advance(10_000)
        assert len(house.links) == 1
    assert [error.code for error in house.errors][:1] == ["invalid_api_key"]


async def test_while_stopped_a_snap_is_told_why_and_automatic_ones_wait(house: House) -> None:
    house.refusals.append(LinkRefusedError("h refused (HTTP 403).", status=403))
    house.put(1)
    house.put(2, "change")
    async with living(house):
        house.put(3)
        await settle()
        assert [(a.question.id[-1], a.status, a.sent) for a in house.answers] == [
            ("1", "failed", False),
            ("3", "failed", False),
        ]
        assert all(a.error is not None and "403" in a.error.sentence for a in house.answers)
        assert len(house.mailbox) == 1


async def test_no_quota_stops_after_the_answer(house: House) -> None:
    house.peer.status, house.peer.error = "failed", {"code": "insufficient_quota"}
    async with living(house):
        house.put()
        await house.until(lambda: house.answers)
        await house.clock.advance(1)
        await house.until(lambda: house.conversation.status().connection == "needs_attention")
    assert [a.status for a in house.answers] == ["failed"]


async def test_rearm_ends_a_wait_at_once_and_a_second_nudge_is_kept_for_ten_seconds(house: House) -> None:
    house.refusals.extend(LinkRefusedError("No connection.") for _ in range(9))
    async with living(house):
        for _ in range(6):
            next_try_s = house.conversation.status().next_try_s
            assert next_try_s is not None
            await house.clock.advance(next_try_s + 0.01)
        assert house.conversation.status().connects == 7
        house.conversation.nudge()
        await settle()
        assert house.conversation.status().connects == 8
        await house.clock.advance(3)
        house.conversation.nudge()
        await settle()
        assert house.conversation.status().connects == 8
        assert house.conversation.status().next_try_s == pytest.approx(7)
        await house.clock.advance(7.1)
        assert house.conversation.status().connects == 9
        house.conversation.rearm()
        await settle()
        assert house.conversation.status().connection == "ready"
