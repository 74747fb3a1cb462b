"""Whether the screen can be seen, with a real frame that is thrown away at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from hudd.checks.finding import Context, Finding, failure, ok, warning
from hudd.clock import SystemClock
from hudd.errors import CaptureError, HuddError, SettingsError, cause_and_remedy
from hudd.screen.places import ABSENT_REMEDY
from hudd.screen.source import ONE_COLOUR

if TYPE_CHECKING:
    from hudd.screen.choose import Probe
    from hudd.screen.portal import Portal

_DESKTOPS: Final = {"gnome": ("GNOME", "-gnome"), "kde": ("KDE Plasma", "-kde")}
"""What ``XDG_CURRENT_DESKTOP`` holds → how people call it, and the end of the name of its portal's package."""

_OTHERWISE: Final = "Start hudd in a desktop session, or set [screen] source"
_PERSON_S: Final = 5.0
"""With a permission of before nobody is asked; a desktop that asks again all the same is given no longer."""


def check_display(context: Context) -> Iterable[Finding]:
    """Try every back end that may work in this session."""
    from hudd.screen.choose import UNIFORM_REMEDY, probe  # noqa: PLC0415 - loads a desktop's libraries

    try:
        probes = probe(context.settings.screen, context.environ, portal=_portal(context))
    except HuddError as error:
        cause, remedy = (error.message, error.hint) if error.hint else cause_and_remedy(error.message)
        yield failure("display", cause, remedy.rstrip(".") or _OTHERWISE)
        return
    tried = [{"source": p.name, "ok": p.ok, "sentence": p.sentence, "remedy": p.remedy} for p in probes]
    works = next((p for p in probes if p.ok), None)
    dark = next((p for p in probes if ONE_COLOUR in p.sentence), None)
    if works is not None:
        where = _session(context)
        yield ok(
            "display", f"A frame was taken, looked at and thrown away: {works.sentence}", session=where, tried=tried
        )
        for name in works.blank:
            yield warning("display", f"The monitor {name} shows nothing: {ONE_COLOUR}", UNIFORM_REMEDY.rstrip("."))
        for name in works.absent:
            yield warning("display", f"The monitor {name} is not connected.", ABSENT_REMEDY.rstrip("."))
    elif dark is not None:
        yield warning("display", _sentence(dark), dark.remedy.rstrip("."), tried=tried)
    else:
        causes = " ".join(_sentence(p) for p in probes)
        remedies = [p.remedy.rstrip(".") for p in probes if p.remedy]
        remedy = "; or: ".join(dict.fromkeys(remedies)) or _OTHERWISE
        if not context.seen_by:
            yield failure("display", causes, remedy, tried=tried)
        elif _session(context):
            cause = f"hudd itself sees the screen by {context.seen_by}; from here it is not seen: {causes}"
            yield warning("display", cause, remedy, tried=tried)
        else:
            told = f"hudd itself sees the screen by {context.seen_by}; this shell has no display."
            yield ok("display", told, tried=tried)


def _sentence(tried: Probe) -> str:
    text = tried.sentence if tried.sentence.endswith((".", "!", "?")) else f"{tried.sentence}."
    return f"{tried.name}: {text}"


def _session(context: Context) -> str:
    shown = [f"{name}={context.environ[name]}" for name in ("WAYLAND_DISPLAY", "DISPLAY") if context.environ.get(name)]
    return " ".join(shown)


def _portal(context: Context) -> Callable[[], Portal] | None:
    """The desktop portal, as far as asking it raises no question to the person: only with a permission of before.

    Elsewhere what stands for it says how to permit it.
    """
    from hudd.config.paths import state_dir  # noqa: PLC0415 - needs platformdirs
    from hudd.desktop.portal import DesktopPortal, read_token  # noqa: PLC0415 - few need it

    class PermittedPortal(DesktopPortal):
        """Shows a ScreenCast that was permitted; for a single screenshot the desktop may ask."""

        def screenshot(self) -> bytes:
            raise CaptureError("Single screenshots are not tried by this check, as the desktop may ask for each.")

    if not context.has("dbus_fast"):
        return None
    try:
        token = state_dir(context.environ) / "portal-token"
    except SettingsError:  # said by the check of the settings
        return lambda: _not_asked(context.environ)
    if not read_token(token):
        return lambda: _not_asked(context.environ)
    portal = PermittedPortal(context.environ, token, SystemClock(), person_s=_PERSON_S)
    return lambda: portal


def _not_asked(environ: Mapping[str, str]) -> Portal:
    """Stands for a portal that would ask the person; always raises.

    Raises:
        CaptureError: With what to do.
    """
    words = environ.get("XDG_CURRENT_DESKTOP", "").lower().split(":")
    desktop, package = next((_DESKTOPS[word] for word in words if word in _DESKTOPS), ("the desktop", ""))
    raise CaptureError(
        f"{desktop[0].upper()}{desktop[1:]} has not been asked yet whether hudd may see the screen, "
        "and this check does not ask.",
        hint=(
            f"Start hudd in this session and choose the screens in the window that {desktop} shows, once "
            f"(it takes xdg-desktop-portal{package}, gstreamer1.0-tools and gstreamer1.0-pipewire)."
        ),
    )
