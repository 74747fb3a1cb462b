"""Whether the screen can be seen, with a real frame that is thrown away at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from hudd.checks.finding import Context, Finding, failure, ok, warning
from hudd.clock import SystemClock
from hudd.errors import CaptureError, HuddError
from hudd.screen.source import ONE_COLOUR

if TYPE_CHECKING:
    from hudd.screen.choose import Probe
    from hudd.screen.portal import Portal

_DESKTOPS: Final = {"gnome": ("GNOME", "-gnome"), "kde": ("KDE Plasma", "-kde")}
"""What ``XDG_CURRENT_DESKTOP`` holds → how people call it, and the end of the name of its portal's package."""


def check_display(context: Context) -> Iterable[Finding]:
    """Try every back end that may work in this session."""
    from hudd.screen.choose import UNIFORM_REMEDY, probe  # noqa: PLC0415 - loads a desktop's libraries

    try:
        probes = probe(context.settings.screen, context.environ, portal=_portal(context))
    except HuddError as error:
        yield failure("display", error.message, error.hint.rstrip("."))
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
    elif dark is not None:
        yield warning("display", _sentence(dark), dark.remedy.rstrip("."), tried=tried)
    else:
        causes = " ".join(_sentence(p) for p in probes)
        remedies = [p.remedy.rstrip(".") for p in probes if p.remedy]
        otherwise = "Start hudd in a desktop session, or set [screen] source"
        remedy = "; or: ".join(dict.fromkeys(remedies)) or otherwise
        yield failure("display", causes, remedy, tried=tried)


def _sentence(tried: Probe) -> str:
    text = tried.sentence if tried.sentence.endswith((".", "!", "?")) else f"{tried.sentence}."
    return f"{tried.name}: {text}"


def _session(context: Context) -> str:
    shown = [f"{name}={context.environ[name]}" for name in ("WAYLAND_DISPLAY", "DISPLAY") if context.environ.get(name)]
    return " ".join(shown)


def _portal(context: Context) -> Callable[[], Portal] | None:
    """The desktop portal, as far as asking it raises no question to the person: only where it was permitted before.

    Elsewhere what stands for it says how to permit it.
    """
    from hudd.config.paths import state_dir  # noqa: PLC0415 - needs platformdirs
    from hudd.desktop.portal import DesktopPortal  # noqa: PLC0415 - few need it

    token = state_dir(context.environ) / "portal-token"
    if not context.has("dbus_fast"):
        return None
    if not token.exists() and context.settings.screen.source != "portal":
        return lambda: _not_asked(context.environ)
    portal = DesktopPortal(context.environ, token, SystemClock())
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
