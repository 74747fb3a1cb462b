from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.ledger.budget import Verdict, decide, settlement_of
from hudd.ledger.caps import Caps
from hudd.ledger.prices import ModelPrices, PriceTable
from hudd.ledger.records import Period, Totals
from hudd.model import Usage
from tests.fakes.journal import make_answer

PRICES = PriceTable(date="2026-11-01", models={"m": ModelPrices(text_in=1_000_000)})


def _decide(totals: Totals, **changes: object) -> Verdict:
    values: dict[str, object] = {
        "engine": "service", "caps": Caps(day=100), "token_cap": 0, "predicted_microusd": 10, "predicted_tokens": 5,
        "trigger": "manual",
    } | changes  # fmt: skip
    return decide(totals, **values)  # type: ignore[arg-type]  # built above by name


@pytest.mark.parametrize(
    ("totals", "changes", "reason"),
    [
        (Totals(), {}, ""),
        (Totals(settled_microusd=90), {}, ""),
        (Totals(settled_microusd=91), {}, "cap_reached"),
        (Totals(settled_microusd=50, reserved_microusd=40), {}, ""),
        (Totals(settled_microusd=50, reserved_microusd=41), {}, "cap_reached"),
        (Totals(), {"caps": Caps(day=0)}, "cap_reached"),
        (Totals(), {"caps": Caps(day=9)}, "cap_reached"),
        (Totals(), {"predicted_microusd": None}, "price_unknown"),
        (Totals(), {"predicted_microusd": None, "trigger": "manual"}, "price_unknown"),
        (Totals(), {"predicted_microusd": None, "token_cap": 5}, ""),
        (Totals(), {"predicted_microusd": None, "token_cap": 4}, "cap_reached"),
        (Totals(unpriced_tokens=3, unpriced_reserved_tokens=3), {"predicted_microusd": None, "token_cap": 10}, "cap_reached"),
        (Totals(unpriced_tokens=3, unpriced_reserved_tokens=2), {"predicted_microusd": None, "token_cap": 10}, ""),
        (Totals(settled_microusd=100), {"predicted_microusd": None, "token_cap": 10}, "cap_reached"),
        (Totals(), {"predicted_microusd": None, "token_cap": 10, "caps": Caps(day=0)}, "cap_reached"),
        (Totals(settled_microusd=999), {"engine": "local", "caps": Caps(day=0)}, ""),
        (Totals(), {"engine": "local", "predicted_microusd": None}, ""),
    ],
)  # fmt: skip
def test_what_may_be_sent(totals: Totals, changes: dict[str, object], reason: str) -> None:
    verdict = _decide(totals, **changes)
    assert (verdict.allowed, verdict.reason) == (reason == "", reason)


@pytest.mark.parametrize("trigger", ["change", "interval", "manual"])
def test_a_tenth_of_each_cap_is_kept_for_what_a_person_asks(trigger: str) -> None:
    fits = {80: True, 81: trigger == "manual", 90: trigger == "manual", 91: False}
    for spent, allowed in fits.items():
        assert _decide(Totals(settled_microusd=spent), trigger=trigger).allowed is allowed
        month = Totals(month=Period(spent, 0))
        assert _decide(month, trigger=trigger, caps=Caps(day=1000, month=100)).allowed is allowed
        hour = Totals(hour=Period(0, spent))
        assert _decide(hour, trigger=trigger, caps=Caps(day=1000, hour=100)).allowed is allowed


def test_the_verdict_names_the_cap() -> None:
    spent = Totals(settled_microusd=95, hour=Period(95), month=Period(95))
    assert _decide(spent, caps=Caps(day=1000)) == Verdict(allowed=True)
    assert _decide(spent, caps=Caps(day=1000, hour=100)).window == "hour"
    assert _decide(spent, caps=Caps(day=100)).window == "day"
    assert _decide(spent, caps=Caps(day=1000, month=100)).window == "month"


