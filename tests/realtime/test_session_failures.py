"""The session machine when something goes wrong: answers that fail, refusals, errors of the service, time-outs."""

from __future__ import annotations

import pytest

from hudd.protocol.vocabulary import BENIGN_CODES
from hudd.realtime.session import CANCEL_S, LINGER_S
from hudd.realtime.session_table import State
from hudd.realtime.session_words import (
    Close,
    Closed,
    Finished,
    Reinstruct,
    Report,
)
from tests.fakes.session_pair import SETTINGS, Pair

# ------------------------------------------------------------------------------------------------ answers that fail


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


# ------------------------------------------------------------------------------------------------ refusals and errors


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


# ------------------------------------------------------------------------------------------------ time-outs


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
    assert pair.machine.failure is not None
    assert pair.machine.failure.sentence.endswith(
        "wrote nothing within 20 s, and the service did not react to a cancellation within 10 s; hudd connects again."
    )
    assert pair.machine.deadline is None
