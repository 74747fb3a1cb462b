from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.engine.commands import Close
from hudd.engine.objects import DEFAULT_INSTRUCTIONS
from hudd.protocol.vocabulary import CLIENT_EVENTS
from tests.fakes.engine import FIRST_UPDATE, Talk, data_url, error_of, image, png, types, user, words

SHOT = data_url(png(1280, 720))
IN_CONVERSATION = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]
OUT_OF_BAND = [kind for kind in IN_CONVERSATION if not kind.startswith("conversation.")]


# --- the session -------------------------------------------------------------------------------------------------


def test_session_created_is_an_audio_assistant_that_lives_an_hour() -> None:
    talk = Talk(update=False)
    assert types(talk.first) == ["session.created"]
    session = talk.first[0]["session"]
    assert session["expires_at"] == 1_795_343_466 + 3600
    assert session["id"].startswith("sess_")
    assert session["output_modalities"] == ["audio"]
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 200
    assert session["audio"]["output"]["voice"] == "alloy"
    assert "reasoning" not in session


def test_a_reasoning_model_has_other_defaults() -> None:
    session = Talk(model="openai/gpt-realtime-2.1", update=False).first[0]["session"]
    assert session["model"] == "openai/gpt-realtime-2.1"
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 500
    assert session["audio"]["output"]["voice"] == "marin"


def test_the_first_update_is_applied_and_the_whole_session_is_echoed() -> None:
    talk = Talk(update=False)
    (updated,) = talk.say(FIRST_UPDATE)
    assert updated["type"] == "session.updated"
    session = updated["session"]
    assert session["output_modalities"] == ["text"]
    assert session["audio"]["input"]["turn_detection"] is None
    assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert session["truncation"] == FIRST_UPDATE["session"]["truncation"]
    assert set(session) == set(talk.first[0]["session"])


def test_an_update_ignores_the_model_and_merges_nested_objects() -> None:
    talk = Talk()
    (updated,) = talk.say(
        {
            "type": "session.update",
            "session": {"type": "realtime", "model": "gpt-realtime-mini", "audio": {"output": {"voice": "cedar"}}},
        }
    )
    assert updated["session"]["model"] == "gpt-realtime-1.5"
    assert updated["session"]["audio"]["output"]["voice"] == "cedar"
    assert updated["session"]["audio"]["input"]["turn_detection"] is None
    assert updated["session"]["instructions"] == "Say what is on the screen."


def test_empty_instructions_bring_back_the_default_text() -> None:
    (updated,) = Talk().say({"type": "session.update", "session": {"type": "realtime", "instructions": ""}})
    assert updated["session"]["instructions"] == DEFAULT_INSTRUCTIONS


def test_one_unknown_key_refuses_the_whole_update() -> None:
    talk = Talk()
    before = talk.dialogue.session
    error = error_of(
        talk.say(
            {
                "type": "session.update",
                "event_id": "su_2",
                "session": {"type": "realtime", "instructions": "new", "voice": "alloy"},
            }
        )
    )
    assert error == {
        "type": "invalid_request_error",
        "code": "unknown_parameter",
        "message": "Unknown parameter: 'session.voice'.",
        "param": "session.voice",
        "event_id": "su_2",
    }
    assert talk.dialogue.session is before


def test_tracing_cannot_be_changed_once_enabled() -> None:
    talk = Talk()
    talk.say({"type": "session.update", "session": {"type": "realtime", "tracing": "auto"}})
    again = talk.say({"type": "session.update", "session": {"type": "realtime", "tracing": None}})
    assert error_of(again)["param"] == "session.tracing"


def test_a_session_expires_with_an_error_and_1001() -> None:
    talk = Talk()
    assert talk.wait(3599.5) == []
    (event,) = talk.wait(1)
    assert event["error"]["code"] == "session_expired"
    assert event["error"]["event_id"] is None
    assert talk.closed == Close(1001, event["error"]["message"])
    assert talk.dialogue.wake_at == math.inf
    assert talk.say(FIRST_UPDATE) == []


