"""Reads a frame locally before it goes to the service, and paints over what looks like a secret. Composition.

The engine's reader does it, here in the capture thread; it is loaded when the first frame needs it. A reader misses
small or decorated text: this lowers a risk, it does not end it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from hudd.config.settings import Settings
from hudd.engine.frames import page_of
from hudd.engine.ocr import TextReader, best_reader, reader_advice
from hudd.errors import PictureError
from hudd.model import Answer, Shot
from hudd.policy.secrets import find_secrets, scrub
from hudd.screen.mask import paint_over
from hudd.screen.source import Rect

BUDGET_S: Final = 8.0
"""What was not read within this time is painted over, because nobody knows what it says."""
MARGIN_PX: Final = 4


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
        sheet = self._reader.find_lines(page_of(shot.pixels, shot.width, shot.height))
        areas = list(sheet.areas)
        read = self._reader.read_lines(sheet, areas, self._now() + BUDGET_S)
        boxes: list[Rect] = []
        count = 0
        for area, lines in zip(areas, read, strict=True):
            if lines is None:
                boxes.append((area.left, area.top, area.width, area.height))
                continue
            found = len(find_secrets("\n".join(line.text for line in lines), email=self._email))
            if found:
                count += found
                boxes.append((area.left, area.top, area.width, area.height))
        # The reader counts in the pixels of the frame.
        flat = replace(shot, source=replace(shot.source, rect=(0, 0, shot.width, shot.height)))
        wide = [(x - MARGIN_PX, y - MARGIN_PX, w + 2 * MARGIN_PX, h + 2 * MARGIN_PX) for x, y, w, h in boxes]
        return replace(shot, pixels=paint_over(flat, wide).pixels), count
