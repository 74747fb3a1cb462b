"""Feeds the watchdog of the service manager, but only while everything that must answer does answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NoReturn

from hudd.clock import Clock
from hudd.service.notify import Notifier

Probe = Callable[[float], Awaitable[bool]]
"""Whether a part answers within so many seconds; never raises."""

log = logging.getLogger("hudd")

LONGEST_LAG_S: Final = 5.0
"""The event loop may be late by so much; later than that it hangs, even if it comes back now and then."""
AGAIN: Final = 6
"""Into so many parts the time between two rounds is cut while somebody is silent."""


class Watchdog:
    """Asks every part in each round, and tells the service manager only when all answered.

    That the event loop turns is shown by the round itself, and by how late it comes.

    Args:
        probes: What is asked, by its name in a sentence: ``the authenticator``.
        notify: The service manager.
        clock: For the rounds.
        interval_s: Seconds between two rounds; half of what the service manager allows. After a round without an answer
            the next one comes sooner, so that who is silent for a moment only is heard in time.
    """

    def __init__(self, probes: Mapping[str, Probe], *, notify: Notifier, clock: Clock, interval_s: float) -> None:
        self._probes = probes
        self._notify = notify
        self._clock = clock
        self._interval_s = interval_s
        self._silent: frozenset[str] = frozenset()

    async def run(self) -> NoReturn:
        """Do rounds until it is cancelled."""
        while True:
            begun = self._clock.monotonic()
            pause_s = self._interval_s if await self.round() else self._interval_s / AGAIN
            await self._clock.sleep(pause_s)
            late_s = self._clock.monotonic() - begun - pause_s
            if late_s > max(LONGEST_LAG_S, self._interval_s):
                log.warning("The event loop came %.1f s late; something held it up, or the machine slept.", late_s)

    async def round(self) -> bool:
        """Ask everybody once, at the same time; returns whether the watchdog was fed."""
        names = list(self._probes)
        answers = await asyncio.gather(*(self._probes[name](self._interval_s / 2) for name in names))
        silent = frozenset(name for name, answered in zip(names, answers, strict=True) if not answered)
        if not silent:
            if self._silent:
                log.info("Everything answers again, and the watchdog is fed.")
            self._notify.watchdog()
        elif silent != self._silent:
            for name in sorted(silent):
                log.error("%s does not answer; if that lasts, the watchdog ends hudd and it is started again", name)
        self._silent = silent
        return not silent
