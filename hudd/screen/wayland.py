"""The back end ``wayland``: wlroots screencopy in this process (sway, Hyprland, river, labwc, wayfire …)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hudd.clock import Clock
from hudd.config.settings import ScreenSettings
from hudd.errors import CaptureError, NoDisplayError
from hudd.model import Shot, Source
from hudd.screen.arrange import Raw, arranged, cut_out
from hudd.screen.places import check_wanted, source_around, wanted_sources
from hudd.screen.source import Rect, ScreenStatus, Window
from hudd.screen.sway import sway_windows
from hudd.screen.wayland_frames import Buffer, Frame, Layout
from hudd.screen.wayland_globals import SCREENCOPY, Output, WaylandGlobals
from hudd.screen.wayland_watch import WaylandWatch
from hudd.screen.wayland_wire import socket_path

_FRAME_S: Final = 2.0
"""A frame comes with the next refresh of its output; one that is switched off gives none."""


class WaylandScreen:
    """The outputs of a wlroots compositor.

    Args:
        settings: Which outputs, and whether the pointer is drawn.
        environ: ``WAYLAND_DISPLAY`` and ``XDG_RUNTIME_DIR`` name the compositor.
        clock: Measures grabs.

    Raises:
        NoDisplayError: There is no compositor, or it does not answer.
        CaptureError: It does not offer screencopy, or no wanted output exists.
    """

    def __init__(self, settings: ScreenSettings, environ: Mapping[str, str], clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        path = socket_path(environ)
        if path is None:
            raise NoDisplayError(
                "There is no Wayland display: WAYLAND_DISPLAY or XDG_RUNTIME_DIR is not set.",
                hint="Start hudd inside the desktop session.",
            )
        self._name = path.name
        self._sway = environ.get("SWAYSOCK", "")
        self._buffers: dict[Output, Buffer] = {}
        self._watch: WaylandWatch | None = None
        self._globals = WaylandGlobals(path)
        try:
            self._globals.require(SCREENCOPY)
            check_wanted(settings.monitors, self._all())
            self._watch = WaylandWatch(path)
        except BaseException:
            self.close()
            raise

    def sources(self) -> tuple[Source, ...]:
        while self._globals.wire.read():
            pass
        if self._globals.changed:
            self._globals.settle()
            for gone in set(self._buffers) - set(self._globals.outputs.values()):
                self._buffers.pop(gone).close()
        return wanted_sources(self._settings.monitors, self._all())

    def grab(self, source: Source, *, epoch: int, captured_at: float) -> Shot:
        started = self._clock.monotonic()
        monitor = source if source.kind == "monitor" else source_around(source, self._all())
        found = self._globals.sources().get(monitor.name)
        if found is None:
            raise CaptureError(f"The monitor {monitor.name} was unplugged.", hint="Plug it in, or name another one.")
        pixels, width, height = arranged(self._copy(monitor.name, found[1]))
        shot = Shot(monitor, pixels, width, height, captured_at, epoch, (self._clock.monotonic() - started) * 1000.0)
        return shot if monitor is source else cut_out(shot, source)

    def damage_fd(self) -> int | None:
        return self._watch.fileno() if self._watch is not None and self._watch.damage else None

    def take_damage(self) -> tuple[Rect, ...]:
        return () if self._watch is None else self._watch.take_damage()

    def window_rect(self, window: int) -> Rect | None:  # noqa: ARG002 - Wayland tells nobody where a window is
        return None

    def windows(self) -> tuple[Window, ...]:
        if self._sway:
            return sway_windows(self._sway)
        if self._watch is None or not self._watch.tells_windows:
            raise CaptureError(
                "This Wayland compositor does not tell which windows there are.",
                hint="Use --monitor or --region instead.",
            )
        return self._watch.windows()

    def status(self) -> ScreenStatus:
        damage = self.damage_fd() is not None
        why = "" if damage else "Changes are found by polling: this compositor's screencopy is too old to tell of them."
        return ScreenStatus(f"wlr-screencopy on {self._name}", why, damage)

    def close(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
        self._globals.wire.close()
        while self._buffers:
            self._buffers.popitem()[1].close(tell=False)

    def _all(self) -> tuple[Source, ...]:
        return tuple(source for source, _ in self._globals.sources().values())

    def _copy(self, name: str, output: Output) -> Raw:
        frame = Frame(self._globals, output, lambda layout: self._buffer(output, layout), cursor=self._settings.cursor)
        in_time = self._globals.wire.read_until(frame.done, _FRAME_S)
        frame.close()
        if not in_time or frame.failed or frame.layout is None:
            why = "refused a frame" if in_time else f"gave no frame within {_FRAME_S:g} s"
            raise CaptureError(
                f"The monitor {name} {why}.", hint="Switch it on if it is off; otherwise update the compositor."
            )
        layout = frame.layout
        data = self._buffers[output].read()
        return Raw(data, layout.code, layout.width, layout.height, layout.stride, output.transform, frame.upside_down)

    def _buffer(self, output: Output, layout: Layout) -> Buffer:
        buffer = self._buffers.get(output)
        if buffer is None or buffer.layout != layout:
            if buffer is not None:
                buffer.close()
            buffer = self._buffers[output] = Buffer(self._globals, layout)
        return buffer