@dataclass
class _Ledger:
    """The smallest ledger that can be: open reservations and what was settled."""

    settled: int = 0
    tokens: int = 0
    reserved: dict[int, tuple[int | None, int]] = field(default_factory=dict[int, "tuple[int | None, int]"])

    def totals(self) -> Totals:
        return Totals(
            settled_microusd=self.settled,
            reserved_microusd=sum(cost or 0 for cost, _ in self.reserved.values()),
            unpriced_tokens=self.tokens,
            unpriced_reserved_tokens=sum(t for cost, t in self.reserved.values() if cost is None),
        )


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.one_of(st.none(), st.integers(0, 60)), st.integers(0, 60)),
        st.tuples(st.just("settle"), st.integers(0, 8), st.floats(0, 1)),
        st.tuples(st.just("vanish"), st.integers(0, 8), st.just(1.0)),
    ),
    max_size=60,
)


@given(steps=STEPS, cap=st.integers(0, 200), token_cap=st.integers(0, 200))
def test_no_cap_is_passed_in_any_order_of_events(
    steps: list[tuple[str, int | None, float]], cap: int, token_cap: int
) -> None:
    ledger = _Ledger()
    for number, (what, first, second) in enumerate(steps):
        if what == "ask":
            verdict = _decide(
                ledger.totals(), caps=Caps(day=cap), token_cap=token_cap, predicted_microusd=first,
                predicted_tokens=int(second),
            )  # fmt: skip
            if verdict.allowed:
                ledger.reserved[number] = (first, int(second))
        elif ledger.reserved:
            open_ones = list(ledger.reserved)
            cost, tokens = ledger.reserved.pop(open_ones[(first or 0) % len(open_ones)])
            if cost is None:
                ledger.tokens += int(tokens * second)
            else:
                ledger.settled += int(cost * second)
        totals = ledger.totals()
        assert totals.settled_microusd + totals.reserved_microusd <= cap
        assert totals.unpriced_tokens + totals.unpriced_reserved_tokens <= token_cap


@given(spent=st.integers(0, 10**9), cap=st.integers(0, 10**9), predicted=st.integers(0, 10**6))
def test_what_is_allowed_fits_and_what_fits_is_allowed(spent: int, cap: int, predicted: int) -> None:
    verdict = _decide(Totals(settled_microusd=spent), caps=Caps(day=cap), predicted_microusd=predicted)
    assert verdict.allowed == (spent + predicted <= cap)


def test_a_known_usage_settles_at_its_price() -> None:
    settled = settlement_of(
        make_answer(usage=Usage(input_tokens=7, text_tokens=7)), reservation_id=3, engine="service", model="m",
        prices=PRICES,
    )  # fmt: skip
    assert (settled.reservation_id, settled.cost_microusd, settled.assumed) == (3, 7, False)
    assert settled.price_date == "2026-11-01"


def test_without_usage_the_reservation_stands_as_assumed() -> None:
    settled = settlement_of(
        make_answer(status="vanished"), reservation_id=3, engine="service", model="m", prices=PRICES
    )
    assert (settled.status, settled.cost_microusd, settled.assumed) == ("vanished", None, True)


@pytest.mark.parametrize(
    ("engine", "changes"), [("local", {"usage": Usage(5, 5)}), ("local", {}), ("service", {"sent": False})]
)
def test_local_answers_and_unsent_questions_cost_nothing(engine: str, changes: dict[str, object]) -> None:
    settled = settlement_of(make_answer(**changes), reservation_id=1, engine=engine, model="m", prices=PRICES)
    assert (settled.cost_microusd, settled.assumed) == (0, False)


def test_an_unknown_price_stays_unknown() -> None:
    settled = settlement_of(
        make_answer(usage=Usage(input_tokens=7)), reservation_id=1, engine="service", model="else", prices=PRICES
    )
    assert (settled.cost_microusd, settled.assumed) == (None, False)
