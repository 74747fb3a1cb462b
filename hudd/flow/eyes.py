"""The eyes: one thread in which everything blocks, the open screen, and what is remembered of each source."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from hudd.clock import Clock
from hudd.config.settings import GateSettings
from hudd.errors import CaptureError, NoDisplayError, WithheldError
from hudd.flow.watcher import Look, Pixels, Watcher
from hudd.model import Picture, Source
from hudd.screen.source import Rect, Screen, ScreenStatus

T = TypeVar("T")


class Eyes:
    """Looks at sources. Every method that blocks runs in the one capture thread.

    Cancelling an awaiting caller does not stop work that has begun; the next work waits for its end.

    Args:
        open_screen: Opens the display; blocks.
        pixels: Fingerprints, comparison, encoding.
        gate: What counts as a change.
        clock: Time.
    """

    def __init__(self, *, open_screen: Callable[[], Screen], pixels: Pixels, gate: GateSettings, clock: Clock) -> None:
        self._open_screen = open_screen
        self._pixels = pixels
        self._gate_settings = gate
        self._clock = clock
        self._screen: Screen | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hudd-eyes")
        self._ended = False
        self._watchers: dict[str, Watcher] = {}

    @property
    def watchers(self) -> Sequence[Watcher]:
        """What is remembered of each source."""
        return tuple(self._watchers.values())

    @property
    def is_open(self) -> bool:
        """Whether there is a screen to look at."""
        return self._screen is not None

    async def open(self) -> tuple[ScreenStatus, tuple[Source, ...]]:
        """Open the screen.

        Raises:
            CaptureError: It cannot be opened now; ``NoDisplayError`` when there is none.
        """
        opening = self._submit(self._open_screen)
        try:
            self._screen = await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_late)
            raise
        return self._screen.status(), await self._in_thread(self._screen.sources)

    async def close(self) -> None:
        """Close the screen; it may be opened again. Safe to call twice; cancelling the caller does not prevent it."""
        screen, self._screen = self._screen, None
        if screen is not None:
            await asyncio.shield(asyncio.wrap_future(self._submit(screen.close)))

    def end(self) -> None:
        """Give the thread back once it has done what was asked for. Nothing can be looked at any more."""
        self._ended = True
        self._thread.shutdown(wait=False)

    def damage_fd(self) -> int | None:
        """Readable when something changed; None when only polling tells."""
        return None if self._screen is None else self._screen.damage_fd()

    def take_damage(self) -> bool:
        """Drain what was reported, cheap, on the event loop; says whether anything was.

        Raises:
            NoDisplayError: The display is gone.
        """
        return self._screen is not None and bool(self._screen.take_damage())

    async def sources(self) -> tuple[Source, ...]:
        """What is there now; what is remembered of sources that are gone is dropped.

        Raises:
            NoDisplayError: The display is gone.
        """
        found = await self._in_thread(self._open().sources)
        for gone in set(self._watchers) - {source.name for source in found}:
            del self._watchers[gone]
        return found

    async def find(self, monitor: str | None) -> Source:
        """The source of that name, or the first.

        Raises:
            CaptureError: There is none of that name; the sentence names those that there are.
        """
        sources = await self.sources()
        for source in sources:
            if monitor is None or source.name == monitor:
                return source
        names = ", ".join(source.name for source in sources)
        raise CaptureError(f"There is no monitor {monitor!r}; there are: {names}.")

    def watcher(self, source: Source) -> Watcher:
        """What is remembered of a source."""
        watcher = self._watchers.get(source.name)
        if watcher is None:
            watcher = self._watchers[source.name] = Watcher(source, self._gate_settings, self._pixels)
        watcher.source = source
        return watcher

    async def look(
        self, source: Source, *, epoch: int, ignored: Sequence[Rect], before_grab: Callable[[], Any] | None = None
    ) -> Look:
        """Grab and compare one frame.

        Args:
            source: What to look at.
            epoch: Goes into the shot.
            ignored: Rectangles whose changes do not count.
            before_grab: Called in the capture thread right before the grab; what it raises prevents the grab.

        Raises:
            CaptureError: The frame could not be taken.
            WithheldError: hudd is stopping.
        """
        screen, watcher = self._open(), self.watcher(source)

        def work() -> Look:
            if before_grab is not None:
                before_grab()
            return watcher.examine(screen.grab(source, epoch=epoch, captured_at=self._clock.wall()), ignored)

        return await self._in_thread(work)

    async def encode(self, look: Look) -> Picture:
        """Scale and encode a frame.

        Raises:
            PictureError: It does not fit its byte budget.
        """
        return await self._in_thread(lambda: self._pixels.encode(look.shot, frame_hash=look.print_.hash))

    async def window_rects(self, windows: Sequence[int]) -> tuple[Rect, ...]:
        """Where windows are now; those that are not shown are left out."""
        screen = self._open()
        return await self._in_thread(
            lambda: tuple(rect for rect in (screen.window_rect(w) for w in windows) if rect is not None)
        )

    def _open(self) -> Screen:
        if self._screen is None:
            self._check_not_ended()
            raise NoDisplayError("The screen is not open yet; try again in a second.")
        return self._screen

    def _check_not_ended(self) -> None:
        if self._ended:
            raise WithheldError(("stopping",))

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        self._check_not_ended()
        return self._thread.submit(work)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._submit(work))


def _close_late(opening: Future[Screen]) -> None:
    """Close a screen that nobody waits for any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
