"""A really full disk, and really failing writes, at each place that writes: no crash, a sentence, and back by itself."""

from __future__ import annotations

import os
import resource
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from hudd.clock import SystemClock
from hudd.errors import StorageError
from hudd.journal.store import Journal
from hudd.ledger.records import Settlement
from hudd.model import UpstreamError, Usage
from hudd.notes.keeping import Span
from tests.fakes.daemon import DaemonProcess, draw_page
from tests.fakes.disk import SmallDisk, small_disk
from tests.fakes.journal import RESERVATION, make_note

pytestmark = pytest.mark.slow

MEGABYTES = 32
TEXT = "The harbour office lists berth twelve. " * 40
Write = Callable[[Journal], Awaitable[object]]


async def _commit(journal: Journal) -> object:
    taken = await journal.reserve(RESERVATION)
    return await journal.commit_note(make_note(text=TEXT), Settlement(taken, "completed", Usage(1, 1), 10))


async def _forget(journal: Journal) -> object:
    await journal.upkeep.empty(Span(until=5.0))
    return await journal.upkeep.finish_forgetting()


SITES: dict[str, Write] = {
    "commit": _commit,
    "reserve": lambda journal: journal.reserve(RESERVATION),
    "settle": lambda journal: journal.settle(Settlement(1, "completed", Usage(1, 1), 10)),
    "error": lambda journal: journal.add_error(UpstreamError(sentence=TEXT), time=1.0),
    "pause": lambda journal: journal.pause(until=None, why=TEXT, now=1.0),
    "resume": lambda journal: journal.resume(2.0),
    "mark": lambda journal: journal.upkeep.mark(1, keep=True),
    "prune": lambda journal: journal.upkeep.prune(before=3.0, max_bytes=None),
    "forget": _forget,
    "backup": lambda journal: journal.upkeep.back_up(journal.path.with_name("backup.db")),
}

EFFECTS: dict[str, str] = {
    "commit": "SELECT count(*) FROM notes",
    "reserve": "SELECT count(*) FROM ledger",
    "settle": "SELECT count(*) FROM ledger WHERE status <> 'open'",
    "error": "SELECT count(*) FROM errors",
    "pause": "SELECT count(*) FROM pauses",
    "resume": "SELECT count(*) FROM pauses WHERE ended IS NOT NULL",
    "mark": "SELECT count(*) FROM notes WHERE keep",
    "prune": "SELECT -count(*) FROM notes WHERE time < 3.0",
    "forget": "SELECT count(*) FROM notes WHERE time < 5.0 AND text = ''",
}
"""What each write lets grow, as another connection sees it: what was refused is not there, and what was not, is."""


def _effect(journal: Journal, site: str) -> int:
    if site == "backup":
        return int(journal.path.with_name("backup.db").exists())
    with closing(sqlite3.connect(f"file:{journal.path}?mode=ro", uri=True)) as beside:
        return int(beside.execute(EFFECTS[site]).fetchone()[0])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", MEGABYTES) as made:
        yield made


async def _filled(folder: Path) -> Journal:
    journal = Journal.open(folder / "journal.db", clock=SystemClock())
    await journal.upkeep.prepare()
    for number in range(200):
        await journal.commit_note(make_note(text=f"{number} {TEXT}", time=float(number)), None)
    await journal.reserve(RESERVATION)
    await journal.pause(until=None, why="lunch", now=0.5)
    return journal


async def _refused(journal: Journal, write: Write) -> StorageError | None:
    """Write; gives the sentence when it was refused."""
    try:
        await write(journal)
    except StorageError as error:
        return error
    return None


async def _until_refused(journal: Journal, write: Write) -> None:
    """Write until the journal takes nothing more."""
    for _ in range(20_000):
        if (refusal := await _refused(journal, write)) is not None:
            assert "disk is full" in refusal.message
            return
    raise AssertionError("it was never full")


