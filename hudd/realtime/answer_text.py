"""The text of one answer, put together from its pieces. Pure.

Pieces are kept by item and content part, because items of one answer may be interleaved (realtime-protocol 3.6). What
``response.done`` tells is complete and wins; the pieces are for showing the text while it is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hudd.protocol.events import OutputItem

LONGEST_TEXT: Final = 65_536
"""Characters of an answer that are kept. 4,096 tokens are far less; more comes only from a broken endpoint."""


class AnswerText:
    """Collects the text of one response."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, int], str] = {}
        self._phases: dict[str, str] = {}
        self._length = 0

    def item(self, item: OutputItem) -> None:
        """Learn what phase an item has."""
        if item.id and item.phase:
            self._phases[item.id] = item.phase

    def delta(self, item_id: str, content_index: int, delta: str) -> str:
        """Add a piece. Returns what may be shown of it: nothing of a commentary."""
        piece = delta[: LONGEST_TEXT - self._length]
        key = (item_id, content_index)
        if not piece:
            return ""
        self._parts[key] = self._parts.get(key, "") + piece
        self._length += len(piece)
        return "" if self._phases.get(item_id) == "commentary" else piece

    def done(self, item_id: str, content_index: int, text: str) -> str:
        """Take the whole text of a part. Returns the end of it that no piece brought, to be shown."""
        so_far = self._parts.get((item_id, content_index), "")
        if not text.startswith(so_far):
            return ""  # the pieces were doubled or out of order; the complete text comes with response.done
        return self.delta(item_id, content_index, text[len(so_far) :])

    def so_far(self) -> str:
        """The text as far as it came, by the same rule as ``final``."""
        by_item: dict[str, list[str]] = {}
        for (item_id, _), text in sorted(self._parts.items(), key=lambda part: part[0][1]):
            by_item.setdefault(item_id, []).append(text)
        # sorted() is stable, so items keep the order in which their first piece came.
        return _choose(
            OutputItem(item_id, "message", self._phases.get(item_id, ""), tuple(texts))
            for item_id, texts in by_item.items()
        )

    def final(self, output: tuple[OutputItem, ...]) -> str:
        """The text of the finished answer.

        A ``final_answer`` is the note; a ``commentary`` counts only where there is nothing else.

        Args:
            output: Items of ``response.done``; when they hold no text, what the pieces brought is taken.
        """
        for item in output:
            self.item(item)
        known = tuple(OutputItem(i.id, i.type, i.phase or self._phases.get(i.id, ""), i.texts) for i in output)
        return (_choose(known) or self.so_far())[:LONGEST_TEXT]


def _choose(items: Iterable[OutputItem]) -> str:
    """Final answers if there are any, else what is no commentary, else everything."""
    messages = [(item.phase, "".join(item.texts)) for item in items if item.type in {"message", ""}]
    for wanted in ({"final_answer"}, {"", "final_answer"}):
        chosen = [text for phase, text in messages if phase in wanted and text]
        if chosen:
            return "\n".join(chosen)
    return "\n".join(text for _, text in messages if text)
