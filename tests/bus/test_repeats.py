"""An effect comes once, however often it is asked for with the same key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio

from hudd.bus.repeats import KEEP_MOST, KEEP_S, Repeats
from hudd.bus.server import CommandServer, Request
from hudd.clock import Clock, SystemClock
from hudd.errors import CommandError
from hudd.wire.table import METHODS
from tests.fakes.bus import await_until
from tests.fakes.clock import ManualClock


class House:
    """A server whose ``pause`` waits to be let go, and connections to it. An async context manager."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.path = folder / "ctl.sock"
        self.ran: list[str] = []
        self.go = asyncio.Event()
        self.fail: Exception | None = None
        self.server = CommandServer(
            self.path, {"pause": self._pause, "status": self._status}, clock=clock or SystemClock()
        )
        self.context = zmq.asyncio.Context()

    async def _pause(self, request: Request) -> Mapping[str, Any]:
        self.ran.append(request.params.get("why", ""))
        await self.go.wait()
        if self.fail is not None:
            raise self.fail
        return {"run": self.ran.count(request.params.get("why", ""))}

    async def _status(self, request: Request) -> Mapping[str, Any]:
        self.ran.append("status")
        return {"run": len(self.ran)}

    def peer(self) -> zmq.asyncio.Socket:
        made = self.context.socket(zmq.DEALER)
        made.setsockopt(zmq.LINGER, 0)
        made.connect(f"ipc://{self.path}")
        return made

    async def __aenter__(self) -> House:
        self.server.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.context.destroy(linger=0)
        await self.server.close()


async def send(peer: zmq.asyncio.Socket, method: str = "pause", request_id: int = 1, **params: Any) -> None:
    body = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    await peer.send_multipart([b"", json.dumps(body).encode()])


async def reply(peer: zmq.asyncio.Socket) -> dict[str, Any]:
    return json.loads((await asyncio.wait_for(peer.recv_multipart(), 5))[-1])


async def test_a_repeat_on_another_connection_gets_the_same_reply_and_nothing_runs(tmp_path: Path) -> None:
    async with House(tmp_path) as there:
        there.go.set()
        first, second = there.peer(), there.peer()
        await send(first, idem="k")
        assert (await reply(first))["result"] == {"run": 1}
        await send(second, request_id=9, idem="k", deadline_ms=700, sent_at=None)
        assert await reply(second) == {"jsonrpc": "2.0", "id": 9, "result": {"run": 1}}
        assert len(there.ran) == 1
        assert there.server.counters()["repeated"] == 1
        assert there.server.in_flight() == 0


async def test_a_repeat_while_the_first_runs_shares_its_end(tmp_path: Path) -> None:
    async with House(tmp_path) as there:
        first, second = there.peer(), there.peer()
        await send(first, idem="k")
        await send(second, idem="k")
        await send(second, "status", 2)
        assert (await reply(second))["id"] == 2  # so the repeat was read
        there.go.set()
        assert (await reply(first))["result"] == (await reply(second))["result"] == {"run": 1}
        assert there.ran == ["", "status"]


async def test_the_work_outlives_the_deadline_and_the_connection_of_the_first(tmp_path: Path) -> None:
    async with House(tmp_path) as there:
        first = there.peer()
        await send(first, idem="k", deadline_ms=30)
        assert (await reply(first))["error"]["data"]["code"] == "E_DEADLINE"
        first.close()
        there.go.set()
        second = there.peer()
        await send(second, idem="k")
        assert (await reply(second))["result"] == {"run": 1}
        assert len(there.ran) == 1
        assert there.server.in_flight() == 0


async def test_errors_are_repeated_too(tmp_path: Path) -> None:
    async with House(tmp_path) as there:
        there.fail = CommandError("E_STORAGE", "The disk is full.")
        there.go.set()
        peer = there.peer()
        answers: list[Any] = []
        for _ in range(2):
            await send(peer, idem="k")
            answers.append(await reply(peer))
        assert answers[0] == answers[1]
        assert answers[0]["error"]["data"]["code"] == "E_STORAGE"
        assert len(there.ran) == 1


async def test_a_key_belongs_to_one_request(tmp_path: Path) -> None:
    async with House(tmp_path) as there:
        there.go.set()
        peer = there.peer()
        await send(peer, idem="k", why="lunch")
        await reply(peer)
        await send(peer, idem="k", why="dinner")
        assert (await reply(peer))["error"]["data"]["code"] == "E_ARGS"
        assert there.ran == ["lunch"]


