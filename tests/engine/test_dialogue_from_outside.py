"""What the dialogue does with anything that comes, with faults, and whether its events have the fields of the real service."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.protocol.vocabulary import CLIENT_EVENTS
from tests.fakes.engine import FIRST_UPDATE, Talk, data_url, error_of, image, png, types, words

SHOT = data_url(png(1280, 720))


# --- audio buffer ------------------------------------------------------------------------------------------------


def test_the_audio_buffer_needs_a_tenth_of_a_second() -> None:
    talk = Talk()
    append = {"type": "input_audio_buffer.append", "audio": "A" * 3100}
    assert talk.say(append) == []
    assert error_of(talk.say({"type": "input_audio_buffer.commit"}))["code"] == "input_audio_buffer_commit_empty"
    assert types(talk.say({"type": "input_audio_buffer.clear"})) == ["input_audio_buffer.cleared"]
    talk.say(append)
    talk.say(append)
    assert error_of(talk.say({"type": "input_audio_buffer.commit"}))["code"] == "input_audio_buffer_commit_empty"
    talk.say(append)
    events = talk.say({"type": "input_audio_buffer.commit"})
    assert types(events) == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
    talk.respond()
    details = talk.answer("ok")[-2]["response"]["usage"]["input_token_details"]
    assert details["audio_tokens"] == 2


# --- faults ------------------------------------------------------------------------------------------------------


def test_fault_expire() -> None:
    talk = Talk("expire:5")
    assert talk.first[0]["session"]["expires_at"] == 1_795_343_466 + 5
    assert error_of(talk.wait(6))["code"] == "session_expired"


def test_fault_no_created() -> None:
    assert Talk("no_created", update=False).first == []


def test_fault_close_after_an_event() -> None:
    talk = Talk("close:1011@response.created")
    assert types(talk.out_of_band(words("a"))) == ["response.created"]
    assert talk.closed is not None
    assert talk.closed.code == 1011
    assert talk.dialogue.wake_at == math.inf


def test_fault_fail() -> None:
    created, done = Talk("fail:insufficient_quota").out_of_band(words("a"))
    assert created["type"] == "response.created"
    assert done["response"]["status"] == "failed"
    assert done["response"]["status_details"]["error"]["code"] == "insufficient_quota"


@pytest.mark.parametrize(("fault", "reason"), [("incomplete", "content_filter"), ("cancelled", "turn_detected")])
def test_fault_that_cuts_the_answer(fault: str, reason: str) -> None:
    talk = Talk(fault)
    talk.out_of_band(words("a"))
    done = talk.answer("one two three four")[-2]["response"]
    assert done["status"] == fault
    assert done["status_details"]["reason"] == reason
    assert done["output"][0]["content"][0]["text"] == "one two"


def test_fault_stall() -> None:
    talk = Talk("stall@response.created")
    assert types(talk.out_of_band(words("a"))) == ["response.created"]
    assert talk.answer("one two") == []
    assert talk.say(FIRST_UPDATE) == []
    assert talk.closed is None


def test_fault_garbage() -> None:
    talk = Talk("garbage")
    talk.out_of_band(words("a"))
    (frame,) = talk.raw
    with pytest.raises(json.JSONDecodeError):
        json.loads(frame)


def test_fault_unknown_events() -> None:
    talk = Talk("unknown_events")
    events = talk.out_of_band(words("a"))
    assert types(events) == ["hudd.unknown", "response.created"]
    assert "unknown_field" in events[1]


def test_fault_missing_usage() -> None:
    talk = Talk("missing_usage")
    talk.out_of_band(words("a"))
    assert talk.answer("x")[-2]["response"]["usage"] is None


def test_fault_slow() -> None:
    talk = Talk("slow:3")
    talk.out_of_band(words("a"))
    assert talk.answer("one two") == []
    assert types(talk.wait(3.1))[-1] == "response.output_text.delta"
    assert types(talk.wait(3))[-1] == "rate_limits.updated"


def test_fault_error() -> None:
    error = error_of(Talk("error:rate_limit_exceeded").out_of_band(words("a")))
    assert (error["code"], error["event_id"]) == ("rate_limit_exceeded", "rc_1")


# --- anything from outside ---------------------------------------------------------------------------------------

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5000) | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
_KEYS = st.sampled_from(
    ["session", "item", "item_id", "response", "response_id", "audio", "previous_item_id", "type", "event_id"]
)
_FRAMES = st.builds(
    lambda kind, fields: json.dumps({**fields, "type": kind}),
    st.sampled_from([*CLIENT_EVENTS, "nope"]),
    st.dictionaries(_KEYS, _VALUES, max_size=4),
)


@settings(max_examples=150)
@given(st.lists(_FRAMES | st.text(max_size=60), max_size=8))
def test_no_sequence_of_frames_breaks_the_dialogue(frames: list[str]) -> None:
    talk = Talk()
    for frame in frames:
        for event in talk.say(frame):
            assert event["event_id"].startswith("event_")
    talk.wait(1)
    assert talk.closed is None
    assert types(talk.item("alive"))[0] == "conversation.item.added"


# --- the fields of the real service ------------------------------------------------------------------------------

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "golden" / "realtime-fields.json").read_text(encoding="utf-8")
)["events"]
# No recording has these turns (out of band, cut, without voice detection …); realtime-protocol 2, 3.5 and 3.8 allow them.
ALSO_ALLOWED = {
    "response.conversation_id": {"NoneType"},
    "response.metadata": {"dict"},
    "response.max_output_tokens": {"int"},
    "response.status_details": {"dict"},
    "session.max_output_tokens": {"int"},
    "session.truncation": {"dict"},
    "session.audio.input.transcription": {"NoneType"},
    "session.audio.input.turn_detection": {"NoneType"},
    "session.audio.input.noise_reduction": {"dict"},
    "previous_item_id": {"NoneType"},
}


def _everything() -> list[dict[str, Any]]:
    talk = Talk()
    full: dict[str, Any] = {
        "type": "realtime",
        "output_modalities": ["text"],
        "audio": {
            "input": {
                "transcription": {"model": "whisper-1"},
                "turn_detection": {"type": "server_vad"},
                "noise_reduction": {"type": "near_field"},
            }
        },
    }
    talk.say({"type": "session.update", "session": full})
    talk.item("hello", id="hello")
    for item in (
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "earlier"}]},
        {"type": "message", "role": "system", "content": [words("be brief")]},
        {"type": "function_call", "name": "f", "call_id": "c1", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "r"},
    ):
        talk.say({"type": "conversation.item.create", "item": item})
    talk.respond()
    talk.answer("one two")
    talk.out_of_band(image(SHOT), metadata={"a": "b"})
    talk.answer("one two")
    talk.say({"type": "input_audio_buffer.append", "audio": "A" * 8000})
    talk.say({"type": "input_audio_buffer.commit"})
    talk.say({"type": "conversation.item.retrieve", "item_id": "hello"})
    talk.say({"type": "conversation.item.delete", "item_id": "hello"})
    return talk.seen


def _variant(event: dict[str, Any]) -> str:
    kind = event["type"]
    if "item" in event:
        item = event["item"]
        suffix = f"{item['type']}/{item['role']}" if "role" in item else item["type"]
        return f"{kind}|{suffix}"
    return f"{kind}|{event['part']['type']}" if "part" in event else kind


def _check_fields(event: dict[str, Any], golden: dict[str, Any]) -> None:
    for path in golden["always"]:
        value: Any = event
        for key in path.split("."):
            if value is None:
                break  # the object above is null, which was checked with it
            assert key in value, f"{event['type']} lacks {path}"
            value = value[key]
        else:
            allowed = set(golden["types"][path]) | ALSO_ALLOWED.get(path, set())
            assert type(value).__name__ in allowed, f"{event['type']}: {path} is {value!r}"


def test_every_event_has_all_fields_of_the_service() -> None:
    events = _everything()
    checked = set()
    for event in events:
        golden = GOLDEN.get(_variant(event))
        if golden is not None:
            _check_fields(event, golden)
            checked.add(_variant(event))
    written = {kind for kind in GOLDEN if not any(word in kind for word in ("audio", "speech", "transcription"))}
    # Functions of the model's own are never called by the engine; only those that a client writes appear.
    called = {kind for kind in written if kind.startswith("response.") and "function_call" in kind}
    assert written - called - checked == set()
    assert "input_audio_buffer.committed" in checked


def test_an_event_without_a_field_is_noticed() -> None:
    event = Talk(update=False).first[0]
    del event["session"]["audio"]["output"]["speed"]
    with pytest.raises(AssertionError, match=r"session\.audio\.output\.speed"):
        _check_fields(event, GOLDEN["session.created"])
