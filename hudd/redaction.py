"""Reads a frame locally before it goes to the service, and paints over what looks like a secret. Composition.

The engine's reader does it, here in the capture thread; it is loaded when the first frame needs it. A reader misses
small or decorated text: this lowers a risk, it does not end it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from hudd.config.settings import Settings
from hudd.engine.findings import Area, TextLine, around
from hudd.engine.frames import page_of
from hudd.engine.ocr import TextReader, best_reader, reader_advice
from hudd.errors import PictureError
from hudd.model import Answer, Shot
from hudd.policy.page import Piece
from hudd.policy.scrub import scrub
from hudd.policy.secrets import find_secrets
from hudd.policy.spread import find_spread
from hudd.screen.mask import paint_over
from hudd.screen.source import Rect

BUDGET_S: Final = 8.0
"""What was not read within this time is painted over, because nobody knows what it says."""
MARGIN_PX: Final = 4
BOX_PX: Final = 20
"""So high a piece may be the border of a field of a form, of which a reader makes nothing or a letter or two."""
FEW_LETTERS: Final = 4


def redacts(settings: Settings) -> bool:
    """Whether anything is taken out: only what leaves the machine is."""
    return settings.privacy.redact and settings.realtime.use == "service"


def redactor(settings: Settings) -> Callable[[Shot], tuple[Shot, int]] | None:
    """What paints secrets over before a frame is encoded; None when nothing is to be painted."""
    return Redactor(email=settings.privacy.redact_email).paint if redacts(settings) else None


def scrubbed(answer: Answer, settings: Settings) -> Answer:
    """An answer without the shapes that pictures are read for."""
    if not redacts(settings):
        return answer
    return replace(answer, text=scrub(answer.text, email=settings.privacy.redact_email))


async def scrubbed_aside(answer: Answer, settings: Settings) -> Answer:
    """``scrubbed``, in a thread: of the longest answers it takes a second, and everything else would wait."""
    return await asyncio.to_thread(scrubbed, answer, settings) if redacts(settings) else answer


class Redactor:
    """Finds and paints. Used by one thread.

    Args:
        email: Whether e-mail addresses are secrets.
        load: Makes the reader.
        now: ``time.monotonic`` of the reader's deadline.
    """

    def __init__(
        self,
        *,
        email: bool,
        load: Callable[[], TextReader] = best_reader,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._email = email
        self._load = load
        self._now = now
        self._reader: TextReader | None = None

    def paint(self, shot: Shot) -> tuple[Shot, int]:
        """The frame with every line painted over that holds a secret, and how many secrets there were. Blocks.

        Raises:
            PictureError: There is no reader, so the frame must not leave.
        """
        if self._reader is None:
            self._reader = self._load()
        if self._reader.name == "none":
            raise PictureError(
                "Nothing can be redacted: no text reader is installed.",
                hint=f"{reader_advice() or 'Install hudd[local].'} Or set [privacy] redact = false.",
            )
        areas, read = _read(self._reader, shot, self._now() + BUDGET_S)
        unread = [area for area, lines in zip(areas, read, strict=True) if lines is None]
        texts = [
            (area, "\n".join(line.text for line in lines)) for area, lines in zip(areas, read, strict=True) if lines
        ]
        boxes, count = self._secret_boxes(texts)
        # The reader counts in the pixels of the frame.
        flat = replace(shot, source=replace(shot.source, rect=(0, 0, shot.width, shot.height)))
        wide = [_widened(_box(area)) for area in unread] + [_widened(box) for box in boxes]
        return replace(shot, pixels=paint_over(flat, wide).pixels), count

    def _secret_boxes(self, texts: Sequence[tuple[Area, str]]) -> tuple[list[Rect], int]:
        """What holds a secret or a part of one, and how many secrets there are."""
        boxes: list[Rect] = []
        counted: set[int] = set()
        count = 0
        for at, (area, text) in enumerate(texts):
            found = len(find_secrets(text, email=self._email))
            if found:
                count += found
                counted.add(at)
                boxes.append(_box(area))
        pieces = [Piece(text, area.left, area.top, area.width, area.height) for area, text in texts]
        for spread in find_spread(pieces, email=self._email):
            own = {part.piece for part in spread.parts}
            count += not own & counted
            counted |= own
            areas = [texts[at][0] for at in sorted(own)]
            boxes += [_box(around(areas))] if spread.block else [_box(area) for area in areas]
        return boxes, count


def _read(reader: TextReader, shot: Shot, deadline_s: float) -> tuple[list[Area], list[tuple[TextLine, ...] | None]]:
    """All lines of text, and what they say. A box that holds nothing readable is read again without its border."""
    sheet = reader.find_lines(page_of(shot.pixels, shot.width, shot.height))
    areas = list(sheet.areas)
    read = reader.read_lines(sheet, areas, deadline_s)
    again = [at for at, lines in enumerate(read) if lines is not None and _may_be_box(areas[at], lines)]
    inner = [_inner(areas[at]) for at in again]
    for at, lines in zip(again, reader.read_lines(sheet, inner, deadline_s), strict=True):
        read[at] = None if lines is None else lines or read[at]
    return areas, read


def _may_be_box(area: Area, lines: Sequence[TextLine]) -> bool:
    return area.height >= BOX_PX and area.width >= BOX_PX and sum(len(line.text) for line in lines) < FEW_LETTERS


def _inner(area: Area) -> Area:
    edge = max(2, area.height // 6)
    return Area(area.left + edge, area.top + edge, area.width - 2 * edge, area.height - 2 * edge)


def _box(area: Area) -> Rect:
    return area.left, area.top, area.width, area.height


def _widened(box: Rect) -> Rect:
    x, y, w, h = box
    return x - MARGIN_PX, y - MARGIN_PX, w + 2 * MARGIN_PX, h + 2 * MARGIN_PX
