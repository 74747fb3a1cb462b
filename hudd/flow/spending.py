"""Money between a question and its note: reserved and committed before the send, settled in the note's transaction.

The journal stores, ``ledger.budget`` decides, this stage asks one after the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from hudd.clock import Clock
from hudd.errors import WithheldError
from hudd.ledger.budget import Verdict, day_bounds, decide, local_day, settlement_of
from hudd.ledger.prices import PriceTable
from hudd.ledger.records import Reservation, Settlement, Totals
from hudd.model import Answer, Question
from hudd.policy.facts import Facts, sentence_for

log = logging.getLogger("hudd.cost")

QUESTION_OVERHEAD_TOKENS: Final = 160  # the frame, time, source and what is asked, and the envelopes of the items
RECHECK_S: Final = 900.0  # while a cap is reached, the clock is looked at again so often
LEAST_WAIT_S: Final = 1.0


class LedgerStore(Protocol):
    """What this stage needs of the journal."""

    async def reserve(self, reservation: Reservation, *, check: Callable[[Totals], Verdict] | None = None) -> int: ...
    async def settle(self, settlement: Settlement) -> None: ...


@dataclass(slots=True)
class _Open:
    """A reservation whose answer has not come."""

    reservation_id: int
    sent: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings allow.

    Attributes:
        engine: ``local`` answers cost nothing and touch no cap.
        model: Whose prices apply.
        cap_day_microusd: Dollars a local day, in millionths.
        token_cap_day: Tokens a day for a model without a price.
        image_tokens: Reserved for one picture until usage told better.
        text_tokens: Reserved for instructions and history.
        max_output_tokens: Reserved for the answer.
    """

    engine: str
    model: str
    cap_day_microusd: int
    token_cap_day: int
    image_tokens: int
    text_tokens: int
    max_output_tokens: int


class Spending:
    """Reserves before a send and says what an answer cost.

    Args:
        store: The ledger.
        prices: The price table.
        limits: What the settings allow.
        facts: Told when the cap is reached or lifted.
        clock: For the local day.
        on_cost: Called with a dict for ``cost/`` when what may be spent changed.
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
    ) -> None:
        self._store = store
        self._prices = prices
        self._limits = limits
        self._facts = facts
        self._clock = clock
        self._on_cost = on_cost
        self._open: dict[str, _Open] = {}
        self._blocked_day = ""
        self._blocked = asyncio.Event()

    @property
    def limits(self) -> Limits:
        """What the settings allow."""
        return self._limits

    def today(self) -> str:
        """The local day, ``YYYY-MM-DD``."""
        return local_day(self._clock.wall())

    async def reserve(self, question: Question) -> None:
        """Commit a reservation for a question, before its bytes leave.

        A question that is asked again is reserved again; what was set aside for the first try is settled then.

        Raises:
            WithheldError: A cap would be passed, or the price is unknown and no token cap is set.
            StorageError: The ledger cannot be written; then nothing may be sent.
        """
        limits = self._limits
        pictures = len(question.pictures)
        predicted = self._prices.predicted_microusd(
            limits.model, pictures, limits.image_tokens, limits.text_tokens, limits.max_output_tokens
        )
        tokens = pictures * limits.image_tokens + limits.text_tokens + limits.max_output_tokens
        if limits.engine == "local":
            predicted = 0
        await self._settle_first_try(question)
        day = self.today()

        def check(totals: Totals) -> Verdict:
            return decide(
                totals,
                engine=limits.engine,
                cap_microusd=limits.cap_day_microusd,
                token_cap=limits.token_cap_day,
                predicted_microusd=predicted,
                predicted_tokens=tokens,
                trigger=question.trigger,
            )

        reservation = Reservation(
            snap_id=question.id,
            model=limits.model,
            engine=limits.engine,
            trigger=question.trigger,
            day=day,
            reserved_at=self._clock.wall(),
            microusd=predicted,
            tokens=tokens,
        )
        try:
            self._open[question.id] = _Open(await self._store.reserve(reservation, check=check))
        except WithheldError as error:
            self._block(error.reasons[0], day)
            raise

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

    def settlement(self, answer: Answer) -> Settlement | None:
        """What the answer's ledger row becomes; None when nothing was reserved for it."""
        reserved = self._open.pop(answer.question.id, None)
        if reserved is None:
            return None
        return settlement_of(
            replace(answer, sent=reserved.sent),  # a second try may be unsent although the first was not
            reservation_id=reserved.reservation_id,
            engine=self._limits.engine,
            model=self._limits.model,
            prices=self._prices,
        )

    def _block(self, reason: str, day: str) -> None:
        if reason == "price_unknown":
            # Only a price or a token cap in the settings helps, not the next day.
            self._facts.set("price_unknown", True)
        else:
            self._blocked_day = day
            self._facts.set("cap_reached", True)
            self._blocked.set()
        log.warning("sending stops: %s", sentence_for((reason,)))
        self._on_cost({"day": day, "blocked": reason, "cap_microusd": self._limits.cap_day_microusd})

    async def run(self) -> None:
        """Lift a reached cap when the local day is over. Runs until cancelled, and sleeps while none is reached."""
        while True:
            await self._blocked.wait()
            while self._blocked_day == self.today():
                left_s = day_bounds(self._blocked_day)[1] - self._clock.wall()
                # The wall clock may be set meanwhile, or the machine sleep.
                await self._clock.sleep(min(max(left_s, LEAST_WAIT_S), RECHECK_S))
            self._blocked.clear()
            self._facts.set("cap_reached", False)
            self._on_cost({"day": self.today(), "blocked": None, "cap_microusd": self._limits.cap_day_microusd})