async def _can_read(journal: Journal) -> None:
    newest = max(journal.heads().values())
    assert (await journal.notes_since(newest - 1)).notes[0].seq == newest
    assert await journal.search(search="harbour berth", limit=5)
    await journal.totals(RESERVATION.day)
    await journal.errors()


@pytest.mark.parametrize("site", SITES)
async def test_each_write_on_a_full_disk_is_done_or_refused_in_a_sentence_and_works_again_later(
    disk: SmallDisk, site: str
) -> None:
    journal = await _filled(disk.folder)
    ballast = disk.folder / "journal.db.ballast"
    assert ballast.stat().st_size == 8 << 20
    assert oct(ballast.stat().st_mode & 0o777) == "0o600"
    disk.fill()
    # The ballast lets the first ones pass, whatever they are, and the trouble is told all the same …
    await _until_refused(journal, _commit)
    assert not ballast.exists()
    trouble = journal.upkeep.trouble
    assert trouble is not None
    assert "full" in trouble.message
    disk.fill()  # … and what it left free is gone now, too
    before = _effect(journal, site)
    refusal = await _refused(journal, SITES[site])
    # Little ones find a place in pages that the journal has: those are done, and the others are not. What goes by steps
    # may have done the first of them.
    done = _effect(journal, site) > before
    assert done != (refusal is not None) or (done and site in ("prune", "forget"))
    assert refusal is None or "disk is full" in refusal.message
    await _can_read(journal)
    with pytest.raises(StorageError, match="Free at least 12 MB"):
        await journal.upkeep.probe()
    assert journal.upkeep.trouble is not None

    disk.free()
    await journal.upkeep.probe()
    assert journal.upkeep.trouble is None
    assert ballast.exists()
    await SITES[site](journal)
    assert done or _effect(journal, site) > before
    await _commit(journal)
    await _can_read(journal)
    await journal.close()

    journal = Journal.open(disk.folder / "journal.db", clock=SystemClock())
    assert journal.set_aside is None
    assert not list(disk.folder.glob(".backup.db*"))
    await journal.close()


async def test_the_note_under_way_and_a_prune_fit_into_the_ballast(disk: SmallDisk) -> None:
    journal = await _filled(disk.folder)
    newest = max(journal.heads().values())
    disk.fill()
    while journal.upkeep.trouble is None:  # the log has some room of its own
        await _commit(journal)
    assert max(journal.heads().values()) > newest  # the one that met the full disk is there, and nothing was lost
    await journal.add_error(UpstreamError(sentence="The disk is full."), time=1.0)
    before = disk.free_bytes
    done = await journal.upkeep.prune(before=150.0, max_bytes=None)
    assert done.notes == 150
    assert disk.free_bytes > before  # removed notes give their space back to the disk
    await journal.close()


async def test_a_start_on_a_full_disk_spends_the_ballast_instead_of_failing(disk: SmallDisk) -> None:
    journal = await _filled(disk.folder)
    await journal.close()
    disk.fill()
    journal = Journal.open(disk.folder / "journal.db", clock=SystemClock())
    await _can_read(journal)
    assert journal.upkeep.trouble is not None
    disk.free()
    await journal.upkeep.probe()
    assert journal.upkeep.trouble is None
    await journal.close()


