"""Both feeds against real sockets: late, slow, restarted, cancelled."""

from __future__ import annotations

import asyncio
import inspect
import random
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hudctl import AsyncFeed, Cursor, Feed, HudctlError, NotRunningError, UsageError, VersionError
from hudd.bus.server import Request
from hudd.errors import CommandError
from tests.fakes.bus import MemoryJournal, SmallDaemon, ThreadedDaemon, wait_until


def numbers(feed: Feed, count: int, timeout_s: float = 10.0) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        note = feed.get(timeout_s)
        assert note is not None, f"only {found} came"
        found.append(note.seq)
    return found


def settled(feed: Feed) -> None:
    """Wait for the first welcome."""
    assert feed.get(0) is None
    while feed.cursor is None:
        feed.get(0.01)


def test_history_first_then_live(tmp_path: Path) -> None:
    journal = MemoryJournal()
    for _ in range(1200):
        journal.append()
    with ThreadedDaemon(tmp_path, journal) as daemon, Feed(after=0, runtime_dir=tmp_path) as feed:
        assert numbers(feed, 1200) == list(range(1, 1201))
        daemon.do(lambda there: there.note())
        assert numbers(feed, 1) == [1201]
        assert feed.cursor == Cursor("s1", 1201)
        assert feed.get(0.05) is None
        assert not feed.fresh


def test_without_after_only_what_comes_from_now_on(tmp_path: Path) -> None:
    with ThreadedDaemon(tmp_path) as daemon:
        daemon.do(lambda there: there.note())
        with Feed(runtime_dir=tmp_path) as feed:
            settled(feed)
            assert feed.cursor == Cursor("s1", 1)
            daemon.do(lambda there: there.note("HDMI-1"))
            assert numbers(feed, 1) == [2]
            assert not daemon.daemon.asked


def test_the_cursor_is_that_of_the_note_in_hand_not_of_the_queue(tmp_path: Path) -> None:
    journal = MemoryJournal()
    for _ in range(5):
        journal.append()
    with ThreadedDaemon(tmp_path, journal):
        with Feed(after=0, runtime_dir=tmp_path) as feed:
            for note in feed:
                assert feed.cursor == Cursor("s1", note.seq)
                if note.seq == 3:
                    break
            kept = feed.cursor
        assert kept is not None
        with Feed(after=kept.seq, stream=kept.stream, runtime_dir=tmp_path) as feed:
            assert numbers(feed, 2) == [4, 5]


def test_frames_that_were_lost_are_fetched(tmp_path: Path) -> None:
    with ThreadedDaemon(tmp_path) as daemon, Feed(after=0, runtime_dir=tmp_path) as feed:
        settled(feed)
        daemon.do(lambda there: there.note())
        daemon.do(lambda there: there.journal.append())  # never published
        daemon.do(lambda there: there.note())
        assert numbers(feed, 3) == [1, 2, 3]


def test_a_lost_last_note_shows_by_the_heartbeat(tmp_path: Path) -> None:
    with ThreadedDaemon(tmp_path) as daemon, Feed(after=0, runtime_dir=tmp_path) as feed:
        settled(feed)
        daemon.do(lambda there: there.note())
        daemon.do(lambda there: there.journal.append())
        assert numbers(feed, 2, timeout_s=5) == [1, 2]


def test_one_topic_of_several(tmp_path: Path) -> None:
    with ThreadedDaemon(tmp_path) as daemon, Feed(("note/a/",), after=0, runtime_dir=tmp_path) as feed:
        settled(feed)
        for source in "abba":
            daemon.do(lambda there, source=source: there.note(source))
        assert numbers(feed, 2) == [1, 4]
        assert not daemon.daemon.asked


def test_a_feed_lives_through_restarts_of_the_daemon(tmp_path: Path) -> None:
    journal = MemoryJournal()
    with ThreadedDaemon(tmp_path, journal):
        feed = Feed(after=0, runtime_dir=tmp_path)
    with feed:
        for instance in range(3):
            journal.append()  # written, never published: as a crash between commit and publish
            with ThreadedDaemon(tmp_path, journal, instance=f"i{instance}") as daemon:
                assert numbers(feed, 1) == [2 * instance + 1]
                daemon.do(lambda there: there.note())
                assert numbers(feed, 1) == [2 * instance + 2]
        assert not feed.fresh


def test_a_replaced_journal_is_told_and_read_from_its_start(tmp_path: Path) -> None:
    with ThreadedDaemon(tmp_path) as daemon:
        feed = Feed(after=0, runtime_dir=tmp_path)
        daemon.do(lambda there: there.note())
        assert numbers(feed, 1) == [1]
    journal = MemoryJournal("s2")
    journal.append()
    with feed, ThreadedDaemon(tmp_path, journal, instance="i2"):
        assert numbers(feed, 1) == [1]
        assert feed.cursor == Cursor("s2", 1)
        assert feed.fresh


