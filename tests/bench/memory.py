"""How much memory the daemon holds, and whether it grows. The engine's process is not counted."""

from __future__ import annotations

import os
import time

from tests.bench.process import (
    FULL_HD,
    ULTRA_HD,
    BenchDaemon,
    Painter,
    daemon_on_x,
    most_resident_kb,
    resident_kb,
)
from tests.bench.rows import NO_BAR, Row

FRAMES_FIRST, FRAMES_MORE = 1000, 10_000
LEAST_FIRST = 100
"""At a small dose the caches that fill once must not be taken for growth."""
PAINT_EVERY_S = 0.06
FAST = {"screen_interval_s": 0.05, "gate_settle_s": 0.0, "gate_min_interval_s": 0.0}
LONGEST_FRAME_S = 2.0


def dose() -> float:
    """``HUDD_DOSE``: which share of the full figures is run."""
    return float(os.environ.get("HUDD_DOSE", "0.05"))


def bench_memory(*, quick: bool = False) -> list[Row]:
    """What is resident between frames, after many of them; on the smaller screen growth as well.

    The peak, while a frame and its copies are held for some milliseconds, is told beside it.
    """
    share = 0.002 if quick else dose()
    first = 20 if quick else max(LEAST_FIRST, round(FRAMES_FIRST * share))
    more = max(20, round(FRAMES_MORE * share))
    rows: list[Row] = []
    with daemon_on_x(FULL_HD, **FAST) as (daemon, server):
        painter = Painter(server.number, FULL_HD)
        first = _show(daemon, painter, first)
        early = _rest(daemon)
        seen = first + _show(daemon, painter, more)
        late = _rest(daemon)
        how = f"after {seen} changed frames, {_answers(daemon)} answers; engine apart"
        rows += _rows("1080p", max(early, late), daemon, 90, how)
        painter.close()
    how = f"at rest, from frame {first} to {seen} (dose {share:g} of 1,000 to 11,000)"
    rows.append(Row("memory, growth", (late - early) / 1024, 2.0, "MB", how))
    with daemon_on_x(ULTRA_HD, **FAST) as (daemon, server):
        painter = Painter(server.number, ULTRA_HD)
        seen = _show(daemon, painter, 5 if quick else 50, every_s=4 * PAINT_EVERY_S)
        rows += _rows("4K", _rest(daemon), daemon, 170, f"after {seen} changed frames; engine apart")
        painter.close()
    return rows


def _rows(name: str, resting_kb: int, daemon: BenchDaemon, bar_mb: float, how: str) -> list[Row]:
    peak_kb = most_resident_kb(daemon.pid)
    return [
        Row(f"memory, {name}", resting_kb / 1024, bar_mb, "MB", f"resident set between frames, {how}"),
        Row(f"memory, {name}, peak", peak_kb / 1024, NO_BAR, "MB", "the most ever resident, for milliseconds"),
    ]


def _frames(daemon: BenchDaemon) -> int:
    return int(daemon.status()["counters"]["frames"])


def _answers(daemon: BenchDaemon) -> int:
    counters = daemon.status()["counters"]
    return int(counters["notes"] + counters["unchanged"])


def _show(daemon: BenchDaemon, painter: Painter, wanted: int, *, every_s: float = PAINT_EVERY_S) -> int:
    """Change the screen until the daemon looked at so many more frames; returns how many it were."""
    before = _frames(daemon)
    seen, number = 0, 0
    give_up = time.monotonic() + 10 + wanted * LONGEST_FRAME_S
    while seen < wanted:
        assert time.monotonic() < give_up, f"only {seen} of {wanted} frames were looked at"
        for _ in range(max(1, min(50, wanted - seen))):
            painter.step(number)
            number += 1
            time.sleep(every_s)
        seen = _frames(daemon) - before
    return seen


def _rest(daemon: BenchDaemon) -> int:
    """Resident kilobytes when nothing is under way any more."""
    time.sleep(1.5)
    return min(resident_kb(daemon.pid) for _ in range(3))
