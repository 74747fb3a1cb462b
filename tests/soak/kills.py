"""kill -9 of a real daemon under load, with three subscribers that stall and are killed, too.

Nobody may lose an acknowledged note, get one twice, or get them out of order.
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from hudctl import Client, HudctlError, Note
from tests.fakes.daemon import DaemonProcess, draw_page
from tests.soak.dose import part_of
from tests.soak.subscribers import Handled, Subscriber, by_hudctl, in_python, until_handled

FULL_KILLS, FULL_STALLS, FULL_READER_KILLS = 200, 60, 20
BACK_S = 3.0
ASKERS = 2
FAST = {
    "screen_interval_s": 0.05,
    "screen_pictures_interval_s": 0.05,
    "gate_min_interval_s": 0.0,
    "gate_settle_s": 0.0,
    "engine_answers": "canned",
}


@dataclass
class Report:
    """What happened, and what everybody has of it."""

    seed: int
    kills: int = 0
    stalls: int = 0
    reader_kills: int = 0
    written: list[Handled] = field(default_factory=list)
    acknowledged: list[Note] = field(default_factory=list)
    handled: dict[str, list[Handled]] = field(default_factory=dict)
    back_s: list[float] = field(default_factory=list)

    def rows(self) -> list[str]:
        """A row per sentence: figure and bar."""
        lost, doubled, order = self.faults()
        did = f"kill -9 of the daemon {self.kills}, stalls {self.stalls}, kills of a subscriber {self.reader_kills}"
        middle, longest = statistics.median(self.back_s), max(self.back_s)
        return [
            f"{did}; {len(self.written)} notes, {len(self.acknowledged)} acknowledged to a caller, seed {self.seed}",
            f"acknowledged notes lost: {lost} (bar 0)",
            f"notes doubled: {doubled} (bar 0)",
            f"notes out of order: {order} (bar 0)",
            f"back after a kill: median {middle:.2f} s, longest {longest:.2f} s (bar {BACK_S:g} s)",
        ]

    def faults(self) -> tuple[int, int, int]:
        """Notes lost, doubled, and out of order, over all subscribers and all callers."""
        written = dict(self.written)
        lost = sum(written.get(note.seq) != note.text for note in self.acknowledged)
        doubled = order = 0
        for handled in self.handled.values():
            numbers = [seq for seq, _ in handled]
            lost += len(set(self.written) - set(handled))
            doubled += sum(count - 1 for count in Counter(numbers).values())
            order += sum(b < a for a, b in pairwise(numbers))
        return lost, doubled, order


class _Load:
    """Callers that ask for a snap, and for the next one when they have it."""

    def __init__(self, runtime_dir: Path) -> None:
        self.acknowledged: list[Note] = []
        self._runtime_dir = runtime_dir
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(ASKERS)]

    def __enter__(self) -> _Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self) -> None:
        with Client(timeout_s=10, runtime_dir=self._runtime_dir) as client:
            while not self._stop.is_set():
                try:
                    self.acknowledged.append(client.snap())
                except HudctlError:
                    time.sleep(0.02)  # killed just now, or not up yet: nothing was acknowledged


def run_dose(folder: Path, *, seed: int, dose: float) -> Report:
    """A share of the full figures."""
    return run_kills(
        folder,
        seed=seed,
        kills=part_of(FULL_KILLS, dose),
        stalls=part_of(FULL_STALLS, dose, least=3),
        reader_kills=part_of(FULL_READER_KILLS, dose, least=2),
    )


def run_kills(folder: Path, *, seed: int, kills: int, stalls: int, reader_kills: int) -> Report:
    """Kill, stall, and compare in the end."""
    chance, report = random.Random(seed), Report(seed)
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    for number in range(4):
        draw_page(pictures / f"{number}.png", [f"Page {number}", *["more"] * number], dark=number % 2 == 1)
    with ExitStack() as stack:
        daemon = stack.enter_context(DaemonProcess(folder, screen_source=f"pictures:{pictures}", **FAST))
        readers = _readers(folder, daemon)
        for reader in readers:
            stack.callback(reader.kill)
        daemon.start().ready()
        for reader in readers:
            reader.start()
        events = ["kill"] * kills + ["stall"] * stalls + ["reader"] * reader_kills
        chance.shuffle(events)
        load = stack.enter_context(_Load(folder / "run"))
        _play(events, daemon, readers, load, report, chance)
        load.__exit__()
        report.acknowledged = load.acknowledged
        daemon.asked("pause")  # no new notes, so that everybody can come to the last one
        report.written = settled(folder)
        until_handled(readers, report.written[-1][0], 60)
        assert daemon.stop(20) == 0, daemon.log()[-2000:]
        report.handled = {reader.name: reader.handled() for reader in readers}
    return report


def _readers(folder: Path, daemon: DaemonProcess) -> list[Subscriber]:
    runtime_dir = str(folder / "run")
    commands = {
        "Feed": in_python("sync", runtime_dir),
        "AsyncFeed": in_python("async", runtime_dir),
        "hudctl follow": by_hudctl(),
    }
    return [
        Subscriber(name, command, folder / f"{number}.out", environ=daemon.environ)
        for number, (name, command) in enumerate(commands.items())
    ]


def _play(
    events: Sequence[str],
    daemon: DaemonProcess,
    readers: Sequence[Subscriber],
    load: _Load,
    report: Report,
    chance: random.Random,
) -> None:
    stalled: list[tuple[float, Subscriber]] = []
    for event in events:
        time.sleep(0.1 + chance.random() * 0.5)
        for until, reader in [pair for pair in stalled if pair[0] <= time.monotonic()]:
            reader.go_on()
            stalled.remove((until, reader))
        reader = chance.choice(readers)
        if event == "kill":
            report.back_s.append(_kill(daemon, load))
            report.kills += 1
        elif event == "stall":
            reader.stall()
            stalled.append((time.monotonic() + 0.3 + chance.random() * 2, reader))
            report.stalls += 1
        else:
            reader.kill()
            reader.start()
            report.reader_kills += 1
        for each in readers:
            each.keep_running()  # follow ends when no daemon runs at its start
    for _, reader in stalled:
        reader.go_on()


def _kill(daemon: DaemonProcess, load: _Load) -> float:
    """Kill it, start it; returns the seconds until a note was acknowledged again."""
    daemon.kill()
    started, known = time.monotonic(), len(load.acknowledged)
    daemon.start()
    while len(load.acknowledged) == known:
        assert time.monotonic() - started < 30, f"no note after a kill:\n{daemon.log()[-3000:]}"
        time.sleep(0.005)
    return time.monotonic() - started


def settled(folder: Path) -> list[Handled]:
    """The journal once the answers in flight are in it."""
    rows = _journal(folder)
    while True:
        time.sleep(1.0)
        before, rows = rows, _journal(folder)
        if rows == before:
            return rows


def _journal(folder: Path) -> list[Handled]:
    journal = sqlite3.connect(f"file:{folder}/state/journal.db?mode=ro", uri=True)
    try:
        return [(int(seq), str(text)) for seq, text in journal.execute("SELECT seq, text FROM notes ORDER BY seq")]
    finally:
        journal.close()


def judge(report: Report, *, longest: bool) -> None:
    """The bars; the longest return only where the machine is otherwise at rest.

    Raises:
        AssertionError: One is passed.
    """
    assert report.faults() == (0, 0, 0), report.rows()
    assert report.acknowledged, "nothing was acknowledged"
    back_s = max(report.back_s) if longest else statistics.median(report.back_s)
    assert back_s <= BACK_S, report.rows()
