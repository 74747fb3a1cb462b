"""A feed where systemd starts the daemon on demand: it catches up for ever, and starts nothing that was stopped."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hudctl import AsyncFeed, Feed, feed_link
from hudctl.feed_core import BACKOFF_FIRST_S, FeedCore
from hudd.wire.endpoints import ON_DEMAND
from tests.fakes.bus import SmallDaemon, ThreadedDaemon, await_until, wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    (tmp_path / ON_DEMAND).symlink_to(tmp_path / "ctl.sock")
    return tmp_path


@contextmanager
def systemd(folder: Path) -> Iterator[socket.socket]:
    """What listens at the command socket when no daemon runs, and starts one when somebody comes."""
    path = folder / "ctl.sock"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(8)
        listener.setblocking(False)
        yield listener
    path.unlink()


def nobody_came(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return True
    return False


def lose_one(there: SmallDaemon) -> None:
    """Two notes, of which the first must be asked for."""
    there.journal.append()
    there.note()


def hang_up(there: SmallDaemon) -> None:
    """End the command connections, as the daemon does at a full door with those that are quiet."""
    for connection in list(there.server._peer_at):
        assert there.server._open_socket().drop(connection)


def numbers(feed: Feed, count: int, timeout_s: float = 5.0) -> list[int]:
    found = [feed.get(timeout_s) for _ in range(count)]
    return [note.seq for note in found if note is not None]


@contextmanager
def feed_of(folder: Path, **options: Any) -> Iterator[Feed]:
    with Feed(after=0, runtime_dir=folder, wait=True, **options) as feed:
        yield feed


def test_a_connection_that_the_daemon_ended_is_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_link, "STOPPED_S", 0.1)
    with ThreadedDaemon(folder) as daemon, feed_of(folder) as feed:
        for round_ in range(3):
            assert feed.get(0.2) is None
            daemon.do(lose_one)
            assert numbers(feed, 2) == [round_ * 2 + 1, round_ * 2 + 2]
            daemon.do(hang_up)
            wait_until(lambda: daemon.daemon.server.peers == 0)


async def test_the_asyncio_feed_makes_it_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_link, "STOPPED_S", 0.1)
    async with SmallDaemon(folder) as daemon, AsyncFeed(after=0, runtime_dir=folder) as feed:
        for round_ in range(3):
            reading = asyncio.ensure_future(feed.get())
            await asyncio.sleep(0.2)
            lose_one(daemon)
            async with asyncio.timeout(5):
                assert [(await reading).seq, (await feed.get()).seq] == [round_ * 2 + 1, round_ * 2 + 2]
            hang_up(daemon)
            await await_until(lambda: daemon.server.peers == 0)


def test_a_feed_that_wants_nothing_leaves_its_place_to_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_link, "STOPPED_S", 0.0)
    with ThreadedDaemon(folder) as daemon, feed_of(folder) as feed:
        while not daemon.daemon.server.peers:
            feed.get(0.01)
        daemon.do(hang_up)
        assert feed.get(0.5) is None
        assert daemon.daemon.server.peers == 0


def test_a_daemon_that_was_stopped_stays_so_and_the_next_one_is_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_link, "STOPPED_S", 0.1)
    with feed_of(folder) as feed:
        with ThreadedDaemon(folder) as daemon:
            assert feed.get(0.2) is None
            daemon.do(hang_up)
            daemon.do(lose_one)
        with systemd(folder) as listener:
            assert feed.get(1.0) is None
            assert nobody_came(listener)
        with ThreadedDaemon(folder, daemon.daemon.journal, instance="i2"):
            assert numbers(feed, 2) == [1, 2]


def test_a_daemon_in_the_middle_of_its_stop_is_left_alone(folder: Path) -> None:
    """It closes the command socket first; the note socket still answers for a moment."""
    with ThreadedDaemon(folder) as daemon, feed_of(folder) as feed:
        assert feed.get(0.2) is None
        daemon.run(daemon.daemon.server.close())
        with systemd(folder) as listener:
            daemon.do(lose_one)
            assert feed.get(1.0) is None
            assert nobody_came(listener)


def test_a_welcome_ends_the_patience_that_failures_taught() -> None:
    """The command connection comes a moment after the welcome: what fails until then is asked again at once."""
    core, now = FeedCore(after=0), 0.0
    core.on_frame("welcome/x/", {"stream": "s1", "heads": {"note/m": 1}, "instance": "i1"}, now)
    for _ in range(8):
        ask = core.next_ask(now)
        assert ask is not None
        core.on_failure(ask.number, now)
        now = core.wake_at() or now
    core.on_frame("welcome/x/", {"stream": "s1", "heads": {"note/m": 1}, "instance": "i2"}, now)
    ask = core.next_ask(now)
    assert ask is not None
    core.on_failure(ask.number, now)
    assert core.wake_at() == now + BACKOFF_FIRST_S
