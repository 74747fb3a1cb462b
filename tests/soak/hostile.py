"""Hostile and broken peers against a real daemon: too many connections, fuzzed frames, garbage, a message without end.

``run_connects``, ``run_fuzz``, ``run_floods`` and ``run_endless`` return a row per sentence that must hold, with figure and bar.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from hudctl import Client
from hudd.clock import SystemClock
from hudd.journal.store import Journal
from tests.bench.rows import NO_BAR, Row
from tests.fakes.daemon import DaemonProcess, draw_page
from tests.fakes.journal import make_note
from tests.soak.dose import part_of

CONNECTS, FRAMES, GARBAGE, TOPICS, ACKNOWLEDGED = 5000, 100_000, 20_000, 20_000, 40
WIDE, UNREAD, NOTES = 20_000, 20_000, 500
DESCRIPTORS = 1024
OTHERS_MS, HANG_MS = 50.0, 1000.0
BUSY_MACHINE = 3.0
GROWTH_MB = 16.0
UNREAD_MB = 64.0
MEMORY_MB = 120
ANSWERED_S = 5.0
STANDSTILL_S = 60.0
"""However slow the machine is, the memory grows by a megabyte within this."""
ASK_EVERY_S = 0.02


class Besieged(DaemonProcess):
    """A daemon with canned answers and few descriptors, and what it weighs."""

    interpreter_flags = ()

    def __init__(self, folder: Path) -> None:
        (folder / "pictures").mkdir(parents=True)
        draw_page(folder / "pictures" / "1.png", ["The only page"])
        super().__init__(folder, screen_source=f"pictures:{folder}/pictures", engine_answers="canned")

    def start(self, *flags: str) -> Self:
        limit = f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                ["prlimit", limit, sys.executable, "-m", "hudd", *flags],
                env=self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        return self

    @property
    def seen(self) -> psutil.Process:
        """The process, for its figures."""
        assert self.process is not None
        return psutil.Process(self.process.pid)

    def megabytes(self) -> float:
        """Resident memory now."""
        return self.seen.memory_info().rss / 1e6

    def attack(self, kind: str, count: int, seed: int) -> subprocess.Popen[str]:
        """Start a hostile process against it."""
        sockets = [f"{self.folder}/run/{name}.sock" for name in ("ctl", "notes")]
        chosen = sockets if kind in ("connects", "garbage") else sockets[1:] if kind == "topics" else sockets[:1]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.soak.attackers", kind, *chosen, str(count), str(seed)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def quiet(self, base: int, timeout_s: float = 10.0) -> int:
        """Descriptors beyond the base, once they have stopped to become fewer."""
        end = time.monotonic() + timeout_s
        while (more := self.seen.num_fds() - base) > 0 and time.monotonic() < end:
            time.sleep(0.1)
        return more


def busy(row: Row, dose: float) -> Row:
    """At a part of the dose, a bar that a machine keeps which does other things meanwhile; the plain one is told."""
    if dose >= 1:
        return row
    return replace(row, bar=row.bar * BUSY_MACHINE, how=f"{row.how}; at dose 1 the bar is {row.bar:.0f}")


def outcome(attack: subprocess.Popen[str]) -> dict[str, Any]:
    """What a hostile process told when it ended."""
    told, _ = attack.communicate()
    assert attack.returncode == 0, "the hostile process itself failed"
    return json.loads(told.splitlines()[0])


QUESTIONS: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("status", {}), ("notes.since", {"seq": 0, "limit": 1}), ("notes.search", {"limit": 1})
)  # fmt: skip


def mistakes(name: str, log: str) -> Row:
    """The tracebacks in the daemon's log, and the first of them."""
    _, begin, first = log.partition("Traceback")
    return Row(
        f"{name}: mistakes in the log", log.count("Traceback"), 0, "", f"{begin}{first[:2000]}" or "no traceback"
    )


