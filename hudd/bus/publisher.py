"""The note socket: an XPUB that never waits, welcomes each subscriber, and beats only while somebody listens.

Two frames each: the topic, and one JSON object. Slow subscribers lose frames beyond ``queue`` and catch up by
``notes.since``; they never cost more memory nor delay the others (daemon-notes b 20).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import zmq

from hudd.bus.sockets import MAX_SUBSCRIPTION_BYTES, SUBSCRIPTION_QUEUE, Context, LoopSocket, new_context
from hudd.bus.subscriptions import Subscriptions
from hudd.clock import Clock
from hudd.wire.codec import encode_json
from hudd.wire.messages import iso_time
from hudd.wire.table import PROTOCOL_NEWEST, PROTOCOL_OLDEST

HEARTBEAT_FAST_S: Final = 1.0
HEARTBEAT_SLOW_S: Final = 15.0
HEARTBEAT_FAST_FOR_S: Final = 5.0
"""After a frame a beat comes every second for so long: a lost last note shows within a second (daemon-notes b 16)."""

LOG_EVERY_S: Final = 60.0

_WELCOME: Final = re.compile(rb"welcome/[A-Za-z0-9._-]{1,64}/")
_SUBSCRIBE: Final = 1
_log = logging.getLogger(__name__)


class Publisher:
    """Publishes on the note socket.

    Args:
        place: Where the socket listens: a path, or a ``tcp://`` address.
        stream: Name of the journal that numbers the notes.
        instance: Name of this run of the daemon.
        heads: Returns the newest seq per topic.
        clock: For the heartbeat.
        queue: Frames held for a slow subscriber (``[bus] note_queue``).
        context: Shared with the command socket; None for one of its own.
        access: Who may come in, see ``hudd.bus.authenticator``; None for whoever reaches the socket.
        on_demand: Called when somebody subscribed or ceased to.
    """

    def __init__(
        self,
        place: Path | str,
        *,
        stream: str,
        instance: str,
        heads: Callable[[], Mapping[str, int]],
        clock: Clock,
        queue: int = 1000,
        context: Context | None = None,
        access: Mapping[int, int | bytes] | None = None,
        on_demand: Callable[[], None] = lambda: None,
    ) -> None:
        self._place = place
        self._access = access
        self._on_demand = on_demand
        self._stream = stream
        self._instance = instance
        self._heads = heads
        self._clock = clock
        self._queue = queue
        self._context = context
        self._own_context: Context | None = None
        self._socket: LoopSocket | None = None
        self._subscriptions = Subscriptions()
        self._failure: BaseException | None = None
        self._last_frame = -HEARTBEAT_FAST_FOR_S
        self._beat: asyncio.Task[None] | None = None
        self._beat_wanted = False
        self._beat_is_slow = False
        self._review: asyncio.Handle | None = None
        self._published = 0
        self._odd_messages = 0
        self._dropped_peers = 0
        self._quiet_until = float("-inf")

    def open(self) -> None:
        """Bind and listen. Call it in the running loop, while the daemon's lock is held.

        Raises:
            HuddError: See ``hudd.bus.admission.listen``.
        """
        if self._context is None:
            self._own_context = new_context()
        self._socket = LoopSocket(
            self._context or self._own_context or new_context(),
            zmq.XPUB,
            self._place,
            on_message=self._on_message,
            on_failure=self._on_failure,
            options={
                zmq.XPUB_VERBOSER: 1,  # without it ten subscribers give one event (daemon-notes b 19)
                zmq.SNDHWM: self._queue,
                zmq.MAXMSGSIZE: MAX_SUBSCRIPTION_BYTES,
                zmq.RCVHWM: SUBSCRIPTION_QUEUE,
            },
            access=self._access,
            on_new=self._subscriptions.came,
            on_gone=self._left,
            may_leave=lambda connection: not self._subscriptions.of(connection),
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
        """How many connections subscribe to each prefix, without the welcomes. The empty prefix is everything."""
        return {
            prefix.decode("utf-8", "replace"): count
            for prefix, count in self._subscriptions.counts().items()
            if not _WELCOME.fullmatch(prefix)
        }

    def listening(self, prefix: str) -> bool:
        """Whether somebody would receive a frame whose topic starts with ``prefix``, or is a beginning of it."""
        return self._subscriptions.listening(prefix.encode())

    def counters(self) -> dict[str, int]:
        """Counts since the start.

        ``published`` frames (beats and welcomes apart), ``odd_messages`` that were no subscription, ``dropped_peers``
        that subscribed to too much; and those of the socket.
        """
        return {
            "published": self._published,
            "odd_messages": self._odd_messages,
            "dropped_peers": self._dropped_peers,
            **({} if self._socket is None else self._socket.counters()),
        }

    @property
    def peers(self) -> int:
        """Local connections that are open now."""
        return 0 if self._socket is None else self._socket.peers

    @property
    def full(self) -> bool:
        """Whether more subscribers wait to be let in."""
        return self._socket is not None and self._socket.full

    def turn_away(self) -> None:
        """Let no new subscriber in; those who are in hear the rest.

        One that still came would ask for what it missed at a command socket that is systemd's again, and start hudd.
        """
        if self._socket is not None:
            self._socket.turn_away()

    async def close(self) -> None:
        """Stop the heartbeat, close the socket and remove its file. Safe to call twice."""
        self._stop_beat()
        if self._review is not None:
            self._review.cancel()
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

    def _on_message(self, frames: list[bytes], connection: int) -> None:
        """One subscription event: a byte (1 subscribe, 0 cancel) and the prefix."""
        event = frames[0]
        if len(frames) != 1 or event[:1] not in (b"\0", b"\1"):
            self._odd_messages += 1
            return
        prefix = event[1:]
        if event[0] == _SUBSCRIBE:
            self._subscribed(prefix, connection)
        else:  # also what ZeroMQ tells of each prefix of a connection that ended: that counts no more already
            self._subscriptions.cancel(connection, prefix)
        self._review_soon()

    def _left(self, connection: int) -> None:
        self._subscriptions.left(connection)
        self._review_soon()

    def _review_soon(self) -> None:
        if self._review is None:  # once for many: a flood of subscriptions must not cost others much time
            self._review = asyncio.get_running_loop().call_soon(self._review_demand)

    def _review_demand(self) -> None:
        self._review = None
        if self._failure is not None:
            return
        self._on_demand()
        self._beat_wanted = self.listening("hb/")
        if self._beat_wanted:
            self._start_beat()
        else:
            self._stop_beat()

    def _subscribed(self, prefix: bytes, connection: int) -> None:
        if not self._subscriptions.stands(connection):
            return
        self._subscriptions.subscribe(connection, prefix)
        ends = self._subscriptions.too_much(connection)
        if ends is not None:
            self._drop(ends)
        if ends != connection and _WELCOME.fullmatch(prefix):
            # A connection's subscriptions are handled in order, so all before this one are active now.
            self._send(prefix.decode(), self._facts())

    def _drop(self, connection: int) -> None:
        assert self._socket is not None
        self._subscriptions.left(connection)
        if not self._socket.drop(connection):
            return  # it ended already
        self._dropped_peers += 1
        now = self._clock.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + LOG_EVERY_S
            _log.warning("A subscriber was disconnected: it subscribed to far too many topics.")

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
