"""What a screen is to the rest of hudd: the port that every back end satisfies. No library is needed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hudd.errors import NoDisplayError
from hudd.model import Shot, Source

Rect = tuple[int, int, int, int]
"""``(left, top, width, height)`` in the pixels of the desktop."""


ONE_COLOUR = "the screen is one colour: locked, off, or capture is not permitted."
"""What is said of a frame that shows nothing; it is never taken for a screen."""
ALL_HIDDEN = "all of it is painted over, because [privacy] hides the windows there."
NOT_FOCUSED = "all of it is painted over, because [privacy] strict keeps only the focused window, which is elsewhere."
"""What is said of a frame of which nothing was left."""


@dataclass(frozen=True, slots=True)
class Window:
    """One top-level window that is shown.

    Attributes:
        id: What names it to the window system: ``0x1c00007`` on X11.
        title: Its title, as it is now.
        app: Class (X11) or application id (Wayland); '' when it has none.
        pid: The process that says it owns it; None when it does not say.
        rect: Where it is on the desktop, frame included; None where the window system does not tell (Wayland).
        focused: Whether it has the keyboard.
        popup: Whether it may belong to another window of its program: a menu, a dialogue, on sway whatever floats.
    """

    id: str
    title: str
    app: str
    pid: int | None = None
    rect: Rect | None = None
    focused: bool = False
    popup: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """One monitor of a ScreenCast, as ``Start`` tells it.

    Attributes:
        node: PipeWire's node.
        name: Stable for the monitor where the portal tells one; '' otherwise.
        rect: Place and size on the desktop; zeros where the portal does not tell.
    """

    node: int
    name: str
    rect: Rect


@dataclass(frozen=True, slots=True)
class ScreenStatus:
    """How well the screen can be looked at.

    Attributes:
        backend: What looks, for instance ``mss xshmgetimage on :0``.
        degraded: One sentence about what is slower or missing than it could be; '' when nothing is.
        damage: True when the window system tells of changes, so that a still screen need not be polled.
    """

    backend: str
    degraded: str
    damage: bool


class CastEndedError(NoDisplayError):
    """Raised where a person ended a ScreenCast: whoever ends it does not want another one a second later."""

    def __init__(self) -> None:
        super().__init__(
            "The ScreenCast was ended from the desktop, so hudd begins no other one.",
            hint="Run `hudctl resume` to have the screen watched again, or restart hudd.",
        )


class Screen(Protocol):
    """A place where frames come from. One thread at a time may call it; the calls block for milliseconds."""

    def sources(self) -> tuple[Source, ...]:
        """Everything that the settings ask for and that is there now. Cheap; monitors are read again when they changed.

        Raises:
            NoDisplayError: The display is gone, or none of the wanted monitors is connected.
        """
        ...

    def grab(self, source: Source, *, epoch: int, captured_at: float) -> Shot:
        """Take one frame.

        Args:
            source: One of ``sources()``.
            epoch: ``policy.epoch`` before the grab; goes into the shot.
            captured_at: Wall clock, seconds; goes into the shot.

        Raises:
            NoDisplayError: The display is gone; close this screen and open it again later.
            CaptureError: This frame could not be taken; the next may.
        """
        ...

    def damage_fd(self) -> int | None:
        """A descriptor that is readable when something changed; None means that only polling tells."""
        ...

    def take_damage(self) -> tuple[Rect, ...]:
        """Drain what was reported since the last call; ``damage_fd()`` is not readable afterwards.

        It may be called from another thread than ``grab``.

        Raises:
            NoDisplayError: The display is gone.
        """
        ...

    def window_rect(self, window: int) -> Rect | None:
        """Where a window is now, its frame included; None when it is unknown or not shown.

        Raises:
            NoDisplayError: The display is gone.
        """
        ...

    def windows(self) -> tuple[Window, ...]:
        """The windows that are shown, the topmost last where the window system tells the order.

        Raises:
            NoDisplayError: The display is gone.
            CaptureError: The window system does not tell; the sentence says so.
        """
        ...

    def status(self) -> ScreenStatus:
        """How well it works, in words."""
        ...

    def close(self) -> None:
        """Give back connections and memory. May be called again, and after the display died."""
        ...
