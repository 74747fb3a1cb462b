"""What a note costs on its way out: commit and publication, a replay from a real daemon, readers who stand still.

``bench_commit()``, ``bench_replay()`` and ``bench_stalled()`` return rows. The publisher that has stalled subscribers,
and the reader of a replay, are processes of their own (``python -m tests.bench.stream stalled|replay …``).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import zmq

from hudctl import Feed
from hudd.bus.publisher import Publisher
from hudd.clock import SystemClock
from hudd.journal import queries, schema
from hudd.journal.store import Journal
from hudd.ledger.records import Settlement
from hudd.model import Usage
from tests.bench.process import BenchDaemon, resident_kb
from tests.bench.rows import NO_BAR, Row
from tests.fakes.bus import await_until
from tests.fakes.bus import make_note as make_numbered_note
from tests.fakes.daemon import draw_page
from tests.fakes.journal import RESERVATION, make_note

COMMITS = 1000
REPLAY = 10_000
STALLED, STALLED_NOTES = 10, 20_000
TEXT = "The terminal shows the build log; the invoice of Larkspur is open beside it. " * 4
USAGE = Usage(1023, 60, 700, 323, 0, 384, 0, 0, 60)


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _publisher(path: Path) -> Publisher:
    return Publisher(path, stream="s1", instance="i1", heads=dict, clock=SystemClock())


async def _commits(folder: Path, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds from an answer to its published note, and of the same rows written by nothing but SQLite."""
    journal = Journal.open(folder / "journal.db", clock=SystemClock())
    publisher = _publisher(folder / "notes.sock")
    publisher.open()
    spent: list[float] = []
    for number in range(count):
        taken = await journal.reserve(RESERVATION)
        started = time.perf_counter()
        note = await journal.commit_note(
            make_note(text=f"{number} {TEXT}"), Settlement(taken, "completed", USAGE, 4100)
        )
        publisher.publish(note.topic, note.to_json())
        spent.append((time.perf_counter() - started) * 1000)
    await publisher.close()
    await journal.close()
    return spent, _flushes(folder / "plain", len(TEXT) * 4, min(count, 200))


def _flushes(path: Path, size: int, count: int) -> list[float]:
    """What the disk alone takes: append and flush, in milliseconds."""
    spent: list[float] = []
    with path.open("ab") as file:
        for _ in range(count):
            started = time.perf_counter()
            file.write(b"x" * size)
            file.flush()
            os.fdatasync(file.fileno())
            spent.append((time.perf_counter() - started) * 1000)
    return spent


def bench_commit(*, quick: bool = False) -> list[Row]:
    """The commit of a note with its settlement, and its publication."""
    count = 50 if quick else COMMITS
    with TemporaryDirectory(prefix="hb") as name:
        spent, flushes = asyncio.run(_commits(Path(name), count))
    disk = f"fdatasync alone p99 {_percentile(flushes, 0.99):.2f} ms"
    return [
        Row("commit and publish, median", _percentile(spent, 0.5), NO_BAR, "ms", f"{count} notes"),
        Row("commit and publish, p99", _percentile(spent, 0.99), 10.0, "ms", f"{count} notes; {disk}"),
    ]


async def _fill(path: Path, count: int) -> None:
    journal = Journal.open(path, clock=SystemClock())

    def job(connection: Any) -> None:
        with schema.transaction(connection):
            for number in range(count):
                queries.insert_note(
                    connection, make_note(source="pictures", text=f"{number} {TEXT}", time=float(number))
                )

    await journal._writer.run(job)
    await journal.close()


def bench_replay(*, quick: bool = False) -> list[Row]:
    """A subscriber that missed everything catches up: journal, command socket, client."""
    count = 500 if quick else REPLAY
    with TemporaryDirectory(prefix="hb") as name:
        folder = Path(name)
        pictures = folder / "pictures"
        pictures.mkdir()
        draw_page(pictures / "1.png", ["The only page"])
        (folder / "state").mkdir(mode=0o700)
        asyncio.run(_fill(folder / "state" / "journal.db", count))
        with BenchDaemon(folder, screen_source=f"pictures:{pictures}", engine_answers="canned") as daemon:
            daemon.start().ready()
            spent = [_replay_s(daemon, count) for _ in range(1 if quick else 3)]
    how = f"hudctl.Feed from a real daemon and journal, best of {len(spent)}"
    return [Row(f"replay of {count:,} notes, whole daemon", min(spent), 1.0, "s", how)]


def _replay_s(daemon: BenchDaemon, count: int) -> float:
    """In a process of its own: a feed waits for its daemon for ever, and this one may fail."""
    command = [sys.executable, "-m", "tests.bench.stream", "replay", daemon.environ["HUDD_RUNTIME_DIR"], str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    return float(done.stdout)


def _read_all(runtime_dir: str, count: int) -> float:
    started = time.perf_counter()
    with Feed(after=0, runtime_dir=runtime_dir) as feed:
        for note in feed:
            if note.seq >= count:
                break
    return time.perf_counter() - started


def bench_stalled(*, quick: bool = False) -> list[Row]:
    """Subscribers that never read must not make the daemon grow."""
    notes = 2000 if quick else STALLED_NOTES
    with TemporaryDirectory(prefix="hb") as name:
        path = Path(name) / "notes.sock"
        command = [sys.executable, "-m", "tests.bench.stream", "stalled", str(path), str(STALLED), str(notes)]
        context: zmq.Context[Any] = zmq.Context()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with process:
            assert process.stdout is not None
            process.stdout.readline()  # it listens
            sockets = [context.socket(zmq.SUB) for _ in range(STALLED)]  # held, or they would be closed at once
            for socket in sockets:
                socket.setsockopt(zmq.RCVHWM, 1)
                socket.subscribe("note/")
                socket.connect(f"ipc://{path}")
            found = json.loads(process.stdout.read())
        context.destroy(linger=0)
    assert process.returncode == 0, "the publisher failed"
    how = f"growth of the publisher's process over {notes:,} notes of {found['bytes']:,} bytes, none read"
    return [Row(f"{STALLED} stalled subscribers", found["grown_kb"] / 1024, 32.0, "MB", how)]


async def _publish_to_stalled(path: Path, subscribers: int, notes: int) -> dict[str, int]:
    publisher = _publisher(path)
    publisher.open()
    print("listening", flush=True)
    await await_until(lambda: publisher.subscribers().get("note/", 0) == subscribers, timeout_s=30)
    body = make_numbered_note(text=TEXT).to_json()
    before = resident_kb(os.getpid())
    most = before
    for number in range(notes):
        publisher.publish("note/eDP-1/", {**body, "seq": number})
        if number % 100 == 0:
            await asyncio.sleep(0)
            most = max(most, resident_kb(os.getpid()))
    await asyncio.sleep(0.2)
    most = max(most, resident_kb(os.getpid()))
    await publisher.close()
    return {"grown_kb": most - before, "bytes": len(json.dumps(body))}


if __name__ == "__main__":
    if sys.argv[1] == "replay":
        print(_read_all(sys.argv[2], int(sys.argv[3])))
    else:
        print(json.dumps(asyncio.run(_publish_to_stalled(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))))
