"""Subscribers that stand still while many notes pass: bounded memory, nobody else waits, and they catch up."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import zmq

from tests.bench.rows import NO_BAR, Row
from tests.soak.dose import part_of
from tests.soak.hostile import busy
from tests.soak.subscribers import Subscriber, in_python

NOTES, RATE = 180_000, 500
STALLED = 10
WARM_NOTES = 500
GROWTH_MB, OTHERS_MS, CATCH_UP_S = 32.0, 50.0, 60.0
TIMER_S = 0.005


class Healthy:
    """A subscriber that reads at once: the age of each note, and how late a plain timer is beside it."""

    def __init__(self, address: str) -> None:
        self.ages_ms: list[float] = []
        self.late_ms: list[float] = []
        self.newest = 0
        self._context: zmq.Context[Any] = zmq.Context()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(address,)), threading.Thread(target=self._time)]
        for thread in self._threads:
            thread.start()

    def _read(self, address: str) -> None:
        with self._context.socket(zmq.SUB) as sub:
            sub.setsockopt(zmq.RCVHWM, 100_000)
            sub.subscribe("note/")
            sub.connect(address)
            while not self._stop.is_set():
                if sub.poll(100):
                    note = json.loads(sub.recv_multipart()[1])
                    self.newest = note["seq"]
                    self.ages_ms.append((time.time() - datetime.fromisoformat(note["published"]).timestamp()) * 1000)

    def _time(self) -> None:
        while not self._stop.is_set():
            started = time.perf_counter()
            time.sleep(TIMER_S)
            self.late_ms.append((time.perf_counter() - started - TIMER_S) * 1000)

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        for thread in self._threads:
            thread.join(10)
        self._context.destroy(linger=0)


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def _stand_still(stack: ExitStack, folder: Path, count: int) -> Subscriber:
    """Nine that never read, and one ``hudctl.Feed`` that is stopped, returned to be let go on."""
    context: zmq.Context[Any] = zmq.Context()
    stack.callback(context.destroy, linger=0)
    for _ in range(STALLED - 1):
        sub = context.socket(zmq.SUB)
        stack.callback(sub.close, linger=0)  # and so it is held: nobody else does, and it would be closed at once
        sub.setsockopt(zmq.RCVHWM, 1)
        sub.subscribe("note/")
        sub.connect(f"ipc://{folder}/notes.sock")
    feed = Subscriber("feed", in_python("sync", str(folder), count), folder / "feed.out", environ={})
    stack.callback(feed.kill)
    return feed


def run_stalled(folder: Path, *, dose: float) -> list[Row]:
    """Let a share of the notes pass; returns a row per sentence."""
    count = part_of(NOTES, dose)
    folder.chmod(0o700)
    with ExitStack() as stack:
        command = [sys.executable, "-m", "tests.soak.source", str(folder), str(RATE)]
        source = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(source.communicate)  # it tells its figures at the end
        stack.callback(source.terminate)
        assert source.stdout is not None
        assert source.stdout.readline() == "ready\n"
        feed = _stand_still(stack, folder, count)
        feed.start()
        healthy = Healthy(f"ipc://{folder}/notes.sock")
        stack.callback(healthy.close)
        seen = psutil.Process(source.pid)
        while healthy.newest < WARM_NOTES or not feed.handled():
            time.sleep(0.05)
        feed.stall()
        base = most = seen.memory_info().rss
        healthy.ages_ms.clear()
        end = time.monotonic() + count / RATE * 5 + 30
        while healthy.newest < count:
            assert time.monotonic() < end, f"only {healthy.newest} notes came"
            assert source.poll() is None, "the source ended"
            most = max(most, seen.memory_info().rss)
            time.sleep(0.05)
        ages, late_ms = list(healthy.ages_ms), _p99(healthy.late_ms)
        started = time.monotonic()
        feed.go_on()
        feed.wait(CATCH_UP_S * 5)
        caught_up_s = time.monotonic() - started
        numbers = [seq for seq, _ in feed.handled()]
    how = f"{count:,} notes at {RATE}/s, {STALLED} stalled, one of them a hudctl.Feed"
    beside = f"{len(ages):,} notes; a plain timer was {late_ms:.1f} ms late"
    wrong = sum(b != a + 1 for a, b in pairwise(numbers)) + abs(len(numbers) - count)
    return [
        Row("stalled: memory of the daemon's side", (most - base) / 1e6, GROWTH_MB, "MB", how),
        busy(
            Row("stalled: age of a note at another subscriber, p99", _p99(ages), OTHERS_MS + late_ms, "ms", beside),
            dose,
        ),
        Row("stalled: age of a note, median", sorted(ages)[len(ages) // 2], NO_BAR, "ms", beside),
        Row("stalled: caught up after", caught_up_s, CATCH_UP_S, "s", f"{count:,} notes, {len(numbers):,} handled"),
        Row("stalled: notes lost, doubled or out of order", wrong, 0, "", f"{numbers[:1]} to {numbers[-1:]}"),
    ]
