"""Who may start a try at once, and how often."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.realtime.retry import LONGEST_DELAY_S
from hudd.realtime.urgency import HURRY_DELAY_S, HURRY_S, WISH_S, Urgency, Wish

WISHES: tuple[Wish, ...] = get_args(Wish)


@pytest.mark.parametrize("who", WISHES)
def test_a_wish_is_due_at_once(who: Wish) -> None:
    urgency = Urgency()
    assert urgency.due(5) is None
    urgency.wish(who, 5)
    assert urgency.due(5) == 5


@pytest.mark.parametrize("first", WISHES)
@pytest.mark.parametrize("second", WISHES)
def test_a_second_wish_of_whatever_kind_is_kept_for_the_ten_second_mark(first: Wish, second: Wish) -> None:
    urgency = Urgency()
    urgency.wish(first, 100)
    urgency.tried(100)
    urgency.wish(second, 101)
    assert urgency.due(101) == 100 + WISH_S
    assert urgency.due(100 + WISH_S) == 100 + WISH_S


def test_a_try_of_the_back_off_serves_a_wish_without_using_it_up() -> None:
    urgency = Urgency()
    urgency.wish("snap", 0)
    urgency.tried(0)
    urgency.wish("snap", 1)
    urgency.tried(2)  # the back-off was shorter
    assert urgency.due(3) is None
    urgency.wish("snap", 4)
    assert urgency.due(4) == WISH_S


@pytest.mark.parametrize("who", ["snap", "wake", "network"])
def test_only_a_person_lifts_a_stop(who: Wish) -> None:
    urgency = Urgency()
    urgency.wish(who, 0)
    urgency.stop()
    assert urgency.due(0) is None, "a wish from before the stop"
    urgency.wish(who, 1)
    urgency.wish_at_once()
    assert urgency.due(1000) is None, "a wish during the stop"
    urgency.wish("person", 1001)
    assert urgency.due(1001) == 1001
    assert urgency.tried(1001)
    assert not urgency.stopped


def test_a_persons_wish_outlives_a_stop_that_comes_after_it() -> None:
    urgency = Urgency()
    urgency.wish("person", 0)
    urgency.tried(0)
    urgency.wish("person", 1)
    urgency.stop()
    assert urgency.due(1) == WISH_S


def test_a_person_who_has_to_wait_gets_a_fresh_start_though_the_back_off_was_sooner() -> None:
    urgency = Urgency()
    urgency.wish("person", 0)
    assert urgency.tried(0)
    urgency.wish("person", 1)
    assert not urgency.tried(2), "else whoever asks often would never let the back-off grow"
    assert urgency.due(3) == WISH_S
    assert urgency.tried(WISH_S)


def test_a_session_that_was_ended_on_purpose_is_followed_at_once_each_time() -> None:
    urgency = Urgency()
    for now in (0, 1, 2):
        urgency.wish_at_once()
        assert urgency.due(now) == now
        assert not urgency.tried(now)


def test_a_wake_after_a_network_is_still_a_wake_and_the_same_told_twice_is_one() -> None:
    urgency = Urgency()
    urgency.wish("network", 0)
    assert urgency.woke(1, 101)
    assert not urgency.woke(2, 102)
    assert urgency.woke(1 + WISH_S, 101 + WISH_S)


def test_a_second_sleep_soon_after_the_first_is_another_one() -> None:
    urgency = Urgency()
    assert urgency.woke(1, 101)
    assert urgency.woke(2, 3702), "monotonic time stood still in it"
    assert not urgency.woke(3, 3703)
    assert not urgency.woke(4, 100), "a clock that was set back is no sleep"


@pytest.mark.parametrize("who", ["wake", "network"])
def test_delays_are_short_for_a_while_after_a_wake_or_a_network(who: Wish) -> None:
    urgency = Urgency()
    assert urgency.longest_delay_s(0) == LONGEST_DELAY_S
    urgency.wish(who, 0)
    assert urgency.longest_delay_s(HURRY_S - 1) == HURRY_DELAY_S
    assert urgency.longest_delay_s(HURRY_S) == LONGEST_DELAY_S


@given(st.lists(st.tuples(st.sampled_from(WISHES), st.floats(0, 20)), max_size=60))
def test_in_any_order_granted_wishes_are_ten_seconds_apart_and_none_is_forgotten(
    steps: list[tuple[Wish, float]],
) -> None:
    urgency, now = Urgency(), 0.0
    granted: list[float] = []
    for who, wait_s in steps:
        urgency.wish(who, now)
        due = urgency.due(now)
        assert due is not None
        assert due <= now + WISH_S
        if due <= now + wait_s:
            now = max(now, due)
            urgency.tried(now)
            granted.append(now)
        else:
            now += wait_s
    assert all(later - earlier >= WISH_S - 1e-6 for earlier, later in pairwise(granted))
