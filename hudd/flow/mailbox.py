"""What waits for the session: one newest-wins slot per source, and a bounded lane for snaps that were asked for.

The two run at different speeds and of automatic pictures only the newest matters: a queue here would turn a slow
answer into stale notes and money. A snap that a person asked for is never replaced.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from hudd.errors import CommandError
from hudd.model import Question

MANUAL_LANE: Final = 32


class Mailbox:
    """Questions between capture and conversation.

    Attributes:
        wakeup: Set whenever something was put; whoever takes clears it.
        replaced: How many automatic questions gave way to newer ones.
    """

    def __init__(self) -> None:
        self.wakeup = asyncio.Event()
        self.replaced = 0
        self._slots: dict[str, Question] = {}
        self._manual: deque[Question] = deque()

    def __len__(self) -> int:
        return len(self._slots) + len(self._manual)

    def put(self, question: Question) -> None:
        """Add a question.

        Raises:
            CommandError: ``E_BUSY``; a snap was asked for and the lane is full.
        """
        if question.trigger == "manual":
            if len(self._manual) >= MANUAL_LANE:
                raise CommandError("E_BUSY", "Too many snaps wait for an answer.", retry_after_ms=2000)
            self._manual.append(question)
        else:
            name = question.source.name
            if self._slots.pop(name, None) is not None:
                self.replaced += 1
            self._slots[name] = question
        self.wakeup.set()

    def take_nowait(self, *, allow_automatic: bool = True) -> Question | None:
        """The next question: snaps first, then the source that waited longest. None when there is none."""
        if self._manual:
            return self._manual.popleft()
        if allow_automatic and self._slots:
            oldest = min(self._slots.values(), key=lambda q: q.asked_at)
            return self._slots.pop(oldest.source.name)
        return None

    def drop_automatic(self) -> int:
        """Forget automatic questions, for instance at a pause; returns how many."""
        dropped = len(self._slots)
        self._slots.clear()
        return dropped

    def take_all_manual(self) -> list[Question]:
        """Empty the lane of snaps, so that each can be told why it will not be answered."""
        waiting = list(self._manual)
        self._manual.clear()
        return waiting
