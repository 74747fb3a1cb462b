"""What the ledger writes down and reads back: reservations, settlements, totals. Pure records.

Money is in whole micro-dollars (millionths of a dollar), tokens in whole tokens, times in seconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hudd.model import AnswerStatus, Usage


def known_of(microusd: int | None, unpriced: int) -> int | None:
    """A sum as it may be told: when all that is known is that some answers have no price, it is unknown and not zero.

    Args:
        microusd: The sum of the known costs; None when there are none.
        unpriced: Answers whose cost is unknown.
    """
    return None if unpriced and not microusd else microusd or 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a question may cost at most; committed before the question is sent.

    Attributes:
        snap_id: Id of the question.
        model: Model name as configured.
        engine: ``service`` or ``local``.
        trigger: ``change``, ``manual`` or ``interval``.
        day: Local day it counts for, ``2026-11-21``; it stays there when the answer comes after midnight.
        reserved_at: Wall clock.
        microusd: Predicted cost; None when the price is unknown.
        tokens: Predicted tokens, input and output.
        pictures: How many pictures it carries.
        image_tokens: What they take by their sizes (realtime-protocol 4.3); compared with the usage later.
    """

    snap_id: str
    model: str
    engine: str
    trigger: str
    day: str
    reserved_at: float
    microusd: int | None
    tokens: int
    pictures: int = 0
    image_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a reservation.

    Attributes:
        reservation_id: As ``Journal.reserve`` returned it.
        status: How the answer ended.
        usage: Tokens as the service told them; None when it told none.
        cost_microusd: What it cost; None when the price is unknown. Not used when ``assumed``.
        assumed: True when the service told no usage although it may have billed: the reservation stands as the cost.
        price_date: Date of the price table, ``2026-11-01``; '' when no price was needed.
        reserved_microusd: What the reservation holds; None when the price is unknown.
        model: Of the reservation; the note names it.
    """

    reservation_id: int
    status: AnswerStatus
    usage: Usage | None
    cost_microusd: int | None
    assumed: bool = False
    price_date: str = ""
    reserved_microusd: int | None = None
    model: str = ""

    @property
    def published_microusd(self) -> int | None:
        """What the note tells: the known cost, or the assumed one, as the ledger will have it."""
        return self.reserved_microusd if self.assumed else self.cost_microusd


@dataclass(frozen=True, slots=True)
class Period:
    """What an hour or a month has cost so far, at the service.

    Attributes:
        settled_microusd: Cost of the answers that ended, the assumed ones with their whole reservation.
        reserved_microusd: Reservations of the questions that are still open.
    """

    settled_microusd: int = 0
    reserved_microusd: int = 0

    @property
    def total(self) -> int:
        """Both."""
        return self.settled_microusd + self.reserved_microusd


@dataclass(frozen=True, slots=True)
class Totals:
    """What a day has cost so far, at the service. Local answers add to ``answers`` and to nothing else.

    Attributes:
        settled_microusd: Cost of the answers that ended, the assumed ones with their whole reservation.
        reserved_microusd: Reservations of the questions that are still open.
        assumed_microusd: The part of ``settled_microusd`` that is assumed.
        tokens: Tokens of the answers that ended.
        unpriced_tokens: The part of ``tokens`` that has no known price.
        unpriced_reserved_tokens: Tokens reserved by open questions without a known price.
        answers: Answers that ended, of any engine.
        unpriced: Answers of the service whose cost is unknown.
        hour: The hour of the moment that was asked about.
        month: The month of the day.
    """

    settled_microusd: int = 0
    reserved_microusd: int = 0
    assumed_microusd: int = 0
    tokens: int = 0
    unpriced_tokens: int = 0
    unpriced_reserved_tokens: int = 0
    answers: int = 0
    unpriced: int = 0
    hour: Period = Period()
    month: Period = Period()

    @property
    def known_microusd(self) -> int | None:
        """What is known of the cost; None when answers were paid for and of none is it known how much."""
        return known_of(self.settled_microusd, self.unpriced)


@dataclass(frozen=True, slots=True)
class Charge:
    """Money that an automatic question took, at the moment it was reserved."""

    at: float
    microusd: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What one answer used, beside what was expected of it.

    Attributes:
        pictures: Pictures of the question.
        expected_image_tokens: By their sizes (realtime-protocol 4.3).
        usage: As the service told it.
    """

    pictures: int
    expected_image_tokens: int
    usage: Usage


@dataclass(frozen=True, slots=True)
class MoneyFacts:
    """Everything about money that stages and status need, as of one moment.

    Attributes:
        totals: Of the day, its month and the present hour.
        charges: Of the day's automatic questions, oldest first.
        samples: The newest answers of the model, newest first.
        unnoted: Paid answers since the last one that made a note.
        unnoted_microusd: What they cost, as far as it is known.
        unnoted_unpriced: How many of them have an unknown cost.
        ever_paid: Whether the service was ever asked anything.
        first_use: Whether a person is still to be told that money is spent: ``due``, ``told``, or '' before the first
            start with the service.
    """

    totals: Totals = Totals()
    charges: tuple[Charge, ...] = ()
    samples: tuple[Sample, ...] = ()
    unnoted: int = 0
    unnoted_microusd: int = 0
    unnoted_unpriced: int = 0
    ever_paid: bool = True
    first_use: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """What was worth a question in a range of time: changes that passed the gate, and snaps.

    Attributes:
        minutes: Minutes since 1970 in which there was any, oldest first, and how many in each.
        asked: How many questions were asked in that time.
    """

    minutes: tuple[tuple[int, int], ...] = ()
    asked: int = 0


@dataclass(frozen=True, slots=True)
class CostRow:
    """The answers of one engine, model and trigger in a range of time.

    Attributes:
        quarter: Quarters of an hour since 1970, or None when the rows are not split by time. Every local hour and day
            begins with one.
        day: Local day it counts for; '' when the rows are not split by time.
        engine: ``service`` or ``local``.
        model: Model name as configured.
        trigger: ``change``, ``manual`` or ``interval``.
        answers: Answers that ended.
        usage: The sum of their tokens, by kind and cached; the caller prices it for "what would it have cost".
        microusd: The sum of the known costs, assumed ones included; None when no price was known.
        assumed_microusd: The part of ``microusd`` that is assumed.
        reserved_microusd: Reservations that are still open; not part of ``microusd``.
        unpriced: Answers whose price is unknown; not part of ``microusd``.
        unnoted_microusd: The part of ``microusd`` that was spent on answers that made no note.
    """

    engine: str
    model: str
    trigger: str
    answers: int
    usage: Usage
    microusd: int | None
    assumed_microusd: int
    reserved_microusd: int
    unpriced: int
    unnoted_microusd: int = 0
    day: str = ""
    quarter: int | None = None


@dataclass(frozen=True, slots=True)
class CostReport:
    """What was spent in a range of time.

    Attributes:
        since: Start of the range, or None for the beginning.
        until: End of the range (excluded), or None for now.
        rows: One per engine, model and trigger; when split by time, one more for each quarter of an hour and day.
    """

    since: float | None
    until: float | None
    rows: tuple[CostRow, ...] = field(default=())
