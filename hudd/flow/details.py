"""The pictures of a question: the whole first, then parts whose text would be too small to read on it."""

from __future__ import annotations

from hudd.errors import CaptureError
from hudd.flow.watcher import Look, Pixels
from hudd.model import Picture
from hudd.screen.source import Rect, Screen


def no_details(automatic: bool) -> int:  # noqa: ARG001, FBT001 - stands in for a decision
    """Only the whole."""
    return 0


def nothing_allows(automatic: bool) -> str:  # noqa: ARG001, FBT001 - stands in for a reason
    """Why there is only the whole."""
    return "pace"


def pictures_of(screen: Screen, pixels: Pixels, look: Look, *, most: int, automatic: bool) -> tuple[Picture, ...]:
    """Encode a frame. Blocks; called in the capture thread.

    A part shows what changed; at a snap and at a first look all counts, and within it the window that is used.

    Args:
        screen: Told where the windows are.
        pixels: Encodes.
        look: The frame; parts are cut from the same one, so they show nothing that the whole does not.
        most: So many parts at most.
        automatic: Whether nobody asked.

    Raises:
        CaptureError: The frame is damaged.
        PictureError: A picture does not fit its byte budget.
    """
    whole = pixels.encode(look.shot, frame_hash=look.print_.hash)
    if most < 1:
        return (whole,)

    def focus() -> Rect | None:
        try:
            windows = screen.windows()
        except CaptureError:
            return None  # the window system does not tell; then the densest text of the whole is taken
        return next((window.rect for window in windows if window.focused), None)

    change = look.since_sent if automatic else None
    return (whole, *pixels.details(look.shot, change, most=most, focus=focus))
