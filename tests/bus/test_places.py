"""Who may have how many requests under way, and what becomes of those whose caller leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from hudd.bus import places
from hudd.bus.places import MAX_IN_FLIGHT, MAX_IN_FLIGHT_PER_PEER, Places
from hudd.bus.server import Request
from tests.fakes.bus import await_until
from tests.fakes.commands import house, request


async def test_one_peer_may_have_eight_in_flight_and_others_still_get_in(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def handler(_asked: Request) -> Mapping[str, Any]:
        await release.wait()
        return {}

    async with house(tmp_path, wait=handler) as there:
        greedy, modest = there.peer(), there.peer()
        for number in range(MAX_IN_FLIGHT_PER_PEER + 1):
            await greedy.send(b"", request("wait", number))
        reply = json.loads((await greedy.receive())[-1])
        assert (reply["id"], reply["error"]["data"]["code"]) == (MAX_IN_FLIGHT_PER_PEER, "E_BUSY")
        assert reply["error"]["data"]["retry_after_ms"] > 0
        assert "result" in await modest.ask("status")
        release.set()
        ids = {json.loads((await greedy.receive())[-1])["id"] for _ in range(MAX_IN_FLIGHT_PER_PEER)}
        assert ids == set(range(MAX_IN_FLIGHT_PER_PEER))
        assert "result" in await greedy.ask("wait", 99)


def test_the_fewer_places_are_free_the_fewer_one_connection_gets() -> None:
    there = Places()
    for _ in range(20):
        for peer in (b"%d" % number for number in range(16)):  # all of them flood
            if there.refusal(peer, waits=False) is None:
                there.take(peer)
    assert all(there.taken(b"%d" % number) >= 2 for number in range(16))
    assert MAX_IN_FLIGHT - there.taken() >= 10
    assert there.refusal(b"another", waits=False) is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 90)), max_size=400))
def test_whatever_comes_the_bounds_hold_and_nobody_is_left_out_where_there_is_room(
    events: list[tuple[bool, int]],
) -> None:
    there = Places()
    for begins, number in events:
        peer = b"%d" % number
        if begins:
            allowed = there.refusal(peer, waits=False) is None
            assert allowed or there.taken(peer) or there.taken() == MAX_IN_FLIGHT
            if allowed:
                there.take(peer)
        elif there.taken(peer):
            there.free(peer)
        assert there.taken() <= MAX_IN_FLIGHT
        assert there.taken(peer) <= MAX_IN_FLIGHT_PER_PEER


async def test_sixty_four_in_flight_is_all(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def handler(_asked: Request) -> Mapping[str, Any]:
        await release.wait()
        return {}

    async with house(tmp_path, snap=handler) as there:
        for _ in range(MAX_IN_FLIGHT):
            await there.peer().send(b"", request("snap"))
        await await_until(lambda: there.server.in_flight() == MAX_IN_FLIGHT)
        assert (await there.peer().ask("status"))["error"]["data"]["code"] == "E_BUSY"
        release.set()
        await await_until(lambda: there.server.in_flight() == 0)
        assert "result" in await there.peer().ask("status")


async def test_a_peer_that_leaves_is_counted_and_harms_nobody(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def handler(_asked: Request) -> Mapping[str, Any]:
        await release.wait()
        return {}

    async with house(tmp_path, snap=handler) as there:
        leaver, stayer = there.peer(), there.peer()
        await leaver.send(b"", request("snap"))
        await await_until(lambda: there.server.in_flight() == 1)
        leaver.socket.close()
        await asyncio.sleep(0.05)  # libzmq's thread takes the connection down
        release.set()
        await await_until(lambda: there.server.in_flight() == 0)
        assert "result" in await stayer.ask("status")
        assert there.server.counters()["lost_replies"] == 1


class Waiting:
    """A handler for ``wait`` that ends when it is told."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.cancelled = 0

    async def __call__(self, _asked: Request) -> Mapping[str, Any]:
        try:
            await self.over.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return {}


async def test_waits_take_no_place_of_those_that_work(tmp_path: Path) -> None:
    waiting = Waiting()
    async with house(tmp_path, wait=waiting) as there:
        for _ in range(MAX_IN_FLIGHT // MAX_IN_FLIGHT_PER_PEER + 1):
            peer = there.peer()
            for number in range(MAX_IN_FLIGHT_PER_PEER):
                await peer.send(b"", request("wait", number))
        await await_until(lambda: there.server.in_flight() > MAX_IN_FLIGHT)
        assert "result" in await there.peer().ask("status")
        waiting.over.set()
        await await_until(lambda: there.server.in_flight() == 0)


async def test_waits_have_a_bound_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MAX_WAITS", 3)
    waiting = Waiting()
    async with house(tmp_path, wait=waiting) as there:
        for _ in range(3):
            await there.peer().send(b"", request("wait"))
        await await_until(lambda: there.server.in_flight() == 3)
        other = there.peer()
        assert (await other.ask("wait"))["error"]["data"]["code"] == "E_BUSY"
        assert "result" in await other.ask("status")
        waiting.over.set()
        await await_until(lambda: there.server.in_flight() == 0)
        assert "result" in await other.ask("wait")


async def test_whoever_leaves_waits_no_longer_and_others_do(tmp_path: Path) -> None:
    waiting = Waiting()
    async with house(tmp_path, wait=waiting) as there:
        leaver, stayer = there.peer(), there.peer()
        for number in range(MAX_IN_FLIGHT_PER_PEER):
            await leaver.send(b"", request("wait", number, deadline_ms=86_400_000))
        await stayer.send(b"", request("wait"))
        await await_until(lambda: there.server.in_flight() == MAX_IN_FLIGHT_PER_PEER + 1)
        leaver.socket.close()
        await await_until(lambda: there.server.in_flight() == 1)
        assert waiting.cancelled == MAX_IN_FLIGHT_PER_PEER
        waiting.over.set()
        assert "result" in json.loads((await stayer.receive())[-1])


async def test_a_new_connection_under_the_same_name_keeps_its_wait_when_the_old_one_ends(tmp_path: Path) -> None:
    waiting = Waiting()
    async with house(tmp_path, wait=waiting) as there:
        old, new = there.peer(), there.peer()
        for peer in (old, new):
            peer.socket.disconnect(f"ipc://{there.path}")
            peer.socket.setsockopt(zmq.ROUTING_ID, b"one client")
            peer.socket.connect(f"ipc://{there.path}")
            assert "result" in await peer.ask("status")
        await new.send(b"", request("wait"))
        await await_until(lambda: there.server.in_flight() == 1)
        old.socket.close()
        await await_until(lambda: there.server.peers == 1)
        await asyncio.sleep(0)
        assert waiting.cancelled == 0
        waiting.over.set()
        assert "result" in json.loads((await new.receive())[-1])


async def test_many_that_ask_and_leave_at_once_leave_no_wait_behind(tmp_path: Path) -> None:
    waiting = Waiting()
    async with house(tmp_path, wait=waiting) as there:
        for _ in range(40):
            peer = there.peer()
            await peer.send(b"", request("wait", deadline_ms=86_400_000))
            await asyncio.sleep(0)
            peer.socket.close(linger=50)  # the request is on its way; its descriptor is the next one's
        stays = there.peer()
        await stays.send(b"", request("wait"))
        await await_until(lambda: there.server.peers == 1)
        await await_until(lambda: there.server.in_flight() == 1)
        waiting.over.set()
        assert "result" in json.loads((await stays.receive())[-1])
