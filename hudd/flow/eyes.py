"""The eyes: one thread in which everything blocks, the open screen, and what is remembered of each source."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

from hudd.clock import Clock
from hudd.config.settings import GateSettings
from hudd.errors import CaptureError, NoDisplayError, WithheldError
from hudd.flow.details import no_details, nothing_allows, pictures_of
from hudd.flow.watcher import Look, Pixels, Watcher
from hudd.model import Picture, Shot, Source, Target
from hudd.screen.places import REGION, absent, find_window, never_there, window_source
from hudd.screen.source import ALL_HIDDEN, ONE_COLOUR, Rect, Screen, ScreenStatus

T = TypeVar("T")
TIDY_EVERY: Final = 100
"""By then a few megabytes of what frames and answers took lie free in pieces."""


class Eyes:
    """Looks at sources. Every method that blocks runs in the one capture thread.

    Cancelling an awaiting caller does not stop work that has begun; the next work waits for its end.

    Args:
        open_screen: Opens the display; blocks.
        pixels: Fingerprints, comparison, encoding.
        gate: What counts as a change.
        clock: Time.
        grab: Takes a frame, and lets nothing of it pass that must not be seen; the screen's own when None.
        on_gone: Told the name of each source that is there no more, on the event loop.
        details: How many pictures of parts may go beside that of the whole; see ``hudd.flow.details``.
        why_no_details: Why none may, in a word.
        tidy: Called in the capture thread after every ``TIDY_EVERY`` frames that were encoded.

    Attributes:
        opened: How often a screen was opened.
    """

    def __init__(
        self,
        *,
        open_screen: Callable[[], Screen],
        pixels: Pixels,
        gate: GateSettings,
        clock: Clock,
        on_gone: Callable[[str], object] = str,
        grab: Callable[..., Shot] | None = None,
        details: Callable[[bool], int] = no_details,
        why_no_details: Callable[[bool], str] = nothing_allows,
        tidy: Callable[[], object] = bool,
    ) -> None:
        self._open_screen = open_screen
        self._pixels = pixels
        self._gate_settings = gate
        self._clock = clock
        self._grab = grab or _grab
        self._screen: Screen | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hudd-eyes")
        self._ended = False
        self._watchers: dict[str, Watcher] = {}
        self.opened = 0
        self._gone: set[str] = set()
        self._on_gone = on_gone
        self._details = details
        self._why_no_details = why_no_details
        self._tidy = tidy
        self._encoded = 0

    @property
    def watchers(self) -> Sequence[Watcher]:
        """What is remembered of each source."""
        return tuple(self._watchers.values())

    def change(self, gate: GateSettings, pixels: Pixels) -> None:
        """Judge, compare and encode by other settings from the next look on."""
        self._gate_settings, self._pixels = gate, pixels
        for watcher in self._watchers.values():
            watcher.change(gate, pixels)

    @property
    def is_open(self) -> bool:
        """Whether there is a screen to look at."""
        return self._screen is not None

    async def open(self) -> tuple[ScreenStatus, tuple[Source, ...]]:
        """Open the screen; one that is open already is closed after that, so that there always is one.

        Raises:
            CaptureError: It cannot be opened now; ``NoDisplayError`` when there is none.
        """
        opening = self._submit(self._open_screen)
        try:
            screen = await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_late)
            raise
        before, self._screen = self._screen, screen
        self.opened += 1
        if before is not None:
            await asyncio.shield(asyncio.wrap_future(self._submit(before.close)))
        return screen.status(), await self._in_thread(screen.sources)

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
        names = {source.name for source in found}
        self._gone -= names
        for gone in set(self._watchers) - names:
            del self._watchers[gone]
            self._gone.add(gone)
            self._on_gone(gone)
        return found

    def missing(self, wanted: Sequence[str] = ()) -> str:
        """One sentence for each monitor that cannot be seen, although it was there or is wanted; '' when there is none.

        Args:
            wanted: The monitors that the settings name; none for all.
        """
        gone = [f"The monitor {name} was unplugged." for name in sorted(self._gone) if not wanted or name in wanted]
        if self._watchers:  # a screen was open: what it lacks is not there
            lacking = absent(wanted, [watcher.source for watcher in self._watchers.values()])
            gone += [never_there(name) for name in lacking if name not in self._gone]
        return " ".join(gone + [f"{w.source.name}: {w.blank}" for w in self._watchers.values() if w.blank])

    async def find(self, monitor: str | Target | None) -> Source:
        """The source of that name, or the first; or the region or window that is meant.

        Raises:
            CaptureError: There is none of that name; the sentence names those that there are.
        """
        sources = await self.sources()
        if isinstance(monitor, Target):
            if monitor.region is not None:
                return Source("region", REGION, monitor.region)
            wanted = monitor.window or ""
            return window_source(find_window(await self._in_thread(self._open().windows), wanted), wanted)
        for source in sources:
            if monitor is None or source.name == monitor:
                return source
        names = ", ".join(source.name for source in sources)
        if monitor in self._gone:
            raise CaptureError(f"The monitor {monitor} was unplugged; there are: {names}.")
        raise CaptureError(f"There is no monitor {monitor!r}; there are: {names}.")

    def watcher(self, source: Source) -> Watcher:
        """What is remembered of a source; of a region or window, which are looked at once, nothing."""
        if source.kind != "monitor":
            return Watcher(source, self._gate_settings, self._pixels)
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
            shot = self._grab(screen, source, epoch=epoch, captured_at=self._clock.wall())
            return watcher.examine(shot, ignored)

        return await self._in_thread(work)

    async def encode(self, look: Look, *, automatic: bool = True) -> tuple[Picture, ...]:
        """Scale and encode a frame: all of it, and what of it could not be read otherwise.

        Args:
            look: The frame.
            automatic: Whether nobody asked for it.

        Raises:
            CaptureError: It shows one colour only, which nobody needs to be told at a price.
            PictureError: It does not fit its byte budget.
        """
        if look.blank:
            raise _nothing_to_see(look)
        screen, most = self._open(), self._details(automatic)

        def work() -> tuple[Picture, ...]:
            self._encoded += 1
            if self._encoded % TIDY_EVERY == 0:
                self._tidy()
            return pictures_of(screen, self._pixels, look, most=most, automatic=automatic)

        pictures = await self._in_thread(work)
        watcher = self._watchers.get(look.shot.source.name)  # none of a region, or of a monitor that is gone
        if watcher is not None:
            watcher.whole_only = self._why_whole(len(pictures), most, automatic=automatic)
        return pictures

    def _why_whole(self, pictures: int, most: int, *, automatic: bool) -> str:
        if pictures > 1:
            return ""
        if most < 1:
            return self._why_no_details(automatic)
        return "settings" if self._pixels.no_parts else "legible"

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


def _grab(screen: Screen, source: Source, *, epoch: int, captured_at: float) -> Shot:
    return screen.grab(source, epoch=epoch, captured_at=captured_at)


def _nothing_to_see(look: Look) -> CaptureError:
    source, called = look.shot.source, f"The {look.shot.source.kind}"
    if source.kind == "monitor":
        called = f"{called} {source.name}"
    if look.blank == ONE_COLOUR:
        if source.kind != "monitor":
            return CaptureError(f"{called} shows one colour only ({look.uniform}).")
        return CaptureError(f"{called} shows nothing: {look.blank}", hint="Unlock or switch it on, and try again.")
    hint = "Focus a window there, or ask for what has the focus: hudctl snap --window."
    if look.blank == ALL_HIDDEN:
        hint = "Close or minimize them, or ask for another part of the screen."
    return CaptureError(f"{called} shows nothing: {look.blank}", hint=hint)


def _close_late(opening: Future[Screen]) -> None:
    """Close a screen that nobody waits for any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
