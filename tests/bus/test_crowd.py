"""Strangers on the network take neither the descriptors nor the places of those who have a key."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path

import pytest
import zmq

from hudd.bus.admission import PeerLimit
from hudd.bus.publisher import Publisher
from hudd.bus.repeats import Repeats
from hudd.bus.server import CommandServer, Request
from hudd.bus.sockets import LoopSocket, new_context
from hudd.clock import SystemClock
from tests.fakes.bus import await_until
from tests.fakes.clock import ManualClock
from tests.fakes.ports import free_port

MOST = 8


class NetworkDoor:
    """A ROUTER on TCP that takes few, and its messages."""

    def __init__(self) -> None:
        self.address = ("127.0.0.1", free_port())
        self.context = new_context()
        self.got: list[bytes] = []
        self.raw: list[socket.socket] = []
        self.loop_socket = LoopSocket(
            self.context,
            zmq.ROUTER,
            f"tcp://127.0.0.1:{self.address[1]}",
            on_message=lambda frames, _: self.got.append(frames[-1]),
            on_failure=lambda error: None,
            options={},
            limit=PeerLimit(MOST, 2),
        )

    def dealer(self) -> zmq.Socket[bytes]:
        made = self.context.socket(zmq.DEALER)
        made.setsockopt(zmq.LINGER, 0)
        made.setsockopt(zmq.RECONNECT_IVL, 10)
        made.connect(str(self.loop_socket.place))
        return made

    def close(self) -> None:
        for raw in self.raw:
            raw.close()
        self.loop_socket.close()
        self.context.destroy(linger=0)


async def test_the_limit_holds_and_who_is_in_notices_nothing(caplog: pytest.LogCaptureFixture) -> None:
    door = NetworkDoor()
    good = door.dealer()
    monitor = good.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    good.send(b"0")
    await await_until(lambda: door.got == [b"0"])
    with caplog.at_level(logging.WARNING, "hudd.bus.crowd"):
        for number in range(1, 101):
            door.raw.append(await asyncio.to_thread(socket.create_connection, door.address))
            if number % 10 == 0:
                good.send(b"%d" % number)
                await await_until(lambda last=b"%d" % number: door.got[-1] == last)
        await await_until(lambda: door.loop_socket.counters()["peers_ended"] >= 100 - MOST)
    assert door.loop_socket.peers <= MOST
    assert not monitor.poll(0)
    assert len(caplog.records) == 1
    with door.dealer() as late:
        late.send(b"late")
        await await_until(lambda: door.got[-1] == b"late")
    good.disable_monitor()
    monitor.close()
    good.close()
    door.close()


async def test_with_all_places_taken_by_those_who_speak_the_newest_is_ended() -> None:
    door = NetworkDoor()
    peers = [door.dealer() for _ in range(MOST)]
    for number, peer in enumerate(peers):
        peer.send(b"%d" % number)
    await await_until(lambda: len(door.got) == MOST)
    door.raw.append(await asyncio.to_thread(socket.create_connection, door.address))
    await await_until(lambda: door.loop_socket.counters()["peers_ended"] == 1)
    for peer in peers:
        peer.send(b"again")
    await await_until(lambda: door.got.count(b"again") == MOST)
    for peer in peers:
        peer.close()
    door.close()


async def test_what_a_peer_of_the_network_waited_for_and_subscribed_to_goes_with_it() -> None:
    async def wait(_request: Request) -> dict[str, str]:
        await asyncio.sleep(60)
        return {}

    port = free_port()
    context = new_context()
    server = CommandServer(f"tcp://127.0.0.1:{port}", {"wait": wait}, clock=SystemClock(), context=context)
    server.open()
    with context.socket(zmq.DEALER) as peer:
        peer.connect(f"tcp://127.0.0.1:{port}")
        peer.send_multipart([b"", b'{"jsonrpc":"2.0","id":1,"method":"wait","params":{"deadline_ms":86400000}}'])
        await await_until(lambda: server.in_flight() == 1)
    await await_until(lambda: server.in_flight() == 0)
    await server.close()
    port = free_port()
    publisher = Publisher(
        f"tcp://127.0.0.1:{port}", stream="s", instance="i", heads=dict, clock=SystemClock(), context=context
    )
    publisher.open()
    with context.socket(zmq.SUB) as sub:
        sub.subscribe("note/")
        sub.subscribe("note/")
        sub.connect(f"tcp://127.0.0.1:{port}")
        await await_until(lambda: publisher.subscribers() == {"note/": 1})
    await await_until(lambda: publisher.subscribers() == {})
    await publisher.close()
    context.term()


@pytest.mark.parametrize("first", ["local", "remote"])
async def test_a_repeat_over_the_other_socket_runs_nothing(tmp_path: Path, first: str) -> None:
    ran: list[str] = []

    async def pause(request: Request) -> dict[str, str]:
        ran.append(request.method)
        return {"run": str(len(ran))}

    port = free_port()
    context, repeats = new_context(), Repeats(ManualClock())
    (tmp_path / "run").mkdir(mode=0o700)
    places: dict[str, Path | str] = {"local": tmp_path / "run" / "ctl.sock", "remote": f"tcp://127.0.0.1:{port}"}
    servers = {
        name: CommandServer(place, {"pause": pause}, clock=SystemClock(), context=context, repeats=repeats)
        for name, place in places.items()
    }
    for server in servers.values():
        server.open()
    told: list[bytes] = []
    for name in (first, *(other for other in places if other != first)):
        with context.socket(zmq.DEALER) as peer:
            place = places[name]
            peer.connect(place if isinstance(place, str) else f"ipc://{place}")
            peer.send_multipart(
                [b"", b'{"jsonrpc":"2.0","id":1,"method":"pause","params":{"idem":"0123456789abcdef"}}']
            )
            assert await asyncio.to_thread(peer.poll, 5000)
            told.append(peer.recv_multipart()[-1])
    assert ran == ["pause"]
    assert told[0] == told[1]
    for server in servers.values():
        await server.close()
    context.term()
