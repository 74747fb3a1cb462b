"""The door to mss: frames of X11 (shared memory) and macOS monitors."""

from __future__ import annotations

import ctypes.util
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import mss
from mss.exception import ScreenShotError

from hudd.clock import Clock
from hudd.config.settings import ScreenSettings
from hudd.errors import CaptureError, NoDisplayError
from hudd.model import Shot, Source
from hudd.screen.macos import check_permission
from hudd.screen.places import check_wanted, visible_part, wanted_sources
from hudd.screen.source import Rect, ScreenStatus, Window
from hudd.screen.x11 import X11Watch, open_watch
from hudd.wire.messages import topic_source

_LIBRARIES: Final = {
    "xcb": "libxcb1",
    "xcb-randr": "libxcb-randr0",
    "xcb-render": "libxcb-render0",
    "xcb-shm": "libxcb-shm0",
    "xcb-xfixes": "libxcb-xfixes0",
}
"""System libraries that mss 10.2 loads by name on Linux, and the Debian packages that hold them."""

_FAILURES: Final = (ScreenShotError, AssertionError, ValueError)
"""What mss 10.2 raises. On a connection that died it asserts that there was a reply, or, under ``python -O``, follows
the missing reply to a ValueError."""

_REREAD_S: Final = 10.0
"""Without RandR events the monitors are read again so often; a new connection costs about 10 ms."""


def missing_packages() -> tuple[str, ...]:
    """Debian packages that mss needs on this machine and that are not installed. Empty on macOS."""
    if sys.platform != "linux":
        return ()
    return tuple(package for name, package in _LIBRARIES.items() if ctypes.util.find_library(name) is None)


