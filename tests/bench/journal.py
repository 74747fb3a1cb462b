"""What the journal costs: a commit, a replay, a search among many notes, an opening.

``bench_journal()`` returns rows ``(name, value, bar, unit)``; a value above its bar is too slow.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hudd.clock import SystemClock
from hudd.journal import opening, queries, schema
from hudd.journal.store import Journal
from hudd.ledger.records import Settlement
from hudd.model import Usage
from hudd.notes.keeping import Span
from tests.fakes.journal import RESERVATION, make_note

Row = tuple[str, float, float, str]

STORED = round(1_000_000 * max(0.1, min(1.0, float(os.environ.get("HUDD_DOSE", "0.05")))))
"""Notes: 1,000,000 at dose 1, 100,000 at the default."""
FILLED_AT_ONCE = 10_000
COMMITS = 1000
WORDS = [
    f"{stem}{number}" for stem in ("invoice", "build", "mail", "window", "error", "chart") for number in range(500)
]
USAGE = Usage(1023, 60, 700, 323, 0, 384, 0, 0, 60)


def _fill(connection: sqlite3.Connection, count: int) -> None:
    chance = random.Random(7)
    for begin in range(0, count, FILLED_AT_ONCE):
        with schema.transaction(connection):
            for number in range(begin, min(count, begin + FILLED_AT_ONCE)):
                words = " ".join(chance.choices(WORDS, k=35))
                queries.insert_note(connection, make_note(text=f"The terminal shows {words}.", time=float(number)))
    # Otherwise the first commits that are measured pay for emptying the log.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


async def _commits(journal: Journal) -> list[float]:
    """Milliseconds of the commit of a note with its settlement, asked for one after the other."""
    spent: list[float] = []
    for _ in range(COMMITS):
        taken = await journal.reserve(RESERVATION)
        started = time.perf_counter()
        await journal.commit_note(make_note(), Settlement(taken, "completed", USAGE, 4100))
        spent.append((time.perf_counter() - started) * 1000)
    return sorted(spent)


async def _least_ms(work: Callable[[], Awaitable[object]], times: int = 5) -> float:
    best = float("inf")
    for _ in range(times):
        started = time.perf_counter()
        await work()
        best = min(best, time.perf_counter() - started)
    return best * 1000


async def _replay(journal: Journal, count: int) -> None:
    head = max(journal.heads().values())
    seq = head - count
    while seq < head:
        seq = (await journal.notes_since(seq)).notes[-1].seq


async def _measure(folder: Path) -> list[Row]:
    path = folder / "journal.db"
    journal = Journal.open(path, clock=SystemClock())
    await journal._writer.run(lambda connection: _fill(connection, STORED))
    commits = await _commits(journal)
    middle, late = float(STORED // 2), float(STORED - 100_000)
    rows: list[Row] = [
        ("journal commit of a note with its cost, median", commits[len(commits) // 2], 10, "ms"),
        ("journal commit of a note with its cost, p99", commits[int(len(commits) * 0.99)], 10, "ms"),
        ("journal replay of 10,000 notes", await _least_ms(lambda: _replay(journal, 10_000), 2), 1000, "ms"),
        ("journal search, a rare pair of words", await _least_ms(lambda: journal.search(search="mail7 chart9")), 50, "ms"),
        ("journal search, a word of every note", await _least_ms(lambda: journal.search(search="terminal")), 50, "ms"),
        (
            "journal search, a common word in an old hour",
            await _least_ms(lambda: journal.search(search="terminal", since=middle, until=middle + 60)),
            50,
            "ms",
        ),
        ("journal search, a rare pair of words since ever", await _least_ms(lambda: journal.search(search="mail7 chart9", since=0.0)), 50, "ms"),
        ("journal search, a word of every note until the middle", await _least_ms(lambda: journal.search(search="terminal", until=middle)), 50, "ms"),
        ("journal search, any note between two far moments", await _least_ms(lambda: journal.search(since=middle / 100, until=middle)), 50, "ms"),
        ("journal grep of 100,000 notes, a substring", await _least_ms(lambda: journal.search(grep="nowhere", since=late), 1), 3000, "ms"),
        ("journal grep of 100,000 notes, an expression", await _least_ms(lambda: journal.search(grep="/no+where/", since=late), 1), 3000, "ms"),
        ("journal totals of a day of 1,000 answers", await _least_ms(lambda: journal.totals(RESERVATION.day)), 10, "ms"),
    ]  # fmt: skip
    await journal.close()
    started = time.perf_counter()
    journal = Journal.open(path, clock=SystemClock())
    rows.append(("journal opening", (time.perf_counter() - started) * 1000, 1500, "ms"))
    rows += await _upkeep(journal, path)
    await journal.close()
    size = path.stat().st_size
    each = size / (STORED + COMMITS)
    rows.append(("journal size of a note with its cost row", each, 3500, "bytes"))
    rows.append(("journal size of a day at 60 notes an hour", each * 1440 / 1e6, 5, "MB"))
    return rows


async def _upkeep(journal: Journal, path: Path) -> list[Row]:
    """What takes long, and what it does to the commits beside it."""
    started = time.perf_counter()
    opening.CHECKED_AT_OPENING_BYTES = 0  # the whole file is checked, be it large or not
    checking = asyncio.create_task(journal.upkeep.check())
    beside = await _commits_beside(journal, checking)
    assert checking.result()
    rows: list[Row] = [
        ("journal check of the whole file, beside the work", time.perf_counter() - started, math.inf, "s"),
        ("journal commit while the file is checked, p99", beside, 50, "ms"),
    ]
    started = time.perf_counter()
    emptied = await journal.upkeep.empty(Span(since=1000.0, until=1600.0))
    assert emptied.notes == 600
    rows.append(("journal forget of 600 notes, until unreadable", (time.perf_counter() - started) * 1000, 2000, "ms"))
    started = time.perf_counter()
    assert await journal.upkeep.finish_forgetting()
    rows.append(("journal forget, until out of the file", time.perf_counter() - started, math.inf, "s"))
    started = time.perf_counter()
    size = await journal.upkeep.back_up(path.with_name("copy.db"))
    rows.append((f"journal backup of {size / 1e6:.0f} MB", time.perf_counter() - started, math.inf, "s"))
    started = time.perf_counter()
    pruning = asyncio.create_task(journal.upkeep.prune(before=STORED * 0.02, max_bytes=None))
    beside = await _commits_beside(journal, pruning)
    rows.append((f"journal prune of {pruning.result().notes} notes", time.perf_counter() - started, math.inf, "s"))
    rows.append(("journal commit while notes are pruned, p99", beside, 250, "ms"))
    return rows


async def _commits_beside(journal: Journal, work: asyncio.Task[Any]) -> float:
    """The 99th percentile of a commit while something else goes on, milliseconds."""
    spent: list[float] = []
    while not work.done():
        started = time.perf_counter()
        await journal.commit_note(make_note(time=float(STORED)), None)
        spent.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(0.01)
    return sorted(spent)[int(len(spent) * 0.99)]


def bench_journal() -> list[Row]:
    """Commit, replay, search, opening and upkeep over ``STORED`` notes."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


if __name__ == "__main__":
    for name, value, bar, unit in bench_journal():
        print(f"{name:50} {value:10.2f} {unit}  (bar {bar})")
