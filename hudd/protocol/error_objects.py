"""Reads error objects, also those that a gateway wrapped. Pure; never raises.

Gateways write the error of the service behind them in forms of their own (realtime-protocol 1.6): deeper in the object,
as JSON within its message, or with an HTTP status where the code should be.
"""

from __future__ import annotations

import json
from typing import Final, cast

from hudd.protocol.events import ErrorDetails
from hudd.protocol.json_values import Json, list_of, object_of, text_of

_LONGEST_MESSAGE: Final = 2000
_LONGEST_WRAPPED: Final = 16_384
_DEEPEST: Final = 5
_WRAPPINGS: Final = (
    "error",
    "detail",
    "details",
    "errors",
    "innererror",
    "upstream",
    "upstream_error",
    "cause",
    "message",
)


def error_of(value: object) -> ErrorDetails:
    """Read an ``error`` object; what is missing or null is ''.

    Of several layers, the deepest with a code in words is the service's own and is taken.
    """
    layers = _layers(value)
    words = next((layer for layer in reversed(layers) if _code_in_words(layer)), None)
    told = words or next((layer for layer in layers if text_of(layer.get("message"))), layers[0] if layers else {})
    return ErrorDetails(
        type=text_of(told.get("type")),
        code=_code_in_words(told),
        message=text_of(told.get("message")) or text_of(told.get("detail")) or text_of(value)[:_LONGEST_MESSAGE],
        param=_first_text(layers, "param"),
        event_id=_first_text(layers, "event_id"),
        status=next((status for status in map(status_of, layers) if status), 0),
    )


def status_of(layer: Json) -> int:
    """An HTTP status that refuses something, from the places where gateways put it; 0 when there is none."""
    for key in ("status", "status_code", "http_status", "code"):
        value = layer.get(key)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
            return value
    return 0


def _layers(value: object, depth: int = 0) -> list[Json]:
    """An error object and those that are wrapped in it, outermost first."""
    if depth > _DEEPEST:
        return []
    if isinstance(value, str):
        return _layers(_parsed(value), depth + 1)
    if isinstance(value, list):
        items = list_of(cast("object", value))
        return _layers(items[0], depth + 1) if items else []
    data = object_of(value)
    if not data:
        return []
    for key in _WRAPPINGS:
        inner = _layers(data.get(key), depth + 1)
        if inner:
            return [data, *inner]
    return [data]


def _parsed(text: str) -> object:
    """A text that is JSON as a whole; None for words for people."""
    if not text.lstrip().startswith(("{", "[")) or len(text) > _LONGEST_WRAPPED:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # words that begin with a brace
        return None


def _code_in_words(layer: Json) -> str:
    code = text_of(layer.get("code"))
    return "" if code.isdigit() else code


def _first_text(layers: list[Json], key: str) -> str:
    return next((text for text in (text_of(layer.get(key)) for layer in layers) if text), "")
