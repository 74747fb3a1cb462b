"""The deadline of a request: from when it counts, and what it does to the reply and to the handler."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio

from hudd.bus.server import CommandServer, Request
from hudd.clock import SystemClock
from hudd.errors import CommandError
from hudd.wire.table import REPLY_GRACE_MS
from tests.fakes.bus import await_until
from tests.fakes.clock import ManualClock
from tests.fakes.commands import Peer, house


async def test_a_request_older_than_its_deadline_is_not_run(tmp_path: Path) -> None:
    ran: list[Request] = []

    async def handler(asked: Request) -> Mapping[str, Any]:
        ran.append(asked)
        return {}

    clock = ManualClock(wall=1000.0)
    async with house(tmp_path, clock, snap=handler) as there:
        peer = there.peer()
        late = await peer.ask("snap", 1, sent_at=990_000, deadline_ms=9_999)
        assert late["error"]["data"]["code"] == "E_DEADLINE"
        assert not ran
        assert "result" in await peer.ask("snap", 2, sent_at=990_000, deadline_ms=10_001)
        assert there.server.counters()["expired"] == 1


@pytest.mark.parametrize(
    ("params", "left_s"),
    [
        ({}, 15.0),
        ({"deadline_ms": 500}, 0.5),
        ({"sent_at": 999_000}, 14.0),
        ({"sent_at": 999_000, "deadline_ms": 3000}, 2.0),
        ({"sent_at": 5_000_000, "deadline_ms": 3000}, 3.0),
    ],
)
async def test_the_deadline_counts_from_sent_at_and_never_from_the_future(
    tmp_path: Path, params: dict[str, Any], left_s: float
) -> None:
    seen: list[float] = []

    async def handler(asked: Request) -> Mapping[str, Any]:
        seen.append(asked.deadline)
        return {}

    clock = ManualClock(monotonic=50.0, wall=1000.0)
    async with house(tmp_path, clock, snap=handler) as there:
        await there.peer().ask("snap", 1, **params)
    assert seen == [pytest.approx(50.0 + left_s)]


async def test_at_its_deadline_a_request_is_answered_once_and_its_handler_cancelled(tmp_path: Path) -> None:
    ended: list[str] = []

    async def handler(_asked: Request) -> Mapping[str, Any]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return {}

    async with house(tmp_path, snap=handler) as there:
        peer = there.peer()
        start = time.monotonic()
        reply = await peer.ask("snap", 3, deadline_ms=50)
        assert reply["error"]["data"]["code"] == "E_DEADLINE"
        assert reply["error"]["data"]["hint"] == "Ask again with a longer deadline_ms."
        assert 0.04 <= time.monotonic() - start <= 0.05 + REPLY_GRACE_MS / 1000
        assert await peer.quiet()
        assert ended == ["cancelled"]
        assert there.server.in_flight() == 0


async def test_at_the_deadline_the_caller_is_told_what_was_waited_for(tmp_path: Path) -> None:
    def overdue(asked: Request) -> CommandError:
        return CommandError("E_DEADLINE", f"{asked.method} waited; do this.", retry_after_ms=7, upstream={"code": "c"})

    async def handler(_asked: Request) -> Mapping[str, Any]:
        await asyncio.sleep(60)
        return {}

    server = CommandServer(tmp_path / "ctl.sock", {"wait": handler}, clock=SystemClock(), overdue=overdue)
    server.open()
    context = zmq.asyncio.Context()
    try:
        error = (await Peer(context, zmq.DEALER, tmp_path / "ctl.sock").ask("wait", deadline_ms=20))["error"]
    finally:
        context.destroy(linger=0)
        await server.close()
    assert error["message"] == "wait waited."
    assert error["data"] == {"code": "E_DEADLINE", "hint": "Do this.", "retry_after_ms": 7, "upstream": {"code": "c"}}


async def test_a_handler_that_will_not_be_cancelled_delays_no_reply_and_keeps_its_place(tmp_path: Path) -> None:
    free = asyncio.Event()

    async def handler(_asked: Request) -> Mapping[str, Any]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await free.wait()
        return {"late": True}

    async with house(tmp_path, snap=handler) as there:
        peer = there.peer()
        assert (await peer.ask("snap", 3, deadline_ms=20))["error"]["data"]["code"] == "E_DEADLINE"
        assert there.server.in_flight() == 1
        free.set()
        assert await peer.quiet()
        await await_until(lambda: there.server.in_flight() == 0)


async def test_a_mistake_after_the_deadline_is_still_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(_asked: Request) -> Mapping[str, Any]:
        try:
            await asyncio.sleep(60)
        finally:
            raise KeyError("while cleaning up")

    async with house(tmp_path, snap=handler) as there:
        peer = there.peer()
        assert (await peer.ask("snap", 3, deadline_ms=20))["error"]["data"]["code"] == "E_DEADLINE"
        assert await peer.quiet()
        assert "after its deadline" in caplog.text
