"""Who does not read costs bounded memory, and gets one reply for each request all the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq

from hudd.bus import replies, unread
from hudd.bus.replies import Replies
from hudd.bus.server import Request
from hudd.bus.unread import UNREAD_BYTES, UNREAD_BYTES_OF_PEER, Unread
from hudd.wire.codec import WrittenJson
from tests.fakes.bus import await_until
from tests.fakes.clock import ManualClock
from tests.fakes.commands import Mute, house, request

PAGE = "[" + ",".join(['{"text":"' + "x" * 900 + '"}'] * 500) + "]"


async def pages(_asked: Request) -> Mapping[str, Any]:
    return {"notes": WrittenJson(PAGE)}


class Given:
    """Stands for what ZeroMQ tells of a message."""

    def __init__(self) -> None:
        self.done = False


def test_one_reply_of_any_length_fits_and_more_only_when_it_was_read() -> None:
    there, given = Unread(), Given()
    assert there.room(b"a", 10 * UNREAD_BYTES_OF_PEER)
    there.add(b"a", given, 10 * UNREAD_BYTES_OF_PEER, 0.0)
    assert not there.room(b"a", 1)
    assert there.room(b"b", 1)
    given.done = True
    assert there.room(b"a", UNREAD_BYTES_OF_PEER)


def test_what_fits_beside_others_is_told_by_the_byte() -> None:
    there = Unread()
    there.add(b"a", Given(), UNREAD_BYTES_OF_PEER - 10, 0.0)
    assert there.room(b"a", 10)
    assert not there.room(b"a", 11)


def test_a_peer_is_stuck_while_it_takes_long_to_read_the_first() -> None:
    there, first, second = Unread(), Given(), Given()
    there.add(b"a", first, 1, 10.0)
    there.add(b"a", second, 1, 10.4)
    assert not there.stuck(b"a", 10.5)
    assert there.stuck(b"a", 10.6)
    assert not there.stuck(b"b", 10.6)
    first.done = True
    assert not there.stuck(b"a", 10.6)
    assert there.stuck(b"a", 11.0)
    second.done = True
    assert not there.stuck(b"a", 11.0)


def test_the_one_that_holds_the_most_has_to_go() -> None:
    there, part = Unread(), UNREAD_BYTES // 4
    for peer, size in ((b"a", part), (b"b", part + 1), (b"c", part), (b"d", part - 1)):
        there.add(peer, Given(), size, 0.0)
    assert there.too_much() is None
    there.add(b"d", Given(), 10, 0.0)
    assert there.too_much() == b"d"
    assert there.too_much() is None


async def test_eight_that_never_read_take_little_memory(tmp_path: Path) -> None:
    async with house(tmp_path, notes_since=pages) as there:
        await there.peer().ask("notes.since", seq=0)
        before = psutil.Process().memory_info().rss

        def ask_all(stack: ExitStack) -> None:
            for _ in range(8):
                mute = stack.enter_context(Mute(there.path))
                for number in range(60):
                    mute.say(b"", request("notes.since", number, seq=0))

        with ExitStack() as stack:
            await asyncio.to_thread(ask_all, stack)
            await await_until(lambda: there.server.counters()["requests"] >= 8 * 60)
            assert psutil.Process().memory_info().rss - before < 40e6  # 64 pages for each were 240
            assert "result" in await there.peer().ask("notes.since", seq=0)


async def test_who_asks_for_much_at_once_and_reads_gets_it_all(tmp_path: Path) -> None:
    async with house(tmp_path, notes_since=pages) as there:
        peer = there.peer()
        for number in range(8):
            await peer.send(b"", request("notes.since", number, seq=0))
        answers = [json.loads((await peer.receive())[-1]) for _ in range(8)]
        assert sorted(answer["id"] for answer in answers) == list(range(8))
        assert all(len(answer["result"]["notes"]) == 500 for answer in answers)


async def test_who_reads_late_is_told_busy_once_for_each_that_did_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "RESEND_FOR_S", 0.1)
    async with house(tmp_path, notes_since=pages) as there:
        peer = there.peer()
        peer.socket.disconnect(f"ipc://{there.path}")
        peer.socket.setsockopt(zmq.RCVHWM, 1)
        peer.socket.connect(f"ipc://{there.path}")
        for number in range(8):
            await peer.send(b"", request("notes.since", number, seq=0))
        await await_until(lambda: there.server.counters()["requests"] == 8 and not there.server.in_flight())
        await asyncio.sleep(0.5)  # it does something else meanwhile
        answers = [json.loads((await peer.receive())[-1]) for _ in range(8)]
        busy = [answer for answer in answers if "error" in answer]
        assert sorted(answer["id"] for answer in answers) == list(range(8))
        assert 0 < len(busy) < 8
        assert {answer["error"]["data"]["code"] for answer in busy} == {"E_BUSY"}
        async with asyncio.timeout(20):
            while "result" not in await peer.ask("notes.since", seq=0):  # noqa: ASYNC110 - that all was read is heard a moment later
                await asyncio.sleep(0.05)


async def test_for_one_that_does_not_read_nothing_is_done(tmp_path: Path) -> None:
    clock, ran = ManualClock(), list[Any]()

    async def since(asked: Request) -> Mapping[str, Any]:
        ran.append(asked.params["seq"])
        return await pages(asked)

    async with house(tmp_path, clock, notes_since=since) as there:
        with await asyncio.to_thread(Mute, there.path) as mute:
            mute.say(b"", request("notes.since", seq=0))
            await await_until(lambda: ran == [0])
            await clock.advance(1)
            mute.say(b"", request("notes.since", seq=1))
            await await_until(lambda: there.server.counters()["busy"] == 1)
            assert "result" in await there.peer().ask("notes.since", seq=2)
            assert ran == [0, 2]


async def test_where_all_together_leave_too_much_unread_one_of_them_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread, "UNREAD_BYTES", 5 * len(PAGE) // 2)
    async with house(tmp_path, notes_since=pages) as there:
        good = there.peer()
        assert "result" in await good.ask("notes.since", seq=0)
        with ExitStack() as stack:
            for _ in range(3):
                mute = stack.enter_context(await asyncio.to_thread(Mute, there.path))
                mute.say(b"", request("notes.since", seq=0))
            await await_until(lambda: there.server.peers == 3)
            assert there.server.counters()["unread_ended"] == 1
            assert "result" in await good.ask("notes.since", seq=0)


class FullSocket:
    """Stands for a socket whose peers read nothing, until they do."""

    def __init__(self) -> None:
        self.tried, self.full = 0, True
        self.sent: list[bytes] = []

    def send(self, frames: list[bytes]) -> bool:
        self.tried += 1
        if not self.full:
            self.sent.append(frames[-1])
        return not self.full


async def test_however_many_replies_wait_for_a_peer_it_is_tried_once_a_round() -> None:
    there, clock, lost = FullSocket(), ManualClock(), list[int]()
    sender = Replies(
        lambda: there,
        clock,
        lambda: lost.append(1),
        lambda _: None,
    )
    for number in range(1000):
        for peer in (b"a", b"b"):
            sender.send([peer, b""], b"%d" % number)
    there.tried = 0
    await clock.advance(replies.RESEND_EVERY_S)
    assert there.tried == 2
    there.full = False
    await clock.advance(replies.RESEND_EVERY_S)
    assert there.sent == [b"%d" % number for number in range(1000)] * 2
    there.full = True
    sender.send([b"a", b""], b"last")
    await clock.advance(replies.RESEND_FOR_S + 1)
    assert len(lost) == 1
    assert sender.task is not None
    await sender.task