async def test_what_has_no_effect_is_always_run(tmp_path: Path) -> None:
    async with House(tmp_path) as there:
        peer = there.peer()
        for _ in range(2):
            await send(peer, "status", idem="k")
            await reply(peer)
        assert len(there.ran) == 2


@pytest.mark.parametrize("bad", ["", "x" * 65, 7])
async def test_a_key_that_is_none_is_refused(tmp_path: Path, bad: object) -> None:
    async with House(tmp_path) as there:
        peer = there.peer()
        await send(peer, idem=bad)
        assert (await reply(peer))["error"]["data"]["code"] == "E_ARGS"
        assert not there.ran


async def _done() -> Mapping[str, Any]:
    return {}


async def test_ten_minutes_later_it_runs_again() -> None:
    clock = ManualClock()
    repeats = Repeats(clock)
    work = asyncio.create_task(_done())
    repeats.add("k", "pause", {}, work)
    await work
    await clock.advance(KEEP_S - 1)
    assert repeats.find("k", "pause", {"deadline_ms": 5}) is work
    await clock.advance(2)
    assert repeats.find("k", "pause", {}) is None


async def test_only_so_many_outcomes_are_kept_and_what_runs_is_never_dropped() -> None:
    repeats = Repeats(ManualClock())
    runs = asyncio.create_task(asyncio.Event().wait())
    repeats.add("runs", "pause", {}, runs)  # type: ignore[arg-type] # any task will do
    for number in range(KEEP_MOST + 50):
        repeats.find(str(number), "pause", {})
        work = asyncio.create_task(_done())
        repeats.add(str(number), "pause", {}, work)
        await work
    assert len(repeats) <= KEEP_MOST
    assert repeats.find("runs", "pause", {}) is runs
    assert repeats.find("0", "pause", {}) is None
    runs.cancel()
    await asyncio.wait([runs])
    await asyncio.sleep(0)
    assert repeats.find("runs", "pause", {}) is None


def test_every_method_that_changes_something_takes_a_key() -> None:
    reading = {"hello", "status", "snap", "wait", "errors", "cost", "config"}
    without = {m.name for m in METHODS if not m.effect}
    assert without >= reading
    assert all(name in reading or name.startswith(("notes.since", "notes.search", "notes.export")) for name in without)


async def test_work_with_a_key_outlives_a_server_that_is_opened_anew_and_not_the_daemon(tmp_path: Path) -> None:
    """As when the sockets for other machines are opened anew because a key was withdrawn."""
    go, ended = asyncio.Event(), list[str]()

    async def pause(request: Request) -> Mapping[str, Any]:
        try:
            await go.wait()
        except asyncio.CancelledError:
            ended.append(f"cancelled {request.params['why']}")
            raise
        ended.append(str(request.params["why"]))
        return {"why": request.params["why"]}

    clock, context = SystemClock(), zmq.asyncio.Context()
    repeats = Repeats(clock)
    servers = [CommandServer(tmp_path / f"{n}.sock", {"pause": pause}, clock=clock, repeats=repeats) for n in range(2)]
    peers = [context.socket(zmq.DEALER) for _ in servers]
    for number, (server, peer) in enumerate(zip(servers, peers, strict=True)):
        server.open()
        peer.connect(f"ipc://{tmp_path}/{number}.sock")
    running = asyncio.create_task(servers[0].run())
    await send(peers[0], idem="k", why="keyed")
    await send(peers[0], why="plain", request_id=2)
    await await_until(lambda: servers[0].in_flight() == 2)
    await servers[0].close(0.05, for_good=False)
    await running
    assert ended == ["cancelled plain"]
    await send(peers[1], idem="k", why="keyed", request_id=3)
    await await_until(lambda: servers[1].counters()["repeated"] == 1)
    go.set()
    assert (await reply(peers[1]))["result"] == {"why": "keyed"}
    go.clear()
    await send(peers[1], idem="l", why="late", request_id=4)
    await await_until(lambda: servers[1].in_flight() == 1)
    await servers[1].close()
    assert ended == ["cancelled plain", "keyed", "cancelled late"]
    context.destroy(linger=0)
