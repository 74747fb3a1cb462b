"""A service on purpose unreliable: an engine in a thread of this process that plays scripts and writes down everything."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from hudd.engine.commands import Ask
from hudd.engine.faults import Faults, parse_fault
from hudd.engine.options import EngineOptions
from hudd.engine.server import EngineServer
from tests.fakes.official_types import check_client_event

MODEL = "gpt-realtime-1.5"
KEY = "sk-soak"
WORDS = 8
"""How many words, and so pieces of text, a short answer has."""


@dataclass
class Life:
    """One connection as the service saw it. Times are monotonic seconds; None for never.

    Attributes:
        index: Counted from 0.
        script: The faults that it played, as they are written.
        opened: When the upgrade was asked for.
        ready: When ``session.updated`` was sent.
        ended: When it was over.
        requests: ``metadata.snap`` of each ``response.create``, in order.
        created: Response id → ``metadata.snap``, as it was told.
        done: ``(snap, status, when)`` of each ``response.done`` that was sent.
    """

    index: int
    script: tuple[str, ...]
    opened: float
    ready: float | None = None
    ended: float | None = None
    requests: list[str] = field(default_factory=list)
    created: dict[str, str] = field(default_factory=dict)
    done: list[tuple[str, str, float]] = field(default_factory=list)


class Answering:
    """Says for each question which one it answers, so that an answer that went astray shows."""

    def __init__(self) -> None:
        self.long: dict[str, tuple[int, float]] = {}
        """Snap → words and seconds between them, for answers that shall take their time."""

    async def answer(self, ask: Ask) -> AsyncGenerator[str, None]:
        snap = ask.metadata.get("snap", "")
        words, pace_s = self.long.get(snap, (WORDS, 0.0))
        yield f"Answer to {snap}:"
        for number in range(words - 3):
            await asyncio.sleep(pace_s)
            yield f" word{number}"

    async def forget(self) -> None:
        return

    async def close(self) -> None:
        return


class Service:
    """Runs an engine. Everything public may be called from any thread.

    Args:
        script: Faults of a connection by its index; called on the engine's thread.
        lifetime_s: Seconds until a session expires, as ``expires_at`` tells.
        pace_s: Seconds between two words.
    """

    def __init__(
        self,
        script: Callable[[int], tuple[str, ...]] = lambda _: (),
        *,
        lifetime_s: float = 3600.0,
        pace_s: float = 0.0,
    ) -> None:
        self.script = script
        self.answering = Answering()
        self.lives: list[Life] = []
        self.unofficial: list[str] = []
        self.checked = 0
        self._options = {"answers": "read", "lifetime_s": lifetime_s, "pace_s": pace_s, "token": KEY}
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="soak-service", daemon=True)
        self._server: EngineServer | None = None
        self._first_index = 0
        self.port = 0

    # For the test's threads.

    @property
    def url(self) -> str:
        """Where it is."""
        return f"ws://127.0.0.1:{self.port}/v1/realtime"

    def listen(self) -> None:
        """Listen, at the same port as before."""
        self._run(self._listen())

    def silence(self) -> None:
        """Close every connection with 1001 and listen no more."""
        self._run(self._close())

    def wait_for(self, true: Callable[[], object], timeout_s: float, what: str) -> None:
        """Wait until something holds that changes with what the service sees."""
        with self._changed:
            assert self._changed.wait_for(true, timeout_s), f"{what}: not in {timeout_s:g} s"

    def __enter__(self) -> Self:
        self._thread.start()
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.silence()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    # On the engine's thread.

    async def _listen(self) -> None:
        options = EngineOptions(port=self.port, **self._options)  # type: ignore[arg-type]  # a dict of mixed values
        self._first_index = len(self.lives)
        self._server = EngineServer(options, answerer=self.answering, faults=self._faults, watch=self)
        await self._server.__aenter__()
        self.port = self._server.port

    async def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.__aexit__(None, None, None)

    def _life(self, index: int) -> Life:
        return self.lives[self._first_index + index]

    def _faults(self, index: int) -> Faults:
        return Faults(tuple(parse_fault(written) for written in self._life(index).script))

    def opened(self, index: int) -> None:
        number = self._first_index + index
        with self._changed:
            self.lives.append(Life(number, self.script(number), time.monotonic()))
            self._changed.notify_all()

    def received(self, index: int, frame: str | bytes) -> None:
        data = frame.encode() if isinstance(frame, str) else frame
        try:
            event = check_client_event(data)
        except (AssertionError, ValueError, KeyError) as error:
            self.unofficial.append(f"{str(error)[:300]} in {data[:200]!r}")
            return
        self.checked += 1
        if event["type"] == "response.create":
            with self._changed:
                self._life(index).requests.append(event["response"]["metadata"].get("snap", ""))

    def sent(self, index: int, frame: str | bytes) -> None:
        now = time.monotonic()
        event: Any = None
        with suppress(ValueError, RecursionError):
            event = json.loads(frame)
        kind = event.get("type") if isinstance(event, dict) else None
        if kind not in ("session.updated", "response.created", "response.done"):
            return
        life = self._life(index)
        with self._changed:
            if kind == "session.updated":
                life.ready = life.ready or now
            elif isinstance(event["response"].get("metadata"), dict):
                response = event["response"]
                if kind == "response.created":
                    life.created[response["id"]] = response["metadata"].get("snap", "")
                else:
                    life.done.append((response["metadata"].get("snap", ""), response["status"], now))
            self._changed.notify_all()

    def ended(self, index: int) -> None:
        with self._changed:
            self._life(index).ended = time.monotonic()
            self._changed.notify_all()


class Script:
    """A queue of scripts: each connection plays the next one, and none when it is empty."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, ...]] = deque()

    def add(self, *faults: str) -> None:
        """Let a connection play these."""
        self._waiting.append(faults)

    def __len__(self) -> int:
        return len(self._waiting)

    def __call__(self, index: int) -> tuple[str, ...]:
        return self._waiting.popleft() if self._waiting else ()
