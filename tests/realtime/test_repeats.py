"""An event that comes twice is known; one that only looks like it is not dropped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hudd.realtime.repeats import KEPT, Repeats


def test_the_same_event_is_new_once() -> None:
    repeats = Repeats()
    assert repeats.is_new("event_1", '{"a":1}')
    assert not repeats.is_new("event_1", '{"a":1}')


def test_events_without_an_id_are_always_new() -> None:
    repeats = Repeats()
    assert repeats.is_new("", "x")
    assert repeats.is_new("", "x")


def test_an_endpoint_that_gives_every_event_the_same_id_is_still_heard() -> None:
    repeats = Repeats()
    assert all(repeats.is_new("event", f"delta {number}") for number in range(100))


def test_it_forgets_the_oldest() -> None:
    repeats = Repeats()
    for number in range(KEPT + 1):
        assert repeats.is_new(str(number), "x")
    assert not repeats.is_new(str(KEPT), "x")
    assert repeats.is_new("0", "x")


@given(st.lists(st.tuples(st.text(min_size=1, max_size=2), st.text(max_size=2)), max_size=50))
def test_each_pair_is_new_exactly_once(events: list[tuple[str, str]]) -> None:
    repeats = Repeats()
    assert sum(repeats.is_new(*event) for event in events) == len(set(events))
