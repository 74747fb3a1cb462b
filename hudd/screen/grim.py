"""The back end ``grim``: a program for wlroots compositors, where screencopy in this process does not serve.

It is asked for PPM, because packing a PNG takes five times as long as the frame itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hudd.clock import Clock
from hudd.config.settings import ScreenSettings
from hudd.errors import CaptureError, NoDisplayError, PictureError
from hudd.model import Shot, Source
from hudd.screen.arrange import cut_out
from hudd.screen.pictures import decode_picture
from hudd.screen.places import check_wanted, source_around, wanted_sources
from hudd.screen.programs import picture_of
from hudd.screen.source import Rect, ScreenStatus, Window
from hudd.screen.wayland_globals import WaylandGlobals
from hudd.screen.wayland_wire import socket_path

_TIMEOUT_S: Final = 10.0
_POLLED: Final = "Changes are found by polling: grim does not tell of them."


class GrimScreen:
    """The outputs of a Wayland compositor, each frame by a run of grim (30 ms at 1080p, 120 ms at 4K).

    Args:
        settings: Which outputs, and whether the pointer is drawn.
        environ: ``WAYLAND_DISPLAY`` and ``XDG_RUNTIME_DIR`` name the compositor, ``PATH`` finds grim.
        clock: Measures grabs.

    Raises:
        NoDisplayError: There is no compositor.
        CaptureError: grim is not installed, or refused the first frame.
    """

    def __init__(self, settings: ScreenSettings, environ: Mapping[str, str], clock: Clock) -> None:
        self._settings = settings
        self._environ = environ
        self._clock = clock
        path = socket_path(environ)
        if path is None:
            raise NoDisplayError(
                "There is no Wayland display: WAYLAND_DISPLAY or XDG_RUNTIME_DIR is not set.",
                hint="Start hudd inside the desktop session.",
            )
        self._globals = WaylandGlobals(path)
        try:
            check_wanted(settings.monitors, self._all())
            for source in self.sources()[:1]:
                self.grab(source, epoch=0, captured_at=0.0)
        except BaseException:
            self.close()
            raise

    def sources(self) -> tuple[Source, ...]:
        while self._globals.wire.read():
            pass
        if self._globals.changed:
            self._globals.settle()
        return wanted_sources(self._settings.monitors, self._all())

    def grab(self, source: Source, *, epoch: int, captured_at: float) -> Shot:
        started = self._clock.monotonic()
        monitor = source if source.kind == "monitor" else source_around(source, self._all())
        found = self._globals.sources().get(monitor.name)
        if found is None:
            raise CaptureError(f"The monitor {monitor.name} was unplugged.", hint="Plug it in, or name another one.")
        pointer = ["-c"] if self._settings.cursor else []
        words = ["grim", *pointer, "-t", "ppm", "-o", found[1].name, "-"]
        try:
            data = picture_of(words, self._environ, timeout_s=_TIMEOUT_S, what="grim")
            pixels, width, height = decode_picture(data, "What grim printed")
        except PictureError as error:
            raise CaptureError(error.message, hint=error.hint) from error
        shot = Shot(monitor, pixels, width, height, captured_at, epoch, (self._clock.monotonic() - started) * 1000.0)
        return shot if monitor is source else cut_out(shot, source)

    def damage_fd(self) -> int | None:
        return None

    def take_damage(self) -> tuple[Rect, ...]:
        return ()

    def window_rect(self, window: int) -> Rect | None:  # noqa: ARG002 - Wayland tells nobody where a window is
        return None

    def windows(self) -> tuple[Window, ...]:
        raise CaptureError("grim tells of no windows.", hint="Use --monitor or --region instead.")

    def status(self) -> ScreenStatus:
        return ScreenStatus("grim", _POLLED, damage=False)

    def close(self) -> None:
        self._globals.wire.close()

    def _all(self) -> tuple[Source, ...]:
        return tuple(source for source, _ in self._globals.sources().values())
