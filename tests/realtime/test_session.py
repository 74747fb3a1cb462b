"""The session machine against a scripted peer: its table, the handshake, instructions, answers and the end."""

from __future__ import annotations

import pytest

from hudd.config.settings import SessionSettings
from hudd.protocol import events as e
from hudd.realtime.session import MAX_IN_FLIGHT, Session
from hudd.realtime.session_table import OPEN_STATES, TABLE, State
from hudd.realtime.session_words import (
    Ask,
    BecameReady,
    Closed,
    Delta,
    Finished,
    Opened,
    Reinstruct,
    Send,
    Shut,
    Tick,
    Withdrawn,
)
from tests.fakes.session_pair import SETTINGS, Pair


def test_the_table_has_rows_for_every_open_state() -> None:
    for state in OPEN_STATES:
        assert TABLE[state, Closed] is State.CLOSED
        assert TABLE[state, Shut] is State.CLOSING
        assert (state, Tick) in TABLE


def test_a_question_may_be_asked_in_ready_only() -> None:
    assert {state for state, kind in TABLE if kind is Ask} == {State.READY}


def test_the_handshake_sends_one_update_and_becomes_ready() -> None:
    pair = Pair()
    assert pair.machine.state is State.READY
    assert pair.peer.received_types() == ["session.update"]
    assert pair.of(BecameReady) == [BecameReady("sess_1")]
    assert pair.machine.expires_at == 1_795_347_066.0
    assert pair.machine.deadline == SETTINGS.rollover_s


def test_nothing_is_sent_before_session_created() -> None:
    pair = Pair(greet=False)
    pair.hear(pair.peer.event("session.updated", session={}))
    assert pair.peer.received == []
    assert pair.machine.state is State.AWAIT_CREATED


def test_a_question_before_ready_is_not_sent() -> None:
    pair = Pair(greet=False)
    pair.ask()
    assert pair.peer.received == []
    assert not pair.machine.has_room


# ------------------------------------------------------------------------------------------------ answers


def test_an_answer_streams_and_finishes() -> None:
    pair = Pair()
    question_id = pair.ask()
    [finished] = pair.of(Finished)
    assert "".join(delta.text for delta in pair.of(Delta)) == pair.peer.text
    assert (finished.question_id, finished.status, finished.text) == (question_id, "completed", pair.peer.text)
    assert finished.usage.image_tokens == 323
    assert finished.error is None
    assert pair.machine.answered
    assert pair.machine.responding == 0
    assert pair.machine.deadline == SETTINGS.rollover_s


@pytest.mark.parametrize(
    ("status", "reason"),
    [("incomplete", "max_output_tokens"), ("incomplete", "content_filter"), ("cancelled", "turn_detected")],
)
def test_other_ends_keep_text_reason_and_usage(status: str, reason: str) -> None:
    pair = Pair()
    pair.peer.status, pair.peer.reason = status, reason
    pair.ask()
    [finished] = pair.of(Finished)
    assert (finished.status, finished.reason, finished.text) == (status, reason, pair.peer.text)
    assert finished.usage is not None


def test_a_missing_usage_is_none() -> None:
    pair = Pair()
    pair.peer.usage = None
    pair.ask()
    assert pair.of(Finished)[0].usage is None


def test_two_answers_may_overlap_and_do_not_mix() -> None:
    pair = Pair()
    pair.peer.silent_to.add("response.create")
    first, second = pair.ask(1), pair.ask(2)
    assert pair.machine.responding == MAX_IN_FLIGHT
    assert not pair.machine.has_room
    for number, question_id in ((1, first), (2, second)):
        response = {"id": f"resp_{number}", "metadata": {"snap": question_id}}
        pair.hear(pair.peer.event("response.created", response=response))
    for response_id, word in (("resp_1", "one "), ("resp_2", "two "), ("resp_1", "uno"), ("resp_2", "due")):
        place = {"response_id": response_id, "item_id": "item_same", "content_index": 0}
        pair.hear(pair.peer.event("response.output_text.delta", **place, delta=word))
    for number in (2, 1):
        pair.hear(pair.peer.event("response.done", response={"id": f"resp_{number}", "status": "completed"}))
    assert {f.question_id: f.text for f in pair.of(Finished)} == {first: "one uno", second: "two due"}


def test_done_without_created_is_still_ours() -> None:
    pair = Pair()
    pair.peer.silent_to.add("response.create")
    question_id = pair.ask()
    response = {"id": "resp_9", "status": "completed", "metadata": {"snap": question_id}}
    content = [{"type": "output_text", "text": "all of it"}]
    pair.hear(
        pair.peer.event("response.done", response={**response, "output": [{"type": "message", "content": content}]})
    )
    assert [f.text for f in pair.of(Finished)] == ["all of it"]


