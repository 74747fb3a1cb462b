"""Eyes and capture over a screen without pixels, and over a clock that a test moves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from hudd.config.settings import GateSettings, ScreenSettings
from hudd.errors import HuddError
from hudd.flow.capture import Capture
from hudd.flow.counters import Counters
from hudd.flow.demand import Demand
from hudd.flow.details import no_details
from hudd.flow.eyes import Eyes
from hudd.flow.mailbox import Mailbox
from hudd.flow.watcher import Look
from hudd.model import Picture, Question, Source
from hudd.policy.facts import Facts
from hudd.screen.source import Rect, ScreenStatus
from tests.fakes.clock import ManualClock, settle
from tests.fakes.text_screen import Desk, DeskPixels, Hook

T = TypeVar("T")


class CountingEyes(Eyes):
    """Eyes that know whether somebody waits for the capture thread."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.busy = 0
        self.moves = 0

    def busy_with(self, work: Hook) -> None:
        """Let the capture thread do something before whatever is asked of it from now on."""
        self._thread.submit(work)

    async def open(self) -> tuple[ScreenStatus, tuple[Source, ...]]:
        return await self._counted(super().open())

    async def close(self) -> None:
        await self._counted(super().close())

    async def sources(self) -> tuple[Source, ...]:
        return await self._counted(super().sources())

    async def look(self, source: Source, **arguments: Any) -> Look:
        return await self._counted(super().look(source, **arguments))

    async def encode(self, look: Look, *, automatic: bool = True) -> tuple[Picture, ...]:
        return await self._counted(super().encode(look, automatic=automatic))

    async def window_rects(self, windows: Sequence[int]) -> tuple[Rect, ...]:
        return await self._counted(super().window_rects(windows))

    async def _counted(self, work: Awaitable[T]) -> T:
        self.busy += 1
        self.moves += 1
        try:
            return await work
        finally:
            self.busy -= 1
            self.moves += 1


class Watch:
    """A capture stage with everything around it."""

    def __init__(
        self,
        desk: Desk,
        *,
        screen: ScreenSettings,
        gate: GateSettings,
        clock: ManualClock,
        details: Callable[[bool], int] = no_details,
    ) -> None:
        self.desk = desk
        self.clock = clock
        desk.now = clock.monotonic
        self.facts = Facts()
        self.mailbox = Mailbox()
        self.counters = Counters()
        self.eyes = CountingEyes(
            open_screen=desk.open, pixels=DeskPixels(desk), gate=gate, clock=clock, details=details
        )
        self.alive: set[int] = set()
        self.states: list[str] = []
        self.troubles: list[str] = []
        self.ids = 0
        self.prefixes: tuple[str, ...] = ()
        self.capture = Capture(
            eyes=self.eyes,
            settings=screen,
            facts=self.facts,
            mailbox=self.mailbox,
            counters=self.counters,
            demand=Demand(only_when_watched=screen.only_when_watched, listening=self._is_listening),
            new_id=self._new_id,
            alive=lambda pid: pid in self.alive,
            on_state=lambda: self.states.append(self.capture.facts().state),
            on_trouble=self._trouble,
            clock=clock,
        )

    def subscribe(self, *prefixes: str) -> None:
        """Who listens from now on."""
        self.prefixes = prefixes
        self.capture.demand_changed()

    def _is_listening(self, prefix: str) -> bool:
        return any(held.startswith(prefix) or prefix.startswith(held) for held in self.prefixes)

    def _new_id(self) -> str:
        self.ids += 1
        return f"auto-{self.ids}"

    def _trouble(self, error: HuddError) -> None:
        self.troubles.append(str(error))

    async def quiet(self) -> None:
        """Let everything run on until it waits for time, for damage or for a person."""
        while True:
            moves = self.eyes.moves
            await settle()
            if not self.eyes.busy and self.eyes.moves == moves:
                return
            await asyncio.sleep(0.0005)  # what is awaited happens in the capture thread, which sets no event

    async def wait(self, seconds: float) -> None:
        """Let time pass, one timer after the other; the capture thread gets none of it."""
        await self.quiet()
        end = self.clock.monotonic() + seconds
        while (due_s := self.clock.next_due_s) is not None and self.clock.monotonic() + due_s <= end:
            await self.clock.advance(due_s)
            await self.quiet()
        await self.clock.advance(max(0.0, end - self.clock.monotonic()))
        await self.quiet()

    def taken(self) -> list[Question]:
        """Empty the mailbox, as the conversation does."""
        found: list[Question] = []
        while (question := self.mailbox.take_nowait()) is not None:
            found.append(question)
        return found

    def texts(self) -> list[str]:
        """What the pictures in the mailbox show; empties it."""
        return [question.pictures[0].data.decode() for question in self.taken()]


@asynccontextmanager
async def watching(
    desk: Desk | None = None,
    *,
    screen: ScreenSettings | None = None,
    clock: ManualClock | None = None,
    held: tuple[Any, ...] = (),
    details: Callable[[bool], int] = no_details,
    **gate: Any,
) -> AsyncGenerator[Watch]:
    """A capture stage that runs for the length of a block; the first frame is on its way unless a reason holds."""
    settings = replace(GateSettings(settle_s=0.4, max_settle_s=3.0, min_interval_s=2.0), **gate)
    watch = Watch(
        desk or Desk(), screen=screen or ScreenSettings(), gate=settings, clock=clock or ManualClock(), details=details
    )
    for reason in held:
        watch.facts.set(reason, True)
    task = asyncio.create_task(watch.capture.run())
    try:
        await watch.wait(0.1)
        yield watch
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
