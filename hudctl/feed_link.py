"""The sockets of a feed, which both of its shells drive: the blocking one and that of asyncio."""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import zmq

from hudctl.connection import Endpoints, check_protocol, hello_params, new_token
from hudctl.cursor_file import CursorFile
from hudctl.daemon_clock import DaemonClock
from hudctl.errors import HudctlError, UsageError, from_reply
from hudctl.feed_core import ASK_TIMEOUT_S, Ask, Cursor, FeedCore
from hudctl.greeting import AGAIN_S, Greeting
from hudd.wire.codec import FrameError, decode_reply, encode_request
from hudd.wire.messages import Note

RECONNECT_MS: Final = 100
RECONNECT_MAX_MS: Final = 2000
"""While the daemon is away it is looked for ever more rarely, down to every two seconds."""

BATCH: Final = 256
"""Frames taken in one go, so that pages are asked for in between."""

STOPPED_S: Final = 5.0
"""So long after a daemon ended the command connections because it stops, its note socket is gone, too."""

_CONTROL_EVENTS: Final = (
    zmq.EVENT_CONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)

PASSING: Final = frozenset({"E_BUSY", "E_DEADLINE", "E_STATE", "E_STORAGE"})
"""Refusals of a page that may pass (a daemon that stops, a full disk); it is asked for again, with back-off."""


OnDelta = Callable[[str, str], None]
OnOther = Callable[[str, Mapping[str, Any]], None]


