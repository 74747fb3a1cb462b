"""That answers cost money and what bounds it: said at each start and for each other model, read by a person once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal, Protocol

from hudd.errors import StorageError
from hudd.flow.limits import Limits, use_sentence
from hudd.ledger.records import MoneyFacts
from hudd.model import NoticeTopic

log = logging.getLogger("hudd.cost")


class FirstUseStore(Protocol):
    """What this needs of the journal."""

    async def set_first_use(self, word: Literal["due", "told"]) -> None: ...


class FirstUse:
    """Says what bounds the cost, and remembers whether a person has read it.

    Args:
        store: Keeps whether it was read.
        notify_person: Shown it at the first start with the service, and whenever no cap in dollars bounds the cost.
        tell: Puts it on ``cost/`` in that last case.
    """

    def __init__(
        self,
        store: FirstUseStore,
        notify_person: Callable[[NoticeTopic, str], None],
        tell: Callable[[str], None],
    ) -> None:
        self._store = store
        self._notify_person = notify_person
        self._tell = tell
        self._said = ""
        self._due = False

    def sentence(self) -> str:
        """What a person must have read once, before long; '' afterwards."""
        return self._said if self._due else ""

    async def say(self, limits: Limits, money: MoneyFacts, *, priced: bool, prices_date: str) -> None:
        """Say it, unless the same was said before.

        Args:
            limits: What bounds the cost.
            money: Whether anything was paid before, and whether this was read.
            priced: Whether the model's price is known.
            prices_date: Of the price table.
        """
        sentence = use_sentence(limits, priced=priced)
        if sentence == self._said:
            return
        at_start, self._said = not self._said, sentence
        log.log(logging.INFO if priced else logging.WARNING, "%s Prices of %s.", sentence, prices_date or "no date")
        first = not money.first_use and not money.ever_paid
        self._due = self._due or first or (at_start and money.first_use == "due")
        if first or not priced:
            self._notify_person("money", sentence)
        if not priced:
            self._tell(sentence)
        if first:
            await self._keep("due")

    async def read(self) -> None:
        """A person has read it; it is not told again, whatever happens to this process."""
        if self._due:
            self._due = False
            await self._keep("told")

    async def _keep(self, word: Literal["due", "told"]) -> None:
        try:
            await self._store.set_first_use(word)
        except StorageError as error:
            log.error("that a person was told of the cost could not be kept: %s", error)  # so it is told once more
