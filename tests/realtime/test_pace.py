"""The pace of automatic questions under a rate limit."""

from __future__ import annotations

from hudd.protocol.events import RateLimit, RateLimitsUpdated
from hudd.realtime.pace import LONGEST_WAIT_S, Pace


def test_each_refusal_doubles_the_wait_up_to_a_limit_and_answers_bring_it_back() -> None:
    pace, now, waits = Pace(lambda: 1.0), 0.0, []
    for _ in range(12):
        pace.refused(now)
        waits.append(pace.wait_s(now))
        now += waits[-1]
        assert pace.wait_s(now) == 0
    assert waits[:4] == [2, 4, 8, 16]
    assert waits[-1] == LONGEST_WAIT_S
    for _ in range(12):
        pace.answered()
    pace.refused(now)
    assert pace.wait_s(now) == 2


def test_a_wait_is_never_less_than_half() -> None:
    pace = Pace(lambda: 0.0)
    pace.refused(0)
    assert pace.wait_s(0) == 1


def test_a_limit_that_is_used_up_is_waited_for() -> None:
    pace = Pace(lambda: 1.0)
    pace.told(RateLimitsUpdated((RateLimit("tokens", 100, 1, 50), RateLimit("requests", 10, 0, 7.5))), 0)
    assert pace.wait_s(0) == 7.5
    pace.told(RateLimitsUpdated((RateLimit("tokens", 100, 0, 1e9),)), 0)
    assert pace.wait_s(0) == LONGEST_WAIT_S


def test_limits_that_say_nothing_hold_nothing_back() -> None:
    pace = Pace(lambda: 1.0)
    pace.told(RateLimitsUpdated((RateLimit("tokens"), RateLimit("requests", 10, 3, 7))), 0)
    assert pace.wait_s(0) == 0