class FeedLink:
    """The sockets of a feed, without any waiting: both shells, the blocking one and the asyncio one, drive this.

    One SUB for the note stream and one DEALER for the pages; both reconnect by themselves when the daemon restarts.

    The arguments and errors are those of ``hudctl.Feed``.
    """

    def __init__(
        self,
        topics: Sequence[str],
        after: int | None,
        stream: str | None,
        *,
        cursor_file: str | os.PathLike[str] | None,
        runtime_dir: str | os.PathLike[str] | None,
        window: int | None,
        streaming: bool,
        wait: bool,
        on_delta: OnDelta | None,
        also: Sequence[str],
        on_other: OnOther | None,
    ) -> None:
        if isinstance(topics, str):
            topics = (topics,)
        if after is not None and after < 0:
            raise UsageError("after must not be negative.")
        if on_delta is not None:
            if on_other is not None:
                raise UsageError("on_delta excludes on_other; subscribe to delta/ with also.")
            also, on_other = (*also, *_delta_topics(topics)), _pieces_to(on_delta)
        self._also = tuple(also)
        for topic in self._also:
            if "/" not in topic or topic.startswith(("note/", "hb/", "welcome/")):
                raise UsageError(f"{topic!r} is no other topic; name delta/, state/, error/ or cost/.")
        self._on_other = on_other
        self._endpoints = Endpoints(runtime_dir)
        live = not self._endpoints.may_command
        self._file = None if cursor_file is None else CursorFile(cursor_file)
        if self._file is not None:
            if live:
                raise UsageError("cursor_file is of no use with a key that may only listen: nothing can be caught up.")
            if (kept := self._file.read()) is not None:
                after, stream = kept.seq, kept.stream
        try:
            self._core = FeedCore(topics=topics, after=None if live else after, stream=stream, live=live)
        except ValueError as error:
            raise UsageError(f"{str(error).capitalize()}.") from error
        if not wait:
            self._endpoints.probe()
        self._handed: Cursor | None = None
        self._heard_at = time.monotonic()
        self._hello = hello_params(window=window, streaming=streaming) if streaming else None
        self._greeting = Greeting()
        self._clock = DaemonClock()
        self._welcome = f"welcome/{new_token()}/"
        self._commanded = ""
        self._on_demand = self._endpoints.on_demand
        # When a connection may be made again; None while there is one, or it comes back by itself.
        self._again_at: float | None = 0.0 if self._on_demand else None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._notes = self._socket(zmq.SUB)
        self._control = self._socket(zmq.DEALER)
        self._monitor = self._control.get_monitor_socket(_CONTROL_EVENTS) if self._on_demand else None
        self._connect()

    def _connect(self) -> None:
        self._control.setsockopt(zmq.IMMEDIATE, 1)  # requests do not wait for a daemon that may come
        # The welcome goes last: it proves that all before it are active. ZeroMQ repeats them after a reconnect in the
        # order of the alphabet, where it is last again.
        for topic in (*self._also, *self._core.topics, "hb/", self._welcome):
            self._notes.subscribe(topic)
        self._endpoints.connect_notes(self._notes)
        if self._on_demand:
            # A connection that comes back by itself would start what was stopped; the welcome of a daemon makes it.
            self._control.setsockopt(zmq.RECONNECT_IVL, -1)
        elif self._endpoints.may_command:
            self._endpoints.connect_control(self._control)

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._context.closed

    @property
    def sockets(self) -> tuple[zmq.Socket[bytes], ...]:
        """What to wait for."""
        return self._notes, self._control, *(() if self._monitor is None else (self._monitor,))

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a loop watches. They tell edges: ask `readable` after watching them, and again before waiting."""
        return tuple(int(found.getsockopt(zmq.FD)) for found in self.sockets)

    @property
    def cursor(self) -> Cursor | None:
        """Stream and number of the last note that was handed out, or where the feed began; None before that."""
        if self._core.notes:
            # The machine is ahead of the reader: the next note was not handed out yet.
            waiting = self._core.notes[0]
            if self._handed is not None and self._handed.stream == waiting.stream:
                return self._handed
            return Cursor(waiting.stream, waiting.seq - 1)
        return self._core.cursor

    @property
    def fresh(self) -> bool:
        """True once notes may have been missed for good: the journal was replaced, or the range was pruned."""
        return self._core.fresh

    @property
    def silent_s(self) -> float:
        """Seconds since anything was heard of the daemon."""
        return time.monotonic() - self._heard_at

    def keep(self) -> None:
        """Write the cursor to its file, if there is one: the note that was returned last is done with.

        Raises:
            StorageError: It cannot be written.
        """
        if self._file is not None:
            self._file.keep(self.cursor)

    def close(self) -> None:
        """Close both sockets. Safe to call twice."""
        self._context.destroy(linger=0)

    def step(self) -> Note | None:
        """Take what has come, ask for what is missing, and return the next note if there is one. Never waits.

        Raises:
            HudctlError: The daemon speaks another protocol, or refused for good, or the cursor cannot be kept.
        """
        self.keep()
        if not self._core.notes:
            self._take_events()
            self._take_frames()
            self._take_replies()
            self._greet()
            ask = self._core.next_ask(time.monotonic())
            if ask is not None:
                self._send(ask)
        if not self._core.notes:
            return None
        note = self._core.notes.popleft()
        self._handed = Cursor(note.stream, note.seq)
        return note

    def readable(self) -> bool:
        """Whether `step` has something to take now."""
        return any(int(found.getsockopt(zmq.EVENTS)) & zmq.POLLIN for found in self.sockets)

    def wait_s(self) -> float | None:
        """How long to wait for the sockets before `step` is due anyway; None for as long as it takes."""
        at, now = self._core.wake_at(), time.monotonic()
        if self._greeting.due(now):
            at = now + AGAIN_S if at is None else min(at, now + AGAIN_S)
        return None if at is None else max(0.0, at - now)

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        made = self._context.socket(kind)
        made.setsockopt(zmq.LINGER, 0)
        made.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        made.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
        return made

    def _take_frames(self) -> None:
        for _ in range(BATCH):
            try:
                frames = self._notes.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._heard_at = time.monotonic()
            topic = frames[0].decode("utf-8", "replace")
            body = _object(frames[-1])
            if self._on_other is not None and topic.startswith(self._also):
                self._on_other(topic, body)
                continue
            if topic in (self._welcome, "hb/"):
                self._clock.told(body.get("time"), time.time())
            if topic == self._welcome:
                check_protocol(body.get("protocol"), self._endpoints)
                self._connect_control(str(body.get("instance")))
                if self._hello is not None and self._endpoints.may_command:
                    self._greeting.met(str(body.get("instance")), time.monotonic())
            try:
                self._core.on_frame(topic, body, time.monotonic())
            except ValueError as error:
                raise HudctlError(f"The daemon published something unreadable: {error}") from error
            if self._also and self._core.notes:
                return  # it is handed out before the next of the other frames

    def _connect_control(self, instance: str) -> None:
        """Where systemd starts the daemon on demand, connect to one that is known to run."""
        if self._on_demand and instance != self._commanded:
            self._commanded = instance
            if self._again_at is not None:
                self._connect_control_anew()

    def _connect_control_anew(self) -> None:
        with contextlib.suppress(zmq.ZMQError):  # there was none yet, or it ended when it stood
            self._endpoints.disconnect_control(self._control)
        self._again_at = None
        self._endpoints.connect_control(self._control)

    def _take_events(self) -> None:
        """Learn that the connection ended which does not come back by itself, and when it may be made again."""
        while self._monitor is not None and self._monitor.poll(0):
            event = struct.unpack_from("=h", self._monitor.recv_multipart()[0])[0]
            self._again_at = None if event == zmq.EVENT_CONNECTED else time.monotonic() + STOPPED_S

    def _restore_control(self) -> None:
        """A daemon that runs ended the connection because others waited: come again, now that something is wanted."""
        if self._again_at is not None and time.monotonic() >= self._again_at and self._endpoints.runs:
            self._connect_control_anew()

    def _greet(self) -> None:
        """Say hello to each daemon once. Nothing depends on the answer, so it is not waited for."""
        hello = self._hello
        if hello is not None and self._greeting.due(time.monotonic()) and self._request("hello", "hello", hello):
            self._greeting.said()

    def _send(self, ask: Ask) -> None:
        if not self._request(ask.number, "notes.since", ask.params()):
            now = time.monotonic()
            self._core.on_failure(ask.number, now, 0.0 if self._again_at is None else self._again_at - now)

    def _request(self, request_id: int | str, method: str, params: Mapping[str, Any]) -> bool:
        try:
            body = encode_request(request_id, method, self._clock.stamp(params, ASK_TIMEOUT_S))
            self._control.send_multipart([b"", body], zmq.NOBLOCK)
        except zmq.Again:
            self._restore_control()
            return False
        return True

    def _take_replies(self) -> None:
        while True:
            try:
                reply = _object(self._control.recv_multipart(zmq.NOBLOCK)[-1])
            except zmq.Again:
                return
            number = reply.get("id")
            if not isinstance(number, int):
                continue
            if "error" in reply:
                error = from_reply(reply["error"])
                if error.code not in PASSING:
                    raise error
                if error.code == "E_DEADLINE":
                    self._clock.forget()  # a clock was set, or what it told was read late
                self._core.on_failure(number, time.monotonic(), (error.retry_after_ms or 0) / 1000)
                continue
            try:
                self._core.on_page(number, cast("Mapping[str, Any]", reply.get("result")))
            except (TypeError, ValueError) as error:
                raise HudctlError(f"The daemon sent a page that cannot be read: {error}") from error


def _delta_topics(topics: Sequence[str]) -> list[str]:
    """Where the pieces of the notes on these topics come."""
    return [f"delta/{topic.removeprefix('note/')}" for topic in topics]


def _pieces_to(on_delta: OnDelta) -> OnOther:
    def take(topic: str, body: Mapping[str, Any]) -> None:
        if topic.startswith("delta/"):
            on_delta(str(body.get("snap_id")), str(body.get("text")))

    return take


def _object(frame: bytes) -> dict[str, Any]:
    try:
        body = decode_reply(frame)
    except FrameError as error:
        raise HudctlError(f"The daemon sent a frame that cannot be read: {error}") from error
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {}
