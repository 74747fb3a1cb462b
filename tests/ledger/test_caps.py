from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.ledger.caps import Caps, Standing, day_bounds, ends_at, hour_of, local_day, open_to, passed, standing_of
from hudd.ledger.records import Period, Totals

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu"]
MOMENTS = st.floats(min_value=1_577_836_800, max_value=1_893_456_000)  # 2020 to 2030
CAPS = Caps(day=1000, hour=500, month=5000)


@given(cap=st.integers(0, 10**9))
def test_at_least_a_tenth_is_closed_to_automatic_questions(cap: int) -> None:
    assert open_to(cap, automatic=False) == cap
    assert (cap - open_to(cap, automatic=True)) * 10 >= cap
    assert 0 <= open_to(cap, automatic=True) <= cap


def test_no_cap_of_its_own_never_holds() -> None:
    plenty = Totals(hour=Period(10**9), month=Period(10**9))
    assert passed(plenty, Caps(day=100), 10, automatic=True) is None
    assert passed(Totals(), Caps(day=0), 0, automatic=False) is None
    assert passed(Totals(), Caps(day=0), 1, automatic=False) == "day"


@pytest.mark.parametrize(
    ("totals", "paced", "standing"),
    [
        (Totals(), False, Standing()),
        (Totals(), True, Standing("slower", "pacing")),
        (Totals(settled_microusd=890), False, Standing()),
        (Totals(settled_microusd=891), True, Standing("asked_only", "day")),
        (Totals(settled_microusd=990), False, Standing("asked_only", "day")),
        (Totals(settled_microusd=991), False, Standing("nothing", "day")),
        (Totals(settled_microusd=1200), False, Standing("nothing", "day")),
        (Totals(hour=Period(441)), False, Standing("asked_only", "hour")),
        (Totals(hour=Period(491)), False, Standing("nothing", "hour")),
        (Totals(settled_microusd=900, hour=Period(495)), False, Standing("nothing", "hour")),
        (Totals(month=Period(4995)), False, Standing("nothing", "month")),
        (Totals(500, 499), False, Standing()),
    ],
)
def test_stages(totals: Totals, paced: bool, standing: Standing) -> None:
    assert standing_of(totals, CAPS, 10, paced=paced) == standing


def test_what_is_reserved_counts_after_a_refusal() -> None:
    assert standing_of(Totals(500, 499), CAPS, 10, paced=False, reserved_too=True) == Standing("nothing", "day")


def test_a_question_of_unknown_price_stops_at_a_spent_cap() -> None:
    assert standing_of(Totals(settled_microusd=1000), CAPS, 0, paced=False).stage == "nothing"


@given(wall=MOMENTS, zone=st.sampled_from(ZONES))
def test_windows_contain_their_moment_and_end_after_it(wall: float, zone: str) -> None:
    tz = ZoneInfo(zone)
    hour, day, month = (ends_at(window, wall, tz) for window in ("hour", "day", "month"))
    assert wall < hour <= wall + 3600
    assert wall < day <= month
    assert local_day(month, tz)[8:] == "01"
    assert local_day(month, tz)[:7] > local_day(wall, tz)[:7]
    assert hour_of(wall)[1] == hour
    assert hour_of(hour)[0] == hour


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
    wall=MOMENTS,
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
