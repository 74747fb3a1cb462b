"""The ledger in memory: reserves and settles as the journal does, by the same pure decisions."""

from __future__ import annotations

from hudd.adapters import shipped_text
from hudd.flow.limits import Limits
from hudd.ledger.budget import decide, settlement_of
from hudd.ledger.caps import Caps
from hudd.ledger.prices import PriceTable
from hudd.ledger.records import Totals
from hudd.model import Answer, Question, Usage

MODEL = "gpt-realtime-1.5"
PRICES = PriceTable.from_toml(shipped_text("prices.toml"))
LIMITS = Limits(
    engine="service",
    model=MODEL,
    cap_day_microusd=1_000_000,
    token_cap_day=0,
    image_tokens=839,
    text_tokens=700,
    max_output_tokens=200,
    history_tokens=300,
)
USAGE = Usage(input_tokens=823, text_tokens=500, image_tokens=323, output_tokens=60)
"""Of an answer about one picture."""


class MemoryLedger:
    """One day of money.

    Args:
        cap_microusd: Of the day.
        each_microusd: What every question reserves: the most that it can cost.
    """

    def __init__(self, cap_microusd: int, each_microusd: int) -> None:
        self.cap_microusd = cap_microusd
        self.each_microusd = each_microusd
        self.settled_microusd = 0
        self.open: dict[str, bool] = {}
        """Question → whether its bytes left."""

    @property
    def spoken_for(self) -> int:
        """Settled and reserved together."""
        return self.settled_microusd + len(self.open) * self.each_microusd

    def reserve(self, question: Question) -> bool:
        """Whether the question may be sent; what its earlier asking reserved stands, when that was sent."""
        if self.open.pop(question.id, False):
            self.settled_microusd += self.each_microusd
        verdict = decide(
            Totals(settled_microusd=self.settled_microusd, reserved_microusd=len(self.open) * self.each_microusd),
            engine="service",
            caps=Caps(self.cap_microusd),
            token_cap=0,
            predicted_microusd=self.each_microusd,
            predicted_tokens=1000,
            trigger=question.trigger,
        )
        if verdict.allowed:
            self.open[question.id] = False
        return verdict.allowed

    def sent(self, question: Question) -> None:
        """Its bytes left."""
        self.open[question.id] = True

    def answered(self, answer: Answer) -> None:
        """Settle what was reserved; nothing when nothing was."""
        sent = self.open.pop(answer.question.id, None)
        if sent is None:
            return
        settlement = settlement_of(
            answer, reservation_id=1, engine="service", model=MODEL, prices=PRICES, reserved_microusd=self.each_microusd
        )
        cost = settlement.cost_microusd if sent else 0
        self.settled_microusd += self.each_microusd if cost is None else cost
