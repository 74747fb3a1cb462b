from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.config.settings import Settings
from hudd.engine.accounting import text_tokens
from hudd.ledger.estimate import MEMORIES, Habits, Shape, estimate, habits_of, times_of
from hudd.realtime.prompt import FRAME
from tests.bench.cost_clients import MODEL, Case, clients, instructions
from tests.bench.costs import bill, shipped_prices
from tests.bench.day import make_day

PRICES = shipped_prices()
SHAPE = Shape(
    fixed_tokens=text_tokens(instructions()) + text_tokens(FRAME),
    question_tokens=25,
    history_tokens=Settings().session.history_tokens,
    retention_ratio=Settings().session.retention_ratio,
    image_tokens=323,
    answer_tokens=60,
    note_tokens=60,
)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("cache", ["ideal", "none"])
def test_the_estimate_is_within_a_tenth_of_what_a_generated_hour_costs(memory: str, cache: str) -> None:
    day = make_day(frames=5_000)
    habits = Habits(len(day.changes), 100.0, 1.0, 0.0 if cache == "ideal" else 1.0)
    told = estimate(PRICES, MODEL, memory, SHAPE, habits, active_hours=10)  # type: ignore[arg-type]
    case = Case(cache=cache)  # type: ignore[arg-type]
    client = clients(Settings())[memory]()
    # The estimate is of the history as it is set; it does not know that a useless cache shrinks it.
    client.history.steered = False  # type: ignore[attr-defined]
    paid = bill(client, day, case, PRICES)
    assert told.answer == pytest.approx(paid.per_answer, rel=0.1)


def test_cold_starts_cost_more() -> None:
    warm, mixed, cold = (
        estimate(PRICES, MODEL, "window", SHAPE, Habits(9, 10.0, 1.0, share), active_hours=10).answer or 0
        for share in (0.0, 0.5, 1.0)
    )
    assert warm < mixed < cold
    told = estimate(PRICES, MODEL, "window", SHAPE, Habits(9, 10.0, 1.0, 0.0), active_hours=8)
    assert (told.hour, told.day) == (warm * 10, warm * 80)
    assert (told.warm, told.cold) == (warm, cold)


def test_an_unknown_price_is_unknown() -> None:
    told = estimate(PRICES, "somebody-elses", "window", SHAPE, Habits(9, 10.0, 1.0, 0.0), active_hours=8)
    assert (told.answer, told.hour, told.day) == (None, None, None)


def test_without_history_there_is_nothing_to_cut() -> None:
    shape = Shape(300, 25, 0, 0.5, 323, 60, 60)
    told = estimate(PRICES, MODEL, "window", shape, Habits(1, 1.0, 1.0, 0.0), active_hours=1)
    assert told.answer == told.warm


def test_habits() -> None:
    assert habits_of(()) == Habits(0, 0.0, 0.0, 0.0)
    assert habits_of((5.0,)).per_hour == 4.0
    every_minute = habits_of([60.0 * n for n in range(61)])
    assert every_minute.per_hour == pytest.approx(60)
    assert every_minute.cold_share == 0
    # A night in between is no time at the screen, but a cold start.
    nights = habits_of([0.0, 60.0, 120.0, 40_000.0, 40_060.0])
    assert nights.hours == pytest.approx((60 * 3 + 900) * 5 / 4 / 3600)
    assert habits_of([0.0, 1.0, 2.0]).per_hour == 12  # a burst is no habit
    assert nights.cold_share == 1 / 5


@given(st.lists(st.floats(0, 1e9), max_size=50).map(sorted))
def test_habits_of_any_times(asked: list[float]) -> None:
    habits = habits_of(asked)
    assert habits.changes == len(asked)
    assert 0 <= habits.cold_share <= 1
    assert habits.per_hour >= 0


def test_counts_by_the_minute_are_spread_over_it() -> None:
    assert times_of([(0, 2), (10, 1)]) == [15.0, 45.0, 630.0]
    assert times_of([]) == []
    hour = habits_of(times_of([(minute, 2) for minute in range(60)]))
    assert (hour.changes, hour.hours, hour.cold_share) == (120, pytest.approx(1.0), 0.0)
