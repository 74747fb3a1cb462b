"""Counts what would be asked if money were no matter: the changes that pass the gate, and the snaps."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Final, Protocol

from hudd.clock import Clock
from hudd.errors import StorageError

log = logging.getLogger("hudd.cost")

KEEP_EVERY_S: Final = 60.0
"""Counts are written together: what a crash loses of them is a minute of a week."""


class ChangeStore(Protocol):
    """What this stage needs of the journal."""

    async def add(self, seen: Mapping[int, int]) -> None: ...


class ChangeCounter:
    """Counts by the minute, and keeps the counts.

    Args:
        store: The journal.
        clock: Time.
    """

    def __init__(self, store: ChangeStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._seen: Counter[int] = Counter()
        self._any = asyncio.Event()

    def count(self) -> None:
        """Something is worth a question now."""
        self._seen[int(self._clock.wall() // 60)] += 1
        self._any.set()

    async def run(self) -> None:
        """Keep what was counted, until cancelled. Sleeps without a timer while there is nothing."""
        while True:
            await self._any.wait()
            await self._clock.sleep(KEEP_EVERY_S)
            await self.keep()

    async def keep(self) -> None:
        """Write what was counted since the last time; a journal that cannot be written gets it later."""
        seen, self._seen = self._seen, Counter()
        self._any.clear()
        if not seen:
            return
        try:
            await self._store.add(seen)
        except StorageError as error:
            log.warning("how often the screen changed could not be kept: %s", error)
            self._seen.update(seen)
            self._any.set()
