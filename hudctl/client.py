"""Commands to the daemon: one DEALER socket, one deadline per call."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, cast

import zmq

from hudctl.connection import Endpoints, check_protocol, hello_params
from hudctl.daemon_clock import DaemonClock
from hudctl.errors import (
    DeadlineError,
    NotRunningError,
    RefusedError,
    UsageError,
    VersionError,
)
from hudctl.keeping_calls import KeepingCalls, read_note
from hudctl.pieces import Pieces
from hudctl.replies import reply_to
from hudd.wire.codec import FrameError, encode_request
from hudd.wire.ids import new_ulid
from hudd.wire.messages import Note, delta_topic
from hudd.wire.table import METHOD_BY_NAME, REPLY_GRACE_MS

HELLO_S: Final = 2.0
"""A daemon that hangs still accepts connections; it shows by not saying hello (daemon-notes b 12)."""

GRACE_S: Final = REPLY_GRACE_MS / 1000 + 0.1
"""How long after its deadline a call still waits for the daemon's own E_DEADLINE."""

_BROKEN: Final = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)

_EARLY_S: Final = 0.05
"""A refusal for lateness that comes so long before our own deadline is not about that."""

_STARTED_MS: Final = 1000
"""A daemon that answers a plain connect finishes ZeroMQ's handshake within this."""


class _WentAwayError(NotRunningError):
    """The connection broke while a call waited, and a daemon is there again."""


