"""The objects that the engine sends: sessions, responses, items, events. Pure; ids and padding are handed in.

Source: realtime-protocol 2.2 (session), 3.4 and 3.5 (responses), 2.5 (errors); the shapes are those that were recorded.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

JsonObject = dict[str, Any]

DEFAULT_INSTRUCTIONS: Final = (
    "Your knowledge cutoff is 2023-10. You are a helpful, witty, and friendly AI. Act like a human, but remember that "
    "you are not a human. This is the default text of a session without instructions; it counts as input like any "
    "other."
)
DEFAULT_LIFETIME_S: Final = 3600.0
DEFAULT_REASONING_TOKENS: Final = {"minimal": 8, "low": 24, "medium": 96, "high": 256, "xhigh": 512}
RATE_LIMIT_TOKENS: Final = 15_000_000

_PCM: Final = {"type": "audio/pcm", "rate": 24000}


class Names(Protocol):
    """Where ids and padding come from."""

    def id(self, prefix: str) -> str:
        """A new id such as ``item_…``, at most 32 characters."""
        ...

    def padding(self) -> str:
        """What hides the length of a delta."""
        ...


def reasons(model: str) -> bool:
    """Whether a model reasons (2.x): it takes ``reasoning``, tells ``phase`` and counts reasoning tokens."""
    return "realtime-2" in model and not model.rpartition("realtime-")[2].startswith("20")


def default_session(session_id: str, model: str, expires_at: int) -> JsonObject:
    """The session as ``session.created`` tells it (2.2): an audio assistant with voice detection."""
    newer = reasons(model)
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "output_modalities": ["audio"],
        "instructions": DEFAULT_INSTRUCTIONS,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": expires_at,
        "audio": {
            "input": {
                "format": dict(_PCM),
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": _full_detection({"type": "server_vad"}, silence_ms=500 if newer else 200),
            },
            "output": {"format": dict(_PCM), "voice": "marin" if newer else "alloy", "speed": 1.0},
        },
        "include": None,
    }


def _full_detection(wish: Mapping[str, Any], *, silence_ms: int = 500) -> JsonObject:
    """A turn detection with all the fields that the service echoes."""
    common = {"create_response": True, "interrupt_response": True}
    if wish["type"] == "semantic_vad":
        return {"type": "semantic_vad", "eagerness": "auto", **common, **wish}
    return {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": silence_ms,
        "idle_timeout_ms": None,
        **common,
        **wish,
    }


def merged_session(session: JsonObject, update: Mapping[str, Any]) -> JsonObject:
    """A session after a checked update: only present fields change, ``model`` never does, audio is merged (2.1)."""
    merged = copy.deepcopy(session)
    for key, value in update.items():
        if key in ("model", "type", "audio"):
            continue
        merged[key] = copy.deepcopy(value)
    if update.get("instructions") == "":
        merged["instructions"] = DEFAULT_INSTRUCTIONS
    audio = cast("Mapping[str, Mapping[str, Any]]", update.get("audio", {}))
    for side, fields in audio.items():
        for key, value in fields.items():
            merged["audio"][side][key] = _full_audio_field(key, value, merged["audio"][side].get(key))
    return merged


def _full_audio_field(key: str, value: Any, before: Any) -> Any:
    if value is None:
        return None
    if key == "turn_detection":
        return _full_detection(value)
    if key == "transcription":
        return {"model": None, "language": None, "prompt": None, **value}
    if key == "noise_reduction":
        # strength defaults to 1 and is kept when a later update leaves it out (5.1)
        earlier = cast("Mapping[str, Any]", before or {})
        return {"strength": earlier.get("strength", 1.0), **value}
    if key == "format" and value["type"] == "audio/pcm":
        return {**_PCM, **value}
    if key == "speed":
        return float(value)
    return copy.deepcopy(value)


def response_object(
    response_id: str, session: Mapping[str, Any], wish: Mapping[str, Any], conversation_id: str | None
) -> JsonObject:
    """The response as ``response.created`` tells it.

    Args:
        response_id: ``resp_…``.
        session: The session, for what the wish leaves open.
        wish: The checked ``response`` of ``response.create``.
        conversation_id: None for a response out of band.
    """
    output = session["audio"]["output"]
    audio = cast("Mapping[str, Any]", wish.get("audio", {}).get("output", {}))
    return {
        "object": "realtime.response",
        "id": response_id,
        "status": "in_progress",
        "status_details": None,
        "output": [],
        "conversation_id": conversation_id,
        "output_modalities": wish.get("output_modalities", session["output_modalities"]),
        "max_output_tokens": wish.get("max_output_tokens", session["max_output_tokens"]),
        "audio": {
            "output": {"format": audio.get("format", output["format"]), "voice": audio.get("voice", output["voice"])}
        },
        "usage": None,
        "metadata": wish.get("metadata"),
    }


def error_event(
    code: str | None,
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    client_event_id: str | None = None,
) -> JsonObject:
    """An ``error`` event (2.5), still without its own ``event_id``."""
    return {
        "type": "error",
        "error": {"type": kind, "code": code, "message": message, "param": param, "event_id": client_event_id},
    }


def rate_limits_event(used_tokens: int, *, reset_s: float = 0.004) -> JsonObject:
    """What follows a response (3.4): a limit that hinders only when a fault uses it up."""
    remaining = max(0, RATE_LIMIT_TOKENS - used_tokens)
    limit = {"name": "tokens", "limit": RATE_LIMIT_TOKENS, "remaining": remaining, "reset_seconds": reset_s}
    return {"type": "rate_limits.updated", "rate_limits": [limit]}
