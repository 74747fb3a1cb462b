"""The pace of automatic questions: a token bucket, filled anew from the day's charges whenever it is asked. Pure.

The bucket holds 15 % of the day's cap and is full at the day's first question. The rest of what automatic questions may
use is poured in evenly over the active hours; what would overflow is lost, so that a quiet morning does not buy a
burst. It keeps no state of its own: a restart, a crash and a settled price all lead to the same level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hudd.ledger.caps import open_to
from hudd.ledger.records import Charge

BURST_PERCENT: Final = 15
RESUMES_AT: Final = 2
"""Pacing ends when the bucket is full to one part in so many: a level around the price of one question would flap."""


SPARES_ABOVE: Final = 2
"""A second picture is paid for while the bucket stays full to one part in so many: it must not cost notes later."""


def spares(level_microusd: int, capacity_microusd: int, wanted_microusd: int) -> bool:
    """Whether an automatic question may cost so much although a cheaper one would do."""
    return level_microusd - wanted_microusd >= capacity_microusd // SPARES_ABOVE


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast automatic questions may spend.

    Attributes:
        capacity_microusd: What the full bucket holds.
        refill_microusd: What is poured in during ``refill_s``.
        refill_s: The active hours, in seconds.
    """

    capacity_microusd: int
    refill_microusd: int
    refill_s: int

    @classmethod
    def of_day(cls, cap_microusd: int, *, active_hours: float, question_microusd: int) -> Pace:
        """The pace of a day.

        Args:
            cap_microusd: The day's cap.
            active_hours: Over how many hours it is spread.
            question_microusd: What one question reserves: a full bucket always pays for one.
        """
        burst = cap_microusd * BURST_PERCENT // 100
        rest = max(0, open_to(cap_microusd, automatic=True) - burst)
        return cls(max(burst, question_microusd), rest, max(1, round(active_hours * 3600)))

    def level(self, charges: Sequence[Charge], now: float) -> int:
        """What the bucket holds now, in micro-dollars; below zero when answers cost more than it held.

        Args:
            charges: The day's automatic charges, oldest first. One from the future (the clock was set back) counts
                as one of now.
            now: Wall clock.
        """
        level, at = self.capacity_microusd, None
        for charge in charges:
            level = self._filled(level, 0.0 if at is None else charge.at - at) - charge.microusd
            at = charge.at if at is None else max(at, charge.at)
        return level if at is None else self._filled(level, now - at)

    def wait_s(self, level_microusd: int, wanted_microusd: int) -> float | None:
        """Seconds until the bucket holds so much; 0 when it does, None when it never will."""
        missing = min(wanted_microusd, self.capacity_microusd) - level_microusd
        if missing <= 0:
            return 0.0
        return None if self.refill_microusd == 0 else missing * self.refill_s / self.refill_microusd

    def is_slower(self, level_microusd: int, question_microusd: int, *, was: bool) -> bool:
        """Whether automatic questions are paced now.

        Args:
            level_microusd: What the bucket holds.
            question_microusd: What one question reserves.
            was: Whether they were paced before: that ends only when the bucket is half full again.
        """
        if level_microusd < min(question_microusd, self.capacity_microusd):
            return True
        return was and level_microusd < self.capacity_microusd // RESUMES_AT

    def _filled(self, level: int, seconds: float) -> int:
        poured = int(max(0.0, seconds) * self.refill_microusd / self.refill_s)
        return min(self.capacity_microusd, level + poured)