# --- envelopes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ("{nonsense", "invalid_json", None),
        ("[1]", "invalid_json", None),
        ('{"type":NaN}', "invalid_json", None),
        ("[" * 100_000, "invalid_json", None),
        ('{"type":"session.update","session":1e999}', "invalid_json", None),
        ('{"type":"session.update","session":' + '{"a":' * 200 + "1" + "}" * 201, "invalid_json", None),
        ("{}", "invalid_event", None),
        ('{"type":"nope"}', "invalid_value", "type"),
        ('{"type":7}', "invalid_type", "type"),
        ('{"type":"response.cancel","event_id":7}', "invalid_type", "event_id"),
        ('{"type":"response.cancel","more":1}', "unknown_parameter", "more"),
        ('{"type":"conversation.item.delete"}', "missing_required_parameter", "item_id"),
        (json.dumps({"type": "response.create", "event_id": "e" * 513}), "string_above_max_length", "event_id"),
    ],
)
def test_a_bad_envelope_is_an_error_and_the_session_stays(frame: str, code: str, param: str | None) -> None:
    talk = Talk()
    error = error_of(talk.say(frame))
    assert (error["code"], error["param"]) == (code, param)
    assert types(talk.item("still here")) == ["conversation.item.added", "conversation.item.done"]


def test_a_binary_frame_is_an_error() -> None:
    talk = Talk()
    assert error_of(talk.take(talk.dialogue.receive_binary()))["code"] == "invalid_event"


# --- items -------------------------------------------------------------------------------------------------------


def test_items_are_placed_by_previous_item_id() -> None:
    talk = Talk()
    assert talk.item("b", id="b")[0]["previous_item_id"] is None
    assert talk.item("d", id="d")[0]["previous_item_id"] == "b"
    assert talk.item("a", id="a", previous_item_id="root")[0]["previous_item_id"] is None
    assert talk.item("c", id="c", previous_item_id="b")[0]["previous_item_id"] == "b"
    talk.respond()
    assert talk.asked[0].text == "a\nb\nc\nd"


def test_item_errors() -> None:
    talk = Talk()
    talk.item("one", id="one")
    assert error_of(talk.item("again", id="one"))["code"] == "item_create_duplicate_item_id"
    assert error_of(talk.item("x", previous_item_id="nowhere"))["param"] == "previous_item_id"
    assert error_of(talk.item("x", id="i" * 33))["code"] == "string_above_max_length"
    for kind in ("delete", "retrieve", "truncate"):
        event = {"type": f"conversation.item.{kind}", "item_id": "nowhere"}
        if kind == "truncate":
            event |= {"content_index": 0, "audio_end_ms": 5}
        assert error_of(talk.say(event))["code"] == f"item_{kind}_invalid_item_id"


def test_an_item_without_an_id_gets_one() -> None:
    added, done = Talk().item("hello")
    assert added["item"]["id"].startswith("item_")
    assert added["item"] == done["item"]
    assert added["item"]["status"] == "completed"


def test_a_deleted_item_is_no_longer_input() -> None:
    talk = Talk()
    talk.item("old", id="old")
    talk.item("new", id="new")
    (deleted,) = talk.say({"type": "conversation.item.delete", "item_id": "old"})
    assert deleted["item_id"] == "old"
    talk.respond()
    assert talk.asked[0].text == "new"


def test_an_item_can_be_retrieved() -> None:
    talk = Talk()
    talk.item("hello", id="h")
    (event,) = talk.say({"type": "conversation.item.retrieve", "item_id": "h"})
    assert event["type"] == "conversation.item.retrieved"
    assert event["item"]["content"] == [words("hello")]


