"""Slows automatic questions down while the service limits the rate. Pure; a person's snap does not wait here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hudd.protocol.events import RateLimitsUpdated

FIRST_WAIT_S: Final = 2.0
LONGEST_WAIT_S: Final = 300.0
RATE_CODES: Final = frozenset({"rate_limit_exceeded", "inference_rate_limit_exceeded"})


class Pace:
    """When the next automatic question may be asked.

    Each refusal doubles the wait, each answer halves it, so that the rate settles a little below the limit.

    Args:
        random: Gives numbers in [0, 1).
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._refusals = 0
        self._until = float("-inf")

    def wait_s(self, now: float) -> float:
        """Seconds until an automatic question may be asked; 0 when it may."""
        return max(0.0, self._until - now)

    def refused(self, now: float) -> None:
        """An answer failed because of the rate limit."""
        ceiling = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(self._refusals, 10))
        self._refusals += 1
        self._hold(now + ceiling * (0.5 + self._random() / 2))

    def answered(self) -> None:
        """An answer was completed."""
        self._refusals = max(0, self._refusals - 1)

    def told(self, event: RateLimitsUpdated, now: float) -> None:
        """What is left of the limits: where nothing is left, wait until it is filled up."""
        waits = [limit.reset_s for limit in event.limits if limit.limit > 0 and limit.remaining <= 0]
        if waits:
            self._hold(now + min(max(waits), LONGEST_WAIT_S))

    def _hold(self, until: float) -> None:
        self._until = max(self._until, until)
