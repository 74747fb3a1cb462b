"""Notes as an iterator: gapless, in order, without repeats, over restarts of the daemon and of the reader."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, cast

import zmq

from hudctl.connection import Endpoints, check_protocol, hello_params, new_token, stamp
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

PASSING: Final = frozenset({"E_BUSY", "E_DEADLINE", "E_STATE", "E_STORAGE"})
"""Refusals of a page that may pass (a daemon that stops, a full disk); it is asked for again, with back-off."""


OnOther = Callable[[str, Mapping[str, Any]], None]


class FeedLink:
    """The sockets of a feed, without any waiting: both shells, the blocking one and the asyncio one, drive this.

    One SUB for the note stream and one DEALER for the pages; both reconnect by themselves when the daemon restarts.

    Args:
        topics: Prefixes of note topics, each beginning with ``note/``.
        after: Hand out what came after this number; None for what comes from now on.
        stream: The stream ``after`` belongs to.
        runtime_dir: The daemon's runtime folder; None for the usual one.
        window: X11 window that the notes are printed into, or None.
        streaming: Tell the daemon that this process prints notes.
        wait: Wait for a daemon that is not running yet.
        also: Prefixes of other topics to subscribe to.
        on_other: Called with topic and body of each frame of those, in order with the notes. Such frames can be lost.

    Raises:
        NotRunningError: There is no daemon, and ``wait`` is False.
        UsageError: A topic is no note topic, ``after`` is negative, or there is no usable path.
    """

    def __init__(
        self,
        topics: Sequence[str],
        after: int | None,
        stream: str | None,
        *,
        runtime_dir: str | os.PathLike[str] | None,
        window: int | None,
        streaming: bool,
        wait: bool,
        also: Sequence[str] = (),
        on_other: OnOther | None = None,
    ) -> None:
        if isinstance(topics, str):
            topics = (topics,)
        if after is not None and after < 0:
            raise UsageError("after must not be negative.")
        try:
            endpoints = Endpoints(runtime_dir)
            live = not endpoints.may_command
            self._core = FeedCore(topics=topics, after=None if live else after, stream=stream, live=live)
        except ValueError as error:
            raise UsageError(f"{str(error).capitalize()}.") from error
        if not wait:
            endpoints.probe()
        self._also = tuple(also)
        for topic in self._also:
            if "/" not in topic or topic.startswith(("note/", "hb/", "welcome/")):
                raise UsageError(f"{topic!r} is no other topic; name delta/, state/, error/ or cost/.")
        self._on_other = on_other
        self._handed: Cursor | None = None
        self._hello = hello_params(window=window, streaming=streaming) if streaming else None
        self._greeting = Greeting()
        self._welcome = f"welcome/{new_token()}/"
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._notes = self._socket(zmq.SUB)
        self._control = self._socket(zmq.DEALER)
        self._control.setsockopt(zmq.IMMEDIATE, 1)  # requests do not wait for a daemon that may come
        # The welcome goes last: it proves that all before it are active. ZeroMQ repeats them after a reconnect in the
        # order of the alphabet, where it is last again.
        for topic in (*self._also, *self._core.topics, "hb/", self._welcome):
            self._notes.subscribe(topic)
        endpoints.connect_notes(self._notes)
        self._endpoints = endpoints
        self._commanded = ""
        self._on_demand = endpoints.on_demand
        if self._on_demand:
            # A connection that comes back by itself would start what was stopped; the welcome of a daemon makes it.
            self._control.setsockopt(zmq.RECONNECT_IVL, -1)
        elif endpoints.may_command:
            endpoints.connect_control(self._control)

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._context.closed

    @property
    def sockets(self) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
        """What to wait for."""
        return self._notes, self._control

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

    def close(self) -> None:
        """Close both sockets. Safe to call twice."""
        self._context.destroy(linger=0)

    def step(self) -> Note | None:
        """Take what has come, ask for what is missing, and return the next note if there is one. Never waits.

        Raises:
            HudctlError: The daemon speaks another protocol, or refused for good.
        """
        if not self._core.notes:
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
            topic = frames[0].decode("utf-8", "replace")
            body = _object(frames[-1])
            if self._on_other is not None and topic.startswith(self._also):
                self._on_other(topic, body)
                continue
            if topic == self._welcome:
                check_protocol(body.get("protocol"))
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
        if not self._on_demand or instance == self._commanded:
            return
        if self._commanded:
            with contextlib.suppress(zmq.ZMQError):  # that connection ended with its daemon
                self._endpoints.disconnect_control(self._control)
        self._commanded = instance
        self._endpoints.connect_control(self._control)

    def _greet(self) -> None:
        """Say hello to each daemon once. Nothing depends on the answer, so it is not waited for."""
        hello = self._hello
        if hello is not None and self._greeting.due(time.monotonic()) and self._request("hello", "hello", hello):
            self._greeting.said()

    def _send(self, ask: Ask) -> None:
        if not self._request(ask.number, "notes.since", ask.params()):
            self._core.on_failure(ask.number, time.monotonic())

    def _request(self, request_id: int | str, method: str, params: Mapping[str, Any]) -> bool:
        try:
            body = encode_request(request_id, method, stamp(params, ASK_TIMEOUT_S))
            self._control.send_multipart([b"", body], zmq.NOBLOCK)
        except zmq.Again:
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
                self._core.on_failure(number, time.monotonic(), (error.retry_after_ms or 0) / 1000)
                continue
            try:
                self._core.on_page(number, cast("Mapping[str, Any]", reply.get("result")))
            except (TypeError, ValueError) as error:
                raise HudctlError(f"The daemon sent a page that cannot be read: {error}") from error


class Feed:
    """Iterates over notes, waiting for the next one for ever.

    A reader that keeps ``cursor`` gets exactly what it missed: ``Feed(after=cursor.seq, stream=cursor.stream)``.

    Not for use by two threads at once.

    Args:
        topics: Prefixes of note topics, for instance ``("note/eDP-1/",)``.
        after: Begin after this number (0 for everything); None for what comes from now on.
        stream: The stream that ``after`` belongs to. If the journal was replaced since, the feed begins at the new
            one's first note, and ``fresh`` is True.
        runtime_dir: The daemon's runtime folder; None for the usual one.
        window: X11 window that the notes are printed into (``$WINDOWID`` on a terminal), or None.
        streaming: Tell the daemon that this process prints notes, so that changes of that window are ignored.
        wait: Wait for a daemon that is not running yet, instead of raising.
        on_delta: Called with the snap's id and a piece of its text while that is written, before its note comes. A slow
            reader loses pieces; the note has the whole text.
        also: Prefixes of other topics to subscribe to, for instance ``("state/", "error/")``.
        on_other: Called with topic and body of each frame of those, in order with the notes. They can be lost.

    Raises:
        NotRunningError: There is no daemon, and ``wait`` is False.
        UsageError: A topic is no note topic, or ``after`` is negative.
    """

    def __init__(
        self,
        topics: Sequence[str] = ("note/",),
        after: int | None = None,
        stream: str | None = None,
        *,
        runtime_dir: str | os.PathLike[str] | None = None,
        window: int | None = None,
        streaming: bool = False,
        wait: bool = False,
        on_delta: Callable[[str, str], None] | None = None,
        also: Sequence[str] = (),
        on_other: OnOther | None = None,
    ) -> None:
        if on_delta is not None:
            if on_other is not None:
                raise UsageError("on_delta excludes on_other; subscribe to delta/ with also.")
            also, on_other = (*also, *_delta_topics(topics)), _pieces_to(on_delta)
        self._link = FeedLink(
            topics,
            after,
            stream,
            runtime_dir=runtime_dir,
            window=window,
            streaming=streaming,
            wait=wait,
            also=also,
            on_other=on_other,
        )
        self._stopped = False
        self._bell, self._ring = socket.socketpair()
        self._poller = zmq.Poller()
        self._poller.register(self._bell, zmq.POLLIN)
        for found in self._link.sockets:
            self._poller.register(found, zmq.POLLIN)

    @property
    def cursor(self) -> Cursor | None:
        """Everything up to here was returned; None before the daemon's first welcome."""
        return self._link.cursor

    @property
    def fresh(self) -> bool:
        """True once notes may have been missed for good: the journal was replaced, or the range was pruned."""
        return self._link.fresh

    def get(self, timeout_s: float | None = None) -> Note | None:
        """The next note, or None when none came in time or the feed was stopped. With 0 it only looks.

        Raises:
            HudctlError: The daemon speaks another protocol, or refused for good.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._stopped:
            note = self._link.step()
            if note is not None:
                return note
            due_s = self._link.wait_s()
            if deadline is not None:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return None
                due_s = left_s if due_s is None else min(due_s, left_s)
            self._poller.poll(None if due_s is None else int(due_s * 1000) + 1)
        return None

    def stop(self) -> None:
        """End the iteration, from a signal handler or another thread; the feed must still be closed by its owner."""
        self._stopped = True
        self._ring.send(b".")

    def close(self) -> None:
        """Close the sockets; iteration ends. Safe to call twice."""
        self._stopped = True
        self._link.close()
        self._bell.close()
        self._ring.close()

    def __iter__(self) -> Iterator[Note]:
        return self

    def __next__(self) -> Note:
        note = self.get()
        if note is None:
            raise StopIteration
        return note

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _delta_topics(topics: Sequence[str]) -> list[str]:
    """Where the pieces of the notes on these topics come."""
    given = (topics,) if isinstance(topics, str) else topics
    return [f"delta/{topic.removeprefix('note/')}" for topic in given]


def _pieces_to(on_delta: Callable[[str, str], None]) -> OnOther:
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
