"""A small daemon for tests of the sockets: a real publisher and a real command server over a journal in memory."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from hudd.bus.publisher import Publisher
from hudd.bus.server import CommandServer, Handler, Request
from hudd.clock import Clock, SystemClock
from hudd.wire.messages import Note, PictureInfo, delta_topic, iso_time, note_topic

T = TypeVar("T")


def make_note(seq: int = 1, *, prev: int = 0, source: str = "eDP-1", stream: str = "s1", text: str = "") -> Note:
    return Note(
        stream=stream,
        seq=seq,
        prev=prev,
        kind="note",
        text=text or f"Note {seq} of {source}.",
        complete=True,
        time=1_795_343_466.412,
        published=1_795_343_467.655,
        snap_id="01JD0000000000000000000000",
        trigger="change",
        pictures=(PictureInfo("monitor", source, (0, 0, 1920, 1080), 0.67, "ab12"),),
        model="gpt-realtime-1.5",
        engine="local",
        usage={"input_tokens": 900, "output_tokens": 60},
        cost_microusd=0,
        timing_ms={"capture": 9.0, "encode": 31.0, "queue": 0.0, "first_delta": 402.0, "total": 1240.0},
    )


class MemoryJournal:
    """Numbers notes as the journal does."""

    def __init__(self, stream: str = "s1") -> None:
        self.stream = stream
        self.notes: list[Note] = []
        self._heads: dict[str, int] = {}

    def append(self, source: str = "eDP-1", text: str = "") -> Note:
        topic = note_topic(source)
        note = make_note(
            len(self.notes) + 1, prev=self._heads.get(topic, 0), source=source, stream=self.stream, text=text
        )
        self.notes.append(note)
        self._heads[topic] = note.seq
        return note

    def heads(self) -> dict[str, int]:
        return dict(self._heads)

    def page(self, stream: str, seq: int, topic_prefix: str = "note/", limit: int = 500) -> dict[str, Any]:
        other = stream not in ("", self.stream)
        after = 0 if other else seq
        oldest = self.notes[0].seq if self.notes else 0
        found = [note for note in self.notes if note.seq > after and note.topic.startswith(topic_prefix)]
        return {
            "stream": self.stream,
            "notes": [note.to_json() for note in found[:limit]],
            "head": self.notes[-1].seq if self.notes else 0,
            "oldest": oldest,
            "more": len(found) > limit,
            "fresh": other or 0 < after < oldest - 1,
        }


class SmallDaemon:
    """Both sockets in a folder. Use inside a running loop."""

    def __init__(
        self,
        folder: Path,
        journal: MemoryJournal | None = None,
        *,
        clock: Clock | None = None,
        handlers: Mapping[str, Handler] | None = None,
        instance: str = "i1",
        queue: int = 1000,
    ) -> None:
        self.journal = journal or MemoryJournal()
        self.instance = instance
        self.greeted: list[Mapping[str, Any]] = []
        self.asked: list[Mapping[str, Any]] = []
        self.clock = clock = clock or SystemClock()
        own: dict[str, Handler] = {
            "hello": self._hello,
            "status": self._status,
            "snap": self._snap,
            "notes.since": self._since,
            "notes.search": self._search,
        }
        self.server = CommandServer(folder / "ctl.sock", {**own, **(handlers or {})}, clock=clock)
        self.publisher = Publisher(
            folder / "notes.sock",
            stream=self.journal.stream,
            instance=instance,
            heads=self.journal.heads,
            clock=clock,
            queue=queue,
        )

    async def __aenter__(self) -> SmallDaemon:
        self.publisher.open()
        self.server.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.close()
        await self.publisher.close()

    def note(self, source: str = "eDP-1", text: str = "") -> Note:
        note = self.journal.append(source, text)
        self.publisher.publish(note.topic, note.to_json())
        return note

    async def _hello(self, request: Request) -> Mapping[str, Any]:
        self.greeted.append(request.params)
        return {
            "protocol": [1, 1],
            "version": "0.1.0",
            "instance": self.instance,
            "stream": self.journal.stream,
            "pid": 1,
            "time": iso_time(self.clock.wall()),
            "capabilities": [],
        }

    async def _status(self, request: Request) -> Mapping[str, Any]:
        return {"schema": 1, "instance": self.instance, "subscribers": self.publisher.subscribers()}

    async def _snap(self, request: Request) -> Mapping[str, Any]:
        source = request.params.get("monitor", "eDP-1")
        for number, text in enumerate(("A mail ", "about ", "larkspur.")):
            body = {"snap_id": request.params["snap_id"], "n": number, "text": text}
            self.publisher.publish(delta_topic(source), body)
        return self.note(source, "A mail about larkspur.").to_json()

    async def _since(self, request: Request) -> Mapping[str, Any]:
        self.asked.append(request.params)
        known = ("stream", "seq", "topic_prefix", "limit")
        given = {name: request.params[name] for name in known if name in request.params}
        return self.journal.page(given.pop("stream", ""), **given)

    async def _search(self, request: Request) -> Mapping[str, Any]:
        limit = request.params.get("limit", 50)
        return {"schema": 1, "notes": [note.to_json() for note in self.journal.notes[-limit:]]}


class ThreadedDaemon:
    """A `SmallDaemon` in a thread of its own, for tests of blocking clients. A context manager."""

    def __init__(self, folder: Path, journal: MemoryJournal | None = None, **options: Any) -> None:
        self._make: Callable[[], SmallDaemon] = lambda: SmallDaemon(folder, journal, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="small daemon")
        self.daemon: SmallDaemon

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def do(self, work: Callable[[SmallDaemon], T]) -> T:
        async def there() -> T:
            return work(self.daemon)

        return self.run(there())

    def __enter__(self) -> ThreadedDaemon:
        self._thread.start()

        async def start() -> None:
            self.daemon = self._make()
            await self.daemon.__aenter__()

        self.run(start())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.daemon.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def wait_until(true: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait for something that another thread or process does; fails after a while."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


async def await_until(true: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """The same inside a loop."""
    async with asyncio.timeout(timeout_s):
        while not true():  # noqa: ASYNC110 - what is awaited happens in libzmq's thread, which sets no event
            await asyncio.sleep(0.005)
