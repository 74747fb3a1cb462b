"""The shapes of sessions, items, responses and envelopes, as tables of rules. Pure.

Source: realtime-protocol 3.1, 3.3, 3.7, 4.1, 5.1 and 9.
"""

from __future__ import annotations

from typing import Any, Final, cast

from hudd.engine import schema
from hudd.engine.schema import RejectedError, Rule
from hudd.protocol.vocabulary import (
    MAX_ID_LENGTH,
    MAX_METADATA_KEY,
    MAX_METADATA_PAIRS,
    MAX_METADATA_VALUE,
    RESPONSE_KEYS,
    SESSION_KEYS,
)

MAX_OUTPUT_TOKENS: Final = 4096
MAX_AUDIO_CHARS: Final = 15 * 1024 * 1024
VOICES: Final = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
STATUSES: Final = ("completed", "incomplete", "in_progress")


def _audio_format() -> Rule:
    return schema.tagged(
        {
            "audio/pcm": schema.record(
                {"type": schema.anything, "rate": schema.number(low=24_000, high=24_000, whole=True)}
            ),
            "audio/pcmu": schema.record({"type": schema.anything}),
            "audio/pcma": schema.record({"type": schema.anything}),
        }
    )


_DETECTION_FLAGS: Final[dict[str, Rule]] = {
    "type": schema.anything,
    "create_response": schema.flag,
    "interrupt_response": schema.flag,
}
_TURN_DETECTION: Final = schema.tagged(
    {
        "server_vad": schema.record(
            {
                **_DETECTION_FLAGS,
                "threshold": schema.number(low=0, high=1),
                "prefix_padding_ms": schema.number(low=0, whole=True),
                "silence_duration_ms": schema.number(low=0, whole=True),
                "idle_timeout_ms": schema.nullable(schema.number(low=5000, high=30_000, whole=True)),
            }
        ),
        "semantic_vad": schema.record(
            {**_DETECTION_FLAGS, "eagerness": schema.choice("low", "medium", "high", "auto")}
        ),
    }
)
_TRANSCRIPTION: Final = schema.record(
    {
        "model": schema.text(),
        "language": schema.nullable(schema.text()),
        "prompt": schema.nullable(schema.text()),
        "delay": schema.text(),
        "languages": schema.items(schema.text()),
        "keywords": schema.items(schema.text()),
    }
)
_NOISE_REDUCTION: Final = schema.record(
    {"type": schema.choice("near_field", "far_field"), "strength": schema.number(low=0, high=1)}, required=("type",)
)
_VOICE: Final = schema.word_or(VOICES, schema.record({"id": schema.text()}, required=("id",)))
_AUDIO_OUTPUT: Final[dict[str, Rule]] = {"format": _audio_format(), "voice": _VOICE}
_MODALITIES: Final = schema.items(schema.choice("text", "audio"))
_MAX_OUTPUT_TOKENS: Final = schema.word_or(
    ("inf",), schema.number(low=1, high=MAX_OUTPUT_TOKENS, whole=True), expected=(int, float)
)
_TOOL: Final = schema.tagged(
    {
        "function": schema.record(
            {
                "type": schema.anything,
                "name": schema.text(most=64),
                "description": schema.text(),
                "parameters": schema.as_object,
            },
            required=("name",),
        ),
        "mcp": schema.record(
            {
                "type": schema.anything,
                "server_label": schema.text(),
                "server_url": schema.text(),
                "server_description": schema.text(),
                "connector_id": schema.text(),
                "tunnel_id": schema.text(),
                "authorization": schema.text(),
                "headers": schema.nullable(schema.as_object),
                "allowed_tools": schema.anything,
                "require_approval": schema.anything,
                "defer_loading": schema.flag,
            },
            required=("server_label",),
        ),
    }
)
_TOOL_CHOICE: Final = schema.word_or(
    ("auto", "none", "required"),
    schema.tagged(
        {
            "function": schema.record({"type": schema.anything, "name": schema.text()}, required=("name",)),
            "mcp": schema.record(
                {"type": schema.anything, "server_label": schema.text(), "name": schema.text()},
                required=("server_label",),
            ),
        }
    ),
)
_REASONING: Final = schema.record({"effort": schema.choice("minimal", "low", "medium", "high", "xhigh")})
_PROMPT: Final = schema.record(
    {"id": schema.text(), "version": schema.nullable(schema.text()), "variables": schema.nullable(schema.as_object)},
    required=("id",),
)
_TRUNCATION: Final = schema.word_or(
    ("auto", "disabled"),
    schema.tagged(
        {
            "retention_ratio": schema.record(
                {
                    "type": schema.anything,
                    "retention_ratio": schema.number(low=0, high=1),
                    "token_limits": schema.record({"post_instructions": schema.number(low=0, whole=True)}),
                },
                required=("retention_ratio",),
            )
        }
    ),
)
_TRACING: Final = schema.nullable(
    schema.word_or(
        ("auto",),
        schema.record({"workflow_name": schema.text(), "group_id": schema.text(), "metadata": schema.as_object}),
    )
)
_SHARED: Final[dict[str, Rule]] = {
    "instructions": schema.text(),
    "output_modalities": _MODALITIES,
    "max_output_tokens": _MAX_OUTPUT_TOKENS,
    "tools": schema.items(_TOOL),
    "tool_choice": _TOOL_CHOICE,
    "parallel_tool_calls": schema.flag,
    "reasoning": _REASONING,
    "prompt": schema.nullable(_PROMPT),
}
_SESSION_RULES: Final[dict[str, Rule]] = {
    **_SHARED,
    "type": schema.choice("realtime"),
    "model": schema.text(),
    "audio": schema.record(
        {
            "input": schema.record(
                {
                    "format": _audio_format(),
                    "transcription": schema.nullable(_TRANSCRIPTION),
                    "noise_reduction": schema.nullable(_NOISE_REDUCTION),
                    "turn_detection": schema.nullable(_TURN_DETECTION),
                }
            ),
            "output": schema.record({**_AUDIO_OUTPUT, "speed": schema.number(low=0.25, high=1.5)}),
        }
    ),
    "truncation": _TRUNCATION,
    "tracing": _TRACING,
    "include": schema.nullable(schema.items(schema.choice("item.input_audio_transcription.logprobs"))),
}
SESSION: Final = schema.record({k: _SESSION_RULES[k] for k in SESSION_KEYS}, required=("type",))


