"""JSON and JSON-RPC 2.0 frames of the command socket: strict in what is read, one shape in what is written.

Python's ``json`` accepts more than JSON: NaN, repeated keys, lone surrogates, and nesting until the interpreter gives
up with RecursionError. A request that holds any of these is refused here; where its ``id`` can be told beyond doubt,
the refusal carries it, so that the caller gets its one reply.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from hudd.wire.narrow import find_id
from hudd.wire.table import ERROR_BY_CODE, MAX_ENVELOPE_FRAMES, MAX_FRAME_BYTES, MAX_FRAME_MARKS

MAX_DEPTH: Final = 32
"""Deepest nesting of arrays and objects in a request. Requests are flat; this leaves room."""

RequestId = str | int | float

# An escape that may be half of a surrogate pair; only then strings need a second look.
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


class FrameError(ValueError):
    """Raised when bytes are no strict JSON of ours; the message is one sentence."""


class _TooMuchError(FrameError):
    """It may well be JSON, and is not read to its end."""


@dataclass(frozen=True, slots=True)
class RequestFrame:
    """A JSON-RPC request that can be read; its parameters are not checked yet."""

    id: RequestId
    method: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A frame that is no request to run.

    Attributes:
        kind: ``bad`` (cannot be read or breaks the rules), ``ignored`` (a request without id).
        answer: Whether the sender gets a reply.
        id: What the reply carries; None for a batch.
        code: One of ``hudd.wire.table.ERRORS``.
        message: One sentence.
    """

    kind: Literal["bad", "ignored"]
    answer: bool
    id: RequestId | None
    code: str
    message: str


class _Unreadable:
    """Stands for a value that nobody can know: NaN, a number out of range, the value of a key that occurs twice."""


_UNREADABLE: Final = _Unreadable()


class _Parse:
    """One run of the parser. Collects the first fault and goes on, so that the id can still be read."""

    def __init__(self) -> None:
        self.fault = ""

    def read(self, data: bytes) -> Any:
        """Raises FrameError where there is no value at all."""
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise FrameError(f"The frame is not UTF-8 (byte {error.start}).") from None
        try:
            value: Any = json.loads(
                text,
                object_pairs_hook=self._pairs,
                parse_constant=self._constant,
                parse_float=self._float,
                parse_int=self._int,
            )
        except RecursionError:
            raise _TooMuchError(f"The JSON is nested deeper than {MAX_DEPTH}.") from None
        except ValueError as error:
            raise FrameError(f"The frame is not JSON: {str(error)[:120]}.") from None
        if text.count("[") + text.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
            self._note(f"The JSON is nested deeper than {MAX_DEPTH}.")
        if _SURROGATE_ESCAPE.search(text) and _lone_surrogate(value):
            self._note("A string holds half of a surrogate pair.")
        return value

    def _note(self, fault: str) -> None:
        self.fault = self.fault or fault

    def _pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    self._note(f"The key {key[:40]!r} occurs twice.")
                    found[key] = _UNREADABLE
                seen.add(key)
        return found

    def _constant(self, name: str) -> _Unreadable:
        self._note(f"{name} is not JSON.")
        return _UNREADABLE

    def _float(self, digits: str) -> float | _Unreadable:
        number = float(digits)
        if not math.isfinite(number):
            self._note("A number is out of range.")
            return _UNREADABLE
        return number

    def _int(self, digits: str) -> int | _Unreadable:
        try:
            return int(digits)
        except ValueError:  # Python reads no more than a few thousand, because of what it would cost
            self._note(f"A number of {len(digits)} digits is too long.")
            return _UNREADABLE


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(cast("dict[str, Any]", item).values())
            elif isinstance(item, list):
                below.extend(cast("list[Any]", item))
        deepest += any(isinstance(item, dict | list) for item in level)
        level = below
    return deepest