def test_pictures_are_not_echoed_unless_asked_for() -> None:
    message = {"type": "message", "role": "user", "content": [image(SHOT)]}
    create = {"type": "conversation.item.create", "item": message}
    assert "image_url" not in Talk().say(create)[0]["item"]["content"][0]
    assert Talk("echo_images").say(create)[0]["item"]["content"][0]["image_url"] == SHOT


def test_a_picture_that_is_none_is_told_later_and_names_no_event() -> None:
    talk = Talk()
    bad = image(data_url(b"GIF89a" + bytes(20)))
    assert talk.out_of_band(bad) == []
    error = error_of(talk.wait(1))
    assert error["code"] == "invalid_image"
    assert error["event_id"] is None
    assert talk.asked == []


@pytest.mark.parametrize("url", ["https://example.org/a.png", "data:image/webp;base64,AAAA", "data:image/png,AAAA", ""])
def test_a_picture_that_is_no_data_uri_is_refused_at_once(url: str) -> None:
    error = error_of(Talk().out_of_band(image(url)))
    assert error["code"] == "invalid_value"
    assert error["param"] == "response.input[0].content[0].image_url"


# --- responses ---------------------------------------------------------------------------------------------------


def test_a_response_in_the_conversation_has_the_recorded_order() -> None:
    talk = Talk()
    added, _ = talk.item("What is there?")
    (created,) = talk.respond()
    assert created["response"]["status"] == "in_progress"
    assert created["response"]["conversation_id"].startswith("conv_")
    events = talk.answer("Hello there!")
    assert types(events) == IN_CONVERSATION
    assert events[1]["previous_item_id"] == added["item"]["id"]
    assert [e["delta"] for e in events if "delta" in e] == ["Hello", " there!"]
    done = events[-2]["response"]
    assert done["status"] == "completed"
    assert done["output"][0]["content"] == [{"type": "output_text", "text": "Hello there!"}]
    assert len({e["event_id"] for e in talk.seen}) == len(talk.seen)


def test_out_of_band_leaves_the_conversation_alone_and_echoes_metadata() -> None:
    talk = Talk()
    (created,) = talk.out_of_band(words("now"), image(SHOT), metadata={"snap": "1", "source": "eDP-1"})
    assert created["response"]["conversation_id"] is None
    assert created["response"]["metadata"] == {"snap": "1", "source": "eDP-1"}
    assert talk.asked[0].stream == "eDP-1"
    assert talk.asked[0].pictures[0].width == 1280
    events = talk.answer("An editor.")
    assert types(events) == OUT_OF_BAND
    assert events[-2]["response"]["metadata"] == {"snap": "1", "source": "eDP-1"}
    talk.respond()
    assert talk.asked[1].text == ""
    assert talk.asked[1].stream == talk.dialogue.session_id


def test_an_input_replaces_the_conversation_and_may_refer_to_its_items() -> None:
    talk = Talk()
    talk.item("context", id="ctx")
    talk.item("not this")
    talk.respond(conversation="none", input=[{"type": "item_reference", "id": "ctx"}, user("and this")])
    assert talk.asked[0].text == "context\nand this"
    missing = talk.respond(conversation="none", input=[{"type": "item_reference", "id": "gone"}])
    assert error_of(missing)["code"] == "item_reference_invalid_item_id"


def test_only_what_follows_the_last_answer_is_asked() -> None:
    talk = Talk()
    talk.say({"type": "conversation.item.create", "item": {**user(""), "content": [image(SHOT)]}})
    talk.respond()
    talk.answer("A screen.")
    talk.item("And now?")
    talk.respond()
    assert talk.asked[1].text == "And now?"
    assert talk.asked[1].pictures == ()


