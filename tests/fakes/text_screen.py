"""A screen without pixels, whose monitors show a text each, and the pixel work on texts."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hudd.errors import CaptureError, NoDisplayError, PictureError
from hudd.model import Picture, Shot, Source
from hudd.screen.change import Change, Tiles
from hudd.screen.source import Rect, Screen, ScreenStatus, Window

Hook = Callable[[], None]


@dataclass(frozen=True)
class Print:
    """A fingerprint: what the frame showed."""

    hash: str


class Desk:
    """Monitors that show a text each, with damage events over a real descriptor when wanted.

    Attributes:
        shown: Monitor → what it shows. Set it by ``show``, so that damage is told.
        damage: Whether changes are told.
        missing: Opening fails so often with "no display".
        lost: Every call fails, as when the server died.
        restless: Changes at each look, as a spinner does.
        broken: Monitors whose frames cannot be taken.
        details: How many parts were asked for at each encoding, and where something changed.
        no_parts: The settings allow none.
        on_open, on_sources, on_grab, on_encode: Called in the capture thread in the middle of the work.
    """

    def __init__(self, *monitors: str, damage: bool = False) -> None:
        self.shown = {name: f"{name} 0" for name in monitors or ("eDP-1",)}
        self.damage = damage
        self.missing = 0
        self.lost = False
        self.restless = False
        self.broken: set[str] = set()
        self.windows: dict[int, Rect] = {}
        self.on_open: Hook | None = None
        self.on_sources: Callable[[], object] | None = None
        self.on_grab: Hook | None = None
        self.on_encode: Hook | None = None
        self.encode_error: PictureError | None = None
        self.opened: list[DeskScreen] = []
        self.tries = 0
        self.grabs: list[str] = []
        self.grabbed_at: list[float] = []
        self.drains = 0
        self.ignored: list[tuple[Rect, ...]] = []
        self.details: list[tuple[int, Rect | None]] = []
        self.no_parts = False
        self.threads: set[str] = set()
        self.now: Callable[[], float] = lambda: 0.0

    def open(self) -> Screen:
        self.tries += 1
        if self.on_open is not None:
            self.on_open()
        if self.missing:
            self.missing -= 1
            raise NoDisplayError("There is no display.")
        self.lost = False
        screen = DeskScreen(self)
        self.opened.append(screen)
        return screen

    def show(self, monitor: str, text: str) -> None:
        self.shown[monitor] = text
        self.tell()

    def tell(self) -> None:
        """Make the descriptor readable: something was drawn, or the server died."""
        for screen in self.opened:
            screen.tell()

    def source(self, name: str) -> Source:
        left = 1920 * list(self.shown).index(name)
        return Source("monitor", name, (left, 0, 1920, 1080))


class DeskScreen:
    """An open view of a desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.closed = 0
        self.told = False
        self.rects: list[Rect] = []
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)

    def tell(self) -> None:
        if self.desk.damage and not self.closed and not self.told:
            self._writer.send(b"!")
            self.told = True

    def sources(self) -> tuple[Source, ...]:
        self._check()
        if self.desk.on_sources is not None:
            self.desk.on_sources()
        self.drain()  # as the X back end does: it reads events to learn of plugged monitors
        return tuple(self.desk.source(name) for name in self.desk.shown)

    def grab(self, source: Source, *, epoch: int, captured_at: float) -> Shot:
        desk = self.desk
        desk.threads.add(threading.current_thread().name)
        self._check()
        desk.grabs.append(source.name)
        desk.grabbed_at.append(desk.now())
        if desk.on_grab is not None:
            desk.on_grab()
        if source.name in desk.broken:
            raise CaptureError(f"The monitor {source.name} could not be read.")
        if desk.restless:
            desk.show(source.name, f"{source.name} turn {len(desk.grabs)}")
        shown = desk.shown[source.name] if source.kind == "monitor" else f"{source.kind} {source.rect}"
        return Shot(source, shown.encode(), 1920, 1080, captured_at, epoch, grab_ms=9.0)

    def windows(self) -> tuple[Window, ...]:
        self._check()
        return tuple(
            Window(f"{number:#x}", f"window {number}", "app", rect=rect, focused=place == 0)
            for place, (number, rect) in enumerate(self.desk.windows.items())
        )

    def damage_fd(self) -> int | None:
        return self._reader.fileno() if self.desk.damage else None

    def take_damage(self) -> tuple[Rect, ...]:
        self._check()
        self.desk.drains += 1
        self.drain()
        rects, self.rects = tuple(self.rects), []
        return rects

    def drain(self) -> None:
        if self.told:
            self.told = False
            self._reader.recv(1)
            self.rects.append((0, 0, 10, 10))

    def window_rect(self, window: int) -> Rect | None:
        self._check()
        return self.desk.windows.get(window)

    def status(self) -> ScreenStatus:
        return ScreenStatus("desk", "", damage=self.desk.damage)

    def close(self) -> None:
        self.closed += 1
        self._reader.close()
        self._writer.close()

    def _check(self) -> None:
        if self.desk.lost or self.closed:
            raise NoDisplayError("The display is gone.")


class DeskPixels:
    """Pixel work on texts: everything differs, or nothing."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def fingerprint(self, shot: Shot, previous: Any) -> Print:
        return Print(bytes(shot.pixels).decode())

    def compare(self, now: Print, before: Print, *, ignored: Sequence[Rect]) -> Change:
        self.desk.ignored.append(tuple(ignored))
        if now == before or ignored:
            return Change(Tiles(4, 4), ignored=now != before)
        return Change(Tiles.full(4, 4), (0, 0, 1920, 1080), 1.0, 16)

    def describe(self, change: Change, now: Print, before: Print, *, moving: bool) -> Change:
        return change

    def uniform(self, shot: Shot) -> str:
        return "black" if bytes(shot.pixels) == b"black" else ""

    def encode(self, shot: Shot, *, frame_hash: str) -> Picture:
        self.desk.threads.add(threading.current_thread().name)
        if self.desk.on_encode is not None:
            self.desk.on_encode()
        if self.desk.encode_error is not None:
            raise self.desk.encode_error
        return Picture(
            source=shot.source,
            media_type="image/jpeg",
            data=bytes(shot.pixels),
            width=1280,
            height=720,
            scale=0.67,
            hash=frame_hash,
            captured_at=shot.captured_at,
            epoch=shot.epoch,
            grab_ms=shot.grab_ms,
        )

    @property
    def no_parts(self) -> bool:
        return self.desk.no_parts

    def details(
        self, shot: Shot, change: Change | None, *, most: int, focus: Callable[[], Rect | None]
    ) -> tuple[Picture, ...]:
        """A part for each that is allowed: where the change is, or the window that is used, or all of it."""
        self.desk.threads.add(threading.current_thread().name)
        rect = (focus() or shot.source.rect) if change is None else change.rect
        self.desk.details.append((most, None if change is None else change.rect))
        part = replace(shot, source=Source("region", "region", rect or shot.source.rect))
        allowed = 0 if self.no_parts else most
        return tuple(self.encode(part, frame_hash=f"part {number}") for number in range(1, allowed + 1))


def from_thread(work: Hook) -> Hook:
    """A hook for the capture thread: does the work on the loop and waits until it is done."""
    loop = asyncio.get_running_loop()

    def hook() -> None:
        done = threading.Event()

        def there() -> None:
            work()
            done.set()

        loop.call_soon_threadsafe(there)
        assert done.wait(10)

    return hook
