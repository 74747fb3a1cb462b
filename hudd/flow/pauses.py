"""Keeps the fact "paused" in step with the journal: at the start, at commands, at the end of a timed pause."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from hudd.clock import Clock
from hudd.flow.status import PauseFacts
from hudd.flow.waiting import wait_for_any
from hudd.policy.facts import Facts

log = logging.getLogger("hudd.state")


class HeldPause(Protocol):
    """A pause that the journal holds; wall-clock seconds."""

    @property
    def since(self) -> float: ...
    @property
    def until(self) -> float | None: ...
    @property
    def why(self) -> str: ...


class Pauses:
    """Watches the pause in force.

    Args:
        state: The pause that holds now, from the journal.
        facts: Told.
        clock: When a pause ends.
        on_state: Called when it began or ended.
    """

    def __init__(
        self, *, state: Callable[[], HeldPause | None], facts: Facts, clock: Clock, on_state: Callable[[], None]
    ) -> None:
        self._state = state
        self._facts = facts
        self._clock = clock
        self._on_state = on_state
        self._changed = asyncio.Event()
        self._facts.set("paused", state() is not None)

    def facts(self) -> PauseFacts | None:
        """The pause in force, for the status."""
        pause = self._state()
        return None if pause is None else PauseFacts(since=pause.since, until=pause.until, why=pause.why)

    def changed(self) -> None:
        """A pause was begun or ended by a command, and is committed."""
        self._facts.set("paused", self._state() is not None)
        self._changed.set()
        self._on_state()

    async def run(self) -> None:
        """End timed pauses when their time is over; runs until cancelled, and sleeps without a pause."""
        while True:
            self._changed.clear()
            pause = self._state()
            if pause is None and "paused" in self._facts.reasons:
                log.info("the pause is over")
                self._facts.set("paused", False)
                self._on_state()
            left_s = None if pause is None or pause.until is None else pause.until - self._clock.wall()
            # The wall clock may be set back meanwhile: look again at the latest in a quarter of an hour.
            await wait_for_any(self._clock, None if left_s is None else min(max(left_s, 0.05), 900.0), self._changed)
