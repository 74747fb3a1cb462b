"""A daemon whose clock tells another time than ours: nothing is too old for it, and what is too old still is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hudctl import AsyncFeed, Client, DeadlineError, Feed, NotRunningError
from hudctl.daemon_clock import DaemonClock
from hudd.bus.server import Request
from hudd.clock import SystemClock
from hudd.wire.messages import iso_time
from tests.fakes.bus import MemoryJournal, SmallDaemon, ThreadedDaemon

NOW = 1_795_343_466.0
DAY_S = 86_400.0


class OtherClock(SystemClock):
    """The clock of another machine; ``ahead_s`` of ours."""

    def __init__(self, ahead_s: float) -> None:
        self.ahead_s = ahead_s

    def wall(self) -> float:
        return time.time() + self.ahead_s


def journal_of(count: int) -> MemoryJournal:
    journal = MemoryJournal()
    for _ in range(count):
        journal.append()
    return journal


def test_before_it_told_its_time_nothing_says_when_a_request_was_sent() -> None:
    clock = DaemonClock()
    assert clock.stamp({"seq": 3, "stream": None}, 2.5) == {"seq": 3, "deadline_ms": 2500}
    for nothing in (None, "", "yesterday", [], True):
        clock.told(nothing, NOW)
    assert "sent_at" not in clock.stamp({}, 1.0)


@pytest.mark.parametrize("ahead_s", [-DAY_S, -3.0, 0.0, 3.0, DAY_S])
def test_requests_bear_the_daemons_time(ahead_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    clock = DaemonClock()
    clock.told(iso_time(NOW + ahead_s), NOW)
    assert clock.stamp({}, 0.0) == {"sent_at": int((NOW + ahead_s) * 1000), "deadline_ms": 1}
    clock.told(iso_time(NOW + ahead_s), NOW + 60.0)  # read a minute after it was said
    assert clock.stamp({}, 1.0)["sent_at"] == int((NOW + ahead_s) * 1000)
    clock.forget()
    assert "sent_at" not in clock.stamp({}, 1.0)


AHEAD = pytest.mark.parametrize("ahead_s", [-DAY_S, -6.0, 6.0, DAY_S])


@AHEAD
def test_commands_go_to_a_daemon_whose_clock_differs(tmp_path: Path, ahead_s: float) -> None:
    asked: list[Mapping[str, Any]] = []

    async def errors(request: Request) -> Mapping[str, Any]:
        asked.append(request.params)
        return {"errors": []}

    with ThreadedDaemon(tmp_path, clock=OtherClock(ahead_s), handlers={"errors": errors}) as daemon:
        with Client(timeout_s=2, runtime_dir=tmp_path) as client:
            assert client.errors() == []
        assert "sent_at" not in daemon.daemon.greeted[0]
        assert abs(asked[0]["sent_at"] / 1000 - time.time() - ahead_s) < 2.0, "what lay in a queue shows"


@AHEAD
def test_a_feed_catches_up_with_a_daemon_whose_clock_differs(tmp_path: Path, ahead_s: float) -> None:
    with (
        ThreadedDaemon(tmp_path, journal_of(3), clock=OtherClock(ahead_s)) as daemon,
        Feed(after=0, runtime_dir=tmp_path) as feed,
    ):
        assert [note.seq for note in (feed.get(3), feed.get(3), feed.get(3)) if note] == [1, 2, 3]
        assert daemon.daemon.server.counters()["expired"] == 0
        assert abs(daemon.daemon.asked[0]["sent_at"] / 1000 - time.time() - ahead_s) < 2.0


@AHEAD
async def test_so_does_the_one_of_asyncio(tmp_path: Path, ahead_s: float) -> None:
    async with (
        SmallDaemon(tmp_path, journal_of(2), clock=OtherClock(ahead_s)),
        AsyncFeed(after=0, runtime_dir=tmp_path) as feed,
        asyncio.timeout(5),
    ):
        assert [(await feed.get()).seq, (await feed.get()).seq] == [1, 2]


def test_a_clock_that_is_set_meanwhile_fails_no_command(tmp_path: Path) -> None:
    clock = OtherClock(0.0)
    with ThreadedDaemon(tmp_path, clock=clock) as daemon, Client(timeout_s=2, runtime_dir=tmp_path) as client:
        client.status()
        clock.ahead_s = DAY_S
        assert client.status()
        assert client.status()
        assert daemon.daemon.server.counters()["expired"] == 1


def test_a_feed_that_read_the_welcome_late_asks_again(tmp_path: Path) -> None:
    clock = OtherClock(0.0)
    with ThreadedDaemon(tmp_path, journal_of(1), clock=clock), Feed(after=0, runtime_dir=tmp_path) as feed:
        while not feed._link.readable():
            time.sleep(0.01)
        clock.ahead_s = 60.0  # as if the welcome had lain there for a minute
        begin = time.monotonic()
        assert feed.get(5) is not None
        assert time.monotonic() - begin < 3.0


def test_a_deadline_that_really_passed_is_told_once(tmp_path: Path) -> None:
    runs = 0

    async def errors(request: Request) -> Mapping[str, Any]:
        nonlocal runs
        runs += 1
        await asyncio.sleep(60)
        return {}

    with ThreadedDaemon(tmp_path, handlers={"errors": errors}), Client(runtime_dir=tmp_path) as client:
        with pytest.raises(DeadlineError):
            client.call("errors", timeout_s=0.3)
        assert runs == 1
    with Client(runtime_dir=tmp_path) as client, pytest.raises(NotRunningError):
        client.errors()
