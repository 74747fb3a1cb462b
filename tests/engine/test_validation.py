from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.engine.schema import RejectedError, UnusableImageError
from hudd.engine.validation import check_envelope, check_response, check_session, parse_event, read_pictures
from hudd.protocol.vocabulary import RESPONSE_KEYS, SESSION_KEYS
from tests.fakes.engine import FIRST_UPDATE, data_url, image, jpeg_head, png, user, words

SHOT = data_url(png(32, 16))


def refusal(session: Any, *, reasons: bool = False) -> tuple[str, str | None]:
    with pytest.raises(RejectedError) as caught:
        check_session(session, reasons=reasons)
    return caught.value.code, caught.value.param


def test_the_recommended_update_passes() -> None:
    assert check_session(FIRST_UPDATE["session"], reasons=False) == FIRST_UPDATE["session"]


@pytest.mark.parametrize(
    ("more", "code", "param"),
    [
        ({"voice": "alloy"}, "unknown_parameter", "session.voice"),
        ({"modalities": ["text"]}, "unknown_parameter", "session.modalities"),
        ({"temperature": 0.8}, "unknown_parameter", "session.temperature"),
        ({"turn_detection": None}, "unknown_parameter", "session.turn_detection"),
        ({"audio": {"input": {"rate": 1}}}, "unknown_parameter", "session.audio.input.rate"),
        ({"audio": {"input": {"format": "pcm16"}}}, "invalid_type", "session.audio.input.format"),
        (
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            "integer_below_min_value",
            "session.audio.input.format.rate",
        ),
        ({"audio": {"input": {"turn_detection": {"type": "vad"}}}}, "invalid_value", "session.audio.input.turn_detection.type"),
        ({"audio": {"input": {"turn_detection": {}}}}, "missing_required_parameter", "session.audio.input.turn_detection.type"),
        ({"audio": {"output": {"speed": 2}}}, "decimal_above_max_value", "session.audio.output.speed"),
        ({"audio": {"output": {"voice": "nobody"}}}, "invalid_value", "session.audio.output.voice"),
        ({"instructions": None}, "invalid_type", "session.instructions"),
        ({"instructions": 7}, "invalid_type", "session.instructions"),
        ({"output_modalities": ["text", "audio"]}, "invalid_value", "session.output_modalities"),
        ({"output_modalities": ["video"]}, "invalid_value", "session.output_modalities[0]"),
        ({"output_modalities": []}, "invalid_value", "session.output_modalities"),
        ({"max_output_tokens": 0}, "integer_below_min_value", "session.max_output_tokens"),
        ({"max_output_tokens": 4097}, "integer_above_max_value", "session.max_output_tokens"),
        ({"max_output_tokens": 1.5}, "invalid_type", "session.max_output_tokens"),
        ({"max_output_tokens": True}, "invalid_type", "session.max_output_tokens"),
        ({"max_output_tokens": "many"}, "invalid_value", "session.max_output_tokens"),
        ({"truncation": "sometimes"}, "invalid_value", "session.truncation"),
        ({"truncation": {"type": "retention_ratio"}}, "missing_required_parameter", "session.truncation.retention_ratio"),
        (
            {"truncation": {"type": "retention_ratio", "retention_ratio": 1.1}},
            "decimal_above_max_value",
            "session.truncation.retention_ratio",
        ),
        ({"tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "g", "meta": 1}]}, "unknown_parameter", "session.tools[1].meta"),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
        ({"tool_choice": "perhaps"}, "invalid_value", "session.tool_choice"),
        ({"reasoning": {"effort": "low"}}, "unsupported_parameter", "session.reasoning"),
        ({"parallel_tool_calls": True}, "unsupported_parameter", "session.parallel_tool_calls"),
        ({"include": ["everything"]}, "invalid_value", "session.include[0]"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"type": "other"}, "invalid_value", "session.type"),
    ],
)  # fmt: skip
def test_what_is_refused_in_a_session(more: dict[str, Any], code: str, param: str) -> None:
    assert refusal({"type": "realtime", **more}) == (code, param)


def test_the_type_is_required_but_an_unknown_key_is_told_first() -> None:
    assert refusal({"instructions": "x"}) == ("missing_required_parameter", "session.type")
    assert refusal({"modalities": ["text"]}) == ("unknown_parameter", "session.modalities")
    assert refusal([]) == ("invalid_type", "session")


@pytest.mark.parametrize(
    "more",
    [
        {"reasoning": {"effort": "minimal"}, "parallel_tool_calls": False},
        {"max_output_tokens": "inf", "tracing": {"workflow_name": "w"}, "prompt": None, "include": None},
        {"tool_choice": {"type": "function", "name": "f"}, "tools": [{"type": "function", "name": "f", "parameters": {}}]},
        {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}, "noise_reduction": None}}},
        {"audio": {"output": {"voice": {"id": "voice_1"}, "format": {"type": "audio/pcmu"}, "speed": 1}}},
        {"truncation": "disabled", "output_modalities": ["audio"]},
    ],
)  # fmt: skip
def test_what_a_reasoning_model_takes(more: dict[str, Any]) -> None:
    assert check_session({"type": "realtime", **more}, reasons=True)["type"] == "realtime"


def item_refusal(item: dict[str, Any]) -> tuple[str, str | None]:
    with pytest.raises(RejectedError) as caught:
        check_envelope({"type": "conversation.item.create", "item": item})
    return caught.value.code, caught.value.param


