"""The faults that a player plays, seen by a client in memory."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.engine.commands import Close, End, Freeze, Reset
from hudd.engine.fault_mix import ANSWERS, FATAL, PHASES, SILENCES
from hudd.engine.player import FOREIGN_TEXT, IDLE_S, LATE_S, QUOTA_CLOSE_S
from tests.fakes.engine import FIRST_UPDATE, Talk, types, words

WHOLE = [
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]


def answered(talk: Talk, text: str = "one two") -> list[dict[str, Any]]:
    """All events of a whole response."""
    events = talk.out_of_band(words("a"))
    return events if talk.closed else events + talk.answer(text)


# --- ends --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [*dict.fromkeys(WHOLE), "session.created", "session.updated"])
def test_an_end_follows_any_event_of_the_server(event: str) -> None:
    talk = Talk(f"close:1011@{event}")
    if not talk.closed:
        answered(talk)
    assert talk.seen[-1]["type"] == event
    assert talk.closed == Close(1011, "closed on purpose")
    assert talk.dialogue.wake_at == math.inf


@pytest.mark.parametrize("event", ["session.update", "response.create"])
def test_an_end_comes_before_the_answer_to_an_event_of_the_client(event: str) -> None:
    talk = Talk(f"reset@{event}")
    if not talk.closed:
        answered(talk)
    assert isinstance(talk.closed, Reset)
    assert talk.asked == []
    assert types(talk.seen) == (["session.created"] if event == "session.update" else WHOLE_SESSION)


WHOLE_SESSION = ["session.created", "session.updated"]


def test_an_end_at_the_third_time() -> None:
    talk = Talk("half_open@response.output_text.delta#3")
    answered(talk, "one two")
    assert talk.closed is None
    answered(talk, "one two")
    assert isinstance(talk.closed, Freeze)
    assert types(talk.seen).count("response.output_text.delta") == 3


def test_an_end_before_anything_is_said() -> None:
    talk = Talk("close:1005@open", update=False)
    assert talk.seen == []
    assert talk.closed == Close(1005, "closed on purpose")
    assert talk.say(FIRST_UPDATE) == []
    assert talk.say("{") == []


def test_an_answer_ends_with_its_connection() -> None:
    talk = Talk("close:1006@response.output_text.delta", pace_s=1.0)
    talk.out_of_band(words("a"))
    talk.out_of_band(words("b"))
    talk.answer("one two three")
    talk.wait(5)
    assert sorted(talk.forgotten) == ["resp_1", "resp_2"]
    assert talk.answer("more", 0) == []


def test_an_end_while_nothing_happens() -> None:
    talk = Talk("close:1001@idle")
    talk.out_of_band(words("a"))
    talk.wait(10 * IDLE_S)
    assert talk.closed is None, "an answer is due"
    talk.answer("one")
    talk.wait(IDLE_S * 0.9)
    assert talk.closed is None
    talk.say({"type": "response.cancel"})
    talk.wait(IDLE_S * 0.9)
    assert talk.closed is None, "the client said something"
    talk.wait(IDLE_S * 0.2)
    assert isinstance(talk.closed, Close)


@pytest.mark.parametrize(
    ("code", "close_code"),
    [
        ("invalid_api_key", 3000),
        ("model_not_found", 4004),
        ("session_expired", 1001),
        ("missing_model", 4000),
        ("server_error", 1011),
    ],
)
def test_an_error_and_then_the_close_that_belongs_to_it(code: str, close_code: int) -> None:
    talk = Talk(f"refuse:{code}", update=False)
    assert talk.seen[0]["error"]["code"] == code
    kind = "server_error" if code == "server_error" else "invalid_request_error"
    assert talk.seen[0]["error"]["type"] == kind
    assert talk.closed == Close(close_code, f"{kind}.{code}")


def test_no_quota_fails_answers_and_closes_soon_after() -> None:
    talk = Talk("quota:insufficient_quota")
    done = talk.out_of_band(words("a"))[-1]["response"]
    assert done["status_details"]["error"]["code"] == "insufficient_quota"
    talk.wait(QUOTA_CLOSE_S * 0.9)
    assert talk.closed is None
    talk.wait(QUOTA_CLOSE_S * 0.2)
    assert talk.closed == Close(1000, "")


def test_a_rate_limit_fails_the_answer_and_tells_how_long() -> None:
    created, done, limits = Talk("rate_limit:7").out_of_band(words("a"))
    assert created["type"] == "response.created"
    assert done["response"]["status_details"]["error"]["code"] == "rate_limit_exceeded"
    assert done["response"]["usage"] is None
    assert (limits["rate_limits"][0]["remaining"], limits["rate_limits"][0]["reset_seconds"]) == (0, 7)


def test_faults_of_one_answer_only() -> None:
    talk = Talk("fail:server_error#2")
    assert [answered(talk)[-1]["type"], talk.out_of_band(words("a"))[-1]["response"]["status"]] == [
        "rate_limits.updated",
        "failed",
    ]
    assert types(answered(talk)) == WHOLE


# --- silence -----------------------------------------------------------------------------------------------------


def test_silence_for_a_while_keeps_every_event_and_its_order() -> None:
    talk = Talk("stall:2@response.created")
    assert types(answered(talk)) == ["response.created"]
    assert talk.wait(1.9) == []
    assert types(talk.wait(0.2)) == WHOLE[1:]
    assert types(answered(talk)) == WHOLE, "only once"


def test_silence_for_ever_is_not_the_end_of_the_connection() -> None:
    talk = Talk("stall@response.create")
    assert answered(talk) == []
    assert talk.wait(100) == []
    assert talk.closed is None


def test_a_silent_session_still_expires_without_a_word() -> None:
    talk = Talk("stall@session.updated", lifetime_s=10)
    assert talk.wait(11) == []
    assert isinstance(talk.closed, Close)
    assert talk.closed.code == 1001


# --- events that are odd -----------------------------------------------------------------------------------------


def test_events_come_twice() -> None:
    events = answered(Talk("duplicate"))
    assert events[::2] == events[1::2]
    assert types(events[::2]) == WHOLE


def test_one_event_comes_twice() -> None:
    events = types(answered(Talk("duplicate@response.done")))
    assert events == [*WHOLE[:-1], "response.done", "rate_limits.updated"]


def test_an_event_comes_after_the_one_behind_it() -> None:
    talk = Talk("reorder@response.created")
    events = types(answered(talk))
    assert events[:2] == ["response.output_item.added", "response.created"]
    assert sorted(events) == sorted(WHOLE)


def test_an_event_that_nothing_follows_comes_late() -> None:
    talk = Talk("reorder@session.updated")
    assert types(talk.seen) == ["session.created"]
    assert talk.wait(LATE_S * 0.9) == []
    assert types(talk.wait(LATE_S)) == ["session.updated"]
    assert talk.dialogue.wake_at > talk.now + LATE_S


def test_an_event_that_comes_late_still_has_its_end() -> None:
    talk = Talk("reorder@response.created", "reset@response.created#2")
    answered(talk)
    assert talk.closed is None
    answered(talk)
    assert isinstance(talk.closed, Reset)
    assert types(talk.seen)[-2:] == ["response.output_item.added", "response.created"]


def test_a_response_of_somebody_else() -> None:
    talk = Talk("foreign")
    events = answered(talk)
    foreign = [e for e in events if FOREIGN_TEXT in json.dumps(e)]
    assert types(foreign) == [
        "response.output_text.delta",
        "response.output_text.done",
        "response.output_item.done",
        "response.done",
    ]
    own = events[-len(WHOLE) :]
    assert types(own) == WHOLE
    assert own[0]["response"]["id"] not in json.dumps(events[: -len(WHOLE)])


@pytest.mark.parametrize("sort", ["json", "array", "no_type", "deep", "numbers", "large", "binary", "utf8"])
def test_a_frame_that_is_no_event(sort: str) -> None:
    talk = Talk(f"garbage:{sort}")
    assert types(answered(talk)) == WHOLE
    [frame] = talk.raw
    try:
        value = json.loads(frame)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        assert sort in ("json", "deep", "binary", "utf8")
    else:
        assert sort in ("array", "no_type", "numbers", "large")
        assert (len(frame) > 20_000_000) == (sort == "large")
        assert (isinstance(value, dict) and "type" in value) == (sort in ("numbers", "large"))


# --- anything together -------------------------------------------------------------------------------------------

_TEMPLATES = [*filter(None, ANSWERS), *SILENCES, *FATAL, *(t for table in PHASES.values() for t in table)]
_FAULTS = st.builds(
    lambda template, code, n: template.format(code=code, n=n),
    st.sampled_from([t for t in _TEMPLATES if not t.startswith(("http", "hang"))]),
    st.integers(1000, 4999),
    st.integers(1, 3),
)
_STEPS = st.lists(st.sampled_from(["ask", "answer", "wait", "update", "cancel", "nonsense"]), max_size=12)


@settings(max_examples=200)
@given(st.lists(_FAULTS, max_size=4), _STEPS)
def test_no_mix_breaks_the_dialogue_and_nothing_follows_an_end(faults: list[str], steps: list[str]) -> None:
    talk = Talk(*faults, pace_s=0.05)  # Talk itself asserts that nothing follows an end
    for step in steps:
        if step == "ask":
            talk.out_of_band(words("a"))
        elif step == "answer" and talk.asked:
            talk.answer("one two three")
        elif step == "wait":
            talk.wait(0.4)
        elif step == "update":
            talk.say(FIRST_UPDATE)
        elif step == "cancel":
            talk.say({"type": "response.cancel"})
        else:
            talk.say("{")
    talk.wait(5)
    assert talk.closed is None or isinstance(talk.closed, End)
    assert talk.dialogue.wake_at == math.inf or talk.closed is None
