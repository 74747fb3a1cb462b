"""Which sources are wanted, and where a region lies among them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from hudd.errors import CaptureError, NoDisplayError
from hudd.model import Source
from hudd.screen.source import Rect, Window

REGION = "region"
WINDOW = "window"
"""The names of the two sources that are no monitors; they name topics, so they never change."""
ABSENT_REMEDY = "Connect it, or correct [screen] monitors."
"""What helps against a monitor that the settings name and that is not there, while another one is."""


def check_wanted(wanted: Sequence[str], there: Sequence[Source]) -> None:
    """Tell of settings that name only monitors that do not exist; where one of several does, that one is watched.

    Raises:
        CaptureError: None does; the sentence names those that are there.
    """
    if wanted and len(absent(wanted, there)) == len(wanted):
        raise CaptureError(
            f"A monitor does not exist: {these(wanted, there)}",
            hint="Correct [screen] monitors, or leave it empty for all.",
        )


def wanted_sources(wanted: Sequence[str], there: Sequence[Source]) -> tuple[Source, ...]:
    """Those of the settings that are there; all when the settings name none.

    Raises:
        NoDisplayError: None is.
    """
    found = tuple(source for source in there if not wanted or source.name in wanted)
    if not found:
        raise NoDisplayError(
            f"No wanted monitor is connected: {these(wanted, there)}",
            hint="Connect one, or correct [screen] monitors.",
        )
    return found


def absent(wanted: Sequence[str], there: Sequence[Source]) -> tuple[str, ...]:
    """The monitors that the settings name and that are not there."""
    names = {source.name for source in there}
    return tuple(name for name in wanted if name not in names)


def never_there(name: str) -> str:
    """What is said of one of them."""
    return f"The monitor {name} is not connected. {ABSENT_REMEDY}"


def these(wanted: Sequence[str], there: Sequence[Source]) -> str:
    """The missing monitors, and those that are connected."""
    missing = ", ".join(absent(wanted, there)) or "none is"
    return f"{missing} (connected: {', '.join(sorted(source.name for source in there)) or 'none'})."


def visible_part(rect: Rect, there: Sequence[Source]) -> Rect | None:
    """The part of a rectangle that lies on the desktop, the smallest rectangle around all monitors; None when none."""
    right = max((s.rect[0] + s.rect[2] for s in there), default=0)
    bottom = max((s.rect[1] + s.rect[3] for s in there), default=0)
    left, top = min((s.rect[0] for s in there), default=0), min((s.rect[1] for s in there), default=0)
    x0, y0 = max(left, rect[0]), max(top, rect[1])
    x1, y1 = min(right, rect[0] + rect[2]), min(bottom, rect[1] + rect[3])
    return (x0, y0, x1 - x0, y1 - y0) if x1 > x0 and y1 > y0 else None


def source_around(part: Source, there: Sequence[Source]) -> Source:
    """The monitor that a region lies on.

    Raises:
        CaptureError: It lies on none, or on several: frames are taken from one monitor at a time.
    """
    left, top, width, height = part.rect
    met: list[Source] = []
    for source in there:
        x, y, w, h = source.rect
        if left < x + w and x < left + width and top < y + h and y < top + height:
            met.append(source)
        if x <= left and y <= top and left + width <= x + w and top + height <= y + h:
            return source
    if len(met) == 1:
        return met[0]
    names = ", ".join(source.name for source in met or there)
    if not met:
        raise CaptureError(
            f"The {part.kind} lies outside of the screen (monitors: {names}).", hint="Choose a part of a monitor."
        )
    raise CaptureError(
        f"The {part.kind} lies on several monitors ({names}).", hint="Choose one that lies on a single one."
    )


def find_window(windows: Sequence[Window], wanted: str) -> Window:
    """The window that a person means: '' is the focused one, otherwise its id, or a part of its title.

    Of several with such a title the focused one is meant, or else the topmost.

    Raises:
        CaptureError: There is none.
    """
    if not wanted:
        for window in windows:
            if window.focused:
                return window
        raise CaptureError("No window has the focus.", hint="Name one: hudctl snap --window TITLE.")
    for window in windows:
        if window.id == wanted.lower():
            return window
    named = [window for window in windows if wanted.casefold() in window.title.casefold()]
    if not named:
        titles = ", ".join(f'"{window.title}"' for window in reversed(windows) if window.title)
        raise CaptureError(
            f'No shown window is called "{wanted}" (there are: {titles or "none"}).', hint="Name a part of a title."
        )
    return max(enumerate(named), key=lambda place: (place[1].focused, place[0]))[1]


def window_source(window: Window, wanted: str) -> Source:
    """The window as something to look at.

    Raises:
        CaptureError: The window system does not tell where it is.
    """
    if window.rect is None:
        called = f'the window "{window.title or wanted}"'
        raise CaptureError(
            f"Wayland does not tell where {called} is, so it cannot be cut out.",
            hint="Use --monitor or --region instead.",
        )
    return Source("window", WINDOW, window.rect)