def message(role: str, *parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(parts), **fields}


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        (message("system", image(SHOT)), "invalid_value", "item.content[0].type"),
        (message("assistant", image(SHOT)), "invalid_value", "item.content[0].type"),
        (message("assistant", words("x")), "invalid_value", "item.content[0].type"),
        (message("assistant", {"type": "output_audio", "audio": "A"}), "invalid_value", "item.content[0].type"),
        (message("user", {"type": "output_text", "text": "x"}), "invalid_value", "item.content[0].type"),
        (message("user", {"type": "text", "text": "x"}), "invalid_value", "item.content[0].type"),
        (message("developer", words("x")), "invalid_value", "item.role"),
        (message("user", {"type": "input_text"}), "missing_required_parameter", "item.content[0].text"),
        (message("user", {"type": "input_image", "image_url": {"url": SHOT}}), "invalid_type", "item.content[0].image_url"),
        (message("user", image(SHOT, detail="huge")), "invalid_value", "item.content[0].detail"),
        (message("user", image("data:image/gif;base64,AA")), "invalid_value", "item.content[0].image_url"),
        (message("user", words("x"), id="i" * 33), "string_above_max_length", "item.id"),
        (message("user", words("x"), name="n"), "unknown_parameter", "item.name"),
        ({"type": "message", "role": "user"}, "missing_required_parameter", "item.content"),
        ({"type": "function_call_output", "call_id": "c" * 33, "output": ""}, "string_above_max_length", "item.call_id"),
        ({"type": "item_reference", "id": "x"}, "invalid_value", "item.type"),
        ({"role": "user"}, "missing_required_parameter", "item.type"),
    ],
)  # fmt: skip
def test_what_is_refused_in_an_item(item: dict[str, Any], code: str, param: str) -> None:
    assert item_refusal(item) == (code, param)


@pytest.mark.parametrize(
    ("response", "code", "param"),
    [
        ({"modalities": ["text"]}, "unknown_parameter", "response.modalities"),
        ({"conversation": "conv_1"}, "invalid_value", "response.conversation"),
        ({"max_output_tokens": 5000}, "integer_above_max_value", "response.max_output_tokens"),
        ({"metadata": {"n": 1}}, "invalid_type", "response.metadata.n"),
        ({"metadata": {"k" * 65: "v"}}, "string_above_max_length", "response.metadata"),
        ({"metadata": {"k": "v" * 513}}, "string_above_max_length", "response.metadata.k"),
        ({"metadata": {str(i): "v" for i in range(17)}}, "object_above_max_properties", "response.metadata"),
        ({"input": [user("a"), {"type": "message"}]}, "missing_required_parameter", "response.input[1].role"),
        ({"reasoning": {"effort": "low"}}, "unsupported_parameter", "response.reasoning"),
        ({"audio": {"output": {"speed": 1}}}, "unknown_parameter", "response.audio.output.speed"),
        ([], "invalid_type", "response"),
    ],
)
def test_what_is_refused_in_a_response(response: Any, code: str, param: str) -> None:
    with pytest.raises(RejectedError) as caught:
        check_response(response, reasons=False)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_an_absent_response_is_all_defaults() -> None:
    assert check_response(None, reasons=False) == {}


def test_pictures_are_decoded_in_order() -> None:
    parts = [image(SHOT), words("and"), image(data_url(jpeg_head(800, 600), "image/jpeg"), detail="low")]
    first, second = read_pictures(message("user", *parts), "item")
    assert (first.media_type, first.width, first.height, first.tokens) == ("image/png", 32, 16, 65 + 129 * 2)
    assert (second.media_type, second.detail, second.tokens) == ("image/jpeg", "low", 65)
    assert first.data == png(32, 16)
    assert first.digest != second.digest


@pytest.mark.parametrize("body", ["!!!!", "AAA", "", "R0lGODlh"])
def test_a_picture_that_is_none(body: str) -> None:
    with pytest.raises(UnusableImageError) as caught:
        read_pictures(message("user", words("x"), image(f"data:image/png;base64,{body}")), "item")
    assert caught.value.param == "item.content[1].image_url"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def outcome(check: Callable[[], object]) -> RejectedError | None:
    try:
        check()
    except RejectedError as error:
        return error
    return None


@given(st.dictionaries(st.sampled_from(SESSION_KEYS) | st.text(max_size=8), _JSON, max_size=5), st.booleans())
def test_a_session_passes_or_is_refused_with_its_path(session: dict[str, Any], reasons: bool) -> None:
    refused = outcome(lambda: check_session(session, reasons=reasons))
    if refused is None:
        assert set(session) <= set(SESSION_KEYS)
    else:
        assert (refused.param or "").startswith("session.")


@given(st.dictionaries(st.sampled_from(RESPONSE_KEYS) | st.text(max_size=8), _JSON, max_size=5))
def test_a_response_passes_or_is_refused_with_its_path(response: dict[str, Any]) -> None:
    refused = outcome(lambda: check_response(response, reasons=True))
    if refused is None:
        assert set(response) <= set(RESPONSE_KEYS)
    else:
        assert (refused.param or "").startswith("response.")


@given(st.text(max_size=100) | _JSON.map(json.dumps))
def test_a_frame_is_an_object_or_refused(frame: str) -> None:
    refused = outcome(lambda: parse_event(frame))
    if refused is None:
        assert parse_event(frame) == json.loads(frame)
    else:
        assert refused.code == "invalid_json"
