"""A sleep shows as wall time that monotonic time did not see."""

from __future__ import annotations

import pytest

from hudd.realtime.wakes import LEAST_JUMP_S, WakeDetector


@pytest.mark.parametrize(
    ("gained", "expected"),
    [(0.0, 0.0), (LEAST_JUMP_S - 0.1, 0.0), (LEAST_JUMP_S, LEAST_JUMP_S), (3600.0, 3600.0), (-3600.0, 0.0)],
)
def test_what_counts_as_a_sleep(gained: float, expected: float) -> None:
    wakes = WakeDetector()
    assert wakes.slept_s(100.0, 5000.0) == 0
    assert wakes.slept_s(115.0, 5015.0 + gained) == pytest.approx(expected)
    assert wakes.slept_s(130.0, 5030.0 + gained) == 0, "a sleep is told once"


def test_a_sleep_after_the_clock_was_set_back_is_noticed() -> None:
    wakes = WakeDetector()
    wakes.slept_s(0, 10_000)
    assert wakes.slept_s(1, 5_000) == 0
    assert wakes.slept_s(2, 5_101) == pytest.approx(100)
