"""Snaps of one source that share a grab."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from hudd.errors import HuddError, WithheldError
from hudd.model import Question
from hudd.policy.facts import FACTS_CHANGED

GRABS: Final = 5
"""So often is a source grabbed for one snap when facts change during the grab and nothing forbids another."""


@dataclass(slots=True)
class Grab:
    """A snap that was asked for; others of the same source share it until its grab has begun."""

    question_id: str
    begun: bool = False
    future: asyncio.Future[Question] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Grabs:
    """The grabs under way, at most one open to others per source."""

    def __init__(self) -> None:
        self._grabs: dict[str, Grab] = {}

    async def share(self, source_name: str, question_id: str, take: Callable[[Grab], Awaitable[Question]]) -> Question:
        """Join the source's grab that has not begun, or take one.

        Cancelling one who joined leaves the grab to the others; cancelling the first cancels those who joined.

        Raises:
            HuddError: What ``take`` raised; everybody who joined gets it. That only a fact changed meanwhile is raised
                when it happened ``GRABS`` times.
        """
        waiting = self._grabs.get(source_name)
        if waiting is not None and not waiting.begun:
            return await asyncio.shield(waiting.future)
        grab = self._grabs[source_name] = Grab(question_id)
        try:
            question = await _take(take, grab)
        except HuddError as error:
            grab.future.set_exception(error)
            grab.future.exception()  # seen: it is raised here as well
            raise
        except BaseException:
            grab.future.cancel()
            raise
        finally:
            if self._grabs.get(source_name) is grab:
                del self._grabs[source_name]
        grab.future.set_result(question)
        return question


async def _take(take: Callable[[Grab], Awaitable[Question]], grab: Grab) -> Question:
    for _ in range(GRABS - 1):
        try:
            return await take(grab)
        except WithheldError as error:
            if error.reasons != (FACTS_CHANGED,):
                raise
    return await take(grab)
