"""Opens the screen that the settings name."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hudd.clock import Clock, SystemClock
from hudd.config.settings import ScreenSettings
from hudd.errors import CaptureError, SettingsError
from hudd.screen.pictures import PictureFolder
from hudd.screen.source import Screen

_PICTURES: Final = "pictures:"


def open_screen(settings: ScreenSettings, environ: Mapping[str, str], clock: Clock | None = None) -> Screen:
    """Open what ``[screen] source`` names. May be called again after the display went away; nothing is left behind.

    Args:
        settings: Which source, which monitors.
        environ: ``DISPLAY`` and ``WAYLAND_DISPLAY`` tell where the desktop is.
        clock: Times pictures and grabs; the machine's when None.

    Raises:
        NoDisplayError: There is no display to look at, now; the sentence says why and what helps.
        CaptureError: A monitor, a folder or a system library is missing.
        SettingsError: There is no such source.
    """
    clock = clock or SystemClock()
    wanted = settings.source
    if wanted.startswith(_PICTURES):
        if settings.monitors and "pictures" not in settings.monitors:
            raise CaptureError(
                f"A monitor does not exist: {', '.join(settings.monitors)} (there is: pictures).",
                hint="Leave [screen] monitors empty.",
            )
        return PictureFolder(Path(wanted.removeprefix(_PICTURES)).expanduser(), settings.pictures_interval_s, clock)
    if wanted not in {"auto", "mss"}:
        raise SettingsError([f"[screen] source = {wanted!r} is unknown; use auto, mss or pictures:DIR."])
    if sys.platform not in {"linux", "darwin"}:
        raise SettingsError([f"[screen] source = {wanted!r} needs Linux or macOS; use pictures:DIR."])
    # Loading mss costs 25 ms and needs a desktop's libraries; a folder of pictures needs neither.
    from hudd.screen.mss_source import MssScreen  # noqa: PLC0415 - see above

    return MssScreen(settings, environ, clock)
