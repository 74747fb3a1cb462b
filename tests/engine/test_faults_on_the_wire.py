"""The faults that only a real socket can show."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from hudd.engine.faults import Faults, parse_fault
from hudd.engine.options import EngineOptions
from hudd.engine.server import EngineServer
from tests.fakes.engine import FIRST_UPDATE, running_engine, words
from tests.fakes.engine_client import closing, events_until, open_session, question, ready, say


@pytest.mark.parametrize(("written", "status", "retry_after"), [("http:429,30", 429, "30"), ("http:599", 599, None)])
async def test_a_refusal_says_when_to_come_back(written: str, status: int, retry_after: str | None) -> None:
    async with running_engine(written) as engine:
        with pytest.raises(InvalidStatus) as caught:
            await open_session(engine.url)
        assert caught.value.response.status_code == status
        assert caught.value.response.headers.get("Retry-After") == retry_after


async def test_an_upgrade_that_is_never_answered(caplog: pytest.LogCaptureFixture) -> None:
    async with running_engine("hang:0.1*1") as engine:
        with pytest.raises((InvalidMessage, OSError)):
            await open_session(engine.url)
        async with open_session(engine.url) as connection:
            await ready(connection)
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 3000, 4000, 4999])
async def test_a_close_with_a_code(code: int) -> None:
    async with running_engine(f"close:{code}@session.created") as engine, open_session(engine.url) as connection:
        assert await closing(connection) == (code, "closed on purpose")


async def test_a_close_without_a_code() -> None:
    async with running_engine("close:1005@session.created") as engine, open_session(engine.url) as connection:
        assert await closing(connection) == (1005, "")


async def test_a_close_with_a_code_that_nobody_may_send() -> None:
    async with running_engine("close:1015@session.created") as engine, open_session(engine.url) as connection:
        with pytest.raises(ConnectionClosed) as caught:
            await events_until(connection, "session.updated")
        assert caught.value.rcvd is None, "it is no code that counts as received"


async def test_a_reset_is_one() -> None:
    """Read without a library: it would call a reset and an end the same."""
    async with running_engine("reset@session.created") as engine:
        reader, writer = await asyncio.open_connection("127.0.0.1", engine.port)
        writer.write(
            b"GET /v1/realtime?model=gpt-realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\napi-key: x\r\n\r\n"
        )
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
        writer.close()
        with suppress(ConnectionResetError):
            await writer.wait_closed()


async def test_a_half_open_connection_answers_nothing_and_stays() -> None:
    async with running_engine("half_open@session.created") as engine:
        connection = await open_session(engine.url, ping_interval=None, close_timeout=0.1)
        await events_until(connection, "session.created")
        await say(connection, FIRST_UPDATE)
        pong = await connection.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.recv(), 0.3)
        assert not pong.done()
        assert connection.state.name == "OPEN"
        assert await _state_of(connection.transport.get_extra_info("socket")) == _ESTABLISHED
        await connection.close()


_ESTABLISHED = 1


async def _state_of(raw: socket.socket) -> int:
    """What the kernel says of a TCP connection."""
    if not hasattr(socket, "TCP_INFO"):
        pytest.skip("the system does not tell the state of a TCP connection")
    return struct.unpack("B", raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1))[0]


async def test_text_that_is_none_is_for_the_client_to_refuse() -> None:
    async with running_engine("garbage:utf8@session.updated") as engine, open_session(engine.url) as connection:
        with pytest.raises(ConnectionClosed) as caught:
            await ready(connection)
        assert caught.value.sent is not None
        assert caught.value.sent.code == 1007


async def test_binary_and_large_frames() -> None:
    faults = ("garbage:binary#1", "garbage:large#2")
    async with running_engine(*faults) as engine, open_session(engine.url) as connection:
        await ready(connection)
        await say(connection, question(words("x")))
        assert await asyncio.wait_for(connection.recv(), 5) == b"\x00\x01\xfe\xff"
        await events_until(connection, "rate_limits.updated")
        await say(connection, question(words("x")))
        large = await asyncio.wait_for(connection.recv(), 10)
        assert len(large) > 20_000_000
        assert json.loads(large)["type"] == "hudd.large"
        await events_until(connection, "rate_limits.updated")


class Witness:
    """Writes down what a server tells."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, str]] = []

    def opened(self, index: int) -> None:
        self.seen.append(("opened", index, ""))

    def received(self, index: int, frame: str | bytes) -> None:
        self.seen.append(("received", index, json.loads(frame)["type"]))

    def sent(self, index: int, frame: str | bytes) -> None:
        self.seen.append(("sent", index, json.loads(frame)["type"]))

    def ended(self, index: int) -> None:
        self.seen.append(("ended", index, ""))


async def test_faults_may_be_chosen_and_all_be_watched() -> None:
    witness = Witness()
    options = EngineOptions(answers="canned")
    chosen = {1: Faults((parse_fault("close:1011@session.updated"),))}
    async with EngineServer(options, faults=lambda index: chosen.get(index, Faults()), watch=witness) as engine:
        for _ in range(2):
            async with open_session(engine.url) as connection:
                await ready(connection)
    one = ["opened", "sent session.created", "received session.update", "sent session.updated", "ended"]
    assert [f"{what} {kind}".strip() for what, index, kind in witness.seen if index == 0] == one
    assert [f"{what} {kind}".strip() for what, index, kind in witness.seen if index == 1] == one


async def answers_of(url: str) -> int:
    """How many of two questions are answered in half a second, by a client that takes anything."""
    answers = 0
    with suppress(OSError, TimeoutError, InvalidStatus, InvalidMessage, ConnectionClosed):
        async with open_session(url, close_timeout=0.1) as connection, asyncio.timeout(0.5):
            await say(connection, FIRST_UPDATE)
            for _ in range(2):
                await say(connection, question(words("x")))
            async for frame in connection:
                answers += b'"response.done"' in (frame if isinstance(frame, bytes) else frame.encode())
                if answers == 2:
                    break
    return answers


async def test_a_random_mix_lets_every_client_in_again() -> None:
    async with running_engine("random:3") as engine:
        answered = [await answers_of(engine.url) for _ in range(20)]
    assert {0, 2} <= set(answered)
    assert answered.count(2) >= 8
    assert len(asyncio.all_tasks()) == 1, "nothing is left running"
