"""What the daemon costs while nothing happens, and while a little does. The engine's process is not counted."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.bench.process import FULL_HD, ULTRA_HD, Painter, Use, daemon_on_x, use_of
from tests.bench.rows import Row

SETTLE_S = 7.0
"""The heartbeat runs every second for 5 s after the last frame; before that nothing is idle."""
WATCH_S = 20.0
LIVELY = {"screen_interval_s": 0.5, "gate_settle_s": 0.0, "gate_min_interval_s": 0.0}
"""Every frame of a screen that changes once a second is sent."""


def _times(quick: bool) -> tuple[float, float, int]:
    """Seconds to settle, seconds to watch, and how often."""
    return (1.0, 2.0, 1) if quick else (SETTLE_S, WATCH_S, 2)


def _least(pid: int, watch_s: float, repeats: int) -> Use:
    uses = [use_of(pid, watch_s) for _ in range(repeats)]
    return Use(min(u.cpu_percent for u in uses), min(u.switches_per_s for u in uses))


def bench_idle(*, quick: bool = False) -> list[Row]:
    """A still X11 screen with damage events: nobody listening, then one follower."""
    settle_s, watch_s, repeats = _times(quick)
    with daemon_on_x(FULL_HD) as (daemon, _):
        time.sleep(settle_s)
        alone = _least(daemon.pid, watch_s, repeats)
        follower = subprocess.Popen(
            [sys.executable, "-m", "hudctl", "follow"], env=daemon.environ, stdout=subprocess.DEVNULL
        )
        try:
            daemon.until("somebody listens", lambda status: status["subscribers"]["total"] > 0)
            time.sleep(settle_s)
            heard = _least(daemon.pid, max(watch_s, 2.0 if quick else 30.0), repeats)
        finally:
            follower.kill()
            follower.wait()
    how = f"1080p on Xvfb, still, {watch_s:g} s, least of {repeats}, all threads"
    added = max(0.0, heard.switches_per_s - alone.switches_per_s)
    return [
        Row("idle, damage events, CPU", alone.cpu_percent, 0.5, "%", how),
        Row("idle, damage events, voluntary switches", alone.switches_per_s, 2.0, "1/s", how),
        Row("idle, with a subscriber, CPU", heard.cpu_percent, 0.5, "%", "the same, hudctl follow runs"),
        Row("idle, voluntary switches a subscriber adds", added, 1.0, "1/s", "the same, hudctl follow runs"),
    ]


def bench_polled(*, quick: bool = False) -> list[Row]:
    """A still screen that must be looked at, because its X server has no DAMAGE extension."""
    settle_s, watch_s, repeats = _times(quick)
    rows: list[Row] = []
    for name, size, bar in (("1080p", FULL_HD, 1.0), ("4K", ULTRA_HD, 2.5)):
        with daemon_on_x(size, damage=False) as (daemon, _):
            time.sleep(settle_s)
            frames = daemon.status()["counters"]["frames"]
            used = _least(daemon.pid, watch_s, repeats)
            looks = daemon.status()["counters"]["frames"] - frames
        how = f"Xvfb without DAMAGE, still, {watch_s:g} s, least of {repeats}, {looks / watch_s / repeats:.2f} looks/s"
        rows.append(Row(f"idle, polled, {name}, CPU", used.cpu_percent, bar, "%", how))
    return rows


def bench_lively(*, quick: bool = False) -> list[Row]:
    """One changed frame a second, grabbed, judged, encoded, asked about, answered, committed and published."""
    settle_s, watch_s, repeats = _times(quick)
    with daemon_on_x(FULL_HD, **LIVELY) as (daemon, server):
        painter = Painter(server.number, FULL_HD)
        time.sleep(settle_s)
        before = daemon.status()["counters"]
        used = min((use_of(daemon.pid, watch_s, painter.step) for _ in range(repeats)), key=lambda u: u.cpu_percent)
        after = daemon.status()["counters"]
        painter.close()
    looked, noted = (after[key] - before[key] for key in ("frames", "notes"))
    noted += after["unchanged"] - before["unchanged"]
    rates = f"{looked / watch_s / repeats:.1f} looks/s, {noted / watch_s / repeats:.1f} answers/s"
    how = f"90 % of the screen changes at once, {watch_s:g} s, least of {repeats}; {rates}; engine apart"
    return [Row("one changed 1080p frame a second, CPU", used.cpu_percent, 10.0, "%", how)]
