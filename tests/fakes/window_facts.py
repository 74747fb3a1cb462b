"""Windows as facts: who tells them, who grabs, and everybody around."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from hudd.config.settings import PrivacySettings
from hudd.errors import CaptureError
from hudd.flow.facts_windows import WindowFacts
from hudd.model import Shot, Source
from hudd.policy.facts import Facts
from hudd.policy.knowledge import Knowledge
from hudd.screen.source import Window
from tests.fakes.clock import ManualClock

SOURCE = Source("monitor", "m", (0, 0, 20, 10))
SECRET = Window("1", "Vault", "keepassxc", rect=(0, 0, 5, 5))
OTHER = Window("2", "Editor", "gedit", rect=(5, 0, 5, 5), focused=True)


class Teller:
    """Tells what it is told."""

    def __init__(self, *windows: Window) -> None:
        self.shown = windows
        self.limits = ""
        self.hides = False
        self.error: CaptureError | None = None
        self.closed = False
        self._reader, self._writer = os.pipe()

    def show(self, *windows: Window) -> None:
        self.shown = windows
        os.write(self._writer, b"x")

    def fileno(self) -> int:
        return self._reader

    def take_changed(self) -> bool:
        os.set_blocking(self._reader, False)
        try:
            return bool(os.read(self._reader, 100))
        except BlockingIOError:
            return False

    def windows(self) -> tuple[Window, ...]:
        if self.error is not None:
            raise self.error
        return self.shown

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self._reader)
            os.close(self._writer)


class Grabbed:
    """A screen whose windows change during the grab, if wanted."""

    def __init__(self, during: Callable[[], Any] = lambda: None, *, placed: bool = True) -> None:
        self.during = during
        self.placed = placed

    def grab(self, source: Source, *, epoch: int, captured_at: float) -> Shot:
        self.during()
        return Shot(source, bytes(800), 20, 10, captured_at, epoch, placed=self.placed)


class Room:
    """Who follows the windows, and everybody around.

    Attributes:
        teller: Who tells windows when asked next, or why nobody does.
        opening: Opening a teller waits for it, when there is one.
    """

    def __init__(self, teller: Teller | str | CaptureError, **settings: object) -> None:
        self.teller: Teller | str | CaptureError = teller
        self.clock = ManualClock()
        self.opening: threading.Event | None = None
        self.facts = Facts()
        self.knowledge = Knowledge(self.facts)
        chosen = {"exclude_apps": ("keepassxc",), **settings}
        self.knowledge.strict = bool(chosen.get("strict"))
        self.windows = WindowFacts(
            open_teller=self._open,
            settings=PrivacySettings(**chosen),  # type: ignore[arg-type]  # a table of settings
            facts=self.facts,
            knowledge=self.knowledge,
            clock=self.clock,
        )

    def _open(self) -> Teller | str:
        teller = self.teller
        if self.opening is not None:
            assert self.opening.wait(10)
        if isinstance(teller, CaptureError):
            raise teller
        return teller

    def grab(self, during: Callable[[], Any] = lambda: None, *, placed: bool = True) -> Shot:
        screen: Any = Grabbed(during, placed=placed)
        return self.windows.grab(screen, SOURCE, epoch=1, captured_at=0.0)

    async def until(self, *reasons: str) -> None:
        async with asyncio.timeout(20):
            while self.facts.reasons != reasons:  # noqa: ASYNC110 - a thread of its own works towards it
                await asyncio.sleep(0.005)


@asynccontextmanager
async def followed(room: Room) -> AsyncIterator[None]:
    await room.windows.begin()
    task = asyncio.create_task(room.windows.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