class MssScreen:
    """The monitors of one display.

    macOS goes the same way without the X parts; it is written from mss's documentation and was not run there.

    Args:
        settings: Which monitors, and whether the pointer is drawn.
        environ: ``DISPLAY`` names the X display.
        clock: Measures grabs.

    Raises:
        NoDisplayError: There is no display, or it refuses.
        CaptureError: A system library is missing, no wanted monitor exists, or the display cannot be read.
    """

    def __init__(self, settings: ScreenSettings, environ: Mapping[str, str], clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._display = environ.get("DISPLAY", "") if sys.platform == "linux" else ""
        self._closed = False
        self._watch: X11Watch | None = None
        self._why_polling = ""
        self._mss: mss.MSS | None = None
        self._sources: tuple[Source, ...] = ()
        self._read_at = 0.0
        try:
            self._open(environ)
        except BaseException:
            self.close()
            raise

    def sources(self) -> tuple[Source, ...]:
        if self._monitors_may_have_changed():
            self._reopen()
        return wanted_sources(self._settings.monitors, self._sources)

    def grab(self, source: Source, *, epoch: int, captured_at: float) -> Shot:
        started = self._clock.monotonic()
        if source.kind != "monitor":
            source = self._on_screen(source)
        left, top, width, height = source.rect
        area: dict[str, Any] = {"left": left, "top": top, "width": width, "height": height}
        try:
            frame = self._capture().grab(area)
        except _FAILURES as error:
            raise self._explain(error, source) from error
        return Shot(
            source=source,
            pixels=frame.raw,
            width=frame.width,
            height=frame.height,
            captured_at=captured_at,
            epoch=epoch,
            grab_ms=(self._clock.monotonic() - started) * 1000.0,
        )

    def damage_fd(self) -> int | None:
        return self._watch.fileno() if self._watch is not None and self._watch.damage else None

    def take_damage(self) -> tuple[Rect, ...]:
        return self._watch.take_damage() if self._watch is not None else ()

    def window_rect(self, window: int) -> Rect | None:
        return self._watch.window_rect(window) if self._watch is not None else None

    def windows(self) -> tuple[Window, ...]:
        if self._watch is None:
            raise CaptureError(
                "This window system does not tell hudd which windows there are.",
                hint="Use --monitor or --region instead.",
            )
        return self._watch.windows()

    def status(self) -> ScreenStatus:
        notes = [] if self._mss is None else self._mss.performance_status
        slow = [note for note in notes if "working correctly" not in note]
        # mss calls its shared-memory back end so; it falls back to plain XGetImage by itself and says why.
        way = "quartz" if sys.platform == "darwin" else "xgetimage" if slow else "xshmgetimage"
        where = f" on {self._display}" if self._display else ""
        sentences = [f"Frames are copied without shared memory: {'; '.join(slow)}."] if slow else []
        if self._why_polling:
            sentences.append(self._why_polling)
        return ScreenStatus(f"mss {way}{where}", " ".join(sentences), self.damage_fd() is not None)

    def close(self) -> None:
        self._closed = True
        self._close_capture()
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()

    def _open(self, environ: Mapping[str, str]) -> None:
        if sys.platform == "linux":
            self._check_x11(environ)
            watch = open_watch(self._display)
            if isinstance(watch, str):
                self._why_polling = watch
            else:
                self._watch = watch
                if watch.xwayland:
                    raise NoDisplayError(
                        f"{self._display} is an X server inside a Wayland session, which hides the screen.",
                        hint='Leave [screen] source at "auto", or choose "wayland", "grim" or "portal".',
                    )
                if not watch.damage:
                    self._why_polling = "Changes are found by polling: this X server has no DAMAGE extension."
        else:
            check_permission()
        self._open_capture()
        check_wanted(self._settings.monitors, self._sources)

    def _check_x11(self, environ: Mapping[str, str]) -> None:
        if self._display:
            return
        if environ.get("WAYLAND_DISPLAY"):
            raise NoDisplayError(
                "This is a Wayland session without X11.",
                hint='Leave [screen] source at "auto", or choose "wayland", "grim" or "portal".',
            )
        raise NoDisplayError(
            "There is no display: DISPLAY is not set.",
            hint='Start hudd inside the desktop session, or set [screen] source = "pictures:DIR".',
        )

    def _open_capture(self) -> None:
        options: dict[str, Any] = {}
        if sys.platform == "linux":
            options = {"display": self._display, "with_cursor": self._settings.cursor}
        try:
            self._mss = mss.MSS(backend="default", **options)
            self._sources = _named(self._mss.monitors, self._watch.monitor_names() if self._watch is not None else {})
        except _FAILURES as error:
            missing = missing_packages() if "Library" in str(error) else ()
            if missing:
                raise CaptureError(
                    "The screen cannot be read because system libraries are missing.",
                    hint=f"Install them: sudo apt-get install -y {' '.join(missing)}",
                ) from error
            raise NoDisplayError(
                f"The display {self._display} cannot be opened: {_plain(error)}.",
                hint="Check DISPLAY and XAUTHORITY, and that the desktop runs.",
            ) from error
        self._read_at = self._clock.monotonic()

    def _capture(self) -> mss.MSS:
        if self._mss is None:
            raise NoDisplayError("The screen is closed.", hint="It is opened again when the display is back.")
        return self._mss

    def _close_capture(self) -> None:
        capture, self._mss = self._mss, None
        if capture is None:
            return
        try:
            capture.close()
        except _FAILURES:
            # The connection was dead already; mss has freed it before it complains.
            return

    def _reopen(self) -> None:
        if self._closed:
            self._capture()
        self._close_capture()
        self._open_capture()

    def _monitors_may_have_changed(self) -> bool:
        if self._watch is not None:
            return self._watch.take_monitors_changed()
        if sys.platform == "linux" or self._mss is None:
            return self._clock.monotonic() - self._read_at >= _REREAD_S
        return False

    def _on_screen(self, source: Source) -> Source:
        """The part of a region or window that can be seen.

        Raises:
            CaptureError: There is none.
        """
        part = visible_part(source.rect, self._sources)
        if part is None:
            there = ", ".join(f"{s.name} {s.rect[2]}x{s.rect[3]} at {s.rect[0]},{s.rect[1]}" for s in self._sources)
            raise CaptureError(
                f"The {source.kind} lies outside of the screen (monitors: {there}).", hint="Choose a part of a monitor."
            )
        return replace(source, rect=part)

    def _explain(self, error: Exception, source: Source) -> CaptureError:
        """Tell a dead display from a frame that failed because the screen was resized under it."""
        try:
            self._reopen()
        except NoDisplayError as gone:
            return gone
        if source.kind == "monitor" and source not in self._sources:
            return CaptureError(f"The monitor {source.name} changed while it was read.", hint="The next look sees it.")
        return CaptureError(
            f"The {source.kind} {source.name} could not be read: {_plain(error)}.",
            hint="Look again; when it stays, report it: hudctl bugreport.",
        )


def _named(monitors: list[dict[str, Any]], names: Mapping[Rect, str]) -> tuple[Source, ...]:
    """Sources with names that are stable, unique and fit for topics. mss puts all monitors together first."""
    sources: list[Source] = []
    taken: set[str] = set()
    # No RandR at all leaves only the whole screen.
    for index, monitor in enumerate(monitors[1:] or monitors[:1], start=1):
        rect = (int(monitor["left"]), int(monitor["top"]), int(monitor["width"]), int(monitor["height"]))
        told = names.get(rect) or monitor.get("output") or monitor.get("name")
        base = topic_source(str(told or f"screen-{index}"))
        name, count = base, 1
        while name in taken:
            count += 1
            name = f"{base}-{count}"
        taken.add(name)
        if rect[2] > 0 and rect[3] > 0:
            sources.append(Source("monitor", name, rect))
    return tuple(sources)


def _plain(error: Exception) -> str:
    return str(error).rstrip(".").removeprefix("Cannot connect to display: ") or "the connection is lost"
