"""Opens the screen that the settings name; ``auto`` tries what this session offers, the best first."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hudd.clock import Clock, SystemClock
from hudd.config.settings import ScreenSettings
from hudd.errors import CaptureError, HuddError, NoDisplayError, SettingsError
from hudd.screen.pictures import PictureFolder
from hudd.screen.places import absent
from hudd.screen.source import ONE_COLOUR, CastEndedError, Screen

if TYPE_CHECKING:
    from hudd.screen.portal import Portal

_PICTURES: Final = "pictures:"
_COMMAND: Final = "command:"
_WAYLAND: Final = ("wayland", "grim", "portal")
"""What a Wayland session may offer, the fastest first."""

OpenPortal = Callable[[], "Portal"]


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether one way to see the screen works here.

    Attributes:
        name: As ``[screen] source`` names it.
        ok: Whether a frame came, and showed something.
        sentence: What came, or why none did.
        remedy: What helps; '' when nothing is wrong, or nothing does.
        blank: The monitors whose frames show nothing, when others show something.
        absent: The monitors that the settings name and that are not there, when others are.
    """

    name: str
    ok: bool
    sentence: str
    remedy: str = ""
    blank: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


def open_screen(
    settings: ScreenSettings,
    environ: Mapping[str, str],
    clock: Clock | None = None,
    *,
    portal: OpenPortal | None = None,
) -> Screen:
    """Open what ``[screen] source`` names. May be called again after the display went away; nothing is left behind.

    Args:
        settings: Which source, which monitors.
        environ: ``DISPLAY`` and ``WAYLAND_DISPLAY`` tell where the desktop is.
        clock: Times pictures and grabs; the machine's when None.
        portal: Makes the dialogue with the desktop portal; None when this build has none.

    Raises:
        NoDisplayError: There is no display to look at, now; the sentence says why and what helps.
        CaptureError: A monitor, a folder, a program or a system library is missing.
        SettingsError: There is no such source.
    """
    clock = clock or SystemClock()
    wanted = settings.source
    if wanted.startswith(_PICTURES):
        _check_only(settings, "pictures")
        return PictureFolder(Path(wanted.removeprefix(_PICTURES)).expanduser(), settings.pictures_interval_s, clock)
    if wanted.startswith(_COMMAND):
        from hudd.screen.command import CommandScreen, command_words  # noqa: PLC0415 - few need it

        _check_only(settings, "command")
        return CommandScreen(command_words(wanted.removeprefix(_COMMAND)), environ, clock)
    if wanted not in {"auto", "mss", *_WAYLAND}:
        there = "auto, mss, wayland, grim, portal, command:PROGRAM or pictures:DIR"
        raise SettingsError([f"[screen] source = {wanted!r} is unknown; use {there}."])
    if sys.platform not in {"linux", "darwin"}:
        raise SettingsError([f"[screen] source = {wanted!r} needs Linux or macOS; use pictures:DIR."])
    if wanted != "auto":
        return _open(wanted, settings, environ, clock, portal)
    return _first(settings, environ, clock, portal)


def probe(
    settings: ScreenSettings,
    environ: Mapping[str, str],
    clock: Clock | None = None,
    *,
    portal: OpenPortal | None = None,
    is_uniform: Callable[[object], str] | None = None,
) -> list[Probe]:
    """Try every way that may work in this session with a real frame, in the order in which ``auto`` would.

    The screen is only looked at; no frame is kept. Opens and closes everything; takes up to some seconds.

    Args:
        settings: ``source``, ``monitors`` and ``cursor`` count.
        environ: As for ``open_screen``.
        clock: As for ``open_screen``.
        portal: As for ``open_screen``.
        is_uniform: ``hudd.screen.pixels.uniform`` unless a test has its own.
    """
    clock = clock or SystemClock()
    names = _names(environ) if settings.source == "auto" else (settings.source,)
    return [_probe(replace(settings, source=name), environ, clock, portal, is_uniform) for name in names]


