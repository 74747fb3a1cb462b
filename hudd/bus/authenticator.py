"""Who may come in: ZeroMQ asks this for every connection (ZAP, RFC 27), in a thread of its own.

libzmq sends one request per handshake to ``inproc://zeromq.zap.01`` and holds the connection back until the answer is
there. A socket that names a domain and enforces it (``ZMQ_ZAP_ENFORCE_DOMAIN``) lets nobody in when nobody answers; so
the end of this thread closes the doors instead of opening them (daemon-notes 0.4).

Local connections show the user at the other end: libzmq appends ``:uid:gid:pid`` (Linux) or ``:uid:gid:`` (macOS) of
the peer's credentials to its address. Remote ones (CURVE) show a public key, whose secret half libzmq has proved.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import zmq
from zmq.utils import z85

from hudd.bus.sockets import Context
from hudd.clock import Clock
from hudd.wire.remote_keys import Role

ENDPOINT: Final = "inproc://zeromq.zap.01"
VERSION: Final = b"1.0"

LOCAL: Final = b"hudd.local"
REMOTE_COMMANDS: Final = b"hudd.remote.commands"
REMOTE_NOTES: Final = b"hudd.remote.notes"

LOG_EVERY_S: Final = 60.0
"""Refusals are logged once in so long, with the number of those in between."""

JOIN_S: Final = 2.0
HEARTBEAT_MS: Final = 15_000
HEARTBEAT_TIMEOUT_MS: Final = 45_000
"""A remote peer that vanished without a word is dropped after so long; local ones always say it."""

ROOT: Final = 0

Roles = Callable[[], Mapping[str, Role]]
"""The present key list: public key (Z85 text) → what it may do."""

_log = logging.getLogger(__name__)


def local_access() -> dict[int, int | bytes]:
    """Socket options that let in this user and root alone."""
    return {zmq.ZAP_DOMAIN: LOCAL, zmq.ZAP_ENFORCE_DOMAIN: 1}


def remote_access(secret: str, domain: bytes) -> dict[int, int | bytes]:
    """Socket options for the network: encrypted, and only keys of the list whose role fits the domain."""
    return {
        zmq.ZAP_DOMAIN: domain,
        zmq.ZAP_ENFORCE_DOMAIN: 1,
        zmq.CURVE_SERVER: 1,
        zmq.CURVE_SECRETKEY: secret.encode(),
        zmq.IPV6: 1,
        zmq.HEARTBEAT_IVL: HEARTBEAT_MS,
        zmq.HEARTBEAT_TIMEOUT: HEARTBEAT_TIMEOUT_MS,
    }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one request.

    Attributes:
        admitted: Whether the connection may go on.
        user: Who it is, for ZeroMQ's ``User-Id``; '' for refused ones.
        reason: Why not, for the log; '' for admitted ones. The peer is told nothing but "refused".
        key: The public key it was admitted by; '' for local ones.
        role: What that key may do; None for local ones.
    """

    admitted: bool
    user: str = ""
    reason: str = ""
    key: str = ""
    role: Role | None = None


def judge(
    domain: bytes,
    address: str,
    mechanism: bytes,
    credentials: Sequence[bytes],
    *,
    own_uid: int,
    tells_users: bool,
    roles: Mapping[str, Role],
) -> Verdict:
    """Decide about one connection. Pure.

    Args:
        domain: Of the socket that is asked for.
        address: Of the peer, as libzmq tells it.
        mechanism: ``NULL``, ``PLAIN``, ``CURVE`` or ``GSSAPI``.
        credentials: Those of the mechanism.
        own_uid: The user of the daemon.
        tells_users: Whether this system tells the user at the other end of a local socket. Where it does not, the
            folder (0700) and the socket (0600) are all that keeps others out.
        roles: The key list.
    """
    if domain == LOCAL:
        if mechanism != b"NULL":
            return Verdict(False, reason=f"the mechanism {mechanism!r} has no place on a local socket")
        uid = _uid_of(address)
        if uid is None:
            unknown = Verdict(False, reason=f"the system does not tell whose connection {address!r} is")
            return unknown if tells_users else Verdict(True, user="local")
        if uid in (own_uid, ROOT):
            return Verdict(True, user=f"uid:{uid}")
        return Verdict(False, reason=f"user {uid} is neither user {own_uid} nor root")
    if domain not in (REMOTE_COMMANDS, REMOTE_NOTES):
        return Verdict(False, reason=f"there is no domain {domain!r}")
    if mechanism != b"CURVE" or len(credentials) != 1 or len(credentials[0]) != 32:
        return Verdict(False, reason=f"{address} showed no key")
    key = z85.encode(credentials[0]).decode()
    role = roles.get(key)
    if role is None:
        return Verdict(False, reason=f"the key of {address} is not in the list")
    if domain == REMOTE_COMMANDS and role != "control":
        return Verdict(False, reason=f"the key of {address} may only listen to notes")
    return Verdict(True, user=f"key:{key}", key=key, role=role)


