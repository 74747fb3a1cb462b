"""Late joiners: feeds that come at any moment while 200 notes a second pass, and miss none of what is theirs."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hudctl import AsyncFeed, Note

FULL = 1000
RATE = 200.0
AT_ONCE = 12
READS = 30
LOOK_S = 0.002
FURTHEST_BACK = 2000
LEAST_SHARE = 0.9
"""Of the rate, that the source must have kept; otherwise nothing was shown."""


@dataclass
class Report:
    """What the joiners got.

    Attributes:
        joined: How many feeds.
        notes: Notes that all of them got together.
        missed: Notes that one of them should have got and did not.
        doubled: Notes that came twice or too late.
        rate: Notes a second of the source, measured.
        seed: Of the moments and places.
    """

    seed: int
    joined: int = 0
    notes: int = 0
    missed: int = 0
    doubled: int = 0
    rate: float = 0.0

    def rows(self) -> list[str]:
        """A row per sentence: figure and bar."""
        pace = f"{self.rate:.0f} notes/s (bar {RATE * LEAST_SHARE:g})"
        return [
            f"late joiners {self.joined} at {pace}, {self.notes} notes read, seed {self.seed}",
            f"notes missed by a late joiner: {self.missed} (bar 0)",
            f"notes doubled: {self.doubled} (bar 0)",
        ]


@contextmanager
def _source(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.soak.source", str(folder), str(RATE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.terminate()


async def _join(folder: Path, report: Report, chance: random.Random, seen: list[int]) -> None:
    """One feed: half of them come from a number of before, the others from now on."""
    await asyncio.sleep(chance.random() * 0.2)
    after = None if chance.random() < 0.5 else max(0, seen[0] - chance.randrange(FURTHEST_BACK))
    topics = chance.choice((("note/",), ("note/eDP-1/", "note/HDMI-1/")))
    async with AsyncFeed(topics, after=after, runtime_dir=folder) as feed, asyncio.timeout(60):
        note: Note | None = None
        while feed.cursor is None:
            # "From now on" is what the welcome names: look at the cursor before the first note comes.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    note = await feed.get()
        began = feed.cursor.seq if note is None else note.seq - 1  # a note that came in one go with the welcome
        expected = began + 1 if after is None else after + 1
        for _ in range(READS):
            seq = (note or await feed.get()).seq
            note = None
            report.missed += max(0, seq - expected)
            report.doubled += seq < expected
            expected = max(expected, seq + 1)
            report.notes += 1
    report.joined += 1


async def _watch(folder: Path, report: Report, stop: asyncio.Event, seen: list[int]) -> None:
    """One who is there all the time: every number, and each exactly once."""
    expected = 1
    async with AsyncFeed(after=0, runtime_dir=folder) as feed:
        while not stop.is_set():
            seq = (await feed.get()).seq
            report.missed += seq - expected if seq > expected else 0
            report.doubled += seq < expected
            expected = seq + 1
            seen[0] = seq


async def _all(folder: Path, report: Report, count: int) -> None:
    chance, seen, stop = random.Random(report.seed), [0], asyncio.Event()
    watching = asyncio.create_task(_watch(folder, report, stop, seen))
    room = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with room:
            await _join(folder, report, chance, seen)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(count):
            tasks.create_task(one())
    stop.set()
    await watching


def run_joiners(folder: Path, *, seed: int, count: int) -> Report:
    """Let them come."""
    report = Report(seed)
    with _source(folder) as source:
        asyncio.run(_all(folder, report, count))
        source.terminate()
        assert source.stdout is not None
        notes, took_s = source.stdout.read().split()
        report.rate = int(notes) / float(took_s)
    return report


def judge(report: Report) -> None:
    """The bars.

    Raises:
        AssertionError: One is passed.
    """
    assert (report.missed, report.doubled) == (0, 0), report.rows()
    assert report.rate >= RATE * LEAST_SHARE, report.rows()
