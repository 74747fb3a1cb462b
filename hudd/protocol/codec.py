"""JSON to events and back. Strict in what is sent, tolerant of what comes: new types and fields never raise.

A picture event of 200 kB is put together from pieces, because ``json.dumps`` would look at every character of the
picture to escape nothing. It still takes a copy of the picture: call ``encode`` away from the event loop for pictures.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, cast, get_args

from hudd.model import AnswerStatus, Usage
from hudd.protocol.error_objects import error_of, status_of
from hudd.protocol.events import (
    IGNORED_TYPES,
    ClientEvent,
    ErrorDetails,
    ErrorEvent,
    Ignored,
    ImagePart,
    ItemAdded,
    ItemCreate,
    ItemDelete,
    ItemDeleted,
    ItemDone,
    Malformed,
    Message,
    OutputItem,
    OutputItemAdded,
    OutputItemDone,
    RateLimit,
    RateLimitsUpdated,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    TextDelta,
    TextDone,
    TextPart,
    Unknown,
)
from hudd.protocol.json_values import Json, list_of, object_of, text_of
from hudd.protocol.vocabulary import MAX_EVENT_ID_LENGTH

_Pieces = list[bytes]
"""JSON in pieces, joined once at the end: every join on the way would copy the picture again."""

# ---------------------------------------------------------------------------------------------------- encoding


def encode(event: ClientEvent) -> bytes:
    """The event as UTF-8 JSON, ready for one text frame.

    Args:
        event: What to send. With a picture this takes milliseconds: call it in a thread.
    """
    match event:
        case SessionUpdate():
            return _dump({"type": "session.update", "event_id": event.event_id, "session": _session(event)})
        case ResponseCreate():
            return _response_create(event)
        case ItemCreate():
            head: dict[str, object] = {"type": "conversation.item.create", "event_id": event.event_id}
            if event.previous_item_id:
                head["previous_item_id"] = event.previous_item_id
            return b"".join(_splice(_dump(head), b"item", _message(event.item)))
        case ItemDelete():
            return _dump({"type": "conversation.item.delete", "event_id": event.event_id, "item_id": event.item_id})
        case ResponseCancel():
            return _dump({"type": "response.cancel", "event_id": event.event_id, "response_id": event.response_id})


def _session(event: SessionUpdate) -> dict[str, object]:
    session: dict[str, object] = {
        "type": "realtime",
        "output_modalities": ["text"],
        "instructions": event.instructions,
        "max_output_tokens": event.max_output_tokens,
        # Without this the session listens, answers by itself and bills for it (realtime-protocol 2.2).
        "audio": {"input": {"turn_detection": None}},
        "truncation": {
            "type": "retention_ratio",
            "retention_ratio": event.retention_ratio,
            "token_limits": {"post_instructions": event.post_instructions_tokens},
        },
        "tools": [],
        "tool_choice": "auto",
    }
    if event.reasoning_effort:
        session["reasoning"] = {"effort": event.reasoning_effort}
    return session


def _response_create(event: ResponseCreate) -> bytes:
    response = _dump(
        {
            "conversation": event.conversation,
            "output_modalities": ["text"],
            "max_output_tokens": event.max_output_tokens,
            "metadata": dict(event.metadata),
        }
    )
    head = _dump({"type": "response.create", "event_id": event.event_id})
    if event.input is None:
        return b"".join(_splice(head, b"response", [response]))
    items = _array([_message(item) for item in event.input])
    return b"".join(_splice(head, b"response", _splice(response, b"input", items)))


def _message(message: Message) -> _Pieces:
    head: dict[str, object] = {"type": "message", "role": message.role}
    if message.id:
        head["id"] = message.id
    return _splice(_dump(head), b"content", _array([_part(part, message.role) for part in message.parts]))


def _part(part: TextPart | ImagePart, role: str) -> _Pieces:
    if isinstance(part, TextPart):
        return [_dump({"type": "output_text" if role == "assistant" else "input_text", "text": part.text})]
    head = _dump({"type": "input_image", "detail": part.detail})
    url = [b'"data:', part.media_type.encode(), b";base64,", base64.b64encode(part.data), b'"']
    return _splice(head, b"image_url", url)


def _splice(json_object: bytes, key: bytes, value: _Pieces) -> _Pieces:
    """Add a value that is JSON already to an object that is not empty."""
    return [json_object[:-1], b',"', key, b'":', *value, b"}"]


def _array(values: list[_Pieces]) -> _Pieces:
    pieces: _Pieces = [b"["]
    for index, value in enumerate(values):
        pieces += [b",", *value] if index else value
    return [*pieces, b"]"]


def _dump(value: object) -> bytes:
    # Half of a surrogate pair has no UTF-8 form; a question mark does no harm where an exception would.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


# ---------------------------------------------------------------------------------------------------- decoding


class _MissingError(Exception):
    """Internal to ``decode``: a part is missing that the event means nothing without."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What one frame holds.

    Attributes:
        event: As ``decode`` reads it.
        event_id: The service's own id of the event, or ''. One that comes again is the same event (3.2).
    """

    event: ServerEvent
    event_id: str = ""


def decode(frame: str | bytes) -> ServerEvent:
    """Read the event of one frame, as ``read_frame`` does."""
    return read_frame(frame).event


def read_frame(frame: str | bytes) -> Frame:
    """Read one frame. Never raises, whatever the frame holds.

    Args:
        frame: The text frame's payload.

    Returns:
        The event; ``Ignored`` or ``Unknown`` for other types, ``Malformed`` for what is no event.
    """
    try:
        value = json.loads(frame)
    except (ValueError, RecursionError) as error:  # ValueError covers bad JSON, bad UTF-8 and absurd numbers
        return Frame(Malformed(f"no JSON: {type(error).__name__}"))
    if not isinstance(value, dict):
        return Frame(Malformed(f"no JSON object but {type(value).__name__}"))
    data = cast("Json", value)
    return Frame(_event(data), text_of(data.get("event_id"))[:MAX_EVENT_ID_LENGTH])


def _event(data: Json) -> ServerEvent:
    kind = data.get("type")
    if not isinstance(kind, str) or not kind:
        return Malformed("no type")
    reader = _READERS.get(kind)
    if reader is None:
        return Ignored(kind) if kind in IGNORED_TYPES else Unknown(text_of(kind)[:100])
    try:
        return reader(data)
    except _MissingError as error:
        return Malformed(f"{kind} without {error}")


def usage_of(value: object) -> Usage | None:
    """Read a ``usage`` object (realtime-protocol 3.5, 6.2); None when there is none.

    A total without its split counts as text, which is the cheapest kind of input and the only kind of our output.
    """
    usage = object_of(value)
    if not usage:
        return None
    inputs, outputs = object_of(usage.get("input_token_details")), object_of(usage.get("output_token_details"))
    input_tokens, output_tokens = _count(usage.get("input_tokens")), _count(usage.get("output_tokens"))
    audio, image = _count(inputs.get("audio_tokens")), _count(inputs.get("image_tokens"))
    output_audio = _count(outputs.get("audio_tokens"))
    cached = object_of(inputs.get("cached_tokens_details"))
    cached_audio, cached_image = _count(cached.get("audio_tokens")), _count(cached.get("image_tokens"))
    cached_total = _count(inputs.get("cached_tokens"))
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        text_tokens=_count(inputs.get("text_tokens"), max(0, input_tokens - audio - image)),
        image_tokens=image,
        audio_tokens=audio,
        cached_text_tokens=_count(cached.get("text_tokens"), max(0, cached_total - cached_audio - cached_image)),
        cached_image_tokens=cached_image,
        cached_audio_tokens=cached_audio,
        output_text_tokens=_count(outputs.get("text_tokens"), max(0, output_tokens - output_audio)),
        output_audio_tokens=output_audio,
        reasoning_tokens=_count(outputs.get("reasoning_tokens")),
    )


def _session_created(data: Json) -> ServerEvent:
    session = object_of(data.get("session"))
    return SessionCreated(text_of(session.get("id")), text_of(session.get("model")), _expiry(session))


def _session_updated(data: Json) -> ServerEvent:
    session = object_of(data.get("session"))
    return SessionUpdated(text_of(session.get("id")), text_of(session.get("model")), _expiry(session))


def _expiry(session: Json) -> float | None:
    expires_at = _number(session.get("expires_at"))
    return expires_at if expires_at > 0 else None  # a session that is not open yet says 0 (1.4)


def _error(data: Json) -> ServerEvent:
    details = error_of(data.get("error"))
    return ErrorEvent(details if details.status else replace(details, status=status_of(data)))


def _response_created(data: Json) -> ServerEvent:
    response = object_of(data.get("response"))
    return ResponseCreated(_required(response, "id", "response.id"), _metadata(response.get("metadata")))


def _response_done(data: Json) -> ServerEvent:
    response = object_of(data.get("response"))
    status, details = response.get("status"), object_of(response.get("status_details"))
    known = isinstance(status, str) and status in _DONE_STATUSES
    error = error_of(details.get("error")) if details.get("error") is not None else None
    if not known and error is None:
        error = ErrorDetails(message=f"response.done came with the status {text_of(status)[:40]!r}")
    return ResponseDone(
        response_id=_required(response, "id", "response.id"),
        status=cast("AnswerStatus", status) if known else "failed",
        reason=text_of(details.get("reason")),
        error=error,
        output=tuple(_output_item(item) for item in list_of(response.get("output"))),
        usage=usage_of(response.get("usage")),
        metadata=_metadata(response.get("metadata")),
    )


def _output_item(value: object) -> OutputItem:
    item = object_of(value)
    texts: list[str] = []
    for part in map(object_of, list_of(item.get("content"))):
        if part.get("type") in {"output_text", "text"}:
            texts.append(text_of(part.get("text")))
        elif part.get("type") in {"output_audio", "audio"}:  # text was asked for; an endpoint may speak anyway
            texts.append(text_of(part.get("transcript")))
    return OutputItem(text_of(item.get("id")), text_of(item.get("type")), text_of(item.get("phase")), tuple(texts))


def _output_item_added(data: Json) -> ServerEvent:
    return OutputItemAdded(_required(data, "response_id"), _output_item(data.get("item")))


def _output_item_done(data: Json) -> ServerEvent:
    return OutputItemDone(_required(data, "response_id"), _output_item(data.get("item")))


def _text_delta(data: Json) -> ServerEvent:
    place = _required(data, "response_id"), text_of(data.get("item_id")), _count(data.get("content_index"))
    return TextDelta(*place, text_of(data.get("delta")))


def _text_done(data: Json) -> ServerEvent:
    place = _required(data, "response_id"), text_of(data.get("item_id")), _count(data.get("content_index"))
    return TextDone(*place, text_of(data.get("text")))


def _item_added(data: Json) -> ServerEvent:
    return ItemAdded(_required(object_of(data.get("item")), "id", "item.id"))


def _item_done(data: Json) -> ServerEvent:
    return ItemDone(_required(object_of(data.get("item")), "id", "item.id"))


def _item_deleted(data: Json) -> ServerEvent:
    return ItemDeleted(_required(data, "item_id"))


def _rate_limits(data: Json) -> ServerEvent:
    return RateLimitsUpdated(
        tuple(
            RateLimit(
                name=text_of(limit.get("name")),
                limit=_number(limit.get("limit")),
                remaining=_number(limit.get("remaining")),
                reset_s=_number(limit.get("reset_seconds")),
            )
            for limit in map(object_of, list_of(data.get("rate_limits")))
        )
    )


_DONE_STATUSES: Final = frozenset(get_args(AnswerStatus)) - {"vanished"}

_READERS: Final[Mapping[str, Callable[[Json], ServerEvent]]] = {
    "session.created": _session_created,
    "session.updated": _session_updated,
    "error": _error,
    "response.created": _response_created,
    "response.output_item.added": _output_item_added,
    "response.output_item.done": _output_item_done,
    "response.output_text.delta": _text_delta,
    "response.output_text.done": _text_done,
    # Older gateways still translate to these two names (realtime-protocol 1.6, 1.7).
    "response.text.delta": _text_delta,
    "response.text.done": _text_done,
    "response.done": _response_done,
    "conversation.item.added": _item_added,
    "conversation.item.created": _item_added,
    "conversation.item.done": _item_done,
    "conversation.item.deleted": _item_deleted,
    "rate_limits.updated": _rate_limits,
}


def _required(data: Json, key: str, name: str = "") -> str:
    text = text_of(data.get(key))
    if not text:
        raise _MissingError(name or key)
    return text


def _count(value: object, default: int = 0) -> int:
    """A number of tokens; what is no such number is ``default``."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else default


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 2**53 or math.isnan(value):
        return 0.0
    return float(value)


def _metadata(value: object) -> tuple[tuple[str, str], ...]:
    return tuple((text_of(key), text_of(item)) for key, item in object_of(value).items() if isinstance(item, str))
