"""Rollovers, one after the other: sessions that are replaced after a second instead of an hour, with work going on."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from hudd.engine.fault_mix import PHASES, Draw
from hudd.wire.ids import new_ulid
from tests.soak.daemon import Tried
from tests.soak.service import Life, Service

FULL = 200
LIFE_S = 1.0
WITHIN_SHARE = 0.25
LONGEST_GAP_S = 1.0
LONG_WORDS = 20
REFUSALS = tuple(f for phase in ("connecting", "configuring") for f in PHASES[phase] if "session.updated" not in f)
"""Without those that end a session that was ready: the work has moved to it by then, as it should."""
ROLLOVER_S = 15.0
MEMORY_KB = 12_000
"""Some are for the thousand newest snaps, which are kept so that a repeated request gets its answer."""
REFUSED_EVERY = 20
"""Every so often the next session cannot be opened at first: the old one must go on."""


@dataclass
class Report:
    """Figures of a run.

    Attributes:
        seed: Of the run.
        rollovers: Connections that followed one that had not ended.
        refused: Connections that failed while they were opened.
        within: How many of them came in the middle of an answer.
        breaks: Connections that ended before the next was ready.
        gap_s: Longest time between two short answers while somebody asked all the time.
        snaps: How many were asked for, all of them answered.
        memory_kb: First and last.
        descriptors: Fewest and most.
        requests: Checked against the official types.
        seconds: How long it took.
    """

    seed: int
    rollovers: int = 0
    refused: int = 0
    within: int = 0
    breaks: int = 0
    gap_s: float = 0.0
    snaps: int = 0
    memory_kb: tuple[int, int] = (0, 0)
    descriptors: tuple[int, int] = (0, 0)
    requests: int = 0
    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.rollovers} rollovers, {self.within} within an answer, {self.refused} refused "
            f"at first, {self.breaks} breaks, in "
            f"{self.seconds:.0f} s; longest gap {self.gap_s:.2f} s; {self.snaps} snaps, not answered: {self.failed}; "
            f"memory {self.memory_kb[0]} -> {self.memory_kb[1]} kB, descriptors {self.descriptors[0]}..{self.descriptors[1]}; "
            f"{self.requests} requests checked"
        )


def run_rollovers(folder: Path, *, seed: int, count: int) -> Report:
    """Let sessions roll over while short and long answers are asked for without a pause.

    Raises:
        AssertionError: Something is lost or doubled; names the seed.
    """
    report, started = Report(seed), time.monotonic()

    def script(index: int) -> tuple[str, ...]:
        return (Draw("refusals", seed, index).fault(REFUSALS),) if index % REFUSED_EVERY == REFUSED_EVERY // 2 else ()

    with Service(script) as service, Tried(folder, service, session_rollover_s=LIFE_S) as tried:
        stop = threading.Event()
        long = threading.Thread(target=_ask_long, args=(tried, stop, Draw("rollovers", seed)))
        long.start()
        answers = []
        try:
            rolled = 0
            while rolled < count:
                answers.append(tried.snap().ended)
                since = time.monotonic() - service.lives[-1].opened
                assert since < ROLLOVER_S, f"seed {seed}: no rollover after {rolled} in {since:.0f} s"
                now_rolled = sum(life.ready is not None for life in service.lives) - 1
                if now_rolled > rolled:
                    rolled = now_rolled
                    if rolled % 10 == 0:
                        tried.weigh()
        finally:
            stop.set()
            long.join()
        report.gap_s = max((b - a for a, b in pairwise(answers)), default=0.0)
        try:
            tried.check()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        _fill(report, tried)
    report.seconds = time.monotonic() - started
    return report


def judge(report: Report) -> None:
    """Compare the figures with their bars.

    Raises:
        AssertionError: One of them is passed.
    """
    assert not report.failed, report
    assert report.breaks == 0, report
    assert report.within >= WITHIN_SHARE * report.rollovers, report
    assert report.gap_s <= LONGEST_GAP_S, report
    assert report.memory_kb[1] - report.memory_kb[0] <= MEMORY_KB, report
    if report.descriptors[1]:
        assert report.descriptors[1] - report.descriptors[0] <= 6, report  # two connections may be up at a rest


def _ask_long(tried: Tried, stop: threading.Event, draw: Draw) -> None:
    """Ask for answers that take from 0.2 to 0.6 of a session's life, so that many are under way at a rollover.

    Not longer: a short question that is asked for before the same look at the screen shares the long one's answer.
    """
    client = tried.new_client()
    while not stop.is_set():
        snap_id = new_ulid(time.time())
        tried.service.answering.long[snap_id] = (LONG_WORDS, LIFE_S * (0.2 + draw.below(40) / 100) / LONG_WORDS)
        tried.snap(client, snap_id)


def _within(old: Life, new: Life) -> bool:
    """Whether an answer of the old connection went on when the new one was ready."""
    return new.ready is not None and any(when > new.ready for _, _, when in old.done)


def _fill(report: Report, tried: Tried) -> None:
    books = tried.books
    lives = [life for life in tried.service.lives if life.ready is not None]
    report.refused = len(tried.service.lives) - len(lives)
    for old, new in pairwise(lives):
        if new.ready is not None and (old.ended is None or old.ended > new.ready):
            report.rollovers += 1
            report.within += _within(old, new)
        else:
            report.breaks += 1
    report.snaps = len(books.snaps)
    report.failed = [snap.error for snap in books.snaps.values() if snap.note is None][:5]
    if books.memory_kb:
        report.memory_kb = (books.memory_kb[0], books.memory_kb[-1])
        report.descriptors = (min(books.descriptors), max(books.descriptors))
    report.requests = tried.service.checked