def test_one_response_writes_to_the_conversation_others_run_beside_it() -> None:
    talk = Talk()
    talk.item("x")
    (first,) = talk.respond()
    error = error_of(talk.respond())
    assert error["code"] == "conversation_already_has_active_response"
    assert first["response"]["id"] in error["message"]
    assert error["event_id"] == "rc_1"
    assert types(talk.out_of_band(words("a"))) == ["response.created"]
    assert types(talk.out_of_band(words("b"))) == ["response.created"]
    for index in (2, 0, 1):
        assert talk.answer("ok", index)[-2]["response"]["status"] == "completed"
    assert types(talk.respond()) == ["response.created"]


def test_parallel_responses_are_bounded() -> None:
    talk = Talk()
    for _ in range(16):
        assert types(talk.out_of_band(words("a"))) == ["response.created"]
    assert error_of(talk.out_of_band(words("a")))["code"] == "rate_limit_exceeded"


def test_cancel_ends_the_response_of_the_conversation_with_what_was_said() -> None:
    talk = Talk(pace_s=1.0)
    talk.item("x")
    talk.respond()
    talk.take(talk.dialogue.add_text(talk.asked[0].response_id, "one two three four", talk.now))
    talk.wait(2)
    events = talk.say({"type": "response.cancel"})
    done = events[-2]["response"]
    assert done["status"] == "cancelled"
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert done["output"][0]["content"][0]["text"] == "one two"
    assert done["output"][0]["status"] == "incomplete"
    assert done["usage"]["output_tokens"] == 2
    assert talk.forgotten == [talk.asked[0].response_id]
    assert talk.answer("late") == []


def test_out_of_band_is_cancelled_by_id_only() -> None:
    talk = Talk()
    (created,) = talk.out_of_band(words("a"))
    error = error_of(talk.say({"type": "response.cancel", "event_id": "c1"}))
    assert (error["code"], error["event_id"]) == ("response_cancel_not_active", "c1")
    events = talk.say({"type": "response.cancel", "response_id": created["response"]["id"]})
    assert types(events) == ["response.done", "rate_limits.updated"]
    assert events[0]["response"]["output"] == []
    again = talk.say({"type": "response.cancel", "response_id": created["response"]["id"]})
    assert error_of(again)["code"] == "response_cancel_not_active"


def test_the_answer_is_cut_at_max_output_tokens() -> None:
    talk = Talk()
    talk.out_of_band(words("a"), max_output_tokens=3)
    assert talk.asked[0].most_tokens == 3
    done = talk.answer("one two three four five")[-2]["response"]
    assert done["status"] == "incomplete"
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert done["output"][0]["content"][0]["text"] == "one two"
    assert done["usage"]["output_tokens"] == 2
    assert talk.forgotten == [talk.asked[0].response_id]


def test_a_failed_answer_is_a_failed_response() -> None:
    talk = Talk()
    talk.out_of_band(image(SHOT))
    fail = talk.dialogue.fail
    events = talk.take(
        fail(talk.asked[0].response_id, kind="server_error", code="server_error", message="no", now=talk.now)
    )
    assert types(events) == ["response.done"]
    assert events[0]["response"]["status_details"]["error"]["code"] == "server_error"
    assert events[0]["response"]["usage"] is None


def test_a_picture_that_cannot_be_read_is_also_an_error() -> None:
    talk = Talk()
    talk.out_of_band(image(SHOT))
    events = talk.take(
        talk.dialogue.fail(
            talk.asked[0].response_id,
            kind="invalid_request_error",
            code="invalid_image",
            message="damaged",
            now=talk.now,
        )
    )
    assert types(events) == ["error", "response.done"]
    assert events[0]["error"]["event_id"] is None


def test_a_session_that_speaks_gets_no_response() -> None:
    talk = Talk(update=False)
    error = error_of(talk.out_of_band(words("a")))
    assert error["param"] == "response.output_modalities"
    assert types(talk.out_of_band(words("a"), output_modalities=["text"])) == ["response.created"]


