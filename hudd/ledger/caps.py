"""The three caps, what they leave, and the four stages from normal to nothing. Pure; whole micro-dollars.

A question counts for the hour, the local day and the month in which it was reserved, and stays there when its answer
comes later. Hours are those of UTC, which no change of clocks repeats or skips; a local day may have 23 or 25 of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, Literal

from hudd.ledger.records import Period, Totals

Window = Literal["hour", "day", "month"]
WINDOWS: Final[tuple[Window, ...]] = ("hour", "day", "month")
Stage = Literal["normal", "slower", "asked_only", "nothing"]
Because = Literal["", "pacing", "hour", "day", "month", "tokens", "price_unknown"]

KEPT_PERCENT: Final = 10
"""Share of each cap that is kept for snaps that a person asks for."""
HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Caps:
    """What may be spent, in micro-dollars.

    Attributes:
        day: In a local day; 0 stops all paid sending.
        hour: In an hour; 0 means that hours have no cap of their own.
        month: In a month of the calendar; 0 means that months have no cap of their own.
    """

    day: int
    hour: int = 0
    month: int = 0

    def of(self, window: Window) -> int | None:
        """The cap of a window; None where there is none."""
        if window == "day":
            return self.day
        return (self.hour if window == "hour" else self.month) or None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the money stands.

    Attributes:
        stage: ``normal``; ``slower`` (automatic questions wait for the pace); ``asked_only`` (what is left of a cap is
            kept for snaps that are asked for); ``nothing``.
        because: Which cap (``tokens`` is the one for models without a price), ``pacing`` or ``price_unknown``; '' when
            normal.
    """

    stage: Stage = "normal"
    because: Because = ""


def spent(totals: Totals, window: Window) -> Period:
    """What was spent and reserved in a window."""
    if window == "day":
        return Period(totals.settled_microusd, totals.reserved_microusd)
    return totals.hour if window == "hour" else totals.month


def open_to(cap_microusd: int, *, automatic: bool) -> int:
    """How much of a cap a question may use: a tenth, rounded up, is closed to automatic ones."""
    return cap_microusd - -(-cap_microusd * KEPT_PERCENT // 100) if automatic else cap_microusd


def passed(totals: Totals, caps: Caps, more_microusd: int, *, automatic: bool) -> Window | None:
    """The first cap that so much more would pass, counting what is reserved; None when it fits into all."""
    for window in WINDOWS:
        cap = caps.of(window)
        if cap is not None and spent(totals, window).total + more_microusd > open_to(cap, automatic=automatic):
            return window
    return None


def standing_of(totals: Totals, caps: Caps, next_microusd: int, *, paced: bool, reserved_too: bool = False) -> Standing:
    """Where the money stands for the questions to come.

    What is reserved by open questions is usually not counted: most of it comes back when they are answered, and a
    stage that came and went with every question would only be noise. The check before each send counts it.

    Args:
        totals: What was spent.
        caps: What may be.
        next_microusd: What the next question reserves.
        paced: Whether automatic questions wait for the pace now.
        reserved_too: Count what is reserved, because a question was refused for it.
    """
    if not reserved_too:
        totals = Totals(
            settled_microusd=totals.settled_microusd,
            hour=Period(totals.hour.settled_microusd),
            month=Period(totals.month.settled_microusd),
        )
    # A price of nothing must still meet a cap that is spent.
    more = max(1, next_microusd)
    window = passed(totals, caps, more, automatic=False)
    if window is not None:
        return Standing("nothing", window)
    window = passed(totals, caps, more, automatic=True)
    if window is not None:
        return Standing("asked_only", window)
    return Standing("slower", "pacing") if paced else Standing()


def hour_of(wall_s: float) -> tuple[float, float]:
    """First moment of the hour of a moment, and of the next hour."""
    start = math.floor(wall_s / HOUR_S) * HOUR_S
    return float(start), float(start + HOUR_S)


def local_day(wall_s: float, tz: tzinfo | None = None) -> str:
    """The local day of a moment, ``2026-11-21``.

    Args:
        wall_s: Seconds since 1970.
        tz: The time zone; None for that of the machine.
    """
    # fromtimestamp rounds to microseconds: the last moment of a day would become the next day.
    return datetime.fromtimestamp(math.floor(wall_s), UTC).astimezone(tz).date().isoformat()


def day_bounds(day: str, tz: tzinfo | None = None) -> tuple[float, float]:
    """First moment of a local day and of the next; 23 or 25 hours apart where clocks are changed.

    Args:
        day: ``2026-11-21``.
        tz: The time zone; None for that of the machine.

    Raises:
        ValueError: ``day`` is no date.
    """
    first = date.fromisoformat(day)
    return _midnight(first, tz), _midnight(first + timedelta(days=1), tz)


def ends_at(window: Window, wall_s: float, tz: tzinfo | None = None) -> float:
    """When the hour, day or month of a moment is over, in seconds since 1970."""
    if window == "hour":
        return hour_of(wall_s)[1]
    day = local_day(wall_s, tz)
    if window == "day":
        return day_bounds(day, tz)[1]
    first = date.fromisoformat(day).replace(day=1)
    return _midnight((first + timedelta(days=31)).replace(day=1), tz)


def _midnight(day: date, tz: tzinfo | None) -> float:
    # None is the machine's zone.
    # With fold 0, a midnight that is skipped gives the moment of the change, one that comes twice gives the first.
    return datetime(day.year, day.month, day.day, tzinfo=tz).timestamp()