def test_an_older_copy_of_the_journal_is_told_and_its_new_notes_come(tmp_path: Path) -> None:
    def journal_of(count: int) -> MemoryJournal:
        journal = MemoryJournal()
        for _ in range(count):
            journal.append()
        return journal

    with ThreadedDaemon(tmp_path, journal_of(5)):
        feed = Feed(after=0, runtime_dir=tmp_path)
        assert numbers(feed, 5) == [1, 2, 3, 4, 5]
    with feed, ThreadedDaemon(tmp_path, journal_of(3), instance="i2") as daemon:
        wait_until(lambda: feed.get(0.01) is None and feed.fresh)
        daemon.do(lambda there: there.note())
        daemon.do(lambda there: there.note())
        assert numbers(feed, 2) == [4, 5]


def test_a_slow_reader_catches_up(tmp_path: Path) -> None:
    with ThreadedDaemon(tmp_path, queue=10) as daemon, Feed(after=0, runtime_dir=tmp_path) as feed:
        settled(feed)

        def flood(there: SmallDaemon) -> None:
            for _ in range(6000):
                there.note(text="x" * 500)

        daemon.do(flood)
        assert numbers(feed, 6000) == list(range(1, 6001))
        assert daemon.daemon.asked


def test_refusals_that_pass_are_repeated_and_others_are_raised(tmp_path: Path) -> None:
    refusals = [CommandError("E_BUSY", "Wait.", retry_after_ms=10), CommandError("E_STORAGE", "Full.")]

    async def since(request: Request) -> Mapping[str, Any]:
        if refusals:
            raise refusals.pop(0)
        return daemon.daemon.journal.page("s1", request.params["seq"])

    journal = MemoryJournal()
    journal.append()
    with ThreadedDaemon(tmp_path, journal, handlers={"notes.since": since}) as daemon:
        with Feed(after=0, runtime_dir=tmp_path) as feed:
            assert numbers(feed, 1) == [1]
        refusals.append(CommandError("E_AUTH", "Never."))
        with Feed(after=0, runtime_dir=tmp_path) as feed, pytest.raises(HudctlError, match="Never"):
            feed.get(5)


def test_another_protocol_is_told(tmp_path: Path) -> None:
    with ThreadedDaemon(tmp_path) as daemon:
        facts = daemon.daemon.publisher._facts
        daemon.daemon.publisher._facts = lambda: {**facts(), "protocol": [8, 9]}
        with Feed(runtime_dir=tmp_path) as feed, pytest.raises(VersionError):
            feed.get(5)


def test_a_streaming_feed_greets_each_daemon_once(tmp_path: Path) -> None:
    with ThreadedDaemon(tmp_path) as daemon, Feed(runtime_dir=tmp_path, window=42, streaming=True) as feed:
        settled(feed)
        wait_until(lambda: feed.get(0.01) is None and bool(daemon.daemon.greeted))
        assert (daemon.daemon.greeted[0]["window"], daemon.daemon.greeted[0]["streaming"]) == (42, True)
        assert feed.get(0.1) is None
        assert len(daemon.daemon.greeted) == 1


def test_a_feed_whose_commands_come_through_later_greets_then(tmp_path: Path) -> None:
    with ThreadedDaemon(tmp_path) as daemon, Feed(runtime_dir=tmp_path, streaming=True) as feed:
        commands = feed._link._control
        commands.disconnect(f"ipc://{tmp_path}/ctl.sock")  # as if that connection were made after the welcome
        settled(feed)
        assert feed.get(0.1) is None
        assert not daemon.daemon.greeted
        commands.connect(f"ipc://{tmp_path}/ctl.sock")
        wait_until(lambda: feed.get(0.01) is None and bool(daemon.daemon.greeted))


def test_no_daemon_is_told_unless_the_feed_may_wait(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError):
        Feed(runtime_dir=tmp_path)
    with Feed(after=0, runtime_dir=tmp_path, wait=True) as feed:
        assert feed.get(0.05) is None
        assert feed.cursor is None
        with ThreadedDaemon(tmp_path) as daemon:
            daemon.do(lambda there: there.note())
            assert numbers(feed, 1) == [1]


