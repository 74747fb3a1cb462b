"""Money between a question and its note: reserved and committed before the send, settled in the note's transaction.

The journal stores, ``ledger.budget`` decides, this stage asks one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

from hudd.clock import Clock
from hudd.errors import WithheldError
from hudd.flow.limits import Limits
from hudd.flow.meter import Meter
from hudd.ledger.budget import Verdict, decide, settlement_of
from hudd.ledger.caps import local_day
from hudd.ledger.prices import PriceTable
from hudd.ledger.records import MoneyFacts, Reservation, Settlement, Totals
from hudd.model import Answer, NoticeTopic, Question
from hudd.policy.facts import Facts

__all__ = ["QUESTION_OVERHEAD_TOKENS", "LedgerStore", "Limits", "Spending"]

QUESTION_OVERHEAD_TOKENS: Final = 160  # the frame, time, source and what is asked, and the envelopes of the items


class LedgerStore(Protocol):
    """What this stage needs of the journal."""

    async def reserve(self, reservation: Reservation, *, check: Callable[[Totals], Verdict] | None = None) -> int: ...
    async def settle(self, settlement: Settlement) -> None: ...
    async def money(self, *, day: str, at: float, model: str) -> MoneyFacts: ...
    async def set_first_use(self, word: Literal["due", "told"]) -> None: ...


@dataclass(slots=True)
class _Open:
    """A reservation whose answer has not come."""

    reservation_id: int
    model: str
    microusd: int | None
    sent: bool = False


class Spending:
    """Reserves before a send and says what an answer cost.

    Args:
        store: The ledger.
        prices: The price table.
        limits: What the settings allow.
        facts: Told when the cap is reached or lifted.
        clock: For the local day.
        on_cost: Called with a dict for ``cost/`` when what may be spent changed.
        notify_person: Told in a sentence what a person should know: a step of the stages, an alarm.
        on_window: Called with the length of the text history when what the cache serves changes it.

    Attributes:
        meter: Where the money stands.
    """

    def __init__(
        self,
        *,
        store: LedgerStore,
        prices: PriceTable,
        limits: Limits,
        facts: Facts,
        clock: Clock,
        on_cost: Callable[[dict[str, object]], None],
        notify_person: Callable[[NoticeTopic, str], None] = lambda _, __: None,
        on_window: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._prices = prices
        self._limits = limits
        self._clock = clock
        self._open: dict[str, _Open] = {}
        self._facts = facts
        self.meter = Meter(
            store=store,
            limits=limits,
            prices=prices,
            facts=facts,
            clock=clock,
            on_cost=on_cost,
            notify_person=notify_person,
            on_window=on_window,
        )

    @property
    def limits(self) -> Limits:
        """What the settings allow."""
        return self._limits

    def explain(self, reasons: Sequence[str]) -> tuple[str, str]:
        """Why nothing was sent and what to do about it, as sentences; which cap, how much and until when."""
        return self._facts.explain(reasons)

    def today(self) -> str:
        """The local day, ``YYYY-MM-DD``."""
        return local_day(self._clock.wall())

    async def reserve(self, question: Question, model: str = "") -> None:
        """Commit a reservation for a question, before its bytes leave.

        A question that is asked again is reserved again; what was set aside for the first try is settled then.

        Args:
            question: What is asked.
            model: Asked by the question's session, or '' for that of the limits; the local engine's is always theirs.

        Raises:
            WithheldError: A cap would be passed, or the price is unknown and no token cap is set.
            StorageError: The ledger cannot be written; then nothing may be sent.
        """
        limits = self._limits
        if limits.engine == "local" or not model:
            model = limits.model
        predicted = self.meter.predict(question, model)
        await self._settle_first_try(question)
        # Read once: hour and day must be those of one moment.
        now = self._clock.wall()

        def check(totals: Totals) -> Verdict:
            return decide(
                totals,
                engine=limits.engine,
                caps=limits.caps,
                token_cap=limits.token_cap_day,
                predicted_microusd=predicted.microusd,
                predicted_tokens=predicted.tokens,
                trigger=question.trigger,
            )

        reservation = Reservation(
            snap_id=question.id,
            model=model,
            engine=limits.engine,
            trigger=question.trigger,
            day=local_day(now),
            reserved_at=now,
            microusd=predicted.microusd,
            tokens=predicted.tokens,
            pictures=len(question.pictures),
            image_tokens=predicted.expected_image_tokens,
        )
        try:
            number = await self._store.reserve(reservation, check=None if limits.engine == "local" else check)
        except WithheldError:
            await self.meter.refused()
            raise
        self._open[question.id] = _Open(number, model, predicted.microusd)

    def sent(self, question: Question) -> None:
        """The bytes of a question are with the socket: from now on it may be billed."""
        if question.id in self._open:
            self._open[question.id].sent = True

    async def _settle_first_try(self, question: Question) -> None:
        first = self._open.pop(question.id, None)
        if first is None:
            return
        billed = first.sent and self._limits.engine != "local"
        await self._store.settle(
            Settlement(
                reservation_id=first.reservation_id,
                status="vanished",
                usage=None,
                cost_microusd=None if billed else 0,
                assumed=billed,
                price_date=self._prices.date if billed else "",
            )
        )
        self.meter.settled()

    def settlement(self, answer: Answer) -> Settlement | None:
        """What the answer's ledger row becomes; None when nothing was reserved for it."""
        reserved = self._open.pop(answer.question.id, None)
        if reserved is None:
            return None
        settlement = settlement_of(
            replace(answer, sent=reserved.sent),  # a second try may be unsent although the first was not
            reservation_id=reserved.reservation_id,
            engine=self._limits.engine,
            model=reserved.model,
            prices=self._prices,
            reserved_microusd=reserved.microusd,
        )
        cost = settlement.cost_microusd
        if cost is not None and reserved.microusd is not None and cost > reserved.microusd:
            self.meter.above_reservation(reserved.microusd, cost)
        return settlement

    def change(self, limits: Limits, prices: PriceTable) -> None:
        """Other settings hold from the next reservation on; what is reserved already stays as it is."""
        self._limits, self._prices = limits, prices
        self.meter.change(limits, prices)

    def use_model(self, model: str) -> None:
        """Another model answers from now on (a fallback): the stage and what is predicted follow its prices."""
        self._limits = replace(self._limits, model=model)
        self.meter.use_model(model)

    def committed(self) -> None:
        """A settlement is in the ledger: the stage is looked at again."""
        self.meter.settled(answered=True)

    async def run(self) -> None:
        """Keep the stage true: lift what a cap or the pace held back when its time is over. Until cancelled."""
        await self.meter.run()
