"""The mailbox as the conversation sees it: automatic questions wait in it for the pace, newer ones take their place.

Holding them back here, and not after they were taken, keeps the picture that is sent in the end the newest one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hudd.flow.mailbox import Mailbox
from hudd.model import Question


class PacedMailbox:
    """Lets automatic questions pass only while they may be asked. Snaps are never held back.

    Args:
        mailbox: Where questions wait.
        may_ask: Whether an automatic question may be asked now; whoever knows sets ``wakeup`` when that changes.
    """

    def __init__(self, mailbox: Mailbox, may_ask: Callable[[], bool]) -> None:
        self._mailbox = mailbox
        self._may_ask = may_ask

    @property
    def wakeup(self) -> asyncio.Event:
        """Set when something was put, or may be asked now."""
        return self._mailbox.wakeup

    def take_nowait(self, *, allow_automatic: bool = True) -> Question | None:
        """The next question that may be asked; None when there is none."""
        return self._mailbox.take_nowait(allow_automatic=allow_automatic and self._may_ask())
