"""A daemon's two sockets over a recording: what ``hudctl replay`` runs.

The sockets are the daemon's own code (``hudd.bus``), so that subscribers meet the same welcomes, heartbeats and pages.
Only ``hudctl.replay`` imports this module, when it runs.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hudctl.recording import Frame, Recording
from hudd.bus.publisher import Publisher
from hudd.bus.server import CommandServer, Request
from hudd.clock import Clock
from hudd.wire import table
from hudd.wire.endpoints import CONTROL_SOCKET, NOTES_SOCKET
from hudd.wire.messages import Note, iso_time

HISTORY: Final = 10_000
"""Notes that can be fetched again; as many as the recording has when that is more."""
BREATH: Final = 32
"""Frames published in one go at the highest speed, then the sockets are served."""
LOOP_PAUSE_S: Final = 0.01
"""Between two rounds at the highest speed, so that a short recording does not fill a core."""
FOUND: Final = 50


class Stage:
    """Plays a recording to whoever subscribes. A context manager of asyncio.

    Args:
        folder: Where the sockets are made.
        recording: What is played.
        clock: For the pace and the heartbeat.
    """

    def __init__(self, folder: Path, recording: Recording, *, clock: Clock) -> None:
        self._folder = folder
        self._recording = recording
        self._clock = clock
        self._instance = os.urandom(8).hex()
        self._started = clock.wall()
        self._heads: dict[str, int] = {}
        notes = sum(frame.note is not None for frame in recording.frames)
        self._notes: deque[Note] = deque(maxlen=max(notes, HISTORY))
        self._published = 0
        self._rounds = 0
        self._somebody = asyncio.Event()
        self._publisher = Publisher(
            folder / NOTES_SOCKET,
            stream=recording.stream,
            instance=self._instance,
            heads=lambda: self._heads,
            clock=clock,
            on_demand=self._demand,
        )
        handlers = {
            "hello": self._hello,
            "status": self._status,
            "notes.since": self._since,
            "notes.search": self._search,
        }
        self._server = CommandServer(folder / CONTROL_SOCKET, handlers, clock=clock)

    async def __aenter__(self) -> Stage:
        self._publisher.open()
        self._server.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()
        await self._publisher.close()

    @property
    def published(self) -> int:
        """Frames so far."""
        return self._published

    async def somebody(self) -> None:
        """Wait for the first subscriber. Cancelling is safe."""
        await self._somebody.wait()

    async def play(self, *, speed: float, loop: bool) -> None:
        """Publish all frames at their times, the first one at once.

        Args:
            speed: How many times faster than recorded; 0 without any waiting.
            loop: Begin again at the end, for ever; the numbers of the notes go on.
        """
        while True:
            await self._play_once(speed)
            if not loop:
                return
            self._rounds += 1
            await self._clock.sleep(LOOP_PAUSE_S)

    async def _play_once(self, speed: float) -> None:
        frames = self._recording.frames
        shift = self._rounds * self._span()
        start = self._clock.monotonic()
        for number, frame in enumerate(frames):
            if speed:
                await self._clock.sleep(start + (frame.at_s - frames[0].at_s) / speed - self._clock.monotonic())
            elif number % BREATH == 0:
                await self._clock.sleep(0)
            self._publish(frame, shift)

    def _span(self) -> int:
        """By how much the numbers of one round are above those of the round before."""
        numbers = [frame.note.seq for frame in self._recording.frames if frame.note is not None]
        return numbers[-1] - numbers[0] + 1 if numbers else 0

    def _publish(self, frame: Frame, shift: int) -> None:
        body = frame.body
        if frame.note is not None:
            seq = frame.note.seq + shift
            note = replace(frame.note, seq=seq, prev=self._heads.get(frame.topic, frame.note.prev))
            self._notes.append(note)
            self._heads[frame.topic] = seq
            body = {**frame.body, "seq": note.seq, "prev": note.prev}
        self._publisher.publish(frame.topic, body)
        self._published += 1

    def _demand(self) -> None:
        if self._publisher.subscribers():
            self._somebody.set()

    # Commands

    async def _hello(self, request: Request) -> Mapping[str, Any]:
        del request
        return {
            "protocol": [table.PROTOCOL_OLDEST, table.PROTOCOL_NEWEST],
            "version": self._recording.hudd,
            "instance": self._instance,
            "stream": self._recording.stream,
            "pid": os.getpid(),
            "time": iso_time(self._clock.wall()),
            "replay": True,
            "capabilities": ["hello", "notes.search", "notes.since", "status"],
        }

    async def _status(self, request: Request) -> Mapping[str, Any]:
        del request
        wall, subscribers = self._clock.wall(), self._publisher.subscribers()
        return {
            "schema": 1,
            "version": self._recording.hudd,
            "protocol": [table.PROTOCOL_OLDEST, table.PROTOCOL_NEWEST],
            "pid": os.getpid(),
            "instance": self._instance,
            "stream": self._recording.stream,
            "started": iso_time(self._started),
            "uptime_s": round(wall - self._started, 1),
            "connection": "ready",
            "connection_since": iso_time(self._started),
            "sentence": f"This is a replay: {self._published} frames published, no screen is looked at.",
            "sending": {"allowed": False, "automatic": False, "reasons": ["replay"]},
            "engine": "replay",
            "model": "",
            "counters": {"notes": len(self._notes)},
            "subscribers": {
                "total": sum(count for prefix, count in subscribers.items() if prefix != "hb/"),
                "by_topic": subscribers,
            },
            "sockets": {"control": str(self._folder / CONTROL_SOCKET), "notes": str(self._folder / NOTES_SOCKET)},
            "last_errors": [],
        }

    async def _since(self, request: Request) -> Mapping[str, Any]:
        asked = request.params
        stream, prefix = asked.get("stream", ""), asked.get("topic_prefix", "")
        other = stream not in ("", self._recording.stream)
        after, limit = 0 if other else int(asked["seq"]), int(asked.get("limit", table.REPLAY_PAGE))
        oldest = self._notes[0].seq if self._notes else 0
        found = [note for note in self._notes if note.seq > after and note.topic.startswith(prefix)]
        heads = [seq for topic, seq in self._heads.items() if topic.startswith(prefix)]
        return {
            "stream": self._recording.stream,
            "notes": [note.to_json() for note in found[:limit]],
            "more": len(found) > limit,
            "oldest": oldest,
            "head": max(heads, default=0),
            "fresh": other or 0 < after < oldest - 1,
        }

    async def _search(self, request: Request) -> Mapping[str, Any]:
        """By time and by words, without the journal's index."""
        asked = request.params
        words: Sequence[str] = str(asked.get("search", "")).casefold().split()
        text = str(asked.get("grep", "")).casefold()
        found = [
            note.to_json()
            for note in reversed(self._notes)
            if asked.get("since", float("-inf")) <= note.time < asked.get("until", float("inf"))
            and note.seq < asked.get("before", table.LARGEST_NUMBER)
            and all(word in note.text.casefold() for word in words)
            and text in note.text.casefold()
        ]
        del found[int(asked.get("limit", FOUND)) :]
        if asked.get("reverse"):
            found.reverse()
        return {"schema": 1, "stream": self._recording.stream, "notes": found}
