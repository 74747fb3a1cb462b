"""Whether a question may cost money now, and what an answer did cost. Pure.

``settled + reserved + predicted`` never passes a cap of the hour, the day or the month. The check and the reservation
that follows it happen in one transaction (``Journal.reserve``), so two questions cannot both take the last cent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hudd.ledger.caps import Caps, Window, passed
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
        window: Whose cap would be passed; None for other reasons.
    """

    allowed: bool
    reason: BudgetReason = ""
    window: Window | None = None


_ALLOWED = Verdict(allowed=True)


def decide(
    totals: Totals,
    *,
    engine: str,
    caps: Caps,
    token_cap: int,
    predicted_microusd: int | None,
    predicted_tokens: int,
    trigger: Trigger,
) -> Verdict:
    """Decide whether a question fits into what is left of every cap.

    Args:
        totals: What the hour, the day and the month have cost so far.
        engine: ``local`` costs nothing and touches no cap.
        caps: What may be spent.
        token_cap: Tokens for the day of models without a known price; 0 means that none may be sent.
        predicted_microusd: The most the question can cost; None when the price is unknown.
        predicted_tokens: The most tokens it can take.
        trigger: Why it is asked: a tenth of each cap is kept for ``manual``.

    Returns:
        ``cap_reached`` when a cap would be passed, ``price_unknown`` when nothing bounds the cost.
    """
    if engine == "local":
        return _ALLOWED
    automatic = trigger != "manual"
    if predicted_microusd is None:
        if token_cap <= 0:
            return Verdict(allowed=False, reason="price_unknown")
        tokens = totals.unpriced_tokens + totals.unpriced_reserved_tokens + predicted_tokens
        if tokens > token_cap:
            return Verdict(allowed=False, reason="cap_reached", window="day")
        # A question of unknown price adds money that nobody can name: a spent money cap stops it too.
        predicted_microusd = 1
    window = passed(totals, caps, predicted_microusd, automatic=automatic)
    return _ALLOWED if window is None else Verdict(allowed=False, reason="cap_reached", window=window)


def settlement_of(
    answer: Answer,
    *,
    reservation_id: int,
    engine: str,
    model: str,
    prices: PriceTable,
    reserved_microusd: int | None = None,
) -> Settlement:
    """What to write down for an answer.

    A local answer costs 0, and so does a question whose bytes never left. Without usage the reservation stands as
    assumed: cancelled and incomplete answers are billed too (realtime-protocol 6.2).

    Args:
        answer: What became of the question.
        reservation_id: As ``Journal.reserve`` returned it.
        engine: ``service`` or ``local``.
        model: Model name as configured.
        prices: The table in force.
        reserved_microusd: What was reserved, for the note of an answer whose cost is assumed.
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
        reserved_microusd=reserved_microusd,
        model=model,
    )
