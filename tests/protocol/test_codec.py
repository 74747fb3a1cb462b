"""What we send passes the official types strictly; what comes never raises, and is read as the service means it."""

from __future__ import annotations

import base64
import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.model import Usage
from hudd.protocol import events as e
from hudd.protocol.codec import decode, encode, usage_of
from tests.fakes.official_types import check_client_event
from tests.fakes.realtime_peer import USAGE, RealtimePeer

TEXTS = st.text(max_size=60)
IDS = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789_-", min_size=1, max_size=32)
PICTURES = st.builds(
    e.ImagePart,
    media_type=st.sampled_from(["image/jpeg", "image/png"]),
    data=st.binary(max_size=400),
    detail=st.sampled_from(["auto", "low", "high"]),
)
TEXT_PARTS = st.builds(e.TextPart, text=TEXTS)
MESSAGES = st.one_of(
    st.builds(e.Message, st.just("user"), st.lists(TEXT_PARTS | PICTURES, max_size=3).map(tuple), IDS | st.just("")),
    st.builds(e.Message, st.sampled_from(["assistant", "system"]), st.lists(TEXT_PARTS, max_size=2).map(tuple)),
)
EVENTS = st.one_of(
    st.builds(
        e.SessionUpdate,
        event_id=IDS,
        instructions=st.text(min_size=1, max_size=200),
        max_output_tokens=st.integers(1, 4096),
        retention_ratio=st.floats(0, 1),
        post_instructions_tokens=st.integers(0, 20000),
        reasoning_effort=st.sampled_from(["", "minimal", "low", "medium", "high", "xhigh"]),
    ),
    st.builds(
        e.ResponseCreate,
        event_id=IDS,
        input=st.lists(MESSAGES, max_size=4).map(tuple),
        max_output_tokens=st.integers(1, 4096),
        metadata=st.lists(st.tuples(IDS, IDS), max_size=3, unique_by=lambda pair: pair[0]).map(tuple),
        conversation=st.sampled_from(["none", "auto"]),
    ),
    st.builds(e.ItemCreate, event_id=IDS, item=MESSAGES, previous_item_id=IDS | st.just("")),
    st.builds(e.ItemDelete, event_id=IDS, item_id=IDS),
    st.builds(e.ResponseCancel, event_id=IDS, response_id=IDS),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KINDS = st.sampled_from(
    [
        "session.created",
        "session.updated",
        "error",
        "response.created",
        "response.output_item.added",
        "response.output_item.done",
        "response.output_text.delta",
        "response.text.delta",
        "response.output_text.done",
        "response.done",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.deleted",
        "rate_limits.updated",
        "response.content_part.added",
        "nobody.knows.this",
    ]
)
FIELDS = st.sampled_from(
    ["response", "session", "item", "error", "rate_limits", "response_id", "item_id", "delta", "text", "content_index"]
)
INNER = st.dictionaries(
    st.sampled_from(["id", "status", "status_details", "output", "usage", "metadata", "content", "code", "expires_at"]),
    JSON,
    max_size=6,
)


@given(EVENTS)
def test_everything_we_can_send_is_official(event: e.ClientEvent) -> None:
    check_client_event(encode(event))


@given(st.binary(max_size=5000), st.sampled_from(["image/jpeg", "image/png"]))
def test_a_picture_arrives_as_it_was(data: bytes, media_type: Any) -> None:
    message = e.Message("user", (e.TextPart('a "quoted" \\ text'), e.ImagePart(media_type, data)))
    event = json.loads(encode(e.ResponseCreate("rc_1", (message,), 200)))
    text, picture = event["response"]["input"][0]["content"]
    head, _, body = picture["image_url"].partition(",")
    assert head == f"data:{media_type};base64"
    assert base64.b64decode(body, validate=True) == data
    assert text == {"type": "input_text", "text": 'a "quoted" \\ text'}


def test_the_first_update_is_the_documented_one() -> None:
    event = json.loads(encode(e.SessionUpdate("su_1", "be brief", 200, 0.5, 300)))
    assert event == {
        "type": "session.update",
        "event_id": "su_1",
        "session": {
            "type": "realtime",
            "output_modalities": ["text"],
            "instructions": "be brief",
            "max_output_tokens": 200,
            "audio": {"input": {"turn_detection": None}},
            "truncation": {
                "type": "retention_ratio",
                "retention_ratio": 0.5,
                "token_limits": {"post_instructions": 300},
            },
            "tools": [],
            "tool_choice": "auto",
        },
    }


def test_half_a_surrogate_pair_is_sent_as_valid_utf8() -> None:
    data = encode(e.SessionUpdate("su_1", "broken \ud800 text", 200, 0.5, 300))
    assert json.loads(data)["session"]["instructions"] == "broken ? text"


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_garbage_never_raises(frame: str | bytes) -> None:
    assert isinstance(decode(frame), get_args(e.ServerEvent))


@given(KINDS, st.dictionaries(FIELDS, INNER | JSON, max_size=5))
def test_any_object_of_any_type_never_raises(kind: str, fields: dict[str, Any]) -> None:
    event = decode(json.dumps({**fields, "type": kind}))
    assert isinstance(event, get_args(e.ServerEvent))
    if kind == "nobody.knows.this":
        assert event == e.Unknown(kind)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("", "no JSON: JSONDecodeError"),
        (b"\xff\xfe{", "no JSON: UnicodeDecodeError"),
        ("[" * 100_000, "no JSON: RecursionError"),
        ("[1]", "no JSON object but list"),
        ("{}", "no type"),
        ('{"type":3}', "no type"),
        ('{"type":"response.created","response":{}}', "response.created without response.id"),
        ('{"type":"response.output_text.delta","delta":"x"}', "response.output_text.delta without response_id"),
    ],
)
def test_what_is_no_event_says_why(frame: str | bytes, reason: str) -> None:
    assert decode(frame) == e.Malformed(reason)


