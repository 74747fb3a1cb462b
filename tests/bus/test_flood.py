"""Too many subscriptions, a mistake of ours that a request brings out, and a client that leaves in the middle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio

from hudd.bus import server, subscriptions
from hudd.bus.server import CommandServer, Request
from hudd.bus.subscriptions import MAX_PREFIX_BYTES, MAX_PREFIXES_OF_PEER
from hudd.clock import SystemClock
from hudd.wire.messages import parse_time
from hudd.wire.params import ParamError, check_params
from hudd.wire.table import METHOD_BY_NAME
from tests.fakes.bus import SmallDaemon, await_until

SNAP = "01JD0000000000000000000000"


class Listener:
    """A subscriber, and whether it was disconnected."""

    def __init__(self, context: zmq.Context[Any], folder: Path) -> None:
        self.socket = context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RECONNECT_IVL, -1)  # what was ended stays ended
        self.monitor = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self.socket.connect(f"ipc://{folder}/notes.sock")

    @property
    def dropped(self) -> bool:
        return bool(self.monitor.poll(0))

    def close(self) -> None:
        self.socket.disable_monitor()
        self.monitor.close(linger=0)
        self.socket.close(linger=0)


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Callable[[], Listener]]:
    """Makes listeners, and closes them at the end."""
    context: zmq.Context[Any] = zmq.Context()
    made: list[Listener] = []

    def make() -> Listener:
        made.append(Listener(context, tmp_path))
        return made[-1]

    yield make
    for listener in made:
        listener.close()
    context.term()


async def test_a_peer_with_far_too_many_subscriptions_is_dropped_and_others_hear_on(
    tmp_path: Path, listen: Callable[[], Listener], caplog: pytest.LogCaptureFixture
) -> None:
    async with SmallDaemon(tmp_path) as there:
        good, bad = listen(), listen()
        good.socket.subscribe("note/")
        await await_until(lambda: there.publisher.peers == 2)
        for number in range(MAX_PREFIXES_OF_PEER):
            bad.socket.subscribe(f"topic/{number}/")
        await await_until(lambda: len(there.publisher.subscribers()) == MAX_PREFIXES_OF_PEER + 1)
        assert not bad.dropped
        bad.socket.subscribe("one too many/")
        await await_until(lambda: bad.dropped)
        await await_until(lambda: there.publisher.subscribers() == {"note/": 1})
        there.note()
        assert await asyncio.to_thread(good.socket.poll, 5000)
        assert not good.dropped
        assert there.publisher.counters()["dropped_peers"] == 1
    assert "subscribed to far too many topics" in caplog.text


async def test_many_peers_together_cannot_fill_the_memory_either(
    tmp_path: Path, listen: Callable[[], Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "MAX_PREFIX_BYTES", 10_000)
    assert MAX_PREFIX_BYTES < 1_000_000
    async with SmallDaemon(tmp_path) as there:
        peers = [listen() for _ in range(3)]
        for number, peer in enumerate(peers):
            for topic in range(40):
                peer.socket.subscribe(f"{number}/{topic}/".ljust(100, "x"))
            await asyncio.sleep(0.05)
        await await_until(lambda: any(peer.dropped for peer in peers))
        await await_until(lambda: sum(map(len, there.publisher.subscribers())) <= 10_000)
        assert not all(peer.dropped for peer in peers)


async def test_who_holds_the_most_has_to_go_and_not_who_came_last(
    tmp_path: Path, listen: Callable[[], Listener]
) -> None:
    async with SmallDaemon(tmp_path) as there:
        greedy, modest = listen(), listen()
        for topic in range(250):  # nearly all that there is
            greedy.socket.subscribe(f"{topic}/".ljust(500, "x"))
        await await_until(lambda: len(there.publisher.subscribers()) == 250)
        for topic in range(30):
            modest.socket.subscribe(f"modest/{topic}/".ljust(400, "x"))
        await await_until(lambda: greedy.dropped)
        good = listen()
        for topic in ("note/", "hb/", "welcome/0123456789abcdef/"):
            good.socket.subscribe(topic)
        assert await asyncio.to_thread(good.socket.poll, 5000)
        assert len(there.publisher.subscribers()) == 32
        assert not good.dropped
        assert not modest.dropped
        assert there.publisher.counters()["dropped_peers"] == 1


async def test_cancelled_subscriptions_count_no_more(tmp_path: Path, listen: Callable[[], Listener]) -> None:
    async with SmallDaemon(tmp_path) as there:
        peer = listen()
        for number in range(MAX_PREFIXES_OF_PEER * 3):
            peer.socket.subscribe(f"topic/{number}/")
            peer.socket.unsubscribe(f"topic/{number}/")
            peer.socket.poll(0)  # or its queue of subscriptions stays full after a thousand
            await asyncio.sleep(0.001)
        peer.socket.subscribe("last/")
        await await_until(lambda: there.publisher.subscribers() == {"last/": 1})
        assert not peer.dropped


async def test_a_prefix_longer_than_any_topic_ends_the_connection(
    tmp_path: Path, listen: Callable[[], Listener]
) -> None:
    async with SmallDaemon(tmp_path) as there:
        peer = listen()
        peer.socket.subscribe("x" * 600)
        await await_until(lambda: peer.dropped)
        assert there.publisher.subscribers() == {}


class Asking:
    """A command server with one handler, and connections to it."""

    def __init__(self, folder: Path, **handlers: Any) -> None:
        self.path = folder / "ctl.sock"
        self.server = CommandServer(self.path, handlers, clock=SystemClock())
        self.context = zmq.asyncio.Context()

    def peer(self) -> zmq.asyncio.Socket:
        made = self.context.socket(zmq.DEALER)
        made.setsockopt(zmq.LINGER, 0)
        made.connect(f"ipc://{self.path}")
        return made

    async def __aenter__(self) -> Asking:
        self.server.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.context.destroy(linger=0)
        await self.server.close()


def frame(method: str, request_id: int, **params: Any) -> list[bytes]:
    return [b"", json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}).encode()]


async def received(peer: zmq.asyncio.Socket) -> dict[str, Any]:
    return json.loads((await asyncio.wait_for(peer.recv_multipart(), 5))[-1])


async def test_a_mistake_of_ours_costs_one_request_and_not_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def status(request: Request) -> Mapping[str, Any]:
        return {}

    def mistaken(*_: object) -> dict[str, Any]:
        raise OverflowError("int too large to convert to float")

    async with Asking(tmp_path, status=status) as there:
        peer = there.peer()
        with monkeypatch.context() as patch:
            patch.setattr(server, "check_params", mistaken)
            await peer.send_multipart(frame("status", 1))
            assert (await received(peer))["error"]["data"]["code"] == "E_INTERNAL"
        await peer.send_multipart(frame("status", 2))
        assert (await received(peer))["result"] == {}
    assert "OverflowError" in caplog.text


@pytest.mark.parametrize("huge", [10**400, -(10**400), 1e300])
def test_a_time_of_hundreds_of_digits_is_out_of_range(huge: float) -> None:
    with pytest.raises(ValueError, match="out of range"):
        parse_time(huge)
    with pytest.raises(ParamError, match="since"):
        check_params(METHOD_BY_NAME["notes.search"], {"since": huge})


async def test_a_client_that_leaves_cancels_nothing_that_another_waits_for(tmp_path: Path) -> None:
    """As ``flow.commands`` does it: both wait for one future, shielded; one of them dies."""
    shared: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    waiting = 0

    async def snap(request: Request) -> Mapping[str, Any]:
        nonlocal waiting
        waiting += 1
        return await asyncio.shield(shared)

    async with Asking(tmp_path, snap=snap) as there:
        dies, stays = there.peer(), there.peer()
        await dies.send_multipart(frame("snap", 1, snap_id=SNAP))
        await stays.send_multipart(frame("snap", 2, snap_id=SNAP))
        await await_until(lambda: waiting == 2)
        dies.close(linger=0)
        await await_until(lambda: there.server.peers == 1)
        assert not shared.cancelled()
        shared.set_result({"seq": 7})
        assert (await received(stays))["result"] == {"seq": 7}
