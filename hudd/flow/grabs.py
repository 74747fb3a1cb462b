"""Snaps of one source that share a grab."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from hudd.errors import WithheldError
from hudd.model import Question
from hudd.policy.facts import FACTS_CHANGED

log = logging.getLogger("hudd.screen")

GRABS: Final = 5
"""So often is a source grabbed for one snap when facts change during the grab and nothing forbids another."""


@dataclass(slots=True)
class Grab:
    """A grab that was asked for; others of the same source share it until it has begun.

    Attributes:
        wanted_by: The ids of those who wait for it.
        question_id: The id of its question: that of the first who still waits for it.
        has_begun: Whether a later snap wants a later picture.
    """

    wanted_by: list[str] = field(default_factory=list[str])
    question_id: str = ""
    has_begun: bool = False
    told: list[Callable[[], object]] = field(default_factory=list[Callable[[], object]])

    def begin(self) -> None:
        """From now on it is made whoever leaves, and nobody joins. Any thread."""
        self.has_begun = True
        for tell in self.told:
            tell()

    def join(self, question_id: str, begun: Callable[[], object]) -> None:
        """One more waits for it."""
        self.wanted_by.append(question_id)
        self.told.append(begun)
        self.question_id = self.wanted_by[0]

    def leave(self, question_id: str) -> None:
        """One waits no more."""
        self.wanted_by.remove(question_id)
        if self.wanted_by:
            self.question_id = self.wanted_by[0]


class Grabs:
    """The grabs under way, at most one open to others per source."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[Grab, asyncio.Task[Question]]] = {}

    async def share(
        self,
        source_name: str,
        question_id: str,
        take: Callable[[Grab], Awaitable[Question]],
        begun: Callable[[], object] = bool,
    ) -> Question:
        """Join the source's grab that has not begun, or take one.

        Cancelling leaves the grab to the others; one that nobody wants any more and that has not begun is dropped.

        Args:
            source_name: What is looked at.
            question_id: Names the question, unless another one waits for the same grab already.
            take: Makes the question; calls ``begin`` of its grab right before the picture is taken.
            begun: Called then, from any thread.

        Raises:
            HuddError: What ``take`` raised; everybody who joined gets it. That only a fact changed meanwhile is raised
                when it happened ``GRABS`` times.
        """
        grab, task = self._open.get(source_name) or (None, None)
        if grab is None or task is None or grab.has_begun or task.done():
            grab = Grab()
            task = asyncio.create_task(_take(take, grab))
            self._open[source_name] = grab, task
            task.add_done_callback(lambda ended, grab=grab: self._ended(source_name, grab, ended))
        grab.join(question_id, begun)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            grab.leave(question_id)
            if not grab.wanted_by and not grab.has_begun:
                task.cancel()
                self._close(source_name, task)
            raise

    def _ended(self, source_name: str, grab: Grab, task: asyncio.Task[Question]) -> None:
        self._close(source_name, task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None and not grab.wanted_by:
            log.debug("a snap that nobody waits for any more failed: %s", failure)

    def _close(self, source_name: str, task: asyncio.Task[Question]) -> None:
        if source_name in self._open and self._open[source_name][1] is task:
            del self._open[source_name]


async def _take(take: Callable[[Grab], Awaitable[Question]], grab: Grab) -> Question:
    for _ in range(GRABS - 1):
        try:
            return await take(grab)
        except WithheldError as error:
            if error.reasons != (FACTS_CHANGED,):
                raise
    return await take(grab)
