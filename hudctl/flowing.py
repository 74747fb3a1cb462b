"""Text that is printed while it is written: its lines end between words, and nothing in it can steer the terminal."""

from __future__ import annotations

import re
from typing import Final

from hudctl.words import cells, clean

_PARTS: Final = re.compile(r"\n|[^\S\n]+|\S+")


class Flow:
    """Takes a text in pieces and gives back what may be printed now; a word is held back until its end is known.

    Args:
        width: Columns of the terminal; 0 wraps nothing.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._held = ""
        self._space = ""
        self._column = 0

    def push(self, piece: str) -> str:
        """What can be printed after this piece."""
        parts: list[str] = _PARTS.findall(self._held + piece)
        self._held = parts.pop() if parts and not parts[-1].isspace() else ""
        if self._width and cells(self._held) > self._width:  # scripts without spaces must not wait for their end
            parts.append(self._held)
            self._held = ""
        return "".join(self._place(part) for part in parts)

    def end(self) -> str:
        """What was held back; afterwards a new text may begin."""
        rest = self._place(self._held) if self._held else ""
        self._held, self._space, self._column = "", "", 0
        return rest

    def whole(self, text: str) -> str:
        """A text at once."""
        return self.push(text.strip()) + self.end()

    def _place(self, part: str) -> str:
        if part == "\n":
            self._space, self._column = "", 0
            return part
        if part.isspace():
            self._space += " " * len(part)
            return ""
        word = clean(part)
        space, self._space = self._space, ""
        taken = cells(word)
        if self._width and self._column and self._column + len(space) + taken > self._width:
            space, self._column = "\n", 0
        self._column += taken + (len(space) if space != "\n" else 0)
        if self._width and self._column > self._width:  # the terminal itself broke a word that is longer than a line
            self._column = (self._column - 1) % self._width + 1
        return space + word