def test_words_come_at_the_pace() -> None:
    talk = Talk(pace_s=0.5)
    talk.out_of_band(words("a"))
    assert talk.answer("one two three") == []
    assert [e["delta"] for e in talk.wait(1.2) if "delta" in e] == ["one", " two"]
    assert talk.wait(0.4)[-1]["type"] == "rate_limits.updated"


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), max_size=12))
def test_the_deltas_join_to_the_answer(pieces: list[str]) -> None:
    talk = Talk()
    talk.out_of_band(words("a"), max_output_tokens="inf")
    response_id = talk.asked[0].response_id
    for piece in pieces:
        talk.take(talk.dialogue.add_text(response_id, piece, talk.now))
    talk.take(talk.dialogue.end_text(response_id, talk.now))
    deltas = "".join(e["delta"] for e in talk.seen if e["type"] == "response.output_text.delta")
    (done,) = [e for e in talk.seen if e["type"] == "response.done"]
    assert deltas == "".join(pieces)
    assert done["response"]["output"][0]["content"][0]["text"] == deltas
    assert talk.dialogue.wake_at > talk.now + 100


# --- counting ----------------------------------------------------------------------------------------------------


def test_usage_counts_text_pictures_and_the_cached_beginning() -> None:
    talk = Talk()
    talk.say({"type": "session.update", "session": {"type": "realtime", "instructions": "i" * 400}})
    for turn, cached in enumerate((0, 64)):
        talk.out_of_band(words("x" * 10), image(data_url(png(1280, 720, turn))))
        usage = talk.answer("y" * 9)[-2]["response"]["usage"]
        assert usage["input_token_details"]["image_tokens"] == 323
        assert usage["input_token_details"]["text_tokens"] == 103
        assert usage["input_tokens"] == 426
        assert usage["output_tokens"] == 3
        assert usage["total_tokens"] == 429
        assert usage["input_token_details"]["cached_tokens"] == cached
        assert "reasoning_tokens" not in usage["output_token_details"]


def test_an_answer_in_the_conversation_is_cached_for_the_next() -> None:
    talk = Talk()
    talk.item("q" * 400)
    talk.respond()
    talk.answer("a" * 400)
    talk.item("next")
    talk.respond()
    usage = talk.answer("b")[-2]["response"]["usage"]
    # 7 of instructions, 100 and 100: 207, rounded down to 64s
    assert usage["input_token_details"]["cached_tokens"] == 192


def test_a_reasoning_model_tells_phase_and_reasoning_tokens() -> None:
    talk = Talk(model="gpt-realtime-2.1", reasoning_tokens=150)
    talk.out_of_band(words("a"))
    events = talk.answer("done")
    done = events[-2]["response"]
    assert done["output"][0]["phase"] == "final_answer"
    assert done["usage"]["output_token_details"] == {"text_tokens": 151, "audio_tokens": 0, "reasoning_tokens": 150}


def test_reasoning_counts_against_the_longest_answer() -> None:
    talk = Talk(model="gpt-realtime-2.1-mini", reasoning_tokens=150)
    talk.out_of_band(words("a"), max_output_tokens=100)
    done = talk.answer("done")[-2]["response"]
    assert done["status"] == "incomplete"
    assert done["output"] == []


def test_truncation_drops_the_oldest_items_from_view() -> None:
    talk = Talk()
    limits = {"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": 100}}
    talk.say({"type": "session.update", "session": {"type": "realtime", "truncation": limits}})
    for index in range(5):
        talk.item("x" * 100, id=f"m{index}")
    talk.respond()
    usage = talk.answer("ok")[-2]["response"]["usage"]
    assert usage["input_token_details"]["text_tokens"] == 7 + 50
    (kept,) = talk.say({"type": "conversation.item.retrieve", "item_id": "m0"})
    assert kept["item"]["id"] == "m0"


def test_an_input_that_does_not_fit_is_an_error() -> None:
    talk = Talk()
    assert error_of(talk.out_of_band(words("x" * 4 * 28_225)))["code"] == "context_length_exceeded"


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
