"""Opens the two local sockets and drives them from the event loop. The only code that knows ZeroMQ's edges.

Sockets are bound by us and handed over as descriptors: ``bind("ipc://…")`` would remove whatever lies at the path, a
live daemon's socket and plain files alike, and would leave the permissions to the umask (daemon-notes 0.2, 0.3).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import zmq

from hudd.bus.activation import InheritedListener
from hudd.bus.admission import Admission, PeerLimit
from hudd.bus.crowd import Crowd
from hudd.bus.descriptors import end_connection
from hudd.bus.handshakes import Handshakes
from hudd.errors import HuddError, PermissionsError
from hudd.wire.table import MAX_FRAME_BYTES

LINGER_MS: Final = 0
"""A closed socket keeps nothing: notes can be fetched again, requests repeated."""

REPLY_LINGER_MS: Final = 100
"""The command socket may finish sending its last replies, so that a snap in flight is reported at shutdown."""

HANDSHAKE_IVL_MS: Final = 2000
"""A peer that connects and says nothing holds a descriptor no longer than this (daemon-notes b 3)."""

MAX_REQUEST_BYTES: Final = MAX_FRAME_BYTES
"""ZMQ_MAXMSGSIZE of the command socket; a longer frame ends its connection before it takes memory."""

MAX_SUBSCRIPTION_BYTES: Final = 512
"""ZMQ_MAXMSGSIZE of the note socket, which receives nothing but subscriptions: 500 bytes, and ZMTP's word for it."""

SUBSCRIPTION_QUEUE: Final = 64
"""Subscriptions held per peer; a peer that sends more at once waits."""

REQUEST_QUEUE: Final = 4
"""Requests held per peer before its writes block; each may have 64 KiB."""

REPLY_QUEUE: Final = 32
"""Replies held per peer by ZeroMQ; the bytes of the long ones are counted, see ``hudd.bus.unread``."""

TURN_S: Final = 0.0005
"""How long messages are taken in one go, so that a flood leaves the loop time for everything else: an answer takes at
least three turns of it."""


def _bind(made: zmq.Socket[bytes], address: str) -> None:
    """Listen on the network; taking an address that is in use or not ours is a sentence."""
    try:
        made.bind(address)
    except zmq.ZMQError as error:
        raise PermissionsError(
            f"Nobody can listen on {address}: {os.strerror(error.errno or 0)}.",
            hint="Give [bus] remote an address of this machine and two ports that are free.",
        ) from error


_READABLE: Final = int(zmq.POLLIN)  # an `&` of pyzmq's flags takes longer than the question to the socket

Context = zmq.Context[zmq.Socket[bytes]]


def new_context() -> Context:
    """One context (two threads of ZeroMQ) for both sockets. End it with ``term()`` after both are closed."""
    return zmq.Context()


