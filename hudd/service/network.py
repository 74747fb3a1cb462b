"""Whether messages of the kernel about its network say that it came up. Pure: bytes in, an answer out.

Layouts and numbers are those of rtnetlink(7) and of the kernel's ``linux/rtnetlink.h``, ``linux/if_link.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence number, port
_LINK: Final = struct.Struct("=BxHiII")  # ifinfomsg: family, device type, index, flags, changed flags
_ADDRESS: Final = struct.Struct("=BBBBi")  # ifaddrmsg: family, prefix length, flags, scope, index
_ROUTE: Final = struct.Struct("=BBBBBBBBI")  # rtmsg: family, target and source length, tos, table, …, type, flags
_ALIGNED: Final = 4

_REQUEST, _DUMP = 0x1, 0x300
_GET_LINK: Final = 18
_NEW_LINK, _NEW_ADDRESS, _NEW_ROUTE = 16, 20, 24
_RUNNING: Final = 0x40
"""The cable is in and the other side is there (IFF_RUNNING)."""
_HOST_SCOPE: Final = 254
"""Addresses of this machine for itself; link-local ones (253) lead nowhere either."""
_LINK_SCOPE: Final = 253
_UNICAST: Final = 1


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the kernel."""

    type: int
    body: bytes


def messages(data: bytes) -> Iterator[Message]:
    """The messages of a datagram; what is cut off or makes no sense ends it."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size or at + length > len(data):
            return
        yield Message(kind, data[at + _HEADER.size : at + length])
        at += -(-length // _ALIGNED) * _ALIGNED


def ask_for_links() -> bytes:
    """A request for the state of every interface; its answers are told to ``Network.came_up`` like any message."""
    return _HEADER.pack(_HEADER.size + _LINK.size, _GET_LINK, _REQUEST | _DUMP, 1, 0) + _LINK.pack(0, 0, 0, 0, 0)


class Network:
    """Remembers which interfaces run, so that a message that tells it once more is no news."""

    def __init__(self) -> None:
        self._running: dict[int, bool] = {}

    def came_up(self, data: bytes) -> bool:
        """Whether a datagram says that something may be reached now that could not before.

        That is an interface that begins to run, an address beyond this machine, or a default route. An interface that
        is heard of the first time is no news: the answers to ``ask_for_links`` tell of all there are.
        """
        up = False
        for message in messages(data):  # all of them: each is remembered
            up = self._is_up(message) or up
        return up

    def _is_up(self, message: Message) -> bool:
        match message.type:
            case _ if message.type == _NEW_LINK and len(message.body) >= _LINK.size:
                return self._link_is_up(message.body)
            case _ if message.type == _NEW_ADDRESS and len(message.body) >= _ADDRESS.size:
                scope = _ADDRESS.unpack_from(message.body)[3]
                return scope not in {_HOST_SCOPE, _LINK_SCOPE}
            case _ if message.type == _NEW_ROUTE and len(message.body) >= _ROUTE.size:
                route = _ROUTE.unpack_from(message.body)
                return route[1] == 0 and route[7] == _UNICAST
            case _:
                return False

    def _link_is_up(self, body: bytes) -> bool:
        _, _, index, flags, _ = _LINK.unpack_from(body)
        runs, ran = bool(flags & _RUNNING), self._running.get(index)
        self._running[index] = runs
        return runs and ran is False
