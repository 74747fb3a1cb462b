from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hudd.ledger.pacing import Pace
from hudd.ledger.records import Charge

DAY = Pace.of_day(1_000_000, active_hours=10, question_microusd=9_000)


def test_a_dollar_a_day() -> None:
    assert DAY.capacity_microusd == 150_000
    assert DAY.refill_microusd == 750_000  # nine tenths of the cap, less what the bucket starts with
    assert DAY.refill_s == 36_000


def test_the_bucket_is_full_at_the_first_question_and_refills_evenly() -> None:
    charges = (Charge(100.0, 150_000),)
    assert DAY.level((), 0.0) == 150_000
    assert DAY.level(charges, 100.0) == 0
    assert DAY.level(charges, 580.0) == 10_000
    assert DAY.level(charges, 100.0 + 36_000) == 150_000
    assert DAY.level((*charges, Charge(580.0, 4_000)), 580.0) == 6_000


def test_a_quiet_morning_buys_no_burst() -> None:
    charges = (Charge(0.0, 1_000), Charge(20_000.0, 150_000))
    assert DAY.level(charges, 20_000.0) == 0


def test_waiting() -> None:
    assert DAY.wait_s(9_000, 9_000) == 0
    assert DAY.wait_s(0, 9_000) == 9_000 * 36_000 / 750_000
    assert DAY.wait_s(-3_000, 9_000) == 12_000 * 36_000 / 750_000
    assert Pace(100, 0, 10).wait_s(0, 50) is None


def test_a_full_bucket_pays_for_a_question_however_small_the_cap() -> None:
    pace = Pace.of_day(20_000, active_hours=10, question_microusd=9_000)
    assert pace.capacity_microusd == 9_000
    assert pace.wait_s(pace.level((), 0.0), 9_000) == 0
    assert Pace(100, 10, 10).wait_s(100, 5_000) == 0


def test_pacing_begins_when_a_question_does_not_fit_and_ends_half_full() -> None:
    assert not DAY.is_slower(9_000, 9_000, was=False)
    assert DAY.is_slower(8_999, 9_000, was=False)
    assert DAY.is_slower(74_999, 9_000, was=True)
    assert not DAY.is_slower(75_000, 9_000, was=True)


CHARGES = st.lists(st.builds(Charge, st.floats(0, 86_400), st.integers(0, 400_000)), max_size=40).map(
    lambda found: tuple(sorted(found, key=lambda charge: charge.at))
)


@given(charges=CHARGES, now=st.floats(0, 90_000))
def test_the_level_is_never_above_the_capacity_and_never_falls_with_time(
    charges: tuple[Charge, ...], now: float
) -> None:
    level = DAY.level(charges, now)
    assert level <= DAY.capacity_microusd
    assert DAY.level(charges, now + 60) >= level


@given(gaps=st.lists(st.floats(0, 3_600), min_size=1, max_size=60), cost=st.integers(1_000, 9_000))
def test_who_waits_for_the_pace_never_spends_more_than_bucket_and_refill(gaps: list[float], cost: int) -> None:
    charges: list[Charge] = []
    now = 0.0
    for gap in gaps:
        now += gap
        wait = DAY.wait_s(DAY.level(charges, now), cost)
        assert wait is not None
        now += wait
        charges.append(Charge(now, cost))
    spent = sum(charge.microusd for charge in charges)
    poured = (charges[-1].at - charges[0].at) * DAY.refill_microusd / DAY.refill_s
    assert spent <= DAY.capacity_microusd + poured + len(charges) * 2  # whole micro-dollars are lost to rounding
    assert all(later.at >= sooner.at for sooner, later in pairwise(charges))


@given(
    charges=st.lists(st.tuples(st.floats(0, 40_000), st.integers(1, 200_000)), max_size=20),
    earlier_s=st.floats(0, 86_400),
)
def test_pouring_may_begin_with_the_first_frame_or_with_the_first_charge(
    charges: list[tuple[float, int]], earlier_s: float
) -> None:
    """The bucket is full at the day's first frame; until its first charge all that is poured overflows."""
    pace = Pace.of_day(1_000_000, active_hours=10, question_microusd=10_000)
    paid = [Charge(at, microusd) for at, microusd in sorted(charges)]
    first = paid[0].at if paid else 50_000.0
    from_first_frame = [Charge(first - earlier_s, 0), *paid]
    assert pace.level(from_first_frame, 50_000.0) == pace.level(paid, 50_000.0)