def _uid_of(address: str) -> int | None:
    parts = address.split(":")
    if len(parts) == 4 and parts[1].isascii() and parts[1].isdigit():
        return int(parts[1])
    return None


class _Refusals:
    """Logs the first refusal at once, and those that follow as a number, once a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._quiet_until = float("-inf")
        self._held_back = 0
        self._last = ""

    def add(self, reason: str) -> None:
        self._last = reason
        if self._clock.monotonic() < self._quiet_until:
            self._held_back += 1
            return
        self._tell()

    def due_s(self) -> float | None:
        """Seconds until what was held back is to be told; None when nothing was."""
        return max(0.0, self._quiet_until - self._clock.monotonic()) if self._held_back else None

    def tell_late(self) -> None:
        if self.due_s() == 0:
            self._tell()

    def _tell(self) -> None:
        others = f" ({self._held_back} refused in the last minute)" if self._held_back else ""
        _log.warning("A connection was refused: %s.%s", self._last, others)
        self._held_back = 0
        self._quiet_until = self._clock.monotonic() + LOG_EVERY_S


class Authenticator:
    """Answers ZAP requests of all sockets of a context.

    Args:
        context: That of the sockets. libzmq looks for the authenticator in the same context alone.
        clock: For the rate of the log.
        roles: The key list, asked anew for each remote connection, in the thread. It must not raise.
        tells_users: See `judge`; None to go by the system.
    """

    def __init__(
        self,
        context: Context,
        *,
        clock: Clock,
        roles: Roles = dict[str, Role],
        tells_users: bool | None = None,
    ) -> None:
        self._context = context
        self._roles = roles
        self._own_uid = os.getuid()
        self._tells_users = sys.platform == "linux" if tells_users is None else tells_users
        self._refusals = _Refusals(clock)
        self._thread: threading.Thread | None = None
        self._work: deque[Callable[[], None]] = deque()
        self._bell, self._ring = socket.socketpair()
        self._stopping = False
        self._failure: BaseException | None = None
        self._ended: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._admitted = 0
        self._refused = 0
        self._keys: dict[str, Role] = {}

    def open(self) -> None:
        """Start answering. Call it in the running loop, before any socket of the context is bound.

        Raises:
            zmq.ZMQError: The context has an authenticator already.
        """
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        for end in (self._bell, self._ring):
            end.setblocking(False)
        handler = self._context.socket(zmq.ROUTER)
        handler.setsockopt(zmq.LINGER, 0)
        try:
            handler.bind(ENDPOINT)
        except zmq.ZMQError:
            handler.close()
            raise
        if not self._tells_users:
            _log.info("This system may not tell who connects; the runtime folder (0700) keeps others out.")
        self._thread = threading.Thread(target=self._live, args=(handler,), name="authenticator", daemon=True)
        self._thread.start()

    async def run(self) -> None:
        """Wait for the end of the thread.

        Raises:
            BaseException: What ended it, if that was not ``close``. Nobody can come in any more then; connections
                that were made before go on.
        """
        assert self._ended is not None, "it is not open"
        await asyncio.shield(self._ended)

    async def answers(self, within_s: float) -> bool:
        """Whether the thread does its work now: it is asked, and must answer in time."""
        if self._thread is None or not self._thread.is_alive():
            return False
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()

        def reply() -> None:
            # The loop may be closed by then; nobody waits any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_set, answer)

        self._do(reply)
        try:
            async with asyncio.timeout(within_s):
                await answer
        except TimeoutError:
            return False
        return True

    def counters(self) -> dict[str, int]:
        """Counts since the start: connections that were ``peers_admitted`` and ``peers_refused``."""
        return {"peers_admitted": self._admitted, "peers_refused": self._refused}

    def keys_admitted(self) -> dict[str, Role]:
        """The public keys that came in since the start or `forget_keys`, and what each was let in for."""
        return self._keys.copy()

    def forget_keys(self) -> None:
        """Call it when all remote connections have been ended, before new ones may come."""
        self._keys.clear()

    def close(self) -> None:
        """Stop the thread; call it after the sockets are closed and before the context ends. Safe to call twice."""
        self._stopping = True
        self._do(lambda: None)
        if self._thread is not None:
            self._thread.join(JOIN_S)
            self._thread = None
        self._bell.close()
        self._ring.close()

    # In the thread -----------------------------------------------------------------------------------------------

    def _do(self, work: Callable[[], None]) -> None:
        """Have the thread do something soon."""
        self._work.append(work)
        # Full: the thread is rung already. Closed: it has ended.
        with contextlib.suppress(BlockingIOError, OSError):
            self._ring.send(b".")

    def _live(self, handler: zmq.Socket[bytes]) -> None:
        failure: BaseException | None = None
        try:
            self._answer_all(handler)
        except BaseException as error:  # noqa: BLE001 - handed to `run`, which ends the daemon with it
            failure = error
            _log.critical("The authenticator failed; nobody can connect any more.", exc_info=error)
        finally:
            handler.close(linger=0)
            self._tell_end(failure)

    def _tell_end(self, failure: BaseException | None) -> None:
        assert self._loop is not None
        assert self._ended is not None
        # The loop may be closed already; nobody waits any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_set, self._ended, failure)

    def _answer_all(self, handler: zmq.Socket[bytes]) -> None:
        poller = zmq.Poller()
        poller.register(handler, zmq.POLLIN)
        poller.register(self._bell.fileno(), zmq.POLLIN)
        while not self._stopping:
            due_s = self._refusals.due_s()
            ready = dict(poller.poll(None if due_s is None else int(due_s * 1000) + 1))
            self._refusals.tell_late()
            if self._bell.fileno() in ready:
                self._bell.recv(4096)
                while self._work:
                    self._work.popleft()()
            while handler.poll(0):
                self._answer(handler)

    def _answer(self, handler: zmq.Socket[bytes]) -> None:
        """Answer one request: routing id, empty, version, request, domain, address, identity, mechanism, credentials.

        The reply is the same beginning, then status, text, user and metadata (RFC 27).
        """
        frames = handler.recv_multipart(zmq.NOBLOCK)
        if len(frames) < 8 or frames[2] != VERSION:
            _log.error("libzmq asked in another version of ZAP: %d frames.", len(frames))
            return
        verdict = judge(
            frames[4],
            frames[5].decode("utf-8", "replace"),
            frames[7],
            frames[8:],
            own_uid=self._own_uid,
            tells_users=self._tells_users,
            roles={} if frames[4] == LOCAL else self._roles(),
        )
        if verdict.admitted:
            self._admitted += 1
            if verdict.role is not None:
                self._keys[verdict.key] = verdict.role
            outcome = [b"200", b"OK", verdict.user.encode(), b""]
        else:
            self._refused += 1
            outcome = [b"400", b"refused", b"", b""]
        handler.send_multipart([*frames[:4], *outcome], zmq.NOBLOCK)
        if not verdict.admitted:
            self._refusals.add(verdict.reason)  # after the answer, so that it is quick


def _set(future: asyncio.Future[None], failure: BaseException | None = None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(None)
    else:
        future.set_exception(failure)
