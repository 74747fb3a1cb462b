"""What sway tells of its windows over its own socket (IPC of i3, sway-ipc(7)): places and processes, too."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hudd.errors import CaptureError
from hudd.screen.source import Window

_MAGIC: Final = b"i3-ipc"
_HEADER: Final = struct.Struct("=6sII")
_SUBSCRIBE: Final = 2
_GET_TREE: Final = 4
_MOST_BYTES: Final = 64_000_000
_ANSWER_S: Final = 2.0


def sway_windows(path: str) -> tuple[Window, ...]:
    """The windows on visible workspaces.

    Args:
        path: ``SWAYSOCK``.

    Raises:
        CaptureError: sway does not answer.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_ANSWER_S)
            connection.connect(path)
            return tuple(_windows(_ask(connection, _GET_TREE)))
    except (OSError, ValueError, EOFError, KeyError, AttributeError, TypeError) as error:
        # The last three: the answer is JSON, but no tree.
        raise CaptureError(f"sway does not tell of its windows ({error}).") from error


def subscribe(connection: socket.socket, events: Sequence[str]) -> None:
    """Be told of events on this connection; all that come after the return are.

    Args:
        connection: Connected, with a time limit.
        events: As sway-ipc(7) names them.

    Raises:
        CaptureError: sway refuses, or does not answer.
    """
    try:
        answer = _ask(connection, _SUBSCRIBE, json.dumps(list(events)).encode())
        if answer["success"] is True:
            return
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        raise CaptureError(f"sway does not tell of its windows ({error}).") from error
    raise CaptureError("sway refuses to tell of its windows.")


def _ask(connection: socket.socket, kind: int, payload: bytes = b"") -> Any:
    connection.sendall(_HEADER.pack(_MAGIC, len(payload), kind) + payload)
    magic, size, _ = _HEADER.unpack(_receive(connection, _HEADER.size))
    if magic != _MAGIC or size > _MOST_BYTES:
        raise CaptureError("sway sent an answer that cannot be read.")
    return json.loads(_receive(connection, size))


def _receive(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError("the connection was closed")
        data += more
    return bytes(data)


def _windows(inner: Mapping[str, Any]) -> Iterator[Window]:
    for name in ("nodes", "floating_nodes"):
        for child in inner.get(name) or ():
            yield from _windows(child)
    pid = inner.get("pid")
    if not isinstance(pid, int) or not inner.get("visible"):
        return
    place: Mapping[str, Any] = inner["rect"]
    x11: Mapping[str, Any] = inner.get("window_properties") or {}
    yield Window(
        id=str(inner.get("id")),
        title=str(inner.get("name") or ""),
        app=str(inner.get("app_id") or x11.get("class") or ""),
        pid=pid,
        rect=(int(place["x"]), int(place["y"]), int(place["width"]), int(place["height"])),
        focused=bool(inner.get("focused")),
    )
