"""The session machine against a scripted peer, in memory, with time as an argument."""

from __future__ import annotations

from typing import Any

import pytest

from hudd.config.settings import SessionSettings
from hudd.protocol import events as e
from hudd.protocol.codec import decode, encode
from hudd.protocol.vocabulary import BENIGN_CODES
from hudd.realtime.prompt import WindowHistory, build
from hudd.realtime.session import CANCEL_S, LINGER_S, MAX_IN_FLIGHT, Session
from hudd.realtime.session_table import OPEN_STATES, TABLE, State
from hudd.realtime.session_words import (
    Ask,
    BecameReady,
    Close,
    Closed,
    Command,
    Delta,
    Finished,
    Input,
    Opened,
    Reinstruct,
    Report,
    Send,
    Sent,
    Shut,
    Tick,
    Withdrawn,
)
from tests.fakes.official_types import check_client_event
from tests.fakes.questions import make_question
from tests.fakes.realtime_peer import RealtimePeer

SETTINGS = SessionSettings()


class Pair:
    """Our machine and the peer, wired to each other; everything sent is checked against the official types."""

    def __init__(self, *, greet: bool = True) -> None:
        self.peer = RealtimePeer()
        self.machine = Session(SETTINGS, "Keep notes.")
        self.now = 0.0
        self.out: list[Command] = []
        self.give(Opened())
        if greet:
            self.hear(*self.peer.greeting())

    def give(self, given: Input) -> list[Command]:
        """Step, send what is to be sent, and let the peer's frames in."""
        commands = self.machine.step(given, self.now)
        self.out += commands
        for command in commands:
            if isinstance(command, Send):
                data = encode(command.event)
                check_client_event(data)
                frames = self.peer.receive(data)
                if command.question_id:
                    self.out += self.machine.step(Sent(command.question_id), self.now)
                self.hear(*frames)
        return commands

    def hear(self, *frames: str) -> None:
        for frame in frames:
            self.give(decode(frame))

    def ask(self, number: int = 1) -> str:
        question = make_question(number)
        history = WindowHistory(history_tokens=300, retention_ratio=0.5)
        request = build(question, history, event_id=f"rc_{number}", max_output_tokens=200)
        self.give(Ask(question.id, request))
        return question.id

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.give(Tick())

    def of(self, kind: type) -> list[Any]:
        return [command for command in self.out if isinstance(command, kind)]


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


def test_a_failed_answer_carries_the_error() -> None:
    pair = Pair()
    pair.peer.status = "failed"
    pair.peer.error = {"type": "invalid_request_error", "code": "rate_limit_exceeded", "message": "slow down"}
    pair.ask()
    [finished] = pair.of(Finished)
    assert (finished.status, finished.error.code, finished.error.fatal) == ("failed", "rate_limit_exceeded", False)
    assert pair.of(Report) == [Report(finished.error)]
    assert pair.machine.state is State.READY


@pytest.mark.parametrize("code", ["insufficient_quota", "credit_balance_exhausted", "model_not_found"])
def test_a_fatal_failure_of_an_answer_closes_the_session(code: str) -> None:
    pair = Pair()
    pair.peer.status, pair.peer.error = "failed", {"code": code}
    pair.ask()
    [finished] = pair.of(Finished)
    assert finished.error.fatal
    assert pair.of(Close) == [Close(1000, "", LINGER_S)]
    assert pair.machine.failure == finished.error


def test_a_failed_answer_without_a_reason_still_has_a_sentence() -> None:
    pair = Pair()
    pair.peer.status = "failed"
    pair.ask()
    [finished] = pair.of(Finished)
    assert pair.of(Report) == [Report(finished.error)]
    assert finished.error.sentence


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


def test_a_refused_question_fails_fast_by_its_event_id() -> None:
    pair = Pair()
    pair.peer.silent_to.add("response.create")
    first, second = pair.ask(1), pair.ask(2)
    pair.hear(pair.peer.error_event("invalid_value", event_id="rc_2"))
    [finished] = pair.of(Finished)
    assert (finished.question_id, finished.status, finished.error.code) == (second, "failed", "invalid_value")
    assert pair.machine.responding == 1
    assert first != second