class Bystander:
    """A good client that asks one question after the other again and again in a thread, and how long it waits for each.

    Before each question it sleeps a little; by how much it oversleeps tells what the machine's other work costs anybody.
    A context manager.
    """

    def __init__(self, folder: Path) -> None:
        self.waits_ms: dict[str, list[float]] = {method: [] for method, _ in QUESTIONS}
        self.late_ms: list[float] = []
        self.failed: list[BaseException] = []
        self._client = Client(timeout_s=10, runtime_dir=folder / "run")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="bystander")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(20)
        self._client.close()

    def _ask(self) -> None:
        try:
            for method, params in itertools.cycle(QUESTIONS):
                if self._stop.is_set():
                    return
                slept = time.perf_counter()
                time.sleep(ASK_EVERY_S)
                started = time.perf_counter()
                self.late_ms.append((started - slept - ASK_EVERY_S) * 1000)
                self._client.call(method, **params)
                self.waits_ms[method].append((time.perf_counter() - started) * 1000)
        except BaseException as error:  # noqa: BLE001 - told by `rows`, on the main thread
            self.failed.append(error)

    def rows(self, when: str, dose: float) -> list[Row]:
        """Its waits, against the bars."""
        assert not self.failed, self.failed
        late_ms = sorted(self.late_ms)[int(len(self.late_ms) * 0.99)]
        rows: list[Row] = []
        for method, unsorted in self.waits_ms.items():
            waits = sorted(unsorted)
            how = f"{len(waits)} times {method} {when}"
            timer = f"{how}; the bar is {OTHERS_MS:.0f} ms and by how much a plain timer was late, p99 {late_ms:.1f} ms"
            bar = OTHERS_MS + late_ms
            rows.append(
                busy(Row(f"another client's {method}, p99", waits[int(len(waits) * 0.99)], bar, "ms", timer), dose)
            )
            rows.append(busy(Row(f"another client's {method}, longest wait", waits[-1], HANG_MS, "ms", how), dose))
        return rows


def run_connects(folder: Path, *, seed: int, dose: float) -> list[Row]:
    """Raw connects that say nothing, at a limit of 1,024 descriptors."""
    count = part_of(CONNECTS, dose, least=1500)  # fewer than the limit would show nothing
    with ExitStack() as stack:
        daemon = stack.enter_context(Besieged(folder))
        daemon.start().ready()
        good = stack.enter_context(Client(timeout_s=10, runtime_dir=folder / "run"))
        good.status()
        base, most = daemon.seen.num_fds(), 0
        with Bystander(folder) as bystander:
            attack = daemon.attack("connects", count, seed)
            seqs: list[int] = []
            told: list[str] = []
            assert attack.stdout is not None
            reader = threading.Thread(target=lambda out=attack.stdout: told.append(out.readline()))
            reader.start()
            while reader.is_alive():
                most = max(most, daemon.seen.num_fds())
                seqs.append(good.snap().seq)  # the journal, the pictures and the engine work on meanwhile
            attack.communicate()
            ended = time.monotonic()
            while (done := daemon.hudctl("status")).returncode != 0 and time.monotonic() - ended < ANSWERED_S:
                pass  # the queue of those that have gone is taken first; hudctl says so and asks to try again
            answered_s = time.monotonic() - ended
        assert done.returncode == 0, done.stderr
        assert daemon.seen.is_running(), daemon.log()[-2000:]
        found = json.loads(told[0])
        how = f"{found['tried']:,} tried, {found['connected']:,} connected to the two sockets"
        rows = [
            Row("connects: a new hudctl status after they stopped", answered_s, ANSWERED_S, "s", how),
            Row("connects: descriptors of the daemon, most", most, DESCRIPTORS, "", how),
            Row("connects: descriptors beyond the base afterwards", daemon.quiet(base), 8, "", f"base {base}"),
            Row("connects: snaps answered meanwhile", len(seqs), NO_BAR, "", "a client that was there before"),
            *bystander.rows("during raw connects", dose),
        ]
        assert daemon.stop() == 0
    return rows


def run_fuzz(folder: Path, *, seed: int, dose: float) -> list[Row]:
    """Fuzzed frames, garbage connections and a flood of subscriptions, all at once."""
    # So many at least that the bystander has enough waits to tell a 99th percentile from the longest.
    frames = part_of(FRAMES, dose, least=8000)
    connections, topics = part_of(GARBAGE, dose, least=2000), part_of(TOPICS, dose)
    with Besieged(folder) as daemon:
        daemon.start().ready()
        for attack in [daemon.attack(kind, 1000, seed + 1) for kind in ("fuzz", "garbage", "topics")]:
            outcome(attack)  # caches fill once
        for _ in range(5):
            daemon.hudctl("status")
        time.sleep(2.5)  # the handshakes that never end are given up
        base, before = daemon.seen.num_fds(), daemon.megabytes()
        with Bystander(folder) as bystander:
            attacks = [daemon.attack("fuzz", frames, seed), daemon.attack("garbage", connections, seed)]
            attacks.append(daemon.attack("topics", topics, seed))
            fuzzed, garbage, _ = [outcome(attack) for attack in attacks]
        more = daemon.quiet(base)
        grown = daemon.megabytes() - before
        log = daemon.log()
        assert daemon.stop() == 0, log[-2000:]
    asked = f"{frames:,} frames, {fuzzed['answered']:,} answered, seed {seed}"
    return [
        Row("fuzz: requests with a readable id and no reply", fuzzed["missing"], 0, "", asked),
        Row("fuzz: replies too many", len(fuzzed["surplus"]), 0, "", f"{fuzzed['surplus']}"),
        mistakes("fuzz", log),
        Row("garbage: connections refused", garbage["refused"], 0, "", f"{garbage['connections']:,} connections"),
        Row("fuzz and garbage: memory", grown, GROWTH_MB, "MB", f"from {before:.0f} MB; {topics:,} topics beside"),
        Row("fuzz and garbage: descriptors beyond the base", more, 8, "", f"base {base}"),
        *bystander.rows("during frames, garbage and subscriptions", dose),
    ]


