"""How much of a long test is run: ``HUDD_DOSE``, a share of the full figures."""

from __future__ import annotations

import os

DEFAULT_DOSE = 0.05


def dose_from_environment() -> float:
    """The dose of this test run."""
    return float(os.environ.get("HUDD_DOSE", DEFAULT_DOSE))


def part_of(full: int, dose: float, *, least: int = 10) -> int:
    """How many of ``full``: at least ``least``, or ``full`` when that is less."""
    return min(max(least, round(full * dose)), max(full, round(full * dose)))


def bar_at(bar: float, dose: float, *, times: float = 3.0) -> float:
    """What a time is held to: the bar itself in a full run, on a quiet machine; ``times`` as much on a busy one."""
    return bar if dose >= 1.0 else bar * times
