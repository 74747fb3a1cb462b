from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.engine.commands import Close
from hudd.engine.objects import DEFAULT_INSTRUCTIONS
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
