"""Welcome, counts, heartbeat, and slow subscribers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio

from hudd.bus.publisher import Publisher
from tests.fakes.bus import await_until
from tests.fakes.clock import ManualClock
from tests.fakes.commands import Mute


class Stage:
    def __init__(self, publisher: Publisher, clock: ManualClock, path: Path) -> None:
        self.publisher = publisher
        self.clock = clock
        self.context = zmq.asyncio.Context()
        self._path = path
        self._sockets: list[Any] = []

    def subscriber(self, *topics: str, kind: int = zmq.SUB, queue: int = 1000) -> Any:
        made = self.context.socket(kind)
        made.setsockopt(zmq.LINGER, 0)
        made.setsockopt(zmq.RCVHWM, queue)
        self._sockets.append(made)
        for topic in topics:
            made.subscribe(topic)
        made.connect(f"ipc://{self._path}")
        return made

    async def heard(self, **counts: int) -> None:
        """Wait until the publisher counts exactly so."""
        wanted = {name.replace("_", "/") + "/" if name != "all" else "": n for name, n in counts.items()}
        await await_until(lambda: self.publisher.subscribers() == wanted)


@asynccontextmanager
async def stage(folder: Path, **options: Any) -> AsyncIterator[Stage]:
    clock = ManualClock()
    publisher = Publisher(
        folder / "notes.sock",
        stream="s1",
        instance="i1",
        heads=lambda: {"note/a/": 7, "note/b/": 9},
        clock=clock,
        **options,
    )
    publisher.open()
    there = Stage(publisher, clock, folder / "notes.sock")
    try:
        yield there
    finally:
        there.context.destroy(linger=0)
        await publisher.close()


async def receive(socket: Any, timeout_s: float = 5.0) -> tuple[str, Any]:
    topic, body = await asyncio.wait_for(socket.recv_multipart(), timeout_s)
    return topic.decode(), json.loads(body)


async def test_two_frames_a_topic_and_an_object(tmp_path: Path) -> None:
    async with stage(tmp_path) as there:
        sub = there.subscriber("note/")
        await there.heard(note=1)
        there.publisher.publish("state/", {"not": "wanted"})
        there.publisher.publish("note/a/", {"text": "ä"})
        assert await receive(sub) == ("note/a/", {"text": "ä"})


async def test_a_welcome_tells_the_heads_and_proves_what_was_subscribed_before(tmp_path: Path) -> None:
    async with stage(tmp_path) as there:
        sub = there.subscriber("note/", "welcome/t0k3n/")
        topic, body = await receive(sub)
        assert topic == "welcome/t0k3n/"
        assert body == {
            "stream": "s1",
            "heads": {"note/a/": 7, "note/b/": 9},
            "instance": "i1",
            "protocol": [1, 1],
            "time": "2026-11-22T10:31:06.000Z",
        }
        there.publisher.publish("note/a/", {"n": 1})
        assert (await receive(sub))[0] == "note/a/"


async def test_each_of_many_subscribers_is_welcomed_also_to_the_same_token(tmp_path: Path) -> None:
    async with stage(tmp_path) as there:
        subs = [there.subscriber("note/", f"welcome/{n // 2}/") for n in range(20)]
        for number, sub in enumerate(subs):
            assert (await receive(sub))[0] == f"welcome/{number // 2}/"
        await there.heard(note=20)


@pytest.mark.parametrize("token", ["", "a b", "ä", "x" * 65, "a/b"])
async def test_a_token_that_is_none_gets_no_welcome(tmp_path: Path, token: str) -> None:
    async with stage(tmp_path) as there:
        sub = there.subscriber(f"welcome/{token}/", "welcome/good/")
        assert (await receive(sub))[0] == "welcome/good/"


async def test_counts_follow_subscriptions_cancellations_and_departures(tmp_path: Path) -> None:
    async with stage(tmp_path) as there:
        first, second = there.subscriber("note/", "hb/"), there.subscriber("note/")
        await there.heard(hb=1, note=2)
        first.unsubscribe("note/")
        await there.heard(hb=1, note=1)
        second.close()
        await there.heard(hb=1)
        first.close()
        await there.heard()
        assert not there.publisher.listening("")


async def test_a_prefix_subscribed_twice_by_one_peer_counts_once_and_is_gone_with_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as there:
        sub = there.subscriber("note/")
        await there.heard(note=1)
        sub.subscribe("note/")
        sub.subscribe("welcome/x/")
        assert (await receive(sub))[0] == "welcome/x/"
        await there.heard(note=1)
        sub.close()
        await there.heard()
        assert not there.publisher.listening("")


async def test_a_peer_cancels_nothing_but_its_own(tmp_path: Path) -> None:
    async with stage(tmp_path) as there:
        sub = there.subscriber("note/", "hb/")
        await there.heard(note=1, hb=1)
        with await asyncio.to_thread(Mute, tmp_path / "notes.sock", b"SUB") as raw:
            for event in (b"\0note/", b"\0hb/", b"\1hb/", b"\1hb/", b"\0hb/", b"\0hb/", b"\1state/"):
                raw.say(event)
            await there.heard(note=1, hb=1, state=1)
            assert there.clock.sleeping == 1  # the heart beats
        await there.heard(note=1, hb=1)
        sub.unsubscribe("hb/")
        await there.heard(note=1)
        await await_until(lambda: there.clock.sleeping == 0)


async def test_many_that_come_and_go_leave_no_count_behind(tmp_path: Path) -> None:
    async with stage(tmp_path) as there:
        stays = there.subscriber("note/")
        for number in range(60):
            sub = there.subscriber("note/", f"note/{number % 3}/", "hb/")
            if number % 4:
                await asyncio.sleep(0)
            else:
                await await_until(lambda: there.publisher.listening("hb/"))
            sub.close()
        await there.heard(note=1)
        stays.close()
        await there.heard()
        assert there.publisher._subscriptions.counts() == {}


@pytest.mark.parametrize(
    ("held", "prefix", "expected"),
    [
        ("note/", "note/", True),
        ("note/", "note/a/", True),
        ("note/a/", "note/", True),
        ("note/a/", "note/b/", False),
        ("", "delta/", True),
        ("hb/", "note/", False),
    ],
)
async def test_listening_knows_prefixes_both_ways(tmp_path: Path, held: str, prefix: str, expected: bool) -> None:
    async with stage(tmp_path) as there:
        assert not there.publisher.listening(prefix)
        there.subscriber(held)
        await await_until(lambda: there.publisher.subscribers() == {held: 1})
        assert there.publisher.listening(prefix) is expected


async def test_without_a_subscriber_there_is_no_timer(tmp_path: Path) -> None:
    async with stage(tmp_path) as there:
        there.publisher.publish("note/a/", {})
        assert there.clock.sleeping == 0
        sub = there.subscriber("note/")
        await there.heard(note=1)
        there.publisher.publish("note/a/", {})
        assert there.clock.sleeping == 0  # notes alone need no beat
        beats = there.subscriber("hb/")
        await there.heard(hb=1, note=1)
        await await_until(lambda: there.clock.sleeping == 1)
        beats.close()
        await there.heard(note=1)
        await await_until(lambda: there.clock.sleeping == 0)
        sub.close()


async def test_the_heart_beats_each_second_for_five_then_every_fifteen(tmp_path: Path) -> None:
    async with stage(tmp_path) as there:
        sub = there.subscriber("hb/")
        await there.heard(hb=1)
        there.publisher.publish("note/a/", {})
        beats: list[int] = []
        for second in range(1, 52):
            await there.clock.advance(1)
            if await sub.poll(10 if second not in (1, 2, 3, 4, 5, 20, 35, 50) else 2000):
                topic, body = await receive(sub)
                assert (topic, body["heads"]) == ("hb/", {"note/a/": 7, "note/b/": 9})
                beats.append(second)
        assert beats == [1, 2, 3, 4, 5, 20, 35, 50]


async def test_a_frame_during_the_slow_beat_brings_the_fast_one_back(tmp_path: Path) -> None:
    async with stage(tmp_path) as there:
        sub = there.subscriber("hb/")
        await there.heard(hb=1)
        await there.clock.advance(8)
        assert there.clock.next_due_s == pytest.approx(7)
        there.publisher.publish("delta/a/", {})
        await there.clock.advance(0)
        assert there.clock.next_due_s == pytest.approx(1)
        await there.clock.advance(1)
        assert (await receive(sub))[0] == "hb/"


async def test_many_frames_keep_one_timer_and_do_not_put_the_beat_off(tmp_path: Path) -> None:
    async with stage(tmp_path) as there:
        sub = there.subscriber("hb/")
        await there.heard(hb=1)
        for _ in range(30):
            there.publisher.publish("note/a/", {})
            await there.clock.advance(0.1)
        assert there.clock.sleeping == 1
        assert [(await receive(sub))[0] for _ in range(2)] == ["hb/", "hb/"]


async def test_a_stalled_subscriber_loses_frames_and_delays_nobody(tmp_path: Path) -> None:
    async with stage(tmp_path, queue=50) as there:
        stalled = there.subscriber("note/", queue=1)
        await there.heard(note=1)
        healthy = there.subscriber("note/", queue=0)
        await there.heard(note=2)
        body = {"text": "x" * 2000}
        numbers: list[int] = []
        for number in range(3000):
            there.publisher.publish("note/a/", {"n": number, **body})
            if number % 20 == 19:  # the pace of a reader that reads at once
                numbers += [(await receive(healthy))[1]["n"] for _ in range(20)]
        assert numbers == list(range(3000))
        got = 0
        while await stalled.poll(100):
            await receive(stalled)
            got += 1
        assert 0 < got < 3000


async def test_what_is_no_subscription_is_counted_and_ignored(tmp_path: Path) -> None:
    async with stage(tmp_path) as there:
        raw = there.subscriber(kind=zmq.XSUB)
        for frames in ([b"hello"], [b""], [b"\x01note/", b"more"], [b"\x00never"]):
            await raw.send_multipart(frames)
        await raw.send(b"\x01welcome/x/")
        assert (await receive(raw))[0] == "welcome/x/"
        assert there.publisher.counters()["odd_messages"] >= 2
        assert there.publisher.subscribers() in ({}, {"note/": 1})


async def test_publishing_nan_or_after_the_end_is_a_mistake_that_shows(tmp_path: Path) -> None:
    async with stage(tmp_path) as there:
        with pytest.raises(ValueError, match="JSON"):
            there.publisher.publish("cost/", {"usd": float("nan")})
        await there.publisher.close()
        with pytest.raises(RuntimeError, match="not open"):
            there.publisher.publish("cost/", {})


async def test_whoever_is_in_hears_the_rest_when_newcomers_are_turned_away(tmp_path: Path) -> None:
    async with stage(tmp_path) as there:
        there.publisher.turn_away()  # also at once, before anybody came
    async with stage(tmp_path) as there:
        before = there.subscriber("note/")
        await there.heard(note=1)
        there.publisher.turn_away()
        there.publisher.turn_away()
        assert not (tmp_path / "notes.sock").exists()
        there.subscriber("note/")
        there.publisher.publish("note/a/", {"seq": 8})
        assert await receive(before) == ("note/a/", {"seq": 8})
        await there.heard(note=1)
