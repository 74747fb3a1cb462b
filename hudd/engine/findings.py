"""What was found on a picture: rectangles, lines of text, and what can be told without reading. Plain records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle in pixels of the received picture."""

    left: int
    top: int
    width: int
    height: int

    def overlaps(self, other: Area) -> bool:
        """True when the two rectangles share at least one pixel."""
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.top < other.top + other.height
            and other.top < self.top + self.height
        )

    def shared_with(self, other: Area) -> int:
        """Pixels that the two rectangles share."""
        across = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        down = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        return max(0, across) * max(0, down)


def around(areas: Iterable[Area]) -> Area:
    """The smallest rectangle around rectangles, of which there is at least one."""
    every = tuple(areas)
    left, top = min(area.left for area in every), min(area.top for area in every)
    right = max(area.left + area.width for area in every)
    bottom = max(area.top + area.height for area in every)
    return Area(left, top, right - left, bottom - top)


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of text on the picture, in its pixels. ``confidence`` is 0 to 1."""

    text: str
    left: int
    top: int
    width: int
    height: int
    confidence: float

    @property
    def area(self) -> Area:
        """The rectangle of the line."""
        return Area(self.left, self.top, self.width, self.height)


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """What can be told of a picture without reading it.

    Attributes:
        width: Pixels across.
        height: Pixels down.
        brightness: Mean brightness, 0 (black) to 1 (white).
        uniform: True when the whole picture has one colour.
        colours: Most common colours as ``#rrggbb``, most common first.
        compared: True when there was a picture of the same size before.
        changed: The rectangle around every change, or None.
        changed_fraction: Share of the picture that changed, 0 to 1.
        changed_areas: The separate rectangles that changed, largest first.
    """

    width: int
    height: int
    brightness: float
    uniform: bool = False
    colours: tuple[str, ...] = ()
    compared: bool = False
    changed: Area | None = None
    changed_fraction: float = 0.0
    changed_areas: tuple[Area, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader found in one picture.

    Attributes:
        lines: The lines of text, top to bottom.
        width: Pixels across.
        height: Pixels down.
        unread_fraction: Share of the area with likely text that was not read in the budget, 0 to 1.
        reader: ``tesserocr``, ``rapidocr`` or ``none``.
        elapsed_ms: From the bytes to the lines.
        picture: What can be told without reading.
        unread: Where text was likely and not read.
        own_lines: Lines that show earlier notes of hudd; they are set aside, not in ``lines``.
        own_areas: The rectangles around the blocks of own lines.
    """

    lines: tuple[TextLine, ...]
    width: int
    height: int
    unread_fraction: float
    reader: str
    elapsed_ms: int
    picture: PictureFacts
    unread: tuple[Area, ...] = ()
    own_lines: tuple[TextLine, ...] = ()
    own_areas: tuple[Area, ...] = ()