def test_asking_without_room_is_a_mistake_of_ours() -> None:
    pair = Pair()
    pair.peer.silent_to.add("response.create")
    pair.ask(1)
    pair.ask(2)
    with pytest.raises(ValueError, match="no room"):
        pair.ask(3)


def test_commentary_is_neither_streamed_nor_noted_when_there_is_a_final_answer() -> None:
    pair = Pair()
    pair.peer.silent_to.add("response.create")
    question_id = pair.ask()
    pair.hear(pair.peer.event("response.created", response={"id": "r", "metadata": {"snap": question_id}}))
    items = [
        {"id": "i1", "type": "message", "phase": "commentary"},
        {"id": "i2", "type": "message", "phase": "final_answer"},
    ]
    for index, item in enumerate(items):
        pair.hear(pair.peer.event("response.output_item.added", response_id="r", output_index=index, item=item))
        place = {"response_id": "r", "item_id": item["id"], "content_index": 0}
        pair.hear(pair.peer.event("response.output_text.delta", **place, delta=f"text {item['id']}"))
    output = [{**item, "content": [{"type": "output_text", "text": f"text {item['id']}"}]} for item in items]
    pair.hear(pair.peer.event("response.done", response={"id": "r", "status": "completed", "output": output}))
    assert [delta.text for delta in pair.of(Delta)] == ["text i2"]
    assert pair.of(Finished)[0].text == "text i2"


# ------------------------------------------------------------------------------------------------ instructions


def test_instructions_may_change_while_the_session_lives() -> None:
    pair = Pair()
    pair.give(Reinstruct("Keep notes in verse."))
    assert [event["session"]["instructions"] for event in pair.peer.received] == ["Keep notes.", "Keep notes in verse."]
    assert [event["event_id"] for event in pair.peer.received] == ["su_1", "su_2"]
    assert pair.machine.state is State.READY
    pair.give(Reinstruct("Keep notes in verse."))
    assert len(pair.peer.received) == 2, "nothing has changed"


def test_instructions_that_change_during_the_opening_are_sent_as_soon_as_may_be() -> None:
    pair = Pair(greet=False)
    pair.give(Reinstruct("First."))
    pair.peer.silent_to.add("session.update")
    pair.hear(*pair.peer.greeting())
    pair.give(Reinstruct("Second."))
    assert [event["session"]["instructions"] for event in pair.peer.received] == ["First."]
    pair.hear(pair.peer.event("session.updated", session={}))
    assert [event["session"]["instructions"] for event in pair.peer.received] == ["First.", "Second."]


def test_the_update_follows_the_settings() -> None:
    machine = Session(SessionSettings(history_tokens=900, retention_ratio=0.7, max_output_tokens=64), "Be brief.")
    machine.step(Opened(), 0.0)
    [send] = machine.step(e.SessionCreated("sess_1"), 0.0)
    assert send == Send(e.SessionUpdate("su_1", "Be brief.", 64, 0.7, 900))


# ------------------------------------------------------------------------------------------------ ends


def test_questions_in_flight_vanish_with_the_connection() -> None:
    pair = Pair()
    pair.peer.stop_after = "response.output_text.done"
    question_id = pair.ask()
    pair.give(Closed(1006))
    [finished] = pair.of(Finished)
    assert (finished.question_id, finished.status, finished.text) == (question_id, "vanished", pair.peer.text)
    assert finished.error.close_code == 1006
    assert pair.machine.state is State.CLOSED


def test_a_withdrawn_question_leaves_no_trace() -> None:
    pair = Pair()
    pair.peer.silent_to.add("response.create")
    question_id = pair.ask()
    pair.give(Withdrawn(question_id))
    pair.give(Closed(1000))
    assert pair.of(Finished) == []


def test_nothing_matters_after_the_close() -> None:
    pair = Pair()
    pair.give(Closed(1000))
    before = list(pair.out)
    pair.hear(*pair.peer.greeting(), pair.peer.error_event("invalid_api_key"))
    pair.give(Shut())
    pair.give(Tick())
    assert pair.out == before


def test_foreign_events_change_nothing() -> None:
    pair = Pair()
    pair.ask()
    before = list(pair.out)
    foreign = {"response_id": "resp_x", "item_id": "i", "content_index": 0}
    pair.hear(
        pair.peer.event("response.created", response={"id": "resp_x", "metadata": {"snap": "nobody"}}),
        pair.peer.event("response.output_text.delta", **foreign, delta="x"),
        pair.peer.event("response.output_text.done", **foreign, text="x"),
        pair.peer.event("response.output_item.added", response_id="resp_x", item={}),
        pair.peer.event("response.done", response={"id": "resp_x", "status": "completed"}),
    )
    assert pair.out == before
