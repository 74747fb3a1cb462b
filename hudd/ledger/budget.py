"""Whether a question may cost money now, and what an answer did cost. Pure.

``settled + reserved + predicted`` never passes a cap. The check and the reservation that follows it happen in one
transaction (``Journal.reserve``), so two questions cannot both take the last cent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal

from hudd.ledger.prices import PriceTable
from hudd.ledger.records import Settlement, Totals
from hudd.model import Answer, Trigger

BudgetReason = Literal["", "cap_reached", "price_unknown"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a question may be sent.

    Attributes:
        allowed: True when it may.
        reason: The word for ``sending.reasons``; '' when allowed.
    """

    allowed: bool
    reason: BudgetReason = ""


_ALLOWED = Verdict(allowed=True)


def decide(
    totals: Totals,
    *,
    engine: str,
    cap_microusd: int,
    token_cap: int,
    predicted_microusd: int | None,
    predicted_tokens: int,
    trigger: Trigger,  # noqa: ARG001 - part of the contract: who asked will decide which share of a cap is open to it
) -> Verdict:
    """Decide whether a question fits into what is left of the day.

    Args:
        totals: What the day has cost so far.
        engine: ``local`` costs nothing and touches no cap.
        cap_microusd: Money for the day; 0 stops all paid sending.
        token_cap: Tokens for the day of models without a known price; 0 means that none may be sent.
        predicted_microusd: The most the question can cost; None when the price is unknown.
        predicted_tokens: The most tokens it can take.
        trigger: Why it is asked.

    Returns:
        ``cap_reached`` when a cap would be passed, ``price_unknown`` when nothing bounds the cost.
    """
    if engine == "local":
        return _ALLOWED
    spent = totals.settled_microusd + totals.reserved_microusd
    if predicted_microusd is None:
        if token_cap <= 0:
            return Verdict(allowed=False, reason="price_unknown")
        tokens = totals.unpriced_tokens + totals.unpriced_reserved_tokens + predicted_tokens
        # A question of unknown price adds money that nobody can name: a spent money cap stops it too.
        if tokens > token_cap or spent >= cap_microusd:
            return Verdict(allowed=False, reason="cap_reached")
        return _ALLOWED
    if spent + predicted_microusd > cap_microusd:
        return Verdict(allowed=False, reason="cap_reached")
    return _ALLOWED


def settlement_of(answer: Answer, *, reservation_id: int, engine: str, model: str, prices: PriceTable) -> Settlement:
    """What to write down for an answer.

    A local answer costs 0, and so does a question whose bytes never left. Without usage the reservation stands as
    assumed: cancelled and incomplete answers are billed too (realtime-protocol 6.2).

    Args:
        answer: What became of the question.
        reservation_id: As ``Journal.reserve`` returned it.
        engine: ``service`` or ``local``.
        model: Model name as configured.
        prices: The table in force.
    """
    cost: int | None = 0
    assumed = False
    price_date = ""
    if engine != "local" and answer.sent:
        price_date = prices.date
        assumed = answer.usage is None
        cost = None if answer.usage is None else prices.cost_microusd(answer.usage, model)
    return Settlement(
        reservation_id=reservation_id,
        status=answer.status,
        usage=answer.usage,
        cost_microusd=cost,
        assumed=assumed,
        price_date=price_date,
    )


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


def _midnight(day: date, tz: tzinfo | None) -> float:
    # None is the machine's zone.
    # With fold 0, a midnight that is skipped gives the moment of the change, one that comes twice gives the first.
    return datetime(day.year, day.month, day.day, tzinfo=tz).timestamp()
