"""One dialogue of the engine, in memory: the session, envelopes and the items of the conversation."""

from __future__ import annotations

import json
import math

import pytest

from hudd.engine.commands import Close
from hudd.engine.objects import DEFAULT_INSTRUCTIONS
from tests.fakes.engine import FIRST_UPDATE, Talk, data_url, error_of, image, png, types, words

SHOT = data_url(png(1280, 720))


# ------------------------------------------------------------------------------------------------ the session


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


# ------------------------------------------------------------------------------------------------ envelopes


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


# ------------------------------------------------------------------------------------------------ items


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