class LoopSocket:
    """A bound ZeroMQ socket, read by a callback of the running event loop.

    ZeroMQ's descriptor is edge-triggered: any call on the socket may use up the edge, ``bind`` and ``unbind`` as well
    as ``send``. So the state is read again after each of them, and reading goes on until nothing is left. Nothing here
    awaits, so no cancellation can lose a message.

    Args:
        context: The context to open it in.
        kind: ``zmq.ROUTER`` or ``zmq.XPUB``.
        place: Where it listens: the path of a local socket, or a ``tcp://`` address.
        on_message: Called with the frames of each message, and the descriptor of its connection for ``drop`` (-1 when
            there is none any more).
        on_failure: Called when reading failed in an unforeseen way; reading has stopped then.
        options: Socket options, set before it is bound.
        access: The options that decide who may come in, see ``hudd.bus.authenticator``.
        limit: How many peers it may have; None for what the descriptors of this process allow.
        on_new: Called with the descriptor of each new connection, before any of its messages; the number may have been
            another's before.
        on_gone: Called with the descriptor of each connection that ended; messages of it may still come.
        inherited: The listener of a local socket, when systemd made it.
        may_leave: Says of a local connection that was quiet for long whether nothing is under way for it. Such a one is
            ended where others wait; its client comes again.

    Raises:
        PermissionsError: The address is taken, or not one of this machine.
        HuddError: See ``hudd.bus.admission.listen``.
    """

    def __init__(
        self,
        context: Context,
        kind: int,
        place: Path | str,
        *,
        on_message: Callable[[list[bytes], int], None],
        on_failure: Callable[[BaseException], None],
        options: dict[int, int],
        access: Mapping[int, int | bytes] | None = None,
        limit: PeerLimit | None = None,
        on_new: Callable[[int], object] = lambda _: None,
        on_gone: Callable[[int], object] = lambda _: None,
        inherited: InheritedListener | None = None,
        may_leave: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self.place = place
        self._on_message = on_message
        self._on_failure = on_failure
        self._again: asyncio.Handle | None = None
        self._reading = False
        self._loop = asyncio.get_running_loop()
        self._admission: Admission | None = None
        self._crowd: Crowd | None = None
        self._handshakes = Handshakes(place if isinstance(place, str) else place.name)
        self._socket = context.socket(kind)
        own: dict[int, int | bytes] = {zmq.LINGER: LINGER_MS, zmq.HANDSHAKE_IVL: HANDSHAKE_IVL_MS}
        try:
            for option, value in {**own, **options, **(access or {})}.items():
                self._socket.setsockopt(option, value)
            most = limit or PeerLimit.of_process()
            if isinstance(place, str):
                self._crowd = Crowd(
                    self._socket,
                    most.most,
                    end=self.drop,
                    handshakes=self._handshakes,
                    on_new=on_new,
                    on_gone=on_gone,
                )
                _bind(self._socket, place)
            else:
                self._admission = Admission(
                    self._socket,
                    place,
                    most,
                    on_new,
                    inherited,
                    on_gone=on_gone,
                    handshakes=self._handshakes,
                    on_used=self._look_again,
                    may_leave=may_leave,
                )
        except (zmq.ZMQError, HuddError):
            if self._crowd is not None:
                self._crowd.close()
            self._socket.close(linger=0)
            raise
        self._descriptor = int(self._socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._descriptor, self._read)
        # A peer may have come before the reader was there.
        self._again = self._loop.call_soon(self._read)

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called, or reading failed."""
        return self._socket.closed

    @property
    def peers(self) -> int:
        """Connections that are open now."""
        door = self._admission or self._crowd
        return 0 if door is None else door.peers

    @property
    def full(self) -> bool:
        """Whether local peers wait because there are too many."""
        return self._admission is not None and self._admission.full

    def counters(self) -> dict[str, int]:
        """Counts since it was opened.

        ``handshakes_failed``; ``peers_ended`` where other machines come in: those that were too many.
        """
        ended = {} if self._crowd is None else {"peers_ended": self._crowd.ended}
        return {"handshakes_failed": self._handshakes.failed, **ended}

    def drop(self, descriptor: int) -> bool:
        """End one peer's connection, by the descriptor that came with its message; its client may connect again.

        Returns:
            False when there is no such connection any more.
        """
        if self._admission is not None:
            return self._admission.drop(descriptor)
        host, _, port = str(self.place).removeprefix("tcp://").rpartition(":")
        return descriptor >= 0 and end_connection(descriptor, [(host, int(port))])

    def send(self, frames: Sequence[bytes | zmq.Frame]) -> bool:
        """Hand a message to ZeroMQ without waiting.

        Returns:
            False when the peer's queue is full.

        Raises:
            zmq.ZMQError: The peer is gone (EHOSTUNREACH, with ZMQ_ROUTER_MANDATORY).
        """
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return False
        finally:
            self._look_again()
        return True

    def turn_away(self) -> None:
        """Stop listening at a local path and remove its file; who is in stays."""
        if self._admission is not None:
            self._admission.turn_away()

    def close(self, linger_ms: int = LINGER_MS) -> None:
        """Stop listening and remove the socket file, if it is still ours. Safe to call twice."""
        if self._socket.closed:
            return
        self._loop.remove_reader(self._descriptor)
        if self._again is not None:
            self._again.cancel()
        for door in (self._admission, self._crowd):
            if door is not None:
                door.close()
        self._socket.close(linger=linger_ms)

    def _look_again(self) -> None:
        if self._reading or self._again is not None or self._socket.closed:
            return  # it is looked at anyway
        if int(self._socket.getsockopt(zmq.EVENTS)) & _READABLE:
            self._again = self._loop.call_soon(self._read)

    def _read(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._reading = True
        try:
            if not self._read_for(TURN_S):
                self._again = self._loop.call_soon(self._read)
        except BaseException as error:  # noqa: BLE001 - reported to the owner, who ends the daemon with it
            self._loop.remove_reader(self._descriptor)
            self._on_failure(error)
        finally:
            self._reading = False

    def _read_for(self, turn_s: float) -> bool:
        """Take messages; False when the time was up before all were taken."""
        until = self._loop.time() + turn_s
        while not self._socket.closed:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:  # before it says so, ZeroMQ looks at all that has come
                return True
            connection = _connection_of(frames[0])
            door = self._admission or self._crowd
            if door is not None and connection >= 0:
                door.spoke(connection)
            self._on_message([frame.bytes for frame in frames], connection)
            if self._loop.time() >= until:
                return False
        return True


def _connection_of(frame: zmq.Frame) -> int:
    """The descriptor a message came by; -1 for what ZeroMQ made itself when a peer left."""
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return -1
