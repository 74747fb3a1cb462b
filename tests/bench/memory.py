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
PAINT_EVERY_S = 0.12
FAST = {"screen_interval_s": 0.05, "gate_settle_s": 0.0, "gate_min_interval_s": 0.0}
LONGEST_FRAME_S = 2.0


def dose() -> float:
    """``HUDD_DOSE``: which share of the full figures is run."""
    return float(os.environ.get("HUDD_DOSE", "0.05"))


def bench_memory(*, quick: bool = False) -> list[Row]:
    """The most that was resident, from the start over some changed frames; on the smaller screen growth as well."""
    share = 0.002 if quick else dose()
    first = 20 if quick else max(LEAST_FIRST, round(FRAMES_FIRST * share))
    more = max(20, round(FRAMES_MORE * share))
    rows: list[Row] = []
    with daemon_on_x(FULL_HD, **FAST) as (daemon, server):
        painter = Painter(server.number, FULL_HD)
        _show(daemon, painter, first)
        early = _rest(daemon)
        seen = _show(daemon, painter, more)
        late = _rest(daemon)
        answers = _answers(daemon)
        peak = most_resident_kb(daemon.pid)
        painter.close()
    how = f"peak resident set, {first + seen} changed frames, {answers} answers; engine apart"
    rows.append(Row("memory, 1080p", peak / 1024, 90, "MB", how))
    rows.append(Row("memory, 1080p, at rest", late / 1024, NO_BAR, "MB", "resident set afterwards"))
    how = f"from frame {first} to {first + seen} (dose {share:g} of 1,000 to 11,000)"
    rows.append(Row("memory, growth", (late - early) / 1024, 2.0, "MB", how))
    with daemon_on_x(ULTRA_HD, **FAST) as (daemon, server):
        painter = Painter(server.number, ULTRA_HD)
        seen = _show(daemon, painter, 5 if quick else 50, every_s=4 * PAINT_EVERY_S)
        peak = most_resident_kb(daemon.pid)
        painter.close()
    rows.append(Row("memory, 4K", peak / 1024, 170, "MB", f"peak resident set, {seen} changed frames; engine apart"))
    return rows


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