def _check_metadata(value: Any, path: str) -> None:
    pairs = schema.as_object(value, path)
    if len(pairs) > MAX_METADATA_PAIRS:
        raise RejectedError(
            "object_above_max_properties",
            f"Invalid '{path}': too many properties. Expected an object with at most {MAX_METADATA_PAIRS} properties, "
            f"but got an object with {len(pairs)} properties instead.",
            param=path,
        )
    for key, member in pairs.items():
        schema.text(most=MAX_METADATA_KEY)(key, path)
        schema.text(most=MAX_METADATA_VALUE)(member, f"{path}.{key}")


def _check_image_url(value: Any, path: str) -> None:
    schema.text()(value, path)
    head = cast("str", value)[:64].partition(",")[0]
    if head not in ("data:image/png;base64", "data:image/jpeg;base64", "data:image/jpg;base64"):
        raise RejectedError(
            "invalid_value",
            f"Invalid '{path}': expected a base64-encoded data URI with a PNG or JPEG picture.",
            param=path,
        )


_ID: Final = schema.text(most=MAX_ID_LENGTH)
_PART_TEXT: Final = schema.text()
_SYSTEM_PART: Final = schema.tagged(
    {"input_text": schema.record({"type": schema.anything, "text": _PART_TEXT}, required=("text",))}
)
_USER_PART: Final = schema.tagged(
    {
        "input_text": schema.record({"type": schema.anything, "text": _PART_TEXT}, required=("text",)),
        "input_image": schema.record(
            {
                "type": schema.anything,
                "image_url": _check_image_url,
                "detail": schema.choice("auto", "low", "high"),
            },
            required=("image_url",),
        ),
        "input_audio": schema.record(
            {"type": schema.anything, "audio": schema.text(), "transcript": schema.nullable(schema.text())},
            required=("audio",),
        ),
    }
)
_ASSISTANT_PART: Final = schema.tagged(
    {"output_text": schema.record({"type": schema.anything, "text": _PART_TEXT}, required=("text",))}
)
_ITEM_KEYS: Final[dict[str, Rule]] = {
    "type": schema.anything,
    "id": schema.nullable(_ID),
    "object": schema.choice("realtime.item"),
    "status": schema.choice(*STATUSES),
}


def _message(part: Rule) -> Rule:
    return schema.record(
        {**_ITEM_KEYS, "role": schema.anything, "content": schema.items(part)}, required=("role", "content")
    )


_ITEM_KINDS: Final[dict[str, Rule]] = {
    "message": schema.tagged(
        {"user": _message(_USER_PART), "system": _message(_SYSTEM_PART), "assistant": _message(_ASSISTANT_PART)},
        key="role",
    ),
    "function_call": schema.record(
        {**_ITEM_KEYS, "name": schema.text(), "call_id": _ID, "arguments": schema.text()},
        required=("name", "arguments"),
    ),
    "function_call_output": schema.record(
        {**_ITEM_KEYS, "call_id": _ID, "output": schema.text()}, required=("call_id", "output")
    ),
}
_ITEM: Final = schema.tagged(_ITEM_KINDS)
_INPUT_ITEM: Final = schema.tagged(
    {**_ITEM_KINDS, "item_reference": schema.record({"type": schema.anything, "id": _ID}, required=("id",))}
)
_RESPONSE_RULES: Final[dict[str, Rule]] = {
    **_SHARED,
    "conversation": schema.choice("auto", "none"),
    "input": schema.items(_INPUT_ITEM),
    "metadata": schema.nullable(_check_metadata),
    "audio": schema.record({"output": schema.record(_AUDIO_OUTPUT)}),
}
RESPONSE: Final = schema.record({k: _RESPONSE_RULES[k] for k in RESPONSE_KEYS})

ENVELOPES: Final[dict[str, tuple[dict[str, Rule], tuple[str, ...]]]] = {
    "session.update": ({"session": schema.anything}, ("session",)),
    "conversation.item.create": ({"item": _ITEM, "previous_item_id": schema.nullable(schema.text())}, ("item",)),
    "conversation.item.delete": ({"item_id": schema.text()}, ("item_id",)),
    "conversation.item.retrieve": ({"item_id": schema.text()}, ("item_id",)),
    "conversation.item.truncate": (
        {
            "item_id": schema.text(),
            "content_index": schema.number(low=0, whole=True),
            "audio_end_ms": schema.number(low=0, whole=True),
        },
        ("item_id", "content_index", "audio_end_ms"),
    ),
    "response.create": ({"response": schema.nullable(schema.anything)}, ()),
    "response.cancel": ({"response_id": schema.nullable(schema.text())}, ()),
    "input_audio_buffer.append": ({"audio": schema.text(most=MAX_AUDIO_CHARS)}, ("audio",)),
    "input_audio_buffer.commit": ({}, ()),
    "input_audio_buffer.clear": ({}, ()),
}