def _lone_surrogate(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")
    except UnicodeEncodeError:
        return True
    except RecursionError:
        return True  # too deep to look at is refused as well
    return False


def decode_json(data: bytes, *, max_bytes: int | None = MAX_FRAME_BYTES) -> Any:
    """Read one strict JSON value.

    Args:
        data: The frame.
        max_bytes: Longest frame; None when the sender is trusted (a client that reads its daemon).

    Raises:
        FrameError: It is too long, not UTF-8, begins with a byte order mark, is not JSON, is nested too deeply, or
            holds NaN, an infinity, a repeated key or half a surrogate pair.
    """
    if max_bytes is not None and len(data) > max_bytes:
        raise FrameError(f"The frame has {len(data)} bytes; at most {max_bytes} are allowed.")
    parse = _Parse()
    value = parse.read(data)
    if parse.fault:
        raise FrameError(parse.fault)
    return value


def decode_reply(data: bytes) -> Any:
    """Read one JSON value that one's own daemon wrote, which repeats no key and closes no half pair.

    A page of 500 notes takes less than half the time of `decode_json` so.

    Raises:
        FrameError: It is not JSON in UTF-8, holds NaN, or is nested beyond reason.
    """
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except RecursionError:
        raise FrameError("The JSON is nested too deeply.") from None
    except ValueError as error:  # that of the text's encoding, of JSON and of ours
        raise FrameError(f"The frame is not JSON: {str(error)[:120]}.") from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def encode_json(value: object) -> bytes:
    """Write one JSON value as UTF-8 without spaces.

    Half surrogate pairs (a model's answer may be cut in one) become ``?``: no reader would take them.

    Raises:
        ValueError: It holds NaN, an infinity or a cycle.
        TypeError: It holds something that is not JSON.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def _readable_id(value: Any) -> RequestId | None:
    """The id when it can be echoed; None for null, booleans, arrays, objects and what is not there."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and not _lone_surrogate(value):
        return value
    return None


def parse_request(data: bytes) -> RequestFrame | Refusal:
    """Read a frame as a JSON-RPC 2.0 request. Never raises.

    A request with a readable id (a string or a number) is always either returned or refused with ``answer=True``.
    """
    if len(data) > MAX_FRAME_BYTES:
        return Refusal("bad", False, None, "E_PROTO", f"The frame has more than {MAX_FRAME_BYTES} bytes.")
    parse = _Parse()
    try:
        _check_marks(data)
        value = parse.read(data)
    except _TooMuchError as error:
        request_id = _id_of_unread(data)
        return Refusal("bad", request_id is not None, request_id, "E_PROTO", str(error))
    except FrameError as error:
        return Refusal("bad", False, None, "E_PROTO", str(error))
    if isinstance(value, list):
        return Refusal("bad", True, None, "E_REQUEST", "Batches are not supported; send one request per message.")
    if not isinstance(value, dict):
        return Refusal("bad", False, None, "E_REQUEST", "The JSON is no object.")
    found = cast("dict[str, Any]", value)
    if "id" not in found:
        return Refusal("ignored", False, None, "E_REQUEST", "A request without id is not run.")
    request_id = _readable_id(found["id"])
    if request_id is None:
        return Refusal("bad", False, None, "E_REQUEST", "The id must be a string or a number.")
    if parse.fault:
        return Refusal("bad", True, request_id, "E_PROTO", parse.fault)
    return _checked(request_id, found)


def _check_marks(data: bytes) -> None:
    if sum(map(data.count, (b"{", b"[", b","))) > MAX_FRAME_MARKS:
        raise _TooMuchError(f"The frame has more than {MAX_FRAME_MARKS} of '{{', '[' and ','.")


def _id_of_unread(data: bytes) -> RequestId | None:
    written = find_id(data)
    if written is None:
        return None
    try:
        return _readable_id(decode_json(written))
    except FrameError:
        return None


def _checked(request_id: RequestId, found: dict[str, Any]) -> RequestFrame | Refusal:
    if found.get("jsonrpc") != "2.0":
        return Refusal("bad", True, request_id, "E_REQUEST", 'The request lacks "jsonrpc":"2.0".')
    method = found.get("method")
    if not isinstance(method, str):
        return Refusal("bad", True, request_id, "E_REQUEST", "The method must be a string.")
    params: Any = found.get("params")
    if params is None:
        params = {}
    if not isinstance(params, dict):
        return Refusal("bad", True, request_id, "E_ARGS", "The params must be an object: parameters go by name.")
    return RequestFrame(request_id, method, cast("dict[str, Any]", params))


def split_envelope(frames: list[bytes]) -> tuple[list[bytes], list[bytes]] | None:
    """Split what a ROUTER received into the envelope to echo and the frames behind it.

    The first frame is the peer's routing id, put there by the socket. The envelope goes up to and with the first
    empty frame; before that, at most four frames may come from the peer.

    Returns:
        ``(envelope, rest)``, or None when there is no empty frame where one must be.
    """
    for index in range(1, min(len(frames), MAX_ENVELOPE_FRAMES + 2)):
        if not frames[index]:
            return frames[: index + 1], frames[index + 1 :]
    return None


def encode_request(request_id: RequestId, method: str, params: Mapping[str, Any]) -> bytes:
    """Write a request, as a client sends it after the empty delimiter.

    Raises:
        FrameError: It would be longer than the daemon takes.
    """
    data = encode_json({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
    if len(data) > MAX_FRAME_BYTES:
        raise FrameError(f"The request has {len(data)} bytes; the daemon takes at most {MAX_FRAME_BYTES}.")
    return data


@dataclass(frozen=True, slots=True)
class WrittenJson:
    """A part of a result that is written already.

    Attributes:
        text: One JSON value.
    """

    text: str


def encode_result(request_id: RequestId, result: Mapping[str, Any]) -> bytes:
    """Write a reply with a result; its fields may be `WrittenJson`, nothing within them."""
    if not any(isinstance(value, WrittenJson) for value in result.values()):
        return encode_json({"jsonrpc": "2.0", "id": request_id, "result": result})
    fields = (
        encode_json(name) + b":" + (value.text.encode() if isinstance(value, WrittenJson) else encode_json(value))
        for name, value in result.items()
    )
    return b'{"jsonrpc":"2.0","id":' + encode_json(request_id) + b',"result":{' + b",".join(fields) + b"}}"


def encode_error(
    request_id: RequestId | None,
    code: str,
    message: str,
    *,
    hint: str = "",
    retry_after_ms: int | None = None,
    upstream: Mapping[str, Any] | None = None,
) -> bytes:
    """Write a reply with an error of the table; a code that the table lacks is sent as ``E_INTERNAL``."""
    known = ERROR_BY_CODE.get(code) or ERROR_BY_CODE["E_INTERNAL"]
    data = {"code": known.code, "hint": hint, "retry_after_ms": retry_after_ms, "upstream": upstream}
    error = {"code": known.rpc, "message": message, "data": data}
    return encode_json({"jsonrpc": "2.0", "id": request_id, "error": error})
