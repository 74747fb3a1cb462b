"""kill -9 at random moments, with a real process that writes and tells what it committed."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hudd.clock import SystemClock
from hudd.journal.store import Journal

WRITER = """
import asyncio, sys
from pathlib import Path
from dataclasses import replace
from hudd.clock import SystemClock
from hudd.journal.store import Journal
from hudd.ledger.records import Settlement
from hudd.model import Usage
from tests.fakes.journal import RESERVATION, make_note

async def main():
    journal = Journal.open(Path(sys.argv[1]), clock=SystemClock())
    print("open", journal.stream, flush=True)
    while True:
        taken = await journal.reserve(RESERVATION)
        note = await journal.commit_note(make_note("ab"[taken % 2]), Settlement(taken, "completed", Usage(1, 1), 10))
        print(note.seq, note.prev, note.topic, flush=True)

asyncio.run(main())
"""


def _kill_while_writing(path: Path, wait_for: int, chance: random.Random) -> list[tuple[int, int, str]]:
    """Start the writer, kill it some lines after the first ``wait_for``; returns what it acknowledged."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(1 + wait_for + chance.randrange(20))]
        process.kill()
        # What it wrote before it died was acknowledged as well.
        lines += process.stdout.read().splitlines(keepends=True)
    assert lines[0].startswith("open")
    told = [line.split() for line in lines[1:] if line.endswith("\n")]
    return [(int(seq), int(prev), topic) for seq, prev, topic in told]


async def _check(path: Path, acknowledged: list[tuple[int, int, str]]) -> None:
    journal = Journal.open(path, clock=SystemClock())
    try:
        assert journal.set_aside is None
        assert journal.vanished <= 1
        held: dict[int, tuple[int, str]] = {}
        seq, more = 0, True
        while more:
            page = await journal.notes_since(seq)
            for note in page.notes:
                assert note.seq > seq
                seq = note.seq
                held[seq] = (note.prev, note.topic)
            more = page.more
        for number, prev, topic in acknowledged:
            assert held[number] == (prev, topic)
    finally:
        await journal.close()
    rows = sqlite3.connect(path)
    notes, settled = rows.execute(
        "SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM ledger WHERE status = 'completed')"
    ).fetchone()
    rows.execute("INSERT INTO notes_fts (notes_fts, rank) VALUES ('integrity-check', 1)")
    rows.close()
    # A note and its cost were one transaction: never one without the other.
    assert notes == settled == len(held)


def _rounds(path: Path, count: int) -> None:
    chance = random.Random(20261121)
    acknowledged: list[tuple[int, int, str]] = []
    for _ in range(count):
        acknowledged += _kill_while_writing(path, 5, chance)
        asyncio.run(_check(path, acknowledged))
    numbers = [seq for seq, _, _ in acknowledged]
    assert numbers == sorted(set(numbers))
    assert len(numbers) >= 5 * count


def test_kill_9_loses_no_acknowledged_note(tmp_path: Path) -> None:
    _rounds(tmp_path / "journal.db", 3)


@pytest.mark.slow
def test_kill_9_twenty_times_loses_no_acknowledged_note(tmp_path: Path) -> None:
    _rounds(tmp_path / "journal.db", 20)
