"""Bounds the peers of a socket on the network, where descriptors are shared with everything else the daemon does.

Unlike on a local socket, libzmq survives it when ``accept`` finds no free descriptor; but the journal, the screen and
the engine would find none either. Connections beyond the limit are ended as soon as they were accepted. Who has shown
nothing yet goes first, the oldest of them: a flood of connections without a key keeps nobody out who has one and is in,
and leaves others the time of a handshake.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from typing import Final

import zmq

from hudd.bus.handshakes import EVENTS, Handshakes

PROVED_AFTER_S: Final = 3.0
"""libzmq ends a connection that has not finished its handshake in 2 s (HANDSHAKE_IVL), so an older one has."""

LOG_EVERY_S: Final = 60.0

_log = logging.getLogger(__name__)


class Crowd:
    """The connections of one bound TCP socket. Needs the running loop; nothing awaits.

    Args:
        made: The ZeroMQ socket, before it is bound.
        most: Connections at any moment.
        end: Ends the connection with a descriptor; False when it is gone.
        handshakes: Told of each failed one.
        on_new: Called with the descriptor of each new connection; the number may have been another's before.
        on_gone: Called with the descriptor of each that ended.
    """

    def __init__(
        self,
        made: zmq.Socket[bytes],
        most: int,
        *,
        end: Callable[[int], bool],
        handshakes: Handshakes,
        on_new: Callable[[int], object] = lambda _: None,
        on_gone: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._most = most
        self._on_new = on_new
        self._on_gone = on_gone
        self._end = end
        self._handshakes = handshakes
        self._loop = asyncio.get_running_loop()
        self._socket = made
        self._since: dict[int, float] = {}  # by descriptor, in the order they came
        self._spoke: set[int] = set()
        self._ended = 0
        self._quiet_until = float("-inf")
        self._monitor: zmq.Socket[bytes] = made.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | EVENTS)
        self._monitor.setsockopt(zmq.LINGER, 0)
        self._events = int(self._monitor.getsockopt(zmq.FD))
        self._loop.add_reader(self._events, self._take_events)
        self._take_events()  # the descriptor tells edges: without a first look there is none

    @property
    def peers(self) -> int:
        """Connections that are open now, or are being ended."""
        return len(self._since)

    @property
    def ended(self) -> int:
        """Connections that were ended because there were too many, since the start."""
        return self._ended

    def spoke(self, descriptor: int) -> None:
        """A message came by this connection, so its handshake is done."""
        self._take_events()  # its message may have come before the news of it
        if descriptor in self._since:
            self._spoke.add(descriptor)

    def close(self) -> None:
        """Stop watching. Before the ZeroMQ socket is closed."""
        self._loop.remove_reader(self._events)
        self._socket.disable_monitor()
        self._monitor.close(linger=0)

    def _take_events(self) -> None:
        while int(self._monitor.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            event, value = struct.unpack("=Hi", self._monitor.recv_multipart(zmq.NOBLOCK)[0])
            if event == zmq.EVENT_ACCEPTED:
                self._gone(value)
                self._since[value] = self._loop.time()
                self._on_new(value)
                if len(self._since) > self._most:
                    self._end_one()
            elif event == zmq.EVENT_DISCONNECTED:
                self._gone(value)
                self._on_gone(value)
            else:
                self._handshakes.take(event, value)

    def _gone(self, descriptor: int) -> None:
        self._since.pop(descriptor, None)
        self._spoke.discard(descriptor)

    def _end_one(self) -> None:
        """The oldest that has proved nothing; the newest when all have."""
        proved_before = self._loop.time() - PROVED_AFTER_S
        unproved = (d for d, since in self._since.items() if since > proved_before and d not in self._spoke)
        chosen = next(unproved, next(reversed(self._since)))
        self._end(chosen)
        self._gone(chosen)  # libzmq tells of its end a moment later
        self._ended += 1
        now = self._loop.time()
        if now >= self._quiet_until:
            self._quiet_until = now + LOG_EVERY_S
            _log.warning(
                "There are more than %d connections from other machines; those that showed no key yet are ended. "
                "Keep strangers away by a firewall, or use ssh.",
                self._most,
            )
