"""The note socket: an XPUB that never waits, welcomes each subscriber, and beats only while somebody listens.

Two frames each: the topic, and one JSON object. Slow subscribers lose frames beyond ``queue`` and catch up by
``notes.since``; they never cost more memory nor delay the others (daemon-notes b 20).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import zmq

from hudd.bus.sockets import MAX_SUBSCRIPTION_BYTES, Context, LoopSocket, new_context
from hudd.clock import Clock
from hudd.wire.codec import encode_json
from hudd.wire.messages import iso_time
from hudd.wire.table import PROTOCOL_NEWEST, PROTOCOL_OLDEST

HEARTBEAT_FAST_S: Final = 1.0
HEARTBEAT_SLOW_S: Final = 15.0
HEARTBEAT_FAST_FOR_S: Final = 5.0
"""After a frame a beat comes every second for so long: a lost last note shows within a second (daemon-notes b 16)."""

MAX_TOPICS: Final = 4096
"""Prefixes that are counted; more would be a mistake or an attack, and only the counting stops."""

_WELCOME: Final = re.compile(rb"welcome/[A-Za-z0-9._-]{1,64}/")
_SUBSCRIBE: Final = 1


class Publisher:
    """Publishes on the note socket.

    What the counts are worth: ZeroMQ (XPUB_VERBOSER) reports every subscription, every cancellation, and for a
    connection that ends, one cancellation for each of its subscriptions. So counts are exact for peers that subscribe
    to a prefix once. A peer that subscribes to the same prefix twice on one connection is counted twice and taken back
    once; ``hudctl.Feed`` never does that.

    Args:
        path: Where the socket listens.
        stream: Name of the journal that numbers the notes.
        instance: Name of this run of the daemon.
        heads: Returns the newest seq per topic.
        clock: For the heartbeat.
        queue: Frames held for a slow subscriber (``[bus] note_queue``).
        context: Shared with the command socket; None for one of its own.
    """

    def __init__(
        self,
        path: Path,
        *,
        stream: str,
        instance: str,
        heads: Callable[[], Mapping[str, int]],
        clock: Clock,
        queue: int = 1000,
        context: Context | None = None,
    ) -> None:
        self._path = path
        self._stream = stream
        self._instance = instance
        self._heads = heads
        self._clock = clock
        self._queue = queue
        self._context = context
        self._own_context: Context | None = None
        self._socket: LoopSocket | None = None
        self._counts: dict[bytes, int] = {}
        self._failure: BaseException | None = None
        self._last_frame = -HEARTBEAT_FAST_FOR_S
        self._beat: asyncio.Task[None] | None = None
        self._beat_wanted = False
        self._beat_is_slow = False
        self._published = 0
        self._odd_messages = 0

    def open(self) -> None:
        """Bind and listen. Call it in the running loop, while the daemon's lock is held.

        Raises:
            HuddError: See ``hudd.bus.sockets.listen``.
        """
        if self._context is None:
            self._own_context = new_context()
        self._socket = LoopSocket(
            self._context or self._own_context or new_context(),
            zmq.XPUB,
            self._path,
            on_message=self._on_message,
            on_failure=self._on_failure,
            options={
                zmq.XPUB_VERBOSER: 1,  # without it ten subscribers give one event (daemon-notes b 19)
                zmq.SNDHWM: self._queue,
                zmq.MAXMSGSIZE: MAX_SUBSCRIPTION_BYTES,
            },
        )

    def publish(self, topic: str, body: Mapping[str, Any]) -> None:
        """Publish one frame pair. Never waits; subscribers that are too slow lose it.

        Raises:
            ValueError: The body holds NaN or an infinity.
            TypeError: The body is not JSON.
            RuntimeError: The publisher is not open, or its socket failed (the cause is chained).
        """
        self._send(topic, body)
        self._published += 1
        self._last_frame = self._clock.monotonic()
        if self._beat_is_slow:
            self._stop_beat()
        self._start_beat()

    def subscribers(self) -> dict[str, int]:
        """How many subscriptions there are by prefix, without the welcomes. The empty prefix is everything."""
        return {
            prefix.decode("utf-8", "replace"): count
            for prefix, count in sorted(self._counts.items())
            if not _WELCOME.fullmatch(prefix)
        }

    def listening(self, prefix: str) -> bool:
        """Whether somebody would receive a frame whose topic starts with ``prefix``, or is a beginning of it."""
        wanted = prefix.encode()
        return any(held.startswith(wanted) or wanted.startswith(held) for held in self._counts)

    def counters(self) -> dict[str, int]:
        """``published`` frames (beats and welcomes apart) and ``odd_messages`` that were no subscription."""
        return {"published": self._published, "odd_messages": self._odd_messages}

    async def close(self) -> None:
        """Stop the heartbeat, close the socket and remove its file. Safe to call twice."""
        self._stop_beat()
        if self._socket is not None:
            self._socket.close()
        if self._own_context is not None:
            self._own_context.term()
            self._own_context = None

    def _send(self, topic: str, body: Mapping[str, Any]) -> None:
        if self._socket is None or self._socket.closed or self._failure is not None:
            raise RuntimeError("the publisher is not open") from self._failure
        self._socket.send([topic.encode(), encode_json(body)])

    def _facts(self) -> dict[str, Any]:
        return {
            "stream": self._stream,
            "heads": dict(self._heads()),
            "instance": self._instance,
            "protocol": [PROTOCOL_OLDEST, PROTOCOL_NEWEST],
            "time": iso_time(self._clock.wall()),
        }

    def _on_failure(self, error: BaseException) -> None:
        self._failure = error
        self._stop_beat()

    def _on_message(self, frames: list[bytes]) -> None:
        """One subscription event: a byte (1 subscribe, 0 cancel) and the prefix."""
        event = frames[0]
        if len(frames) != 1 or event[:1] not in (b"\0", b"\1"):
            self._odd_messages += 1
            return
        prefix = event[1:]
        if event[0] == _SUBSCRIBE:
            if prefix in self._counts or len(self._counts) < MAX_TOPICS:
                self._counts[prefix] = self._counts.get(prefix, 0) + 1
            if _WELCOME.fullmatch(prefix):
                # A connection's subscriptions are handled in order, so all before this one are active now.
                self._send(prefix.decode(), self._facts())
        elif self._counts.get(prefix, 0) > 1:
            self._counts[prefix] -= 1
        else:
            self._counts.pop(prefix, None)
        self._beat_wanted = self.listening("hb/")
        if self._beat_wanted:
            self._start_beat()
        else:
            self._stop_beat()

    def _start_beat(self) -> None:
        if self._beat_wanted and (self._beat is None or self._beat.done()):
            self._beat = asyncio.get_running_loop().create_task(self._beat_on(), name="heartbeat")

    def _stop_beat(self) -> None:
        self._beat_is_slow = False
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None

    async def _beat_on(self) -> None:
        """Runs only while somebody listens to ``hb/``; ends by being cancelled."""
        while True:
            since = self._clock.monotonic() - self._last_frame
            self._beat_is_slow = since >= HEARTBEAT_FAST_FOR_S
            await self._clock.sleep(HEARTBEAT_SLOW_S if self._beat_is_slow else HEARTBEAT_FAST_S)
            self._send("hb/", self._facts())
