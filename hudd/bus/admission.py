"""Lets peers of a local socket in by bounded batches. libzmq ends the whole process when it runs out of descriptors.

libzmq 4.3.5 aborts when ``accept`` on a local listener finds no free descriptor (daemon-notes 0.1), and it accepts as
fast as peers come, whatever the rest of the process does. ``unbind`` would stop it, but ends every connection that came
through the listener. So libzmq never holds the listener that peers find at the path. Peers queue in the kernel at a
listener of ours; when there is room for all that may queue there, a fresh listener is moved over the path in one step,
and the old one, which nobody can reach any more, is handed to libzmq. What it accepts is bounded by the length of the
queue, and connections that stand are never touched. When there is no room, peers wait in the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import resource
import socket
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import zmq

from hudd.bus.activation import InheritedListener
from hudd.bus.descriptors import descriptors_free, end_connection, is_readable
from hudd.bus.handshakes import EVENTS as FAILED_HANDSHAKE
from hudd.bus.handshakes import Handshakes
from hudd.bus.last_words import SILENT_S, LastWords
from hudd.errors import AlreadyRunningError, PermissionsError, SettingsError
from hudd.wire.endpoints import socket_path_limit

MAX_PEERS: Final = 256
"""No more are let in while a socket has so many."""

LONGEST_QUEUE: Final = 64
"""Most peers that are let in at once, and that the kernel holds meanwhile."""

OWN_DESCRIPTORS: Final = 192
"""Kept for the daemon itself: journal, captures, the service, the engine, the log."""

DESCRIPTORS_PER_PEER: Final = 4
"""A connection and, at worst, a listener of its own; on each of two sockets."""

SPARE_DESCRIPTORS: Final = 16
"""Must be free beyond a batch before it is let in."""

SOCKET_MODE: Final = 0o600

TRY_AGAIN_S: Final = 0.2
ACCEPTED_SOON_S: Final = 0.001
EMPTY_AFTER_S: Final = 5.0
SETTLED_S: Final = 0.1
"""libzmq tells of a connection a moment after it took it out of the queue, and a listener that is closed in this moment
takes it along. So a listener stays for so long after its last connection ended."""

LOG_EVERY_S: Final = 60.0

_READABLE: Final = int(zmq.POLLIN)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PeerLimit:
    """How many peers a socket may have.

    Attributes:
        most: Connections at any moment.
        batch: Peers that are let in at once; they are let in while ``batch`` more stay within ``most``.
    """

    most: int
    batch: int

    @classmethod
    def of_process(cls) -> PeerLimit:
        """As the descriptors of this process allow."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MAX_PEERS + LONGEST_QUEUE
        if soft == resource.RLIM_INFINITY:
            return cls(wanted, LONGEST_QUEUE)
        most = max(8, min(wanted, (soft - OWN_DESCRIPTORS) // DESCRIPTORS_PER_PEER))
        return cls(most, max(2, min(LONGEST_QUEUE, most // 4)))


@dataclass(slots=True)
class _Batch:
    """A listener that libzmq holds and nobody can reach any more, and the connections that came through it."""

    descriptor: int
    since: float
    peers: set[int] = field(default_factory=set[int])
    left_at: float | None = None  # when a connection ended last


def listen(path: Path, *, queue: int = LONGEST_QUEUE) -> socket.socket:
    """Make a listening local socket that only this user may connect to.

    The caller holds the daemon's lock, so a socket nobody listens on is left over and is removed.

    Args:
        path: Where.
        queue: Connections that the kernel holds until they are accepted.

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
        listener.bind(os.fspath(path))
        path.chmod(SOCKET_MODE)  # whatever the umask: nobody can connect before it listens
        listener.listen(queue - 1)  # Linux holds one more than it is told
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


class Admission:
    """The door of one local socket. Needs the running loop; everything happens on it, nothing awaits.

    Args:
        made: The ZeroMQ socket, with all its options set.
        path: Where peers find it.
        limit: How many may be in.
        on_new: Called with the descriptor of each new connection; the number may have been another's before.
        inherited: The first listener, when systemd made it; its queue holds whoever made systemd start us.
        on_gone: Called with the descriptor of each that ended.
        handshakes: Told of each that failed.
        on_used: Called after each call on ``made``, which may have used up the edge of its descriptor.
        may_leave: Says of a connection that was quiet for long whether it may be ended where that keeps others waiting.

    Raises:
        HuddError: See ``listen``.
    """

    def __init__(
        self,
        made: zmq.Socket[bytes],
        path: Path,
        limit: PeerLimit,
        on_new: Callable[[int], object] = lambda _: None,
        inherited: InheritedListener | None = None,
        *,
        on_gone: Callable[[int], object] = lambda _: None,
        handshakes: Handshakes | None = None,
        on_used: Callable[[], object] = lambda: None,
        may_leave: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self.limit = limit
        self._path = path
        self._on_new = on_new
        self._on_gone = on_gone
        self._on_used = on_used
        self._may_leave = may_leave
        self._loop = asyncio.get_running_loop()
        self._socket = made
        self._batches: dict[str, _Batch] = {}
        self._newest: _Batch | None = None
        self._peers = 0
        self._made = 0
        self._full = False
        self._handshakes = handshakes or Handshakes(path.name)
        self._last_words = LastWords()
        self._quiet_until = 0.0
        self._later: asyncio.TimerHandle | None = None
        self._tidy: asyncio.TimerHandle | None = None
        self._inherited = inherited
        self._listener = listen(path, queue=limit.batch) if inherited is None else inherited.take()
        self._name = os.fspath(path)
        self._inode = path.lstat().st_ino
        self._monitor: zmq.Socket[bytes] = made.get_monitor_socket(
            zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | FAILED_HANDSHAKE
        )
        self._monitor.setsockopt(zmq.LINGER, 0)
        self._events = int(self._monitor.getsockopt(zmq.FD))
        self._loop.add_reader(self._events, self._take_events)
        self._watch()

    @property
    def peers(self) -> int:
        """Connections that are open now."""
        return self._peers

    @property
    def full(self) -> bool:
        """Whether peers wait because there is no room for them."""
        return self._full

    def spoke(self, descriptor: int) -> None:
        """A message came by this connection."""
        if int(self._monitor.getsockopt(zmq.EVENTS)) & _READABLE:
            self._take_events()  # its message may have come before the news of it
        if descriptor in self._last_words:
            self._last_words.spoke(descriptor, self._loop.time())

    def drop(self, descriptor: int) -> bool:
        """End the connection with this descriptor; False when it is none of this socket's.

        libzmq cannot do it. Should the number have gone to another connection of this socket since, that one ends, and
        its client connects again.
        """
        if not any(descriptor in batch.peers for batch in self._batches.values()):
            return False
        return end_connection(descriptor, self._batches.keys())

    def turn_away(self) -> None:
        """Let nobody in any more, and remove the file if it is still ours; who is in stays. Safe to call twice."""
        if self._listener.fileno() < 0:
            return
        self._unwatch()
        if self._later is not None:
            self._later.cancel()
        if self._inherited is not None:
            self._inherited.give_back()
        else:
            with contextlib.suppress(FileNotFoundError):
                if self._path.lstat().st_ino == self._inode:
                    self._path.unlink()
        self._listener.close()

    def close(self) -> None:
        """Turn away, and stop counting. Before the ZeroMQ socket is closed."""
        self.turn_away()
        self._loop.remove_reader(self._events)
        if self._tidy is not None:
            self._tidy.cancel()
        self._socket.disable_monitor()
        self._monitor.close(linger=0)

    # Letting in --------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._listener.fileno() >= 0:  # else all are turned away
            self._loop.add_reader(self._listener, self._let_in)

    def _unwatch(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener)

    def _try_after(self, delay_s: float) -> None:
        """Not now: without this, the loop would turn on a queue that it cannot take."""
        self._unwatch()
        if self._later is None:
            self._later = self._loop.call_later(delay_s, self._try_again)

    def _try_again(self) -> None:
        self._later = None
        self._watch()

    def _let_in(self) -> None:
        """Somebody waits at the path."""
        if self._newest is not None and is_readable(self._newest.descriptor):
            self._try_after(ACCEPTED_SOON_S)  # libzmq has not taken all of the last batch, so they are not counted yet
            return
        self._take_events()
        self._full = self._peers + self.limit.batch > self.limit.most
        if self._full:
            self._warn(
                f"{self._path.name} has {self._peers} connections; others wait until some of them end. "
                f"'ss -xp' and 'lsof -U' name the programs that hold them."
            )
            self._make_room()
            self._try_after(SILENT_S)  # or when a connection ends
            return
        if not descriptors_free(self.limit.batch + SPARE_DESCRIPTORS, self._events):
            self._warn(f"There are too few free descriptors; whoever connects to {self._path.name} waits.")
            self._try_after(TRY_AGAIN_S)
            return
        try:
            name, fresh = self._fresh_listener()
        except (OSError, PermissionsError, AlreadyRunningError) as error:
            self._warn(f"Nobody can be let in at {self._path}: {error}")
            self._try_after(TRY_AGAIN_S)
            return
        self._unwatch()
        self._hand_over()
        self._listener, self._name = fresh, name
        self._inode = self._path.lstat().st_ino
        self._watch()

    def _fresh_listener(self) -> tuple[str, socket.socket]:
        """A listener of our own at the path; whoever came before waits at the old one."""
        self._made += 1
        # No longer than the name of the real socket, so that every path that fits still does.
        beside = self._path.with_name(f".{self._path.name[0]}{self._made % 0xFFFFFF:x}")
        fresh = listen(beside, queue=self.limit.batch)
        try:
            beside.rename(self._path)
        except OSError:
            fresh.close()
            raise
        return os.fspath(beside), fresh

    def _hand_over(self) -> None:
        """Give the old listener to libzmq, which accepts everybody in its queue and closes it at ``unbind``."""
        descriptor = self._listener.detach()
        self._socket.setsockopt(zmq.USE_FD, descriptor)
        self._socket.bind(f"ipc://{self._name}")
        self._on_used()
        self._newest = _Batch(descriptor, self._loop.time())
        self._batches[self._name] = self._newest

    # Counting ----------------------------------------------------------------------------------------------------

    def _take_events(self) -> None:
        """Count who came and who left."""
        ended = False
        while True:
            try:
                head, address = self._monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            event, descriptor = struct.unpack("=Hi", head)
            self._handshakes.take(event, descriptor)
            batch = self._batches.get(address.decode().removeprefix("ipc://"))
            if batch is None:
                continue
            if event == zmq.EVENT_ACCEPTED:
                batch.peers.add(descriptor)
                self._last_words.came(descriptor, self._loop.time())
                self._on_new(descriptor)
            elif event == zmq.EVENT_DISCONNECTED:
                ended = True
                batch.peers.discard(descriptor)
                batch.left_at = self._loop.time()
                self._last_words.left(descriptor)
                self._on_gone(descriptor)
        self._peers = sum(len(batch.peers) for batch in self._batches.values())
        if ended and self._tidy is None:
            self._tidy = self._loop.call_later(SETTLED_S, self._close_empty)
        if ended and self._full and self._peers + self.limit.batch <= self.limit.most:
            self._full = False
            self._watch()

    def _make_room(self) -> None:
        """Whoever wants nothing may stay, except where that keeps others waiting."""
        places = self._peers + self.limit.batch - self.limit.most
        for descriptor in self._last_words.to_end(self._loop.time(), places, self._may_leave):
            self.drop(descriptor)

    def _close_empty(self) -> None:
        """Close the listeners that are of no use any more; also those through which nobody came after all."""
        self._tidy = None
        self._take_events()
        now = self._loop.time()
        for name, batch in list(self._batches.items()):
            empty_at = batch.since + EMPTY_AFTER_S if batch.left_at is None else batch.left_at + SETTLED_S
            if batch.peers or is_readable(batch.descriptor):
                continue
            if now >= empty_at:
                del self._batches[name]
                self._newest = None if self._newest is batch else self._newest
                self._socket.unbind(f"ipc://{name}")
                self._on_used()
            elif self._tidy is None:
                self._tidy = self._loop.call_later(empty_at - now, self._close_empty)

    def _warn(self, sentence: str) -> None:
        if self._loop.time() >= self._quiet_until:
            self._quiet_until = self._loop.time() + LOG_EVERY_S
            _log.warning("%s", sentence)