def test_a_refusal_without_event_id_is_told_by_what_it_names() -> None:
    pair = Pair()
    pair.peer.silent_to.add("response.create")
    question_id = pair.ask()
    pair.hear(pair.peer.error_event("invalid_value", param="response.input[1]"))
    assert [f.question_id for f in pair.of(Finished)] == [question_id]


def test_an_error_about_something_else_leaves_the_question_alone() -> None:
    pair = Pair()
    pair.peer.silent_to.add("response.create")
    pair.ask()
    pair.hear(pair.peer.error_event("item_retrieve_invalid_item_id", event_id="other"))
    assert pair.of(Finished) == []
    assert [r.error.code for r in pair.of(Report)] == ["item_retrieve_invalid_item_id"]
    assert pair.machine.state is State.READY


@pytest.mark.parametrize("code", sorted(BENIGN_CODES))
def test_an_error_about_what_was_over_already_is_none(code: str) -> None:
    pair = Pair()
    pair.peer.silent_to.add("response.create")
    pair.ask()
    pair.hear(pair.peer.error_event(code, param="response.input"))
    assert pair.of(Report) == pair.of(Finished) == []


def test_an_error_before_the_session_is_told_with_its_end_or_when_it_opens_after_all() -> None:
    pair = Pair(greet=False)
    pair.hear(pair.peer.error_event("odd"))
    assert pair.of(Report) == []
    pair.hear(*pair.peer.greeting())
    assert [r.error.code for r in pair.of(Report)] == ["odd"]
    assert pair.machine.failure is None


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


def test_other_instructions_that_are_refused_leave_the_session_as_it_is() -> None:
    pair = Pair()
    pair.peer.silent_to.add("session.update")
    pair.give(Reinstruct("Too long."))
    pair.hear(pair.peer.error_event("string_above_max_length", param="session.instructions", event_id="su_2"))
    assert [r.error.code for r in pair.of(Report)] == ["string_above_max_length"]
    assert pair.machine.state is State.READY


def test_a_refused_update_is_fatal_because_it_would_be_refused_again() -> None:
    pair = Pair(greet=False)
    pair.peer.silent_to.add("session.update")
    pair.hear(*pair.peer.greeting())
    pair.hear(pair.peer.error_event("unknown_parameter", event_id="su_1", param="session.voice"))
    assert pair.machine.state is State.CLOSING
    assert pair.machine.failure is not None
    assert pair.machine.failure.fatal
    assert "session.voice" in pair.machine.failure.sentence


@pytest.mark.parametrize("state", ["await_created", "configuring", "ready"])
def test_a_wrong_key_closes_in_any_state(state: str) -> None:
    pair = Pair(greet=False)
    if state == "configuring":
        pair.peer.silent_to.add("session.update")
    if state != "await_created":
        pair.hear(*pair.peer.greeting())
    assert pair.machine.state.value == state
    pair.hear(pair.peer.error_event("invalid_api_key"))
    assert pair.of(Close) == [Close(1000, "", LINGER_S)]
    assert pair.machine.failure is not None
    assert (pair.machine.failure.code, pair.machine.failure.fatal) == ("invalid_api_key", True)


def test_an_expired_session_is_closed_and_is_not_fatal() -> None:
    pair = Pair()
    pair.hear(pair.peer.error_event("session_expired"))
    assert pair.machine.state is State.CLOSING
    assert pair.machine.failure is not None
    assert not pair.machine.failure.fatal


# ------------------------------------------------------------------------------------------------------- time-outs


def test_no_session_created_in_time() -> None:
    pair = Pair(greet=False)
    pair.pass_time(SETTINGS.created_s - 0.1)
    assert pair.out == []
    pair.pass_time(0.2)
    assert pair.of(Close) == [Close(1000, "")]
    assert pair.machine.failure is not None
    assert pair.machine.failure.param == "session.created"


