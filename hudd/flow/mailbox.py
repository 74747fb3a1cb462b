"""What waits for the session: one newest-wins slot per source, and a bounded lane for snaps that were asked for.

The two run at different speeds and of automatic pictures only the newest matters: a queue here would turn a slow
answer into stale notes and money. A snap that a person asked for is never replaced; where too many wait, those whose
callers left end for new ones.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from hudd.errors import CommandError
from hudd.model import Question

MANUAL_LANE: Final = 32


class Mailbox:
    """Questions between capture and conversation.

    Args:
        on_put: Called for each question that was put.
        awaited: Whether somebody waits for the end of a snap now, by its id.
        on_given_up: Called with each snap that gave way to a new one because nobody waits for it any more.

    Attributes:
        wakeup: Set whenever something was put; whoever takes clears it.
        replaced: How many automatic questions gave way to newer ones.
    """

    def __init__(
        self,
        on_put: Callable[[], None] = lambda: None,
        awaited: Callable[[str], bool] = lambda _: True,
        on_given_up: Callable[[Question], None] = lambda _: None,
    ) -> None:
        self._on_put = on_put
        self._awaited = awaited
        self._on_given_up = on_given_up
        self.wakeup = asyncio.Event()
        self.replaced = 0
        self._slots: dict[str, Question] = {}
        self._manual: deque[Question] = deque()

    def __len__(self) -> int:
        return len(self._slots) + len(self._manual)

    def put(self, question: Question) -> None:
        """Add a question.

        Raises:
            CommandError: ``E_BUSY``; a snap was asked for and the lane is full of snaps that somebody waits for. An
                automatic question always fits.
        """
        if question.trigger == "manual":
            if len(self._manual) >= MANUAL_LANE and not self._give_one_up():
                raise CommandError("E_BUSY", "Too many snaps wait for an answer.", retry_after_ms=2000)
            self._manual.append(question)
        else:
            name = question.source.name
            self.replaced += name in self._slots
            self._slots[name] = question  # keeps its place, so that a busy source never starves behind a calm one
        self.wakeup.set()
        self._on_put()

    def _give_one_up(self) -> bool:
        """Make room for a snap: the oldest that nobody waits for any more ends. False when all are waited for."""
        for place, question in enumerate(self._manual):
            if not self._awaited(question.id):
                del self._manual[place]
                self._on_given_up(question)
                return True
        return False

    def take_nowait(self, *, allow_automatic: bool = True) -> Question | None:
        """The next question: snaps first, then the source that waited longest. None when there is none."""
        if self._manual:
            return self._manual.popleft()
        if allow_automatic and self._slots:
            return self._slots.pop(next(iter(self._slots)))
        return None

    def end(self, source_name: str) -> None:
        """Drop the automatic question of a source that is there no more."""
        self._slots.pop(source_name, None)

    def drop_automatic(self) -> list[Question]:
        """Take out all automatic questions, because they may not be sent any more, for instance at a pause."""
        dropped = list(self._slots.values())
        self._slots.clear()
        return dropped
