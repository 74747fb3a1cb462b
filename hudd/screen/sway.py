"""What sway tells of its windows over its own socket (IPC of i3, sway-ipc(7)): places and processes, too."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hudd.errors import CaptureError
from hudd.screen.source import Rect, Window

_MAGIC: Final = b"i3-ipc"
_HEADER: Final = struct.Struct("=6sII")
_SUBSCRIBE: Final = 2
_GET_TREE: Final = 4
_MOST_BYTES: Final = 64_000_000
_ANSWER_S: Final = 2.0
_CHECK: Final = "Check SWAYSOCK, and that swaymsg -t get_tree answers; after a restart of sway, restart hudd."


@dataclass(frozen=True, slots=True)
class _Among:
    """Where a node of the tree stands.

    Attributes:
        layout: Of its parent.
        index: Its number among its siblings; 0 of one that floats.
        count: How many siblings there are, itself included.
        floats: Whether it, or what it is in, floats.
        titles_shown: Whether the titles of all siblings are seen: tabs, or the lines of a stack.
    """

    layout: str = ""
    index: int = 0
    count: int = 1
    floats: bool = False
    titles_shown: bool = False


def sway_windows(path: str, *, tabs: bool = False) -> tuple[Window, ...]:
    """The windows on visible workspaces, their titles included, the topmost last.

    Args:
        path: ``SWAYSOCK``.
        tabs: Whether also those of which only the title is seen, because others of their tabs or stack are in front.

    Raises:
        CaptureError: sway does not answer.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_ANSWER_S)
            connection.connect(path)
            return _windows(_ask(connection, _GET_TREE), tabs=tabs)
    except (OSError, ValueError, EOFError, KeyError, AttributeError, TypeError) as error:
        # The last three: the answer is JSON, but no tree.
        raise CaptureError(f"sway does not tell of its windows ({error}).", hint=_CHECK) from error


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
        raise CaptureError(f"sway does not tell of its windows ({error}).", hint=_CHECK) from error
    raise CaptureError("sway refuses to tell of its windows.", hint=_CHECK)


def _ask(connection: socket.socket, kind: int, payload: bytes = b"") -> Any:
    connection.sendall(_HEADER.pack(_MAGIC, len(payload), kind) + payload)
    magic, size, _ = _HEADER.unpack(_receive(connection, _HEADER.size))
    if magic != _MAGIC or size > _MOST_BYTES:
        raise CaptureError("sway sent an answer that cannot be read.", hint=_CHECK)
    return json.loads(_receive(connection, size))


def _receive(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError("the connection was closed")
        data += more
    return bytes(data)


def _windows(tree: Mapping[str, Any], *, tabs: bool) -> tuple[Window, ...]:
    """In the order in which sway draws them: tiles, their tabs, what floats; of several outputs, too."""
    found = list(_found(tree, _Among(), tabs=tabs))
    return tuple(window for _, window in sorted(found, key=lambda one: one[0]))


def _found(node: Mapping[str, Any], among: _Among, *, tabs: bool) -> Iterator[tuple[tuple[bool, bool], Window]]:
    """The windows of a part of the tree, each with where it is drawn: whether it floats, whether only its tab shows."""
    children: Sequence[Mapping[str, Any]] = node.get("nodes") or ()
    floating: Sequence[Mapping[str, Any]] = node.get("floating_nodes") or ()
    layout = str(node.get("layout") or "")
    shown = layout in ("tabbed", "stacked") and any(_is_shown(child) for child in children)
    for index, child in enumerate(children):
        yield from _found(child, _Among(layout, index, len(children), among.floats, shown), tabs=tabs)
    for child in floating:
        yield from _found(child, _Among(layout, 0, len(floating), floats=True), tabs=tabs)
    pid = node.get("pid")
    visible = bool(node.get("visible"))
    if not isinstance(pid, int) or not (visible or (tabs and among.titles_shown and _bar(node)[3])):
        return
    x11: Mapping[str, Any] = node.get("window_properties") or {}
    window = Window(
        id=str(node.get("id")),
        title=str(node.get("name") or ""),
        app=str(node.get("app_id") or x11.get("class") or ""),
        pid=pid,
        rect=_frame(node, among) if visible else _title(node, among),
        focused=bool(node.get("focused")),
        popup=among.floats,
    )
    yield (among.floats, not visible), window


def _is_shown(node: Mapping[str, Any]) -> bool:
    inner = (*(node.get("nodes") or ()), *(node.get("floating_nodes") or ()))
    return bool(node.get("visible")) or any(_is_shown(child) for child in inner)


def _frame(node: Mapping[str, Any], among: _Among) -> Rect:
    """A window with its title above it. sway's ``rect`` is what lies below all titles of its stack or tabs."""
    left, top, width, height = _rect(node["rect"])
    bars = among.count - among.index if among.layout == "stacked" else 1
    above = bars * _bar(node)[3]
    return (left, top - above, width, height + above)


def _title(node: Mapping[str, Any], among: _Among) -> Rect:
    """What is seen of a window that is behind others: its tab, or its line of a stack."""
    left, top, width, _ = _frame(node, among)
    _, _, tab, height = _bar(node)
    if among.layout == "tabbed":
        start = among.index * tab
        return (left + start, top, tab if among.index + 1 < among.count else width - start, height)
    return (left, top, width, height)


def _bar(node: Mapping[str, Any]) -> Rect:
    told = node.get("deco_rect")
    return _rect(told) if told else (0, 0, 0, 0)


def _rect(told: Mapping[str, Any]) -> Rect:
    return (int(told["x"]), int(told["y"]), int(told["width"]), int(told["height"]))