def _probe(
    settings: ScreenSettings,
    environ: Mapping[str, str],
    clock: Clock,
    portal: OpenPortal | None,
    is_uniform: Callable[[object], str] | None,
) -> Probe:
    from hudd.screen.pixels import uniform  # noqa: PLC0415 - numpy is not loaded to show a folder

    check = is_uniform or uniform
    try:
        screen = open_screen(settings, environ, clock, portal=portal)
    except HuddError as error:
        return Probe(settings.source, False, error.message, error.hint)
    try:
        told: list[str] = []
        blank: list[str] = []
        sources = screen.sources()
        for source in sources:
            shot = screen.grab(source, epoch=0, captured_at=clock.wall())
            colour = check(shot)
            blank += [source.name] if colour else []
            told.append(f"{source.name} {shot.width}x{shot.height} in {shot.grab_ms:.0f} ms{colour and f', {colour}'}")
        status = screen.status()
    except HuddError as error:
        return Probe(settings.source, False, error.message, error.hint)
    finally:
        screen.close()
    changes = "told of changes" if status.damage else "changes are found by polling"
    sentence = f"{status.backend}: {', '.join(told)}, {changes}."
    if len(blank) == len(told):
        return Probe(settings.source, False, f"{status.backend}: {', '.join(told)}: {ONE_COLOUR}", UNIFORM_REMEDY)
    lacking = absent(settings.monitors, sources)
    return Probe(settings.source, True, f"{sentence} {status.degraded}".strip(), blank=tuple(blank), absent=lacking)


UNIFORM_REMEDY: Final = "Unlock or switch on the screen, or permit the capture, and ask again."


def _names(environ: Mapping[str, str]) -> tuple[str, ...]:
    """What ``auto`` tries in this session."""
    if sys.platform != "linux" or not environ.get("WAYLAND_DISPLAY"):
        return ("mss",)
    # A compositor's X server hides the windows of Wayland, and says so; a real one beside it is last.
    return (*_WAYLAND, "mss") if environ.get("DISPLAY") else _WAYLAND


def _first(settings: ScreenSettings, environ: Mapping[str, str], clock: Clock, portal: OpenPortal | None) -> Screen:
    """The first that opens; when none does, one sentence with the reason of each."""
    names = _names(environ)
    if len(names) == 1:
        return _open(names[0], settings, environ, clock, portal)
    refused: list[str] = []
    for name in names:
        try:
            return _open(name, settings, environ, clock, portal)
        except CastEndedError:
            raise  # it works; a person does not want it
        except CaptureError as error:
            if error.message.startswith("A monitor does not exist"):
                raise  # it was found; the settings are wrong
            refused.append(f"{name}: {error.message}")
    raise NoDisplayError(
        f"This Wayland session cannot be watched ({' '.join(refused)})",
        hint="hudctl doctor tells what helps for each.",
    )


def _open(
    name: str, settings: ScreenSettings, environ: Mapping[str, str], clock: Clock, portal: OpenPortal | None
) -> Screen:
    # Each loads what only it needs; mss alone costs 25 ms and a desktop's libraries.
    if name == "wayland":
        from hudd.screen.wayland import WaylandScreen  # noqa: PLC0415 - see above

        return WaylandScreen(settings, environ, clock)
    if name == "grim":
        from hudd.screen.grim import GrimScreen  # noqa: PLC0415 - see above

        return GrimScreen(settings, environ, clock)
    if name == "portal":
        if portal is None:
            raise CaptureError("The desktop portal is not available here.", hint="Install hudd[desktop].")
        from hudd.screen.portal import PortalScreen  # noqa: PLC0415 - see above
        from hudd.screen.wayland_globals import outputs_of  # noqa: PLC0415 - see above

        return PortalScreen(settings, portal(), clock, lambda: outputs_of(environ))
    from hudd.screen.mss_source import MssScreen  # noqa: PLC0415 - see above

    return MssScreen(settings, environ, clock)


def _check_only(settings: ScreenSettings, name: str) -> None:
    if settings.monitors and name not in settings.monitors:
        raise CaptureError(
            f"A monitor does not exist: {', '.join(settings.monitors)} (there is: {name}).",
            hint="Leave [screen] monitors empty.",
        )
