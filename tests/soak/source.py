"""A fast source of notes: the real journal, publisher and command server, without a screen.

``python -m tests.soak.source FOLDER RATE`` commits and publishes so many notes a second until it is told to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hudd.bus.publisher import Publisher
from hudd.bus.server import CommandServer, Request
from hudd.clock import SystemClock
from hudd.journal.store import Journal
from hudd.wire.endpoints import CONTROL_SOCKET, NOTES_SOCKET
from tests.fakes.journal import make_note

SOURCES = ("eDP-1", "HDMI-1")


class Source:
    """Both sockets over a real journal. A context manager of asyncio."""

    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        self._journal = Journal.open(folder / "journal.db", clock=clock, search=False)
        self.publisher = Publisher(
            folder / NOTES_SOCKET,
            stream=self._journal.stream,
            instance="source",
            heads=self._journal.heads,
            clock=clock,
        )
        handlers = {"notes.since": self._since, "hello": self._hello}
        self._server = CommandServer(folder / CONTROL_SOCKET, handlers, clock=clock)

    async def __aenter__(self) -> Source:
        self.publisher.open()
        self._server.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()
        await self.publisher.close()
        await self._journal.close()

    async def note(self, number: int) -> None:
        """Commit, then publish."""
        note = make_note(SOURCES[number % 2], text=f"Note number {number} of a fast source.")
        committed = await self._journal.commit_note(note, None)
        self.publisher.publish(committed.topic, committed.to_json())

    async def _hello(self, request: Request) -> Mapping[str, Any]:
        del request
        return {"protocol": [1, 1], "version": "0", "instance": "source", "stream": self._journal.stream, "pid": 1}

    async def _since(self, request: Request) -> Mapping[str, Any]:
        asked = request.params
        other = asked.get("stream") not in (None, "", self._journal.stream)
        page = await self._journal.written_since(
            0 if other else int(asked["seq"]),
            topic_prefix=str(asked.get("topic_prefix") or "note/"),
            limit=int(asked.get("limit") or 500),
        )
        return {
            "stream": self._journal.stream,
            "fresh": other,
            "notes": page.notes,
            "head": page.head,
            "oldest": page.oldest,
            "more": page.more,
        }


async def _run(folder: Path, rate: float) -> None:
    """Keep the pace: after a hiccup the notes that are due come at once."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    number = 0
    async with Source(folder) as source:
        print("ready", flush=True)
        start = loop.time()
        try:
            while True:
                await source.note(number)
                number += 1
                await asyncio.sleep(max(0.0, start + number / rate - loop.time()))
        finally:
            print(number, loop.time() - start, flush=True)


if __name__ == "__main__":
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_run(Path(sys.argv[1]), float(sys.argv[2])))