@contextmanager
def failing_writes(pid: int, limit: int) -> Iterator[None]:
    """Let every write beyond this size of a file fail (EFBIG), as a bad disk does (EIO): SQLite tells both alike."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("site", [site for site in SITES if site != "backup"])
async def test_each_write_that_the_disk_fails_is_told_and_works_again_later(tmp_path: Path, site: str) -> None:
    journal = await _filled(tmp_path)
    with failing_writes(os.getpid(), 4096):
        with pytest.raises(StorageError, match="the disk reports an error"):
            await _commit(journal)
        assert journal.upkeep.trouble is not None
        before = _effect(journal, site)
        refusal = await _refused(journal, SITES[site])
        assert refusal is not None
        assert "disk reports an error" in refusal.message
        assert _effect(journal, site) == before
        await _can_read(journal)
        with pytest.raises(StorageError):
            await journal.upkeep.probe()
        assert (tmp_path / "journal.db.ballast").exists()  # space would not have helped
    await journal.upkeep.probe()
    assert journal.upkeep.trouble is None
    before = _effect(journal, site)
    await SITES[site](journal)
    assert _effect(journal, site) > before
    await _can_read(journal)
    await journal.close()


def _daemon(folder: Path, state: Path, pictures: Path) -> DaemonProcess:
    pictures.mkdir()
    draw_page(pictures / "001.png", ["The first page", "Harbour office, berth 12"])
    daemon = DaemonProcess(
        folder,
        screen_source=f"pictures:{pictures}",
        screen_pictures_interval_s=0.1,
        gate_min_interval_s=0.0,
        gate_settle_s=0.0,
        engine_answers="canned",
    )
    daemon.environ["HUDD_STATE_DIR"] = str(state)
    return daemon


def _comes_back(daemon: DaemonProcess) -> None:
    started = time.monotonic()
    while daemon.hudctl("snap").returncode != 0:
        assert time.monotonic() - started < 20, daemon.log()
    took = time.monotonic() - started
    print(f"back after {took:.1f} s")
    assert took <= 5.0 + 1.5  # two starts of hudctl and the snap itself are not the daemon's
    status = daemon.until("well", lambda s: s["journal"]["degraded"] is None)
    assert "storage" not in status["sending"]["reasons"]


def _is_degraded(daemon: DaemonProcess, word: str) -> None:
    done = daemon.hudctl("snap", "--json")
    assert done.returncode == 9, (done.stdout, done.stderr)
    assert '"E_STORAGE"' in done.stdout
    status = daemon.until("degraded", lambda s: s["journal"]["degraded"] == "storage")
    assert word in status["journal"]["sentence"]
    assert "storage" in status["sending"]["reasons"]
    assert daemon.asked("notes")["notes"]  # reads work
    assert daemon.asked("cost")["schema"] == 1
    assert any(e["code"] == "storage" for e in status["last_errors"])
    shown = daemon.hudctl("status").stdout
    assert word in shown


def test_the_daemon_on_a_full_disk_says_so_reads_on_and_comes_back(tmp_path: Path, disk: SmallDisk) -> None:
    with _daemon(tmp_path, disk.folder, tmp_path / "pictures") as daemon:
        daemon.start().ready()
        assert daemon.hudctl("snap").returncode == 0
        ballast = disk.folder / "journal.db.ballast"
        daemon.until("the ballast", lambda _: ballast.exists())
        disk.fill()
        for _ in range(60):  # until the log's own room is used up
            if daemon.hudctl("snap").returncode != 0:
                break
            disk.fill()
        _is_degraded(daemon, "full")
        # Long enough that it tries at its slowest pace; every snap is refused all the while.
        until = time.monotonic() + 8
        while time.monotonic() < until:
            _is_degraded(daemon, "full")
        disk.free()
        _comes_back(daemon)
        assert ballast.exists()
        assert daemon.process is not None
        assert daemon.process.poll() is None
        assert daemon.stop() == 0


def test_the_daemon_on_a_failing_disk_says_so_reads_on_and_comes_back(tmp_path: Path) -> None:
    with _daemon(tmp_path, tmp_path / "state", tmp_path / "pictures") as daemon:
        daemon.start().ready()
        assert daemon.hudctl("snap").returncode == 0
        assert daemon.process is not None
        # Its log goes to a file, which must not be cut off as well.
        limit = daemon.log_path.stat().st_size + (1 << 15)
        with failing_writes(daemon.process.pid, limit):
            for _ in range(60):
                if daemon.hudctl("snap").returncode != 0:
                    break
            _is_degraded(daemon, "disk reports an error")
        _comes_back(daemon)
        assert daemon.stop() == 0
