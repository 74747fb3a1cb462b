from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.ledger.budget import Verdict, day_bounds, decide, local_day, settlement_of
from hudd.ledger.prices import ModelPrices, PriceTable
from hudd.ledger.records import Totals
from hudd.model import Usage
from tests.fakes.journal import make_answer

PRICES = PriceTable(date="2026-11-01", models={"m": ModelPrices(text_in=1_000_000)})
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu"]


def _decide(totals: Totals, **changes: object) -> Verdict:
    values: dict[str, object] = {
        "engine": "service", "cap_microusd": 100, "token_cap": 0, "predicted_microusd": 10, "predicted_tokens": 5,
        "trigger": "change",
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
        (Totals(), {"cap_microusd": 0}, "cap_reached"),
        (Totals(), {"trigger": "manual", "cap_microusd": 9}, "cap_reached"),
        (Totals(), {"predicted_microusd": None}, "price_unknown"),
        (Totals(), {"predicted_microusd": None, "trigger": "manual"}, "price_unknown"),
        (Totals(), {"predicted_microusd": None, "token_cap": 5}, ""),
        (Totals(), {"predicted_microusd": None, "token_cap": 4}, "cap_reached"),
        (Totals(unpriced_tokens=3, unpriced_reserved_tokens=3), {"predicted_microusd": None, "token_cap": 10}, "cap_reached"),
        (Totals(unpriced_tokens=3, unpriced_reserved_tokens=2), {"predicted_microusd": None, "token_cap": 10}, ""),
        (Totals(settled_microusd=100), {"predicted_microusd": None, "token_cap": 10}, "cap_reached"),
        (Totals(), {"predicted_microusd": None, "token_cap": 10, "cap_microusd": 0}, "cap_reached"),
        (Totals(settled_microusd=999), {"engine": "local", "cap_microusd": 0}, ""),
        (Totals(), {"engine": "local", "predicted_microusd": None}, ""),
    ],
)  # fmt: skip
def test_what_may_be_sent(totals: Totals, changes: dict[str, object], reason: str) -> None:
    assert _decide(totals, **changes) == Verdict(allowed=reason == "", reason=reason)  # type: ignore[arg-type]


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
                ledger.totals(), cap_microusd=cap, token_cap=token_cap, predicted_microusd=first,
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
    verdict = _decide(Totals(settled_microusd=spent), cap_microusd=cap, predicted_microusd=predicted)
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


def test_days_are_23_and_25_hours_long_where_clocks_are_changed() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    lengths = {day: (day_bounds(day, berlin)[1] - day_bounds(day, berlin)[0]) / 3600 for day in
               ("2026-03-28", "2026-03-29", "2026-10-25", "2026-10-26")}  # fmt: skip
    assert lengths == {"2026-03-28": 24, "2026-03-29": 23, "2026-10-25": 25, "2026-10-26": 24}


def test_a_day_whose_midnight_is_skipped_begins_with_the_change() -> None:
    cairo = ZoneInfo("Africa/Cairo")  # on 2026-04-24 the clocks go from 00:00 to 01:00
    start, end = day_bounds("2026-04-24", cairo)
    assert datetime.fromtimestamp(start, UTC).isoformat() == "2026-04-23T22:00:00+00:00"
    assert end - start == 23 * 3600
    assert local_day(start, cairo) == "2026-04-24"
    assert local_day(start - 1, cairo) == "2026-04-23"


@given(
    wall=st.floats(min_value=1_577_836_800, max_value=1_893_456_000),  # 2020 to 2030
    zone=st.sampled_from(ZONES),
)
def test_every_moment_lies_within_the_bounds_of_its_day_and_of_no_other(wall: float, zone: str) -> None:
    tz = ZoneInfo(zone)
    day = local_day(wall, tz)
    start, end = day_bounds(day, tz)
    assert start <= wall < end
    assert 22.5 * 3600 <= end - start <= 25.5 * 3600
    assert day_bounds(local_day(end, tz), tz)[0] == end


def test_the_last_moment_of_a_day_is_not_the_next_day() -> None:
    assert local_day(1_893_455_999.9999998, UTC) == "2029-12-31"
    assert local_day(1_893_456_000.0, UTC) == "2030-01-01"


def test_without_a_zone_the_machines_is_taken() -> None:
    now = 1_795_343_466.0
    start, end = day_bounds(local_day(now))
    assert start <= now < end


@pytest.mark.parametrize("day", ["", "today", "2026-13-01"])
def test_a_day_that_is_no_date_is_refused(day: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|month"):
        day_bounds(day)
