"""One reply for every request with a readable id, none for anything else."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import zmq

from hudd.bus.server import CommandServer, Handler, Request
from hudd.clock import SystemClock
from hudd.errors import CommandError, StorageError, WithheldError
from hudd.wire.table import METHOD_BY_NAME
from tests.fakes.bus import await_until
from tests.fakes.clock import ManualClock
from tests.fakes.commands import echo, house, request


async def test_a_dealer_gets_its_result_and_nothing_more(tmp_path: Path) -> None:
    async with house(tmp_path) as there:
        peer = there.peer()
        await peer.send(b"", request("status", 7))
        assert [await peer.receive()] == [[b"", b'{"jsonrpc":"2.0","id":7,"result":{"method":"status","params":{}}}']]


async def test_a_req_socket_works_as_it_is(tmp_path: Path) -> None:
    async with house(tmp_path) as there:
        peer = there.peer(zmq.REQ)
        for number in range(3):
            await peer.send(request("status", number))
            assert json.loads((await peer.receive())[0])["id"] == number


@pytest.mark.parametrize("hops", range(5))
async def test_the_envelope_comes_back_as_it_was(tmp_path: Path, hops: int) -> None:
    async with house(tmp_path) as there:
        peer = there.peer()
        envelope = [b"hop%d" % number for number in range(hops)]
        await peer.send(*envelope, b"", request("status"))
        assert (await peer.receive())[:-1] == [*envelope, b""]


async def test_a_proxy_between_changes_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as there:
        front: Any = there.context.socket(zmq.ROUTER)
        back = there.peer()
        front.bind("inproc://front")
        client = there.context.socket(zmq.REQ)
        client.connect("inproc://front")
        await client.send(request("status", 5))
        await back.send(*await front.recv_multipart())
        await front.send_multipart(await back.receive())
        assert json.loads(await asyncio.wait_for(client.recv(), 5))["id"] == 5


@pytest.mark.parametrize(
    "frames",
    [
        [b"{}"],
        [b""],
        [b"", b""],
        [b"", b"not json"],
        [b"", b'{"jsonrpc":"2.0","method":"status"}'],
        [b"", b'{"jsonrpc":"2.0","id":null,"method":"status"}'],
        [b"1", b"2", b"3", b"4", b"5", b"", request("status")],
        [request("status")],
    ],
)
async def test_what_has_no_readable_id_is_counted_and_not_answered(tmp_path: Path, frames: list[bytes]) -> None:
    async with house(tmp_path) as there:
        peer = there.peer()
        await peer.send(*frames)
        assert await peer.quiet()
        counters = there.server.counters()
        assert counters["bad_frames"] + counters["ignored_requests"] == 1
        assert counters["requests"] == 1


async def test_a_batch_is_refused_once(tmp_path: Path) -> None:
    async with house(tmp_path) as there:
        peer = there.peer()
        await peer.send(b"", b"[" + request("status", 1) + b"," + request("status", 2) + b"]")
        reply = json.loads((await peer.receive())[-1])
        assert (reply["id"], reply["error"]["data"]["code"]) == (None, "E_REQUEST")
        assert await peer.quiet()


async def test_two_frames_after_the_empty_one_are_refused_with_the_id(tmp_path: Path) -> None:
    async with house(tmp_path) as there:
        peer = there.peer()
        await peer.send(b"", request("status", 9), b"more")
        reply = json.loads((await peer.receive())[-1])
        assert (reply["id"], reply["error"]["data"]["code"]) == (9, "E_PROTO")


async def test_an_unknown_method_is_told_which_there_are(tmp_path: Path) -> None:
    async with house(tmp_path, pause=echo) as there:
        error = (await there.peer().ask("explode"))["error"]
        assert error["data"]["code"] == "E_UNKNOWN_METHOD"
        assert error["code"] == -32601
        assert "pause, status" in error["data"]["hint"]


async def test_parameters_are_checked_and_strangers_left_out(tmp_path: Path) -> None:
    async with house(tmp_path, notes_since=echo) as there:
        peer = there.peer()
        error = (await peer.ask("notes.since", 1, seq="x"))["error"]
        assert error["data"]["code"] == "E_ARGS"
        assert "seq" in error["message"]
        assert (await peer.ask("notes.since", 2, seq=4, novel=1))["result"]["params"] == {"seq": 4}


def _raise(error: BaseException) -> Handler:
    async def handler(_asked: Request) -> Mapping[str, Any]:
        raise error

    return handler


async def test_errors_of_the_daemon_come_with_all_they_carry(tmp_path: Path) -> None:
    upstream: dict[str, object] = {"type": "t", "code": "c", "message": "m", "event_id": "e"}
    command = CommandError("E_UPSTREAM", "It failed.", hint="Wait.", retry_after_ms=900, upstream=upstream)
    async with house(
        tmp_path, snap=_raise(command), pause=_raise(StorageError("Full.", hint="Free some.")),
        resume=_raise(WithheldError(["paused"])),
    ) as there:  # fmt: skip
        peer = there.peer()
        assert (await peer.ask("snap"))["error"] == {
            "code": -32007,
            "message": "It failed.",
            "data": {"code": "E_UPSTREAM", "hint": "Wait.", "retry_after_ms": 900, "upstream": upstream},
        }
        storage = (await peer.ask("pause"))["error"]
        assert (storage["data"]["code"], storage["data"]["hint"]) == ("E_STORAGE", "Free some.")
        assert (await peer.ask("resume"))["error"]["data"]["code"] == "E_STATE"


@pytest.mark.parametrize("kind", ["raises", "returns what is not JSON", "returns NaN"])
async def test_a_mistake_in_a_handler_is_internal_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    async def handler(_asked: Request) -> Mapping[str, Any]:
        if kind == "raises":
            raise KeyError("secret detail")
        return {"x": object() if "JSON" in kind else float("nan")}

    async with house(tmp_path, snap=handler) as there:
        peer = there.peer()
        error = (await peer.ask("snap"))["error"]
        assert error["data"]["code"] == "E_INTERNAL"
        assert "secret" not in json.dumps(error)
        assert caplog.records[-1].exc_info is not None
        assert await peer.quiet()


async def test_wrong_arguments_are_told_with_what_the_method_takes(tmp_path: Path) -> None:
    async with house(tmp_path, resume=echo, snap=echo) as there:
        peer = there.peer()
        error = (await peer.ask("snap", snap_id="01JDILOU000000000000000000"))["error"]
        assert "Crockford" in error["message"]
        assert error["data"]["hint"] == "snap takes snap_id (required), monitor, region, window."
        hint = (await peer.ask("resume", deadline_ms=0))["error"]["data"]["hint"]
        assert hint == "resume takes no parameters of its own."


async def test_a_slow_command_holds_up_no_other(tmp_path: Path) -> None:
    async def slow(_asked: Request) -> Mapping[str, Any]:
        await asyncio.sleep(60)
        return {}

    async with house(tmp_path, snap=slow) as there:
        peer = there.peer()
        await peer.send(b"", request("snap", 1))
        assert (await peer.ask("status", 2))["id"] == 2


async def test_the_same_id_twice_gets_two_replies(tmp_path: Path) -> None:
    async with house(tmp_path) as there:
        peer = there.peer()
        await peer.send(b"", request("status", 1))
        await peer.send(b"", request("status", 1))
        assert [json.loads((await peer.receive())[-1])["id"] for _ in range(2)] == [1, 1]
        assert await peer.quiet()


async def test_a_flood_is_answered_to_the_last_request(tmp_path: Path) -> None:
    async with house(tmp_path) as there:
        peer = there.peer()
        count = 2000

        async def ask_all() -> None:
            for number in range(count):
                await peer.send(b"", request("status", number))

        sending = asyncio.create_task(ask_all())
        ids = [json.loads((await peer.receive())[-1])["id"] for _ in range(count)]
        await sending
        assert sorted(ids) == list(range(count))
        assert there.server.counters()["lost_replies"] == 0


async def test_a_frame_beyond_the_bound_ends_its_connection_only(tmp_path: Path) -> None:
    async with house(tmp_path) as there:
        big, other = there.peer(), there.peer()
        await big.send(b"", b"[" + b" " * 70_000 + b"]")
        assert "result" in await other.ask("status")
        assert there.server.counters()["bad_frames"] == 0


@pytest.mark.timeout(30)
async def test_raw_bytes_on_the_socket_do_no_harm(tmp_path: Path) -> None:
    async with house(tmp_path) as there:
        for garbage in (b"", b"\0" * 100, b"GET / HTTP/1.1\r\n\r\n", b"\xff\0\0\0\0\0\0\0\1\x7f" + b"x" * 200):
            with socket.socket(socket.AF_UNIX) as raw:
                raw.connect(str(there.path))
                raw.send(garbage)
        assert "result" in await there.peer().ask("status")


async def test_bad_frames_are_logged_at_a_limited_rate(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    with caplog.at_level(logging.WARNING, "hudd.bus.server"):
        async with house(tmp_path, clock) as there:
            peer = there.peer()
            for _ in range(100):
                await peer.send(b"", b"garbage")
            assert await peer.quiet()
            assert len(caplog.records) == 1
            await clock.advance(61)
            await peer.send(b"", b"garbage")
            assert await peer.quiet()
            assert "99 others" in caplog.records[1].getMessage()
            assert there.server.counters()["bad_frames"] == 101


async def test_what_is_in_flight_at_the_end_is_finished_or_answered(tmp_path: Path) -> None:
    async def handler(asked: Request) -> Mapping[str, Any]:
        await asyncio.sleep(0.05 if asked.method == "snap" else 60)
        return {}

    async with house(tmp_path, snap=handler, wait=handler) as there:
        peer = there.peer()
        await peer.send(b"", request("snap", 1))
        await peer.send(b"", request("wait", 2))
        await await_until(lambda: there.server.in_flight() == 2)
        closing = asyncio.create_task(there.server.close(drain_s=0.3))
        replies = {json.loads(f[-1])["id"]: json.loads(f[-1]) for f in [await peer.receive(), await peer.receive()]}
        await closing
        assert "result" in replies[1]
        assert replies[2]["error"]["data"]["code"] == "E_STATE"


async def test_requests_that_come_while_it_drains_are_refused(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def handler(_asked: Request) -> Mapping[str, Any]:
        await release.wait()
        return {}

    async with house(tmp_path, wait=handler) as there:
        peer = there.peer()
        await peer.send(b"", request("wait", 1))
        await await_until(lambda: there.server.in_flight() == 1)
        closing = asyncio.create_task(there.server.close(drain_s=5))
        await asyncio.sleep(0)
        assert (await peer.ask("status", 2))["error"]["data"]["code"] == "E_STATE"
        release.set()
        await closing


async def test_run_serves_until_it_is_closed_or_cancelled(tmp_path: Path) -> None:
    for ends in ("closed", "cancelled"):
        server = CommandServer(tmp_path / "ctl.sock", {"status": echo}, clock=SystemClock())
        running = asyncio.create_task(server.run())
        await await_until((tmp_path / "ctl.sock").exists)
        if ends == "closed":
            await server.close()
            await running
        else:
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        assert not (tmp_path / "ctl.sock").exists()
        await server.close()


def test_a_handler_outside_the_table_is_a_mistake(tmp_path: Path) -> None:
    assert "explode" not in METHOD_BY_NAME
    with pytest.raises(ValueError, match="explode"):
        CommandServer(tmp_path / "s", {"explode": echo}, clock=SystemClock())
