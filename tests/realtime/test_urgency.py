"""Who may start a try at once, and how often."""

from __future__ import annotations

import pytest

from hudd.realtime.retry import LONGEST_DELAY_S
from hudd.realtime.urgency import HURRY_DELAY_S, HURRY_S, NUDGE_S, Urgency


@pytest.mark.parametrize(
    ("word", "since_try_s", "expected"),
    [
        ("backing_off", 10, True),
        ("backing_off", 9.9, False),
        ("flapping", 100, False),
        ("needs_attention", 100, False),
        ("ready", 100, False),
    ],
)
def test_a_snap(word: str, since_try_s: float, expected: bool) -> None:
    assert Urgency().snap(1000, word, 1000 - since_try_s) is expected  # type: ignore[arg-type]


def test_a_network() -> None:
    urgency = Urgency()
    assert not urgency.network(0, "needs_attention")
    assert urgency.network(0, "flapping")
    assert not urgency.network(NUDGE_S - 0.1, "backing_off")
    assert urgency.network(NUDGE_S, "backing_off")


def test_a_wake_after_a_network_is_still_a_wake() -> None:
    urgency = Urgency()
    assert urgency.network(0, "backing_off")
    assert urgency.woke(1)
    assert not urgency.woke(2)
    assert urgency.woke(1 + NUDGE_S)


def test_delays_are_short_for_a_while_after_a_wake() -> None:
    urgency = Urgency()
    assert urgency.longest_delay_s(0) == LONGEST_DELAY_S
    urgency.woke(0)
    assert urgency.longest_delay_s(HURRY_S - 1) == HURRY_DELAY_S
    assert urgency.longest_delay_s(HURRY_S) == LONGEST_DELAY_S


def test_a_persons_wish_waits_but_is_not_dropped() -> None:
    urgency = Urgency()
    assert urgency.resume_wait_s(0) == 0
    urgency.resumed(0)
    assert urgency.resume_wait_s(4) == 6
