"""What the engine accepts: sessions, items, responses and envelopes, as strictly as the service. Pure.

Source: realtime-protocol 2.4, 3.1, 3.3, 3.7, 4.1, 5.1 and 9. Codes that are not known from there are marked so.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from hudd.engine import schema
from hudd.engine.accounting import image_tokens
from hudd.engine.image_header import read_header
from hudd.engine.schema import RejectedError, UnusableImageError
from hudd.engine.shapes import ENVELOPES, RESPONSE, SESSION
from hudd.protocol.vocabulary import CLIENT_EVENTS, MAX_EVENT_ID_LENGTH

MAX_DEPTH: Final = 100


@dataclass(frozen=True, slots=True)
class SentPicture:
    """A picture that a client sent.

    Attributes:
        media_type: ``image/png`` or ``image/jpeg``, as its bytes tell.
        data: The file's bytes.
        width: Pixels in a row.
        height: Rows.
        detail: ``auto``, ``low`` or ``high``.
        tokens: What it counts in a prompt.
        digest: Fingerprint of the bytes.
    """

    media_type: str
    data: bytes = field(repr=False)
    width: int
    height: int
    detail: str
    tokens: int
    digest: str


def check_session(session: Any, *, reasons: bool) -> dict[str, Any]:
    """Check the ``session`` of ``session.update``.

    Args:
        session: The JSON value.
        reasons: Whether the model takes ``reasoning`` and ``parallel_tool_calls`` (2.x).

    Returns:
        The value as an object.

    Raises:
        RejectedError: With the code and path that the service would tell.
    """
    found = schema.as_object(session, "session")
    if found.get("type") == "transcription":
        raise RejectedError(
            "invalid_value",
            "Passing a transcription session update to a realtime session is not allowed.",
            param="session.type",
        )
    SESSION(found, "session")
    _check_modalities(found, "session")
    _check_reasoning(found, "session", reasons=reasons)
    return found


def _check_modalities(found: Mapping[str, Any], path: str) -> None:
    wanted = found.get("output_modalities")
    if wanted is not None and wanted not in (["text"], ["audio"]):
        raise RejectedError(
            "invalid_value",
            f"Invalid modalities: {wanted!r}. Supported combinations are: ['text'] and ['audio'].",
            param=f"{path}.output_modalities",
        )


def _check_reasoning(found: Mapping[str, Any], path: str, *, reasons: bool) -> None:
    for key in ("reasoning", "parallel_tool_calls"):
        if key in found and not reasons:
            # That the update is refused is known (2.4); the code is not.
            raise RejectedError(
                "unsupported_parameter", f"'{path}.{key}' is not supported with this model.", param=f"{path}.{key}"
            )


def check_envelope(event: Mapping[str, Any]) -> str:
    """Check a client event, apart from the ``session`` or ``response`` in it.

    Returns:
        Its type.

    Raises:
        RejectedError: It has no type, an unknown one, or a field that does not fit.
    """
    schema.nullable(schema.text(most=MAX_EVENT_ID_LENGTH))(event.get("event_id"), "event_id")
    if "type" not in event:
        raise RejectedError("invalid_event", "The 'type' field is missing.")
    kind = event["type"]
    if not isinstance(kind, str):
        raise schema.wrong_type(kind, "type", "a string")
    known = ENVELOPES.get(kind)
    if known is None:
        raise schema.wrong_value(kind, "type", [name for name in CLIENT_EVENTS if name in ENVELOPES])
    keys, required = known
    schema.record({"type": schema.anything, "event_id": schema.anything, **keys}, required=required)(event, "")
    return kind


def check_response(response: Any, *, reasons: bool) -> dict[str, Any]:
    """Check the ``response`` of ``response.create``; absent means all defaults.

    Raises:
        RejectedError: With the code and path that the service would tell.
    """
    if response is None:
        return {}
    found = schema.as_object(response, "response")
    RESPONSE(found, "response")
    _check_modalities(found, "response")
    _check_reasoning(found, "response", reasons=reasons)
    return found


def read_pictures(item: Mapping[str, Any], path: str) -> tuple[SentPicture, ...]:
    """Decode the pictures of a message that was checked, in order.

    Raises:
        UnusableImageError: The bytes are no PNG or JPEG picture.
    """
    parts = cast("list[dict[str, Any]]", item.get("content") or [])
    pictures: list[SentPicture] = []
    for index, part in enumerate(parts):
        if part.get("type") != "input_image":
            continue
        where = f"{path}.content[{index}].image_url"
        try:
            data = base64.b64decode(part["image_url"].partition(",")[2], validate=True)
        except (binascii.Error, ValueError) as error:
            raise UnusableImageError("The picture is no valid base64.", param=where) from error
        header = read_header(data)
        if header is None:
            raise UnusableImageError("The picture is neither PNG nor JPEG, or damaged.", param=where)
        detail = str(part.get("detail", "auto"))
        digest = hashlib.blake2b(data, digest_size=16).hexdigest()
        tokens = image_tokens(header.width, header.height, detail)
        pictures.append(SentPicture(header.media_type, data, header.width, header.height, detail, tokens, digest))
    return tuple(pictures)


def parse_event(frame: str) -> dict[str, Any]:
    """Read a text frame as a client event.

    Raises:
        RejectedError: It is no JSON object (``invalid_json``).
    """
    try:
        event: Any = json.loads(frame, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise RejectedError("invalid_json", "The message could not be parsed as JSON.") from error
    if not isinstance(event, dict):
        raise RejectedError("invalid_json", "The message is no JSON object.")
    if _is_too_deep(cast("object", event)):
        raise RejectedError("invalid_json", f"The message is nested deeper than {MAX_DEPTH} levels.")
    return cast("dict[str, Any]", event)


def _is_too_deep(value: object) -> bool:
    """Whether copying or writing the value back could exhaust the stack."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for member in level:
            if isinstance(member, dict):
                below.extend(cast("dict[str, object]", member).values())
            elif isinstance(member, list):
                below.extend(cast("list[object]", member))
        if not below:
            return False
        level = below
    return True


def _finite(written: str) -> float:
    value = float(written)
    if not math.isfinite(value):
        raise ValueError(f"{written[:20]} is out of range")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