def test_no_session_updated_in_time() -> None:
    pair = Pair(greet=False)
    pair.peer.silent_to.add("session.update")
    pair.hear(*pair.peer.greeting())
    pair.pass_time(SETTINGS.updated_s + 0.1)
    assert pair.of(Close) == [Close(1000, "")]
    assert pair.machine.failure is not None
    assert pair.machine.failure.param == "session.updated"


def test_no_response_created_in_time_fails_the_question_and_cancels_a_late_one() -> None:
    pair = Pair()
    pair.peer.silent_to.add("response.create")
    question_id = pair.ask()
    assert pair.machine.deadline == SETTINGS.response_created_s
    pair.now += 1
    pair.hear(pair.peer.event("conversation.item.added", item={"id": "x"}))  # the line is alive
    pair.pass_time(SETTINGS.response_created_s + 0.1)
    [finished] = pair.of(Finished)
    assert (finished.status, finished.error.param) == ("failed", "response.created")
    assert pair.peer.received_types().count("response.cancel") == 0
    late = {"id": "resp_late", "metadata": {"snap": question_id}}
    pair.hear(pair.peer.event("response.created", response=late))
    assert pair.peer.received[-1]["type"] == "response.cancel"
    assert pair.peer.received[-1]["response_id"] == "resp_late"
    assert len(pair.of(Finished)) == 1


def test_a_line_that_says_nothing_since_the_question_counts_as_dead() -> None:
    pair = Pair()
    pair.peer.silent_to.add("response.create")
    question_id = pair.ask()
    pair.pass_time(SETTINGS.response_created_s + 0.1)
    assert pair.of(Finished) == []
    assert pair.of(Close) == [Close(1000, "")]
    pair.give(Closed(1000))
    [finished] = pair.of(Finished)
    assert (finished.question_id, finished.status, finished.error.param) == (
        question_id,
        "vanished",
        "response.created",
    )


def test_no_text_in_time_cancels_by_id() -> None:
    pair = Pair()
    pair.peer.stop_after = "response.created"
    pair.ask()
    pair.pass_time(SETTINGS.first_delta_s + 0.1)
    cancel = pair.peer.received[-1]
    assert (cancel["type"], cancel["response_id"][:5]) == ("response.cancel", "resp_")
    [finished] = pair.of(Finished)
    assert (finished.status, finished.reason) == ("cancelled", "client_cancelled")
    assert finished.error.param == "first text"
    assert finished.usage is not None
    assert pair.machine.state is State.READY


def test_an_answer_that_does_not_end_is_cancelled_and_keeps_its_text() -> None:
    pair = Pair()
    pair.peer.stop_after = "response.output_text.done"
    pair.ask()
    pair.pass_time(SETTINGS.first_delta_s + 0.1)
    assert pair.of(Finished) == []
    pair.pass_time(SETTINGS.response_done_s)
    [finished] = pair.of(Finished)
    assert (finished.status, finished.text, finished.error.param) == ("cancelled", pair.peer.text, "response.done")


def test_a_cancel_without_effect_ends_the_connection() -> None:
    pair = Pair()
    pair.peer.stop_after = "response.created"
    pair.peer.silent_to.add("response.cancel")
    pair.ask()
    pair.pass_time(SETTINGS.first_delta_s + 0.1)
    pair.pass_time(CANCEL_S + 0.1)
    [finished] = pair.of(Finished)
    assert (finished.status, finished.error.param) == ("failed", "first text")
    assert pair.of(Close) == [Close(1000, "")]
    assert pair.of(Report) == [], "it is told once, with the end of the connection"
    assert pair.machine.failure.sentence.endswith(
        "wrote nothing within 20 s, and the service did not react to a cancellation within 10 s; hudd connects again."
    )
    assert pair.machine.deadline is None


# ------------------------------------------------------------------------------------------------------- ends


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


def test_the_update_follows_the_settings() -> None:
    machine = Session(SessionSettings(history_tokens=900, retention_ratio=0.7, max_output_tokens=64), "Be brief.")
    machine.step(Opened(), 0.0)
    [send] = machine.step(e.SessionCreated("sess_1"), 0.0)
    assert send == Send(e.SessionUpdate("su_1", "Be brief.", 64, 0.7, 900))
