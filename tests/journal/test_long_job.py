"""Whether the writer answers: not while anything holds it, except the rewriting of the file within its time."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hudd.journal import forget
from hudd.journal.long_job import LEAST_S, LongJob
from hudd.journal.store import Journal
from hudd.ledger.budget import Verdict
from hudd.ledger.records import Totals
from hudd.notes.keeping import Span
from tests.fakes.clock import ManualClock
from tests.fakes.journal import RESERVATION, make_note

SHORT_S = 0.05


rewrite = forget.rewrite


class SlowDisk:
    """Stands for ``forget.rewrite``: it begins, and goes on when the test says so."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, connection: sqlite3.Connection, path: Path, *, stopped: Callable[[], bool]) -> bool:
        self.begun.set()
        while not self.go_on.wait(0.01):
            if stopped():
                return False
        return rewrite(connection, path, stopped=stopped)


async def test_a_file_has_the_time_of_a_slow_disk_and_no_more() -> None:
    clock = ManualClock()
    job = LongJob(clock)
    assert not job.in_time()
    with job.over(2_000_000_000):
        await clock.advance(1800)
        assert job.in_time()
        await clock.advance(200)
        assert not job.in_time()
    with job.over(4096):
        await clock.advance(LEAST_S - 1)
        assert job.in_time()
        await clock.advance(1)
        assert not job.in_time()
    assert not job.in_time()


async def test_a_writer_that_is_held_does_not_answer(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", clock=ManualClock())
    assert await journal.answers(5)
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: Totals) -> Verdict:  # runs on the writer's thread
        begun.set()
        go_on.wait(30)
        return Verdict(allowed=True)

    held = asyncio.create_task(journal.reserve(RESERVATION, check=hold))
    assert await asyncio.to_thread(begun.wait, 5)
    assert not await journal.answers(SHORT_S)
    go_on.set()
    await held
    assert await journal.answers(5)
    await journal.close()


async def test_a_writer_that_writes_the_file_anew_answers_for_as_long_as_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, disk = ManualClock(), SlowDisk()
    monkeypatch.setattr(forget, "rewrite", disk)
    journal = Journal.open(tmp_path / "journal.db", clock=clock)
    await journal.commit_note(make_note(), None)
    await journal.upkeep.empty(Span(seq=1))
    finishing = asyncio.create_task(journal.upkeep.finish_forgetting())
    assert await asyncio.to_thread(disk.begun.wait, 5)
    late = asyncio.create_task(journal.commit_note(make_note(), None))
    assert await journal.answers(SHORT_S)
    await clock.advance(LEAST_S)
    assert not await journal.answers(SHORT_S)
    disk.go_on.set()
    assert await finishing
    assert (await late).seq == 2  # it was not refused
    assert await journal.answers(5)
    assert await journal.upkeep.finish_forgetting()
    await journal.close()


async def test_closing_gives_a_rewriting_up_and_the_next_start_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk()
    journal = Journal.open(tmp_path / "journal.db", clock=ManualClock())
    await journal.commit_note(make_note(text="a forgotten larkspur"), None)
    await journal.upkeep.empty(Span(seq=1))
    with monkeypatch.context() as patched:
        patched.setattr(forget, "rewrite", disk)
        finishing = asyncio.create_task(journal.upkeep.finish_forgetting())
        assert await asyncio.to_thread(disk.begun.wait, 5)
        await asyncio.wait_for(journal.close(), 5)
        assert not await finishing
    journal = Journal.open(tmp_path / "journal.db", clock=ManualClock())
    before = (tmp_path / "journal.db").stat().st_mtime_ns
    assert await journal.upkeep.finish_forgetting()
    assert (tmp_path / "journal.db").stat().st_mtime_ns > before
    await journal.close()


def test_the_statement_itself_is_given_up_while_it_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forget, "STEPS", 100)
    path = tmp_path / "some.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE notes (text TEXT)")
    connection.executemany("INSERT INTO notes VALUES (?)", [("word " * 50,)] * 2000)
    asked: list[bool] = []

    def stopped() -> bool:
        asked.append(len(asked) >= 3)
        return asked[-1]

    assert not forget.rewrite(connection, path, stopped=stopped)
    assert len(asked) > 3
    assert connection.execute("SELECT count(*) FROM notes").fetchone() == (2000,)
    assert forget.rewrite(connection, path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
