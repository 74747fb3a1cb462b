"""The next session is opened before the service ends the present one: nothing is lost, nothing doubled, no gap."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hudd.errors import LinkRefusedError
from hudd.realtime.session import RETIRE_S
from tests.fakes.clock import settle
from tests.fakes.conversation import SETTINGS, House, living
from tests.fakes.realtime_peer import RealtimePeer


def fresh_peers(house: House) -> list[RealtimePeer]:
    """Every link gets a peer of its own, whose session ends an hour after its opening."""
    peers: list[RealtimePeer] = []

    def make(number: int) -> RealtimePeer:
        peer = RealtimePeer()
        peer.session_id = f"sess_{number + 1}"
        peer.expires_at = int(house.clock.wall()) + 3600
        peers.append(peer)
        return peer

    house.peer_of = make
    return peers


def done(peer: RealtimePeer, text: str = "The rest.") -> str:
    """The end of the answer that the peer left open."""
    [response_id] = peer.open_responses
    output = [{"id": "i", "type": "message", "content": [{"type": "output_text", "text": text}]}]
    return peer.event("response.done", response={"id": response_id, "status": "completed", "output": output})


@pytest.fixture
def house() -> House:
    return House()


async def test_the_next_session_takes_over_five_minutes_before_the_end(house: House) -> None:
    peers = fresh_peers(house)
    async with living(house):
        await house.clock.advance(3299)
        assert len(house.links) == 1
        await house.clock.advance(2)
        assert len(house.links) == 2
        status = house.conversation.status()
        assert (status.connection, status.session_id, status.rollover) == ("ready", "sess_2", None)
        assert house.links[0].closed == 1000
        assert house.links[0].ours
        assert house.links[1].closed is None
        assert house.states == ["configuring", "ready", *["ready"] * (len(house.states) - 2)]
        assert house.errors == []
        house.put()
        await house.until(lambda: house.answers)
    assert peers[1].received_types() == ["session.update", "response.create"]
    assert peers[0].received_types() == ["session.update"]


async def test_a_shorter_life_is_followed_by_an_earlier_rollover(house: House) -> None:
    house.peer.expires_at = int(house.clock.wall()) + 1000
    async with living(house):
        await house.clock.advance(699)
        assert len(house.links) == 1
        await house.clock.advance(2)
        assert len(house.links) == 2


@pytest.mark.parametrize("skew_s", [-7200, 30])
async def test_a_wrong_clock_does_not_make_sessions_roll_over_all_the_time(house: House, skew_s: int) -> None:
    house.peer.expires_at = int(house.clock.wall()) + skew_s
    async with living(house):
        await house.clock.advance(3290)
        assert len(house.links) == 1
        await house.clock.advance(20)
        assert len(house.links) == 2


async def test_the_old_session_finishes_its_answer_while_new_work_goes_to_the_next(house: House) -> None:
    peers = fresh_peers(house)
    async with living(house):
        await house.clock.advance(3295)
        peers[0].stop_after = "response.output_text.delta"
        house.put(1)
        await house.until(lambda: peers[0].open_responses)
        await house.clock.advance(6)
        status = house.conversation.status()
        assert (status.session_id, status.rollover, status.responding) == ("sess_2", "draining", 1)
        assert house.links[0].closed is None
        house.put(2)
        await house.until(lambda: house.answers)
        assert house.answers[0].session_id == "sess_2"
        house.links[0].feed(done(peers[0]))
        await house.until(lambda: len(house.answers) == 2)
        await settle()
        assert (house.answers[1].session_id, house.answers[1].status) == ("sess_1", "completed")
        assert house.links[0].closed == 1000
        assert house.conversation.status().rollover is None
    assert house.asked() == 0  # the shared peer was never used
    assert [p.received_types().count("response.create") for p in peers] == [1, 1]


async def test_an_answer_that_outlasts_its_time_is_asked_again_with_a_fresh_picture(house: House) -> None:
    peers = fresh_peers(house)
    async with living(house):
        await house.clock.advance(3299)
        peers[0].stop_after = "response.output_text.delta"  # it writes, so that only the rollover's own time is up
        house.put(1)
        await house.until(lambda: peers[0].open_responses)
        await house.clock.advance(2)
        await house.clock.advance(RETIRE_S + 0.1)
        await house.until(lambda: house.answers)
        assert house.links[0].closed == 1000
        [answer] = house.answers
        assert (answer.status, answer.session_id) == ("completed", "sess_2")
        assert answer.question.pictures[0].data == b"fresh"


async def test_a_late_answer_of_the_old_session_is_not_taken_for_the_new(house: House) -> None:
    peers = fresh_peers(house)
    async with living(house):
        await house.clock.advance(3299)
        peers[0].stop_after = "response.created"
        question = house.put(1)
        await house.until(lambda: peers[0].open_responses)
        await house.clock.advance(2)
        peers[1].silent_to.add("response.create")
        house.links[0].drop(1006)
        await house.until(lambda: "response.create" in peers[1].received_types())
        late = {"id": "resp_9", "status": "completed", "metadata": {"snap": question.id}}
        house.links[0].feed(peers[0].event("response.done", response=late))
        await settle()
        assert house.answers == []
        assert house.conversation.status().responding == 1


async def test_a_session_that_cannot_be_opened_is_tried_again_while_the_old_one_serves(house: House) -> None:
    async with living(house):
        await house.clock.advance(3299)
        house.refusals.extend(LinkRefusedError("h refused (HTTP 503).", status=503) for _ in range(3))
        await house.clock.advance(2)
        assert (house.conversation.status().connection, house.conversation.status().rollover) == ("ready", "opening")
        house.put(1)
        await house.until(lambda: house.answers)
        await house.clock.advance(30)
        assert house.conversation.status().rollover is None
        assert len(house.links) == 2
        assert house.conversation.status().connects == 5
    assert [error.http_status for error in house.errors] == [503]


async def test_a_refusal_for_good_leaves_the_old_session_until_its_end(house: House) -> None:
    async with living(house):
        await house.clock.advance(3299)
        house.refusals.append(LinkRefusedError("h refused (HTTP 401).", status=401))
        await house.clock.advance(200)
        assert house.conversation.status().connects == 2
        house.put(1)
        await house.until(lambda: house.answers)
        house.link.feed(house.peer.error_event("session_expired"))
        await settle()
        house.link.drop(1001, "Your session hit the maximum duration of 60 minutes.")
        await house.clock.advance(3600)
        status = house.conversation.status()
        assert (status.connection, status.rollover, status.connects) == ("needs_attention", None, 2)
        assert "refused the key (HTTP 401)" in status.sentence
        refused, ended = house.errors
        assert (refused.http_status, ended.code, ended.close_code) == (401, "session_expired", 1001)
        assert ended.sentence == (
            "The session reached the service's limit of 60 minutes, and the next session was refused before: "
            + refused.sentence
        )
        house.put(2)
        await house.until(lambda: len(house.answers) == 2)
        assert house.answers[1].error == refused, "whoever waits learns why"
        house.conversation.resume()
        await settle()
        assert (house.conversation.status().connection, house.conversation.status().connects) == ("ready", 3)
        house.link.drop(1006)
        await house.clock.advance(1)
        assert house.conversation.status().connection == "ready", "what was refused once is forgotten with the stop"


@pytest.mark.parametrize("act", ["woke", "renew"])
async def test_after_a_refusal_for_good_nothing_but_a_person_has_the_next_session_tried(house: House, act: str) -> None:
    async with living(house):
        await house.clock.advance(3299)
        house.refusals.append(LinkRefusedError("h refused (HTTP 401).", status=401))
        await house.clock.advance(60)
        getattr(house.conversation, act)()
        await house.clock.advance(60)
        status = house.conversation.status()
        assert (status.connection, status.connects) == ("needs_attention", 2)
        assert not any("purpose" in error.sentence for error in house.errors), "what we wish is no error"


async def test_other_settings_after_a_refusal_for_good_are_tried_at_once_and_no_snap_is_lost(house: House) -> None:
    async with living(house):
        await house.clock.advance(3299)
        house.refusals.append(LinkRefusedError("h refused (HTTP 401).", status=401))
        await house.clock.advance(60)
        house.peer.stop_after = "response.created"
        house.put(1)
        await house.until(lambda: house.asked() == 1)
        house.peer.stop_after = ""
        house.conversation.reconnect("The settings changed.")
        await house.clock.advance(1)
        assert house.conversation.status().connection == "ready"
        await house.until(lambda: house.answers)
        assert [answer.status for answer in house.answers] == ["completed"]
        assert len(house.errors) == 1


async def test_a_refusal_for_good_while_the_old_session_ends_stops_at_once(house: House) -> None:
    async with living(house):
        await house.clock.advance(3299)
        house.greet = False
        await house.clock.advance(2)
        house.links[1].drop(3000, "invalid_request_error.invalid_api_key")
        house.links[0].drop(1006)
        await house.clock.advance(60)
        status = house.conversation.status()
        assert (status.connection, status.connects) == ("needs_attention", 2)
        assert "refused the key" in status.sentence


async def test_a_refusal_for_good_is_said_at_once_and_a_person_has_it_tried_again(house: House) -> None:
    async with living(house):
        await house.clock.advance(3299)
        house.refusals.append(LinkRefusedError("h refused (HTTP 401).", status=401))
        await house.clock.advance(60)
        status = house.conversation.status()
        assert (status.connection, status.rollover, status.connects) == ("ready", "stopped", 2)
        assert "The next session could not be opened yet: The endpoint refused the key" in status.sentence
        house.conversation.nudge()
        house.conversation.network_up()
        await house.clock.advance(60)
        assert house.conversation.status().connects == 2, "only a person lifts it"
        house.conversation.resume()
        await settle()
        status = house.conversation.status()
        assert (status.connection, status.rollover, status.connects, status.sentence) == ("ready", None, 3, "")
        assert len(house.links) == 2


async def test_a_failure_of_the_old_session_after_its_work_moved_is_told(house: House) -> None:
    peers = fresh_peers(house)
    async with living(house):
        await house.clock.advance(3299)
        peers[0].stop_after = "response.output_text.delta"
        house.put(1, "change")
        await house.until(lambda: peers[0].open_responses)
        await house.clock.advance(2)
        assert house.conversation.status().rollover == "draining"
        house.links[0].feed(peers[0].error_event("session_expired"))
        await settle()
        house.links[0].drop(1001, "expired")
        await settle()
    assert [(error.code, error.close_code) for error in house.errors] == [("session_expired", 1001)]


async def test_a_new_session_that_does_not_configure_is_given_up_and_tried_again(house: House) -> None:
    peers = fresh_peers(house)
    async with living(house):
        await house.clock.advance(3299)
        house.greet = False
        await house.clock.advance(2)
        assert house.conversation.status().rollover == "opening"
        house.greet = True
        await house.clock.advance(SETTINGS.created_s + 6)
        assert house.links[1].closed == 1000
        assert house.conversation.status().session_id == "sess_3"
        assert [p.received_types() for p in peers[:3]] == [["session.update"], [], ["session.update"]]


async def test_the_old_session_may_end_while_the_next_one_is_being_configured(house: House) -> None:
    fresh_peers(house)
    async with living(house):
        await house.clock.advance(3299)
        house.greet = False
        await house.clock.advance(2)
        house.links[0].drop(1006)
        await settle()
        assert (house.conversation.status().connection, len(house.links)) == ("configuring", 2)
        house.put(1)
        house.links[1].feed(*house.links[1].peer.greeting())
        await house.until(lambda: house.answers)
        assert (house.conversation.status().connection, house.conversation.status().rollover) == ("ready", None)
        assert len(house.links) == 2


async def test_both_sessions_may_end_during_the_rollover(house: House) -> None:
    async with living(house):
        await house.clock.advance(3299)
        house.refusals.append(LinkRefusedError("No connection."))
        await house.clock.advance(2)
        house.links[0].drop(1006)
        await settle()
        assert house.conversation.status().connection == "backing_off"
        await house.clock.advance(1)
        assert house.conversation.status().connection == "ready"


async def test_cancelling_in_the_middle_of_a_rollover_closes_both(house: House) -> None:
    peers = fresh_peers(house)
    async with living(house):
        await house.clock.advance(3299)
        peers[0].stop_after = "response.created"
        house.put(1)
        await house.until(lambda: peers[0].open_responses)
        await house.clock.advance(2)
        assert house.conversation.status().rollover == "draining"
    assert [link.closed for link in house.links] == [1000, 1000]
    assert [a.status for a in house.answers] == ["vanished"]


async def test_200_rollovers_50_of_them_within_an_answer() -> None:
    house = House(replace(SETTINGS, rollover_s=20))
    peers = fresh_peers(house)
    gaps: list[float] = []
    async with living(house):
        for number in range(1, 201):
            within_an_answer = number % 4 == 0
            peers[-1].stop_after = "response.output_text.delta" if within_an_answer else ""
            house.put(number, "manual" if number % 2 else "change")
            old, link, count = peers[-1], house.link, len(house.answers)
            await house.until(lambda o=old, n=count: o.open_responses or len(house.answers) > n)
            await house.clock.advance(20)
            gaps.append(0.0 if house.conversation.status().connection == "ready" else 1.0)
            if within_an_answer:
                link.feed(done(old))
                await house.until(lambda n=count: len(house.answers) > n)
    assert len(house.links) == 201
    assert [answer.status for answer in house.answers] == ["completed"] * 200
    assert len({answer.question.id for answer in house.answers}) == 200
    assert len({answer.session_id for answer in house.answers}) == 200
    assert sum(peer.received_types().count("response.create") for peer in peers) == 200
    assert max(gaps) == 0
    assert all(json.dumps(peer.received[0]).count("session.update") == 1 for peer in peers)
    assert house.errors == []
