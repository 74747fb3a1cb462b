"""Strict check of client events against the official ``openai`` package, so that our two halves cannot share a mistake."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from openai.types.realtime import (
    ConversationItemCreateEventParam,
    ConversationItemDeleteEventParam,
    ResponseCancelEventParam,
    ResponseCreateEventParam,
    SessionUpdateEventParam,
)
from pydantic import TypeAdapter

from hudd.protocol.vocabulary import (
    MAX_EVENT_ID_LENGTH,
    MAX_ID_LENGTH,
    MAX_METADATA_KEY,
    MAX_METADATA_PAIRS,
    MAX_METADATA_VALUE,
    RESPONSE_KEYS,
    SESSION_KEYS,
)

TYPES = {
    "session.update": SessionUpdateEventParam,
    "response.create": ResponseCreateEventParam,
    "response.cancel": ResponseCancelEventParam,
    "conversation.item.create": ConversationItemCreateEventParam,
    "conversation.item.delete": ConversationItemDeleteEventParam,
}


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(TYPES[kind])


def check_client_event(data: bytes) -> dict[str, Any]:
    """Assert that an encoded client event is exactly what the official types allow; returns it parsed.

    A typed dict drops what it does not know, so a key that is not official makes the validated copy smaller.
    """
    event = json.loads(data)
    validated = _plain(_adapter(event["type"]).validate_python(event, strict=True))
    assert validated == event, f"not official: {_difference(event, validated)}"
    assert len(event["event_id"]) <= MAX_EVENT_ID_LENGTH
    if event["type"] == "session.update":
        assert set(event["session"]) <= set(SESSION_KEYS)
        assert event["session"]["type"] == "realtime"
        assert event["session"]["instructions"], "empty instructions bring the service's own back, and bill them"
    if event["type"] == "conversation.item.create":
        _check_item(event["item"])
    if event["type"] == "response.create":
        _check_response(event["response"])
    return event


def _check_response(response: dict[str, Any]) -> None:
    assert set(response) <= set(RESPONSE_KEYS)
    assert len(response["metadata"]) <= MAX_METADATA_PAIRS
    assert all(len(k) <= MAX_METADATA_KEY and len(v) <= MAX_METADATA_VALUE for k, v in response["metadata"].items())
    assert 1 <= response["max_output_tokens"] <= 4096
    for item in response.get("input", ()):
        _check_item(item)


def _check_item(item: dict[str, Any]) -> None:
    assert len(item.get("id", "")) <= MAX_ID_LENGTH
    allowed = {"system": {"input_text"}, "user": {"input_text", "input_image"}, "assistant": {"output_text"}}
    assert {part["type"] for part in item["content"]} <= allowed[item["role"]]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, str | bytes | int | float | None):
        return value
    return [_plain(item) for item in value]  # lists, and the lazy iterators of Iterable[...]


def _difference(event: Any, validated: Any, path: str = "") -> str:
    if isinstance(event, dict) and isinstance(validated, dict):
        for key in event:
            if key not in validated:
                return f"{path}.{key}"
            if event[key] != validated[key]:
                return _difference(event[key], validated[key], f"{path}.{key}")
    if isinstance(event, list) and isinstance(validated, list):
        for index, (one, other) in enumerate(zip(event, validated, strict=False)):
            if one != other:
                return _difference(one, other, f"{path}[{index}]")
    return path