def test_a_whole_exchange_is_read() -> None:
    peer = RealtimePeer(text="Two words")
    request = e.ResponseCreate("rc_1", (), 200, (("snap", "q1"),))
    read = [decode(frame) for frame in [*peer.greeting(), *peer.receive(encode(request))]]
    created, done = read[1], read[-2]
    assert read[0] == e.SessionCreated("sess_1", "gpt-realtime-1.5", 1_795_347_066.0)
    assert isinstance(created, e.ResponseCreated)
    assert created.metadata == (("snap", "q1"),)
    assert [event.delta for event in read if isinstance(event, e.TextDelta)] == ["Two ", "words"]
    assert isinstance(done, e.ResponseDone)
    assert (done.status, done.output[0].texts, done.metadata) == ("completed", ("Two words",), (("snap", "q1"),))
    assert read[-1] == e.RateLimitsUpdated((e.RateLimit("tokens", 15_000_000, 14_998_954, 0.004),))
    assert not [event for event in read if isinstance(event, e.Unknown | e.Malformed)]


@pytest.mark.parametrize("name", ["response.output_text.delta", "response.text.delta"])
def test_both_dialects_of_a_text_delta_are_read(name: str) -> None:
    frame = {"type": name, "response_id": "r", "item_id": "i", "content_index": 1, "delta": "x", "obfuscation": "?"}
    assert decode(json.dumps(frame)) == e.TextDelta("r", "i", 1, "x")


def test_usage_with_its_split_is_read() -> None:
    assert usage_of(USAGE) == Usage(
        input_tokens=400,
        output_tokens=60,
        text_tokens=77,
        image_tokens=323,
        cached_text_tokens=64,
        output_text_tokens=60,
    )


def test_usage_without_its_split_counts_as_text() -> None:
    usage = {
        "input_tokens": 500,
        "output_tokens": 33,
        "input_token_details": {"image_tokens": 323, "cached_tokens": 64},
    }
    assert usage_of(usage) == Usage(
        input_tokens=500,
        output_tokens=33,
        text_tokens=177,
        image_tokens=323,
        cached_text_tokens=64,
        output_text_tokens=33,
    )


@pytest.mark.parametrize("value", [None, {}, [], "x", 3])
def test_no_usage_is_none(value: object) -> None:
    assert usage_of(value) is None


@given(INNER | JSON)
def test_usage_is_never_negative(value: Any) -> None:
    usage = usage_of({"input_tokens": value, "output_token_details": value, "input_token_details": value})
    assert usage is not None
    assert min(usage.input_tokens, usage.text_tokens, usage.cached_tokens, usage.output_text_tokens) >= 0


def test_reasoning_tokens_are_read_and_not_added() -> None:
    usage = usage_of({"output_tokens": 33, "output_token_details": {"text_tokens": 33, "reasoning_tokens": 11}})
    assert usage is not None
    assert (usage.output_text_tokens, usage.reasoning_tokens, usage.output_tokens) == (33, 11, 33)


@pytest.mark.parametrize(
    ("response", "status", "reason", "code"),
    [
        ({"status": "completed"}, "completed", "", None),
        (
            {"status": "cancelled", "status_details": {"reason": "client_cancelled"}},
            "cancelled",
            "client_cancelled",
            None,
        ),
        (
            {"status": "incomplete", "status_details": {"reason": "content_filter"}},
            "incomplete",
            "content_filter",
            None,
        ),
        (
            {"status": "failed", "status_details": {"error": {"code": "rate_limit_exceeded"}}},
            "failed",
            "",
            "rate_limit_exceeded",
        ),
        ({"status": "failed", "status_details": None}, "failed", "", None),
        ({"status": "in_heaven"}, "failed", "", ""),
        ({"status": ["completed"]}, "failed", "", ""),
        ({}, "failed", "", ""),
    ],
)
def test_the_ways_a_response_ends(response: dict[str, Any], status: str, reason: str, code: str | None) -> None:
    event = decode(json.dumps({"type": "response.done", "response": {"id": "resp_1", **response}}))
    assert isinstance(event, e.ResponseDone)
    assert (event.status, event.reason) == (status, reason)
    assert (None if event.error is None else event.error.code) == code


@pytest.mark.parametrize("place", [(), ("session",), ("session", "audio", "input"), ("session", "truncation")])
def test_the_official_check_refuses_a_key_that_is_not_official(place: tuple[str, ...]) -> None:
    event = json.loads(encode(e.SessionUpdate("su_1", "be brief", 200, 0.5, 300)))
    inner = event
    for key in place:
        inner = inner[key]
    inner["voice_of_tomorrow"] = 1
    with pytest.raises(AssertionError, match="voice_of_tomorrow"):
        check_client_event(json.dumps(event).encode())