@pytest.mark.parametrize("wrong", [{"topics": ("state/",)}, {"topics": ()}, {"after": -1}])
def test_wrong_arguments_are_usage_errors(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Feed(runtime_dir=tmp_path, **wrong)


def test_stop_ends_a_waiting_iteration_from_another_thread(tmp_path: Path) -> None:
    with ThreadedDaemon(tmp_path) as daemon, Feed(after=0, runtime_dir=tmp_path) as feed:
        daemon.do(lambda there: there.note())
        timer = threading.Timer(0.2, feed.stop)
        for note in feed:
            assert note.seq == 1
            timer.start()  # the iteration waits for the next note by then
        timer.join()
        assert feed.get(0) is None


def test_a_closed_feed_is_at_its_end(tmp_path: Path) -> None:
    with ThreadedDaemon(tmp_path):
        feed = Feed(runtime_dir=tmp_path)
        feed.close()
        feed.close()
        assert list(feed) == []


async def test_the_asyncio_feed_reads_history_then_live(tmp_path: Path) -> None:
    journal = MemoryJournal()
    for _ in range(700):
        journal.append()
    async with SmallDaemon(tmp_path, journal) as daemon, AsyncFeed(after=0, runtime_dir=tmp_path) as feed:
        got: list[int] = []
        async with asyncio.timeout(20):
            async for note in feed:
                got.append(note.seq)
                if note.seq == 700:
                    daemon.note()
                if note.seq == 701:
                    break
        assert got == list(range(1, 702))
        assert feed.cursor == Cursor("s1", 701)


async def test_cancelling_the_asyncio_feed_loses_and_repeats_nothing(tmp_path: Path) -> None:
    dice = random.Random(7)
    async with SmallDaemon(tmp_path, queue=20) as daemon, AsyncFeed(after=0, runtime_dir=tmp_path) as feed:
        got: list[int] = []
        cancelled = 0

        async def write() -> None:
            for number in range(600):
                if number % 7:
                    daemon.note()
                else:
                    daemon.journal.append()
                if dice.random() < 0.3:
                    await asyncio.sleep(0)

        async with asyncio.timeout(60):
            writing = asyncio.create_task(write())
            while len(got) < 600:
                reading = asyncio.create_task(feed.get())
                for _ in range(dice.randrange(6)):
                    await asyncio.sleep(0)
                if not reading.done() and dice.random() < 0.8:
                    reading.cancel()
                    cancelled += 1
                try:
                    got.append((await reading).seq)
                except asyncio.CancelledError:
                    await asyncio.sleep(0.0001)
            await writing
        assert got == list(range(1, 601))
        assert cancelled > 20


async def test_a_waiting_asyncio_feed_leaves_the_loop_idle(tmp_path: Path) -> None:
    async with SmallDaemon(tmp_path), AsyncFeed(runtime_dir=tmp_path) as feed:
        reading = asyncio.create_task(feed.get())
        await asyncio.sleep(0.2)
        before, start = time.process_time(), time.monotonic()
        await asyncio.sleep(0.3)
        assert time.process_time() - before < 0.5 * (time.monotonic() - start)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


def test_both_feeds_take_the_same_arguments() -> None:
    assert inspect.signature(AsyncFeed) == inspect.signature(Feed)


async def test_the_asyncio_feed_streams_pieces_and_other_topics(tmp_path: Path) -> None:
    pieces: list[str] = []
    others: list[str] = []

    async def snapped(daemon: SmallDaemon, feed: AsyncFeed) -> None:
        while feed.cursor is None:
            reading = asyncio.create_task(feed.get())
            await asyncio.sleep(0.01)
            reading.cancel()
            await asyncio.wait([reading])
        daemon.publisher.publish("delta/eDP-1/", {"snap_id": "s", "n": 0, "text": "A mail"})
        daemon.publisher.publish("state/", {"connection": "ready"})
        daemon.note()
        assert (await feed.get()).seq >= 1

    async with SmallDaemon(tmp_path) as daemon, asyncio.timeout(10):
        async with AsyncFeed(
            runtime_dir=tmp_path, on_delta=lambda snap_id, text: pieces.append(snap_id + text)
        ) as feed:
            await snapped(daemon, feed)
        options: dict[str, Any] = {"also": ("state/",), "on_other": lambda topic, body: others.append(topic)}
        async with AsyncFeed(runtime_dir=tmp_path, **options) as feed:
            await snapped(daemon, feed)
        with pytest.raises(UsageError):
            AsyncFeed(runtime_dir=tmp_path, on_delta=lambda *_: None, **options)
    assert pieces == ["sA mail"]
    assert others == ["state/"]


async def test_a_closed_asyncio_feed_is_at_its_end(tmp_path: Path) -> None:
    async with SmallDaemon(tmp_path):
        feed = AsyncFeed(runtime_dir=tmp_path)
        feed.close()
        assert [note async for note in feed] == []
