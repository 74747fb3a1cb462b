"""When the next try to connect begins: after the back-off, or sooner because somebody wants it.

Who may want it, and how often, is decided by ``realtime.urgency``; how long a back-off is, by ``realtime.retry``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hudd.clock import Clock
from hudd.errors import LinkError, LinkRefusedError
from hudd.flow.lives import Life
from hudd.flow.waiting import wait_for_any
from hudd.model import UpstreamError
from hudd.realtime.retry import Backoff, Verdict
from hudd.realtime.urgency import HURRY_DELAY_S, Urgency, Wish


class Attempts:
    """Waits for the next try.

    Args:
        clock: Time.
        jitter: Numbers in [0, 1) for the back-off.
        forgive: A person wants to begin anew; called before the try.

    Attributes:
        backoff: Failures so far; a rollover counts its own.
        next_at: Monotonic seconds of the next try, as far as it is known; None while there is none to come.
        wished: Set whenever somebody wants a try; whoever waits for that clears it.
    """

    def __init__(self, clock: Clock, jitter: Callable[[], float], forgive: Callable[[], None]) -> None:
        self._clock = clock
        self._forgive = forgive
        self._urgency = Urgency()
        self._retry_at: float | None = None
        self.backoff = Backoff(jitter)
        self.next_at: float | None = None
        self.wished = asyncio.Event()

    # ------------------------------------------------------------------------------------------- wishes

    def wish(self, who: Wish) -> None:
        """Somebody wants a try: at once, or ten seconds after the last that somebody wanted; see ``Urgency``."""
        now = self._clock.monotonic()
        self._urgency.wish(who, now)
        if who in {"wake", "network"}:
            self.backoff.reset()
            if self._retry_at is not None:
                self._retry_at = min(self._retry_at, now + HURRY_DELAY_S)
        self.wished.set()

    def wish_at_once(self, *, lifts: bool = False) -> None:
        """Try at once, however often; with ``lifts`` after a stop too."""
        self.backoff.reset()
        self._urgency.wish_at_once(lifts=lifts)
        self.wished.set()

    def woke(self) -> bool:
        """Whether a wake is a new one."""
        return self._urgency.woke(self._clock.monotonic(), self._clock.wall())

    def wished_in_s(self) -> float | None:
        """Seconds until a try that somebody wants may begin; None when nobody wants one."""
        now = self._clock.monotonic()
        due = self._urgency.due(now)
        return None if due is None else due - now

    @property
    def lifted(self) -> bool:
        """Whether a person wants a try, so that no earlier failure stops it."""
        return self._urgency.lifted

    def stop(self) -> None:
        """Trying again is useless until a person wants it: nobody else's wish counts."""
        self._urgency.stop()

    # ------------------------------------------------------------------------------------------- waiting

    def begin(self) -> None:
        """A try begins now."""
        self._retry_at = self.next_at = None
        if self._urgency.tried(self._clock.monotonic()):
            self._forgive()

    def ready(self) -> None:
        """There is a session."""
        self._urgency.ready()

    async def wait(self, after_s: float) -> None:
        """Wait for the back-off, or for somebody who wants a try sooner. Cancelling is safe."""
        self._retry_at = self._clock.monotonic() + after_s
        while True:
            now = self._clock.monotonic()
            due = self._urgency.due(now)
            self.next_at = self._retry_at if due is None else min(self._retry_at, due)
            if now >= self.next_at:
                return
            self.wished.clear()
            await wait_for_any(self._clock, self.next_at - now, self.wished)

    async def wait_for_a_person(self, wakeup: asyncio.Event, meanwhile: Callable[[], None]) -> None:
        """Wait until a person wants a try. Cancelling is safe.

        Args:
            wakeup: Set when somebody asks something.
            meanwhile: Called at the start and after each ``wakeup``, which is cleared before.
        """
        self.stop()
        while True:
            wakeup.clear()
            meanwhile()
            now = self._clock.monotonic()
            self.next_at = self._urgency.due(now)
            if self.next_at is not None and now >= self.next_at:
                return
            self.wished.clear()
            seconds = None if self.next_at is None else self.next_at - now
            await wait_for_any(self._clock, seconds, self.wished, wakeup)

    # ------------------------------------------------------------------------------------------- judging

    def verdict(self, failure: UpstreamError, ended: Life | LinkError, backoff: Backoff | None = None) -> Verdict:
        """What follows from a life, or from a try that did not become one; ``backoff`` is that of a rollover."""
        now = self._clock.monotonic()
        longest_s = self._urgency.longest_delay_s(now)
        counted = backoff or self.backoff
        if isinstance(ended, Life):
            return ended.judge(counted, failure, now, longest_s)
        asked_s = ended.retry_after_s if isinstance(ended, LinkRefusedError) else None
        return counted.after(failure, opened_s=None, retry_after_s=asked_s, longest_s=longest_s)