class Client(KeepingCalls):
    """Talks to a running daemon. Connects at the first call, and anew after the daemon restarted.

    Not for use by two threads at once; make one per thread.

    Args:
        timeout_s: Default deadline of a call, seconds.
        runtime_dir: The daemon's runtime folder; None for the usual one.
        window: X11 window that notes are printed into (``$WINDOWID`` on a terminal), or None.
        streaming: Tell the daemon that this process prints notes, so that changes of that window are ignored.
        may_start: Start a daemon that systemd starts on demand, see ``hudctl service install --on-demand``.

    Raises:
        UsageError: There is no usable path for the sockets.
    """

    def __init__(
        self,
        timeout_s: float = 15,
        runtime_dir: str | os.PathLike[str] | None = None,
        *,
        window: int | None = None,
        streaming: bool = False,
        may_start: bool = False,
    ) -> None:
        self.timeout_s = timeout_s
        self._endpoints = Endpoints(runtime_dir, may_start=may_start)
        self._introduction = hello_params(window=window, streaming=streaming)
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._monitor: zmq.Socket[bytes] | None = None
        self._last_id = 0
        self._hello: dict[str, Any] = {}
        self._clock = DaemonClock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def may_command(self) -> bool:
        """False with another machine's ``notes`` key, which may only listen."""
        return self._endpoints.may_command

    def close(self) -> None:
        """Close the connection; the next call opens it again. Safe to call twice."""
        self._disconnect()
        if self._context is not None:
            self._context.destroy(linger=0)
            self._context = None

    # Calls -------------------------------------------------------------------------------------------------------

    def call(self, method: str, /, *, timeout_s: float | None = None, **params: Any) -> dict[str, Any]:
        """Call any method and return its result.

        Args:
            method: One of the table's methods.
            timeout_s: Deadline of this call; None for the client's own.
            params: By name; those that are None are left out.

        Raises:
            HudctlError: One of its families, see ``hudctl.errors``. After ``DeadlineError`` or ctrl-C the effect of the
                command may still come; a late reply is dropped.
        """
        return self._call(method, params, timeout_s, None)

    def hello(self) -> dict[str, Any]:
        """What the daemon tells of itself: protocol range, version, instance, stream, capabilities."""
        self._ensure_open(time.monotonic() + HELLO_S)
        return dict(self._hello)

    def status(self) -> dict[str, Any]:
        """Facts: connection, sending with all reasons, ages, counters, cost."""
        return self.call("status")

    def snap(
        self,
        monitor: str | None = None,
        on_delta: Callable[[str], None] | None = None,
        *,
        region: tuple[int, int, int, int] | None = None,
        window: str | None = None,
        snap_id: str | None = None,
        timeout_s: float | None = None,
    ) -> Note:
        """Take a picture now and return its committed note.

        Args:
            monitor: Name of the source; None for the first.
            region: Instead of a monitor: left, top, width, height in pixels of the desktop.
            window: Instead: '' for the focused window, or its id, or a part of its title.
            on_delta: Called with each piece of text while it is written, in order. What was missed on the way comes in
                one last piece, so that the pieces make the note's text unless the note was written differently.
            snap_id: A ULID of the caller's; the same one again gives the same note. None for a new one.
            timeout_s: Deadline; None for the client's own.

        Raises:
            HudctlError: What took the note's place; ``StateError`` while paused, and so on.
        """
        params = {"snap_id": snap_id or new_ulid(time.time()), "monitor": monitor, "region": region, "window": window}
        if on_delta is None:
            return read_note(self._call("snap", params, timeout_s, None))
        deadline = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        self._ensure_open(min(deadline, time.monotonic() + HELLO_S))
        topic = "delta/" if monitor is None else delta_topic(monitor)
        pieces = Pieces(self._new_socket(zmq.SUB), str(params["snap_id"]), topic, on_delta)
        try:
            pieces.subscribe(self._endpoints.connect_notes, deadline)
            note = read_note(self._call("snap", params, max(0.0, deadline - time.monotonic()), pieces))
            pieces.finish(note.text)
        finally:
            pieces.socket.close(linger=0)
        return note

    def pause(self, for_s: float | None = None, why: str | None = None) -> dict[str, Any]:
        """Stop pictures from leaving, for some seconds or until resumed."""
        return self.call("pause", for_s=for_s, why=why)

    def resume(self) -> dict[str, Any]:
        """End a pause, and let a connection that stopped try again."""
        return self.call("resume")

    def wait(self, until: str = "ready", *, timeout_s: float | None = None) -> dict[str, Any]:
        """Return when the daemon is ``ready`` or ``connected``, or made a ``note``."""
        return self.call("wait", timeout_s=timeout_s, **{"for": until})

    def notes(
        self,
        *,
        since: float | str | None = None,
        until: float | str | None = None,
        search: str | None = None,
        grep: str | None = None,
        before: int | None = None,
        limit: int | None = None,
        reverse: bool | None = None,
    ) -> list[Note]:
        """Find notes by time (seconds since 1970 or ISO 8601 with a zone) and words."""
        found = self.call(
            "notes.search",
            since=since,
            until=until,
            search=search,
            grep=grep,
            before=before,
            limit=limit,
            reverse=reverse,
        )
        return [read_note(note) for note in cast("list[Any]", found.get("notes") or [])]

    def seq_before(self, moment: float | str) -> int:
        """The number of the newest note before a time; 0 when there is none. For ``Feed(after=…)``."""
        found = self.notes(until=moment, limit=1)
        return found[0].seq if found else 0

    def errors(
        self, *, since: float | str | None = None, until: float | str | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """What went wrong, newest first, with the service's own words."""
        found = self.call("errors", since=since, until=until, limit=limit)
        return cast("list[dict[str, Any]]", found.get("errors") or [])

    def cost(
        self,
        *,
        since: float | str | None = None,
        until: float | str | None = None,
        by: Sequence[str] | None = None,
        estimate: bool | None = None,
    ) -> dict[str, Any]:
        """What was spent, split by any of day, hour, model, trigger; or what is to be expected."""
        return self.call("cost", since=since, until=until, by=None if by is None else list(by), estimate=estimate)

    def config(self) -> dict[str, Any]:
        """Every setting, its value, and where it came from."""
        return self.call("config")

    # The socket --------------------------------------------------------------------------------------------------

    def _new_socket(self, kind: int) -> zmq.Socket[bytes]:
        if self._context is None:
            self._context = zmq.Context()
        made = self._context.socket(kind)
        made.setsockopt(zmq.LINGER, 0)
        return made

    def _ensure_open(self, deadline: float) -> None:
        if self._socket is not None:
            return
        begun = time.monotonic()
        self._endpoints.probe()
        deadline += time.monotonic() - begun  # a daemon that is only now started needs its time for that
        dealer = self._new_socket(zmq.DEALER)
        # Nothing is queued for a daemon that is not there: a request must not reach the next one by surprise.
        dealer.setsockopt(zmq.IMMEDIATE, 1)
        if self._endpoints.on_demand:
            # By itself the socket would come back to that of systemd, and start the daemon that somebody stopped.
            dealer.setsockopt(zmq.RECONNECT_IVL, -1)
        self._monitor = dealer.get_monitor_socket(_BROKEN)
        self._socket = dealer
        self._endpoints.connect_control(dealer)
        try:
            self._clock.forget()
            before = time.time()
            self._hello = self._exchange("hello", self._introduction, deadline, None)
            self._clock.told(self._hello.get("time"), before)
            check_protocol(self._hello.get("protocol"), self._endpoints)
        except DeadlineError as error:
            self._disconnect()
            hint = f"It hangs; the remedy: {self._endpoints.restart}."
            raise DeadlineError("The daemon accepts connections and does not answer.", hint=hint) from error
        except BaseException:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.disable_monitor()
            self._socket.close(linger=0)
            self._socket = None
        if self._monitor is not None:
            self._monitor.close(linger=0)
            self._monitor = None

    def _call(
        self, method: str, params: Mapping[str, Any], timeout_s: float | None, pieces: Pieces | None
    ) -> dict[str, Any]:
        deadline = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        self._drop_old_connection()
        self._ensure_open(min(deadline, time.monotonic() + HELLO_S))
        known = METHOD_BY_NAME.get(method)
        if known is not None and known.effect:
            params = {"idem": new_ulid(time.time()), **params}
        try:
            return self._exchange(method, params, deadline, pieces)
        except DeadlineError as error:
            if not error.data or time.monotonic() > deadline - _EARLY_S:
                raise
            # Too old for the daemon and not for us: a clock was set since it told its time.
            self._clock.forget()
            return self._exchange(method, params, deadline, pieces)
        except VersionError as error:
            if error.code == "E_UNKNOWN_METHOD" and known is not None and not self._hello.get("replay"):
                error.hint = self._endpoints.renew_daemon
            raise
        except _WentAwayError:
            before = self._hello.get("instance")
            self._ensure_open(min(deadline, time.monotonic() + HELLO_S))
            # Once more: whatever runs there knows the key, or begins anew, and the effects of commands do not add up.
            # Only a snap would be paid for again where another daemon does not know its id.
            if method == "snap" and self._hello.get("instance") != before:
                raise
            return self._exchange(method, params, deadline, pieces)

    def _drop_old_connection(self) -> None:
        """A daemon that went away since the last call is looked for anew, with a sentence if there is none."""
        if self._monitor is not None and self._monitor.poll(0):
            self._disconnect()

    def _exchange(
        self, method: str, params: Mapping[str, Any], deadline: float, pieces: Pieces | None
    ) -> dict[str, Any]:
        """Send one request and wait for its own reply; replies to earlier calls are dropped."""
        assert self._socket is not None
        self._last_id += 1
        request_id = self._last_id
        try:
            body = encode_request(request_id, method, self._clock.stamp(params, deadline - time.monotonic()))
        except (FrameError, TypeError, ValueError) as error:
            raise UsageError(f"The parameters of {method} cannot be sent: {error}") from error
        if not _is_open(self._socket, self._monitor):
            if self._monitor is not None and self._monitor.poll(0):
                self._lost(method)
            raise DeadlineError(f"The daemon takes no {method}.", code="E_DEADLINE")
        self._socket.send_multipart([b"", body])
        poller = zmq.Poller()
        for socket in (self._socket, self._monitor, None if pieces is None else pieces.socket):
            if socket is not None:
                poller.register(socket, zmq.POLLIN)
        while True:
            left_s = deadline + GRACE_S - time.monotonic()
            if left_s <= 0:
                raise DeadlineError(f"{method} got no answer in time.", code="E_DEADLINE")
            ready = dict(poller.poll(int(left_s * 1000) + 1))
            if pieces is not None and pieces.socket in ready:
                pieces.take()
            if self._socket in ready:
                reply = reply_to(self._socket.recv_multipart(), request_id)
                if reply is not None:
                    return reply
            elif self._monitor in ready:
                self._lost(method)

    def _lost(self, method: str) -> None:
        """The connection broke. Say which: no daemon, a daemon that left just now, or one that refused."""
        reason = ""
        if self._monitor is not None and self._monitor.poll(0):
            event = struct.unpack("=hi", self._monitor.recv_multipart()[0])[0]
            reason = "" if event == zmq.EVENT_DISCONNECTED else " (the handshake failed)"
            if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self._disconnect()
                raise RefusedError(f"hudd does not let us in: {self._endpoints.why_refused}.", code="E_AUTH")
        self._disconnect()
        self._endpoints.probe()
        if self._endpoints.is_far and not self._hello:
            raise RefusedError(
                "The handshake with the other machine failed.",
                code="E_AUTH",
                hint="The key file is for another hudd, or what listens there is none.",
            )
        raise _WentAwayError(
            f"hudd went away before it answered {method}{reason}.", hint="It runs again; repeat the command."
        )


def _is_open(made: zmq.Socket[bytes], monitor: zmq.Socket[bytes] | None) -> bool:
    """Wait for the end of the handshake; False when it did not come, or the connection broke first."""
    poller = zmq.Poller()
    poller.register(made, zmq.POLLOUT)
    if monitor is not None:
        poller.register(monitor, zmq.POLLIN)
    return made in dict(poller.poll(_STARTED_MS))