def run_floods(folder: Path, *, seed: int, dose: float) -> list[Row]:
    """Frames that are dear to read, and long replies that nobody reads, one after the other."""
    frames, asked = part_of(WIDE, dose, least=2000), part_of(UNREAD, dose, least=2000)
    rows: list[Row] = []
    with Besieged(folder) as daemon:
        _fill(folder)
        daemon.start().ready()
        outcome(daemon.attack("wide", 200, seed + 1))  # caches fill once
        for kind, count, bar in (("wide", frames, GROWTH_MB), ("unread", asked, UNREAD_MB)):
            before = most = daemon.megabytes()
            with Bystander(folder) as bystander:
                attack = daemon.attack(kind, count, seed)
                while attack.poll() is None:
                    most = max(most, daemon.megabytes())
                    time.sleep(0.05)
                found = outcome(attack)
            rows.append(Row(f"{kind}: memory at its most", most - before, bar, "MB", f"from {before:.0f} MB; {found}"))
            rows += bystander.rows(f"during {count:,} {kind} requests", dose)
            if kind == "wide":
                rows.append(Row("wide: requests with an id and no reply", found["missing"], 0, "", f"{frames:,} sent"))
        assert daemon.hudctl("status").returncode == 0
        log = daemon.log()
        assert daemon.stop() == 0, log[-2000:]
    return [*rows, mistakes("floods", log)]


def _fill(folder: Path) -> None:
    """Notes enough for a page of half a megabyte."""
    journal = Journal.open(folder / "state" / "journal.db", clock=SystemClock())

    async def write() -> None:
        for number in range(NOTES):
            await journal.commit_note(make_note(text="word " * 180, time=time.time() - NOTES + number), None)
        await journal.close()

    asyncio.run(write())


def run_endless(folder: Path, *, seed: int, dose: float) -> list[Row]:
    """A message without an end fills the memory: killed at a bound, as MemoryMax does, and started again."""
    acknowledged: list[int] = []
    with Besieged(folder) as daemon, Client(timeout_s=10, runtime_dir=folder / "run") as good:
        daemon.start().ready()
        bound = daemon.megabytes() + MEMORY_MB
        acknowledged += [good.snap().seq for _ in range(part_of(ACKNOWLEDGED, dose))]
        attack = daemon.attack("multipart", 4 * MEMORY_MB, seed)
        most, end = 0.0, time.monotonic() + STANDSTILL_S
        while (now := daemon.megabytes()) < bound:
            if now > most + 1:
                most, end = now, time.monotonic() + STANDSTILL_S
            acknowledged.append(good.snap().seq)
            assert time.monotonic() < end, f"the memory does not fill beyond {most:.0f} of {bound:.0f} MB"
        daemon.kill()
        attack.communicate()
        started = time.monotonic()
        daemon.start().ready()
        back_s = time.monotonic() - started
        good.close()
        acknowledged.append(good.snap().seq)
        assert daemon.stop() == 0
        journal = sqlite3.connect(f"file:{folder}/state/journal.db?mode=ro", uri=True)
        kept = {seq for (seq,) in journal.execute("SELECT seq FROM notes")}
        journal.close()
    lost = set(acknowledged) - kept
    how = f"{len(acknowledged)} acknowledged notes, killed at {bound:.0f} MB"
    return [
        Row("endless message: acknowledged notes lost", len(lost), 0, "", how),
        Row("endless message: back after the kill", back_s, NO_BAR, "s", "told by hudctl wait"),
    ]


RUNS: dict[str, Callable[..., list[Row]]] = {
    "connects": run_connects, "fuzz": run_fuzz, "floods": run_floods, "endless": run_endless
}  # fmt: skip


def judge(rows: Sequence[Row]) -> None:
    """Print them all, then fail on those above their bars.

    Raises:
        AssertionError: A figure is above its bar.
    """
    for row in rows:
        print(f"{row.word:5} {row.name}: {row.measured:.4g} {row.unit} (bar {row.bar:g}; {row.how})", flush=True)
    over = [row.name for row in rows if row.word == "over"]
    assert not over, over
