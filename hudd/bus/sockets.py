"""Opens the two local sockets and drives them from the event loop. The only code that knows ZeroMQ's edges.

Sockets are bound by us and handed over as descriptors: ``bind("ipc://…")`` would remove whatever lies at the path, a
live daemon's socket and plain files alike, and would leave the permissions to the umask (daemon-notes 0.2, 0.3).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import zmq

from hudd.errors import AlreadyRunningError, PermissionsError, SettingsError
from hudd.wire.endpoints import socket_path_limit
from hudd.wire.table import MAX_FRAME_BYTES

BACKLOG: Final = 128
"""Connections the kernel holds while the I/O thread is busy."""

LINGER_MS: Final = 0
"""A closed socket keeps nothing: notes can be fetched again, requests repeated."""

REPLY_LINGER_MS: Final = 100
"""The command socket may finish sending its last replies, so that a snap in flight is reported at shutdown."""

HANDSHAKE_IVL_MS: Final = 2000
"""A peer that connects and says nothing holds a descriptor no longer than this (daemon-notes b 3)."""

MAX_REQUEST_BYTES: Final = MAX_FRAME_BYTES
"""ZMQ_MAXMSGSIZE of the command socket; a longer frame ends its connection before it takes memory."""

MAX_SUBSCRIPTION_BYTES: Final = 4096
"""ZMQ_MAXMSGSIZE of the note socket, which receives nothing but subscriptions."""

REQUEST_QUEUE: Final = 64
"""Requests held per peer before its writes block."""

REPLY_QUEUE: Final = 64
"""Replies held per peer by ZeroMQ; a page of notes may have a megabyte."""

BATCH: Final = 64
"""Messages taken in one go, so that a flood leaves the loop time for everything else."""


def listen(path: Path) -> socket.socket:
    """Make a listening local socket that only this user may connect to.

    The caller holds the daemon's lock, so a socket nobody listens on is left over and is removed.

    Raises:
        SettingsError: The path is too long for a socket.
        PermissionsError: Something at the path is no socket, or the folder cannot be written.
        AlreadyRunningError: Somebody listens there.
    """
    size, limit = len(os.fsencode(path)), socket_path_limit()
    if size > limit:
        problem = f"The path {path} has {size} bytes, a socket takes {limit}; set HUDD_RUNTIME_DIR to a shorter folder."
        raise SettingsError([problem])
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Created with 0600 from the first moment; the umask of the process is put back at once.
        before = os.umask(0o177)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(before)
        path.chmod(0o600)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise PermissionsError(
            f"The socket {path} cannot be made: {error.strerror}.", hint="Check the owner and mode of its folder."
        ) from error
    return listener


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on; refuse anything else."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise PermissionsError(f"The path {path} cannot be looked at: {error.strerror}.") from error
    if not stat.S_ISSOCK(found.st_mode):
        raise PermissionsError(f"{path} is in the way: it is no socket.", hint="Move it away, then start hudd again.")
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.setblocking(False)
        reason = probe.connect_ex(os.fspath(path))
    if reason == errno.ECONNREFUSED:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        return
    if reason in (0, errno.EAGAIN, errno.EINPROGRESS):
        raise AlreadyRunningError(f"Somebody listens on {path} already.", hint="Stop that daemon first.")
    raise PermissionsError(f"The socket {path} cannot be replaced: {os.strerror(reason)}.")


Context = zmq.Context[zmq.Socket[bytes]]


def new_context() -> Context:
    """One context (two threads of ZeroMQ) for both sockets. End it with ``term()`` after both are closed."""
    return zmq.Context()


class LoopSocket:
    """A bound ZeroMQ socket, read by a callback of the running event loop.

    ZeroMQ's descriptor is edge-triggered: any call on the socket may use up the edge. So the state is read again after
    every send, and reading goes on until nothing is left. Nothing here awaits, so no cancellation can lose a message.

    Args:
        context: The context to open it in.
        kind: ``zmq.ROUTER`` or ``zmq.XPUB``.
        path: Where it listens.
        on_message: Called with the frames of each message.
        on_failure: Called when reading failed in an unforeseen way; reading has stopped then.
        options: Socket options, set before it is bound.
    """

    def __init__(
        self,
        context: Context,
        kind: int,
        path: Path,
        *,
        on_message: Callable[[list[bytes]], None],
        on_failure: Callable[[BaseException], None],
        options: dict[int, int],
    ) -> None:
        self.path = path
        self._on_message = on_message
        self._on_failure = on_failure
        self._again: asyncio.Handle | None = None
        self._loop = asyncio.get_running_loop()
        listener = listen(path)
        self._inode = path.lstat().st_ino
        self._socket = context.socket(kind)
        try:
            for option, value in {zmq.LINGER: LINGER_MS, zmq.HANDSHAKE_IVL: HANDSHAKE_IVL_MS, **options}.items():
                self._socket.setsockopt(option, value)
            self._socket.setsockopt(zmq.USE_FD, listener.fileno())
            self._socket.bind(f"ipc://{path}")
            listener.detach()  # ZeroMQ closes it from now on
        except zmq.ZMQError:
            self._socket.close(linger=0)
            listener.close()
            self._unlink()
            raise
        self._descriptor = int(self._socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._descriptor, self._read)
        # A peer may have come before the reader was there.
        self._again = self._loop.call_soon(self._read)

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called, or reading failed."""
        return self._socket.closed

    def send(self, frames: list[bytes]) -> bool:
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

    def close(self, linger_ms: int = LINGER_MS) -> None:
        """Stop listening and remove the socket file, if it is still ours. Safe to call twice."""
        if self._socket.closed:
            return
        self._loop.remove_reader(self._descriptor)
        if self._again is not None:
            self._again.cancel()
        self._unlink()
        self._socket.close(linger=linger_ms)

    def _unlink(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.path.lstat().st_ino == self._inode:
                self.path.unlink()

    def _look_again(self) -> None:
        if self._again is None and not self._socket.closed and self._readable():
            self._again = self._loop.call_soon(self._read)

    def _readable(self) -> bool:
        return bool(int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)

    def _read(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        try:
            for _ in range(BATCH):
                if self._socket.closed or not self._readable():
                    return
                self._on_message(self._socket.recv_multipart(zmq.NOBLOCK))
            self._look_again()
        except BaseException as error:  # noqa: BLE001 - reported to the owner, who ends the daemon with it
            self._loop.remove_reader(self._descriptor)
            self._on_failure(error)
