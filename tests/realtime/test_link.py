"""The WebSocket door against a real server on the loopback."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request

from hudd.errors import LinkClosedError, WithheldError
from hudd.protocol.events import Malformed
from hudd.realtime.link import endpoint_url, is_loopback, open_link
from tests.fakes.link_server import HEADERS, KEY, echo, frames_until_closed, server

# ------------------------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("url", "model", "expected"),
    [
        ("wss://api.openai.com/v1/realtime", "gpt-realtime-1.5", "wss://api.openai.com/v1/realtime?model=gpt-realtime-1.5"),
        ("wss://gw.example/v1/realtime/", "openai/gpt-realtime-2", "wss://gw.example/v1/realtime?model=openai%2Fgpt-realtime-2"),
        ("wss://gw.example/realtime?tenant=a%20b", "m", "wss://gw.example/realtime?tenant=a%20b&model=m"),
        ("wss://gw.example/realtime?model=kept", "m", "wss://gw.example/realtime?model=kept"),
        ("wss://r.azure.com/openai/realtime?api-version=1&deployment=d", "m", "wss://r.azure.com/openai/realtime?api-version=1&deployment=d"),
        ("ws://127.0.0.1:8765/v1/realtime", "", "ws://127.0.0.1:8765/v1/realtime"),
        ("https://gw.example/v1", "m", "wss://gw.example/v1/realtime?model=m"),
        ("https://gw.example/v1/?tenant=a", "m", "wss://gw.example/v1/realtime?tenant=a&model=m"),
        ("http://127.0.0.1:1/v1/realtime", "m", "ws://127.0.0.1:1/v1/realtime?model=m"),
        ("wss://r.openai.azure.com/openai/v1/realtime", "my-deployment", "wss://r.openai.azure.com/openai/v1/realtime?model=my-deployment"),
    ],
)  # fmt: skip
def test_endpoint_url(url: str, model: str, expected: str) -> None:
    assert endpoint_url(url, model) == expected


@given(st.text(max_size=40).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text)))
def test_any_model_name_makes_an_address(model: str) -> None:
    assert endpoint_url("wss://h/v1/realtime", model).isascii()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://127.0.0.1:1/x", True),
        ("ws://localhost/x", True),
        ("ws://[::1]:1/x", True),
        ("wss://api.openai.com/x", False),
        ("wss://10.0.0.1/x", False),
    ],
)
def test_loopback(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


# ------------------------------------------------------------------------------------------------------- talking


async def test_text_goes_both_ways_as_text_frames() -> None:
    async with server(echo) as url:
        link = await open_link(url, HEADERS)
        await link.send('{"type":"grüße"}'.encode())
        async for frame in link:
            assert frame == '{"type":"grüße"}'
            break
        await link.close()


async def test_the_upgrade_carries_our_headers_and_no_compression() -> None:
    seen: dict[str, str] = {}

    def look(_: ServerConnection, request: Request) -> None:
        seen.update({name.lower(): value for name, value in request.headers.raw_items()})

    async with server(echo, process_request=look) as url:
        link = await open_link(url, HEADERS)
        await link.close()
    assert seen["authorization"] == f"Bearer {KEY}"
    assert "openai-beta" not in seen
    assert "sec-websocket-extensions" not in seen


async def test_a_large_frame_is_taken() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send("x" * 20_000_000)
        await connection.wait_closed()

    async with server(handler) as url:
        link = await open_link(url, HEADERS)
        async for frame in link:
            assert isinstance(frame, str)
            assert len(frame) == 20_000_000
            break
        await link.close()


async def test_a_binary_frame_is_malformed_and_the_connection_lives() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(b"\x00\x01")
        await connection.send("text")

    async with server(handler) as url:
        link = await open_link(url, HEADERS)
        frames, _ = await frames_until_closed(link)
        assert frames == [Malformed("a binary frame"), "text"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1000, ""), (1001, "Your session hit the maximum duration of 60 minutes."), (3000, "a.b"), (4000, ""), (1013, "")],
)
async def test_every_close_is_told_with_its_code(code: int, reason: str) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send("last words")
        await connection.close(code, reason)

    async with server(handler) as url:
        link = await open_link(url, HEADERS)
        frames, closed = await frames_until_closed(link)
        assert frames == ["last words"]
        assert (closed.code, closed.reason, closed.ours) == (code, reason, False)
        assert str(code) in str(closed)


async def test_a_reset_is_1006() -> None:
    async def handler(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with server(handler) as url:
        link = await open_link(url, HEADERS)
        _, closed = await frames_until_closed(link)
        assert (closed.code, closed.ours) == (1006, False)


async def test_text_that_is_no_utf8_ends_the_connection() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(b"\xff\xfe", text=True)
        await connection.wait_closed()

    async with server(handler) as url:
        link = await open_link(url, HEADERS)
        _, closed = await frames_until_closed(link)
        assert closed.code in {1006, 1007}


async def test_our_own_close_is_told_as_ours() -> None:
    async with server(echo) as url:
        link = await open_link(url, HEADERS)
        await link.close()
        await link.close()
        _, closed = await frames_until_closed(link)
        assert (closed.code, closed.ours) == (1000, True)


@pytest.mark.parametrize(
    ("how", "side"), [("theirs", "was closed by 127.0.0.1"), ("ours", "was closed by this side"), ("cut", "was lost")]
)
async def test_the_side_that_closed_is_told(how: str, side: str) -> None:
    async def end(connection: ServerConnection) -> None:
        if how == "theirs":
            await connection.close(1011, "trouble")
        elif how == "cut":
            connection.transport.abort()
        else:
            await connection.wait_closed()

    async with server(end) as url:
        link = await open_link(url, HEADERS)
        if how == "ours":
            await link.close()
        _, closed = await frames_until_closed(link)
        await link.close()  # what is done afterwards changes nothing about it
    assert side in str(closed)
    assert closed.ours == (how == "ours")


async def test_abort_drops_at_once() -> None:
    async with server(echo) as url:
        link = await open_link(url, HEADERS)
        link.abort()
        _, closed = await frames_until_closed(link)
        assert (closed.code, closed.ours) == (1006, True)


# ------------------------------------------------------------------------------------------------------- the guard


async def test_the_guard_forbids_with_its_reasons_and_nothing_is_sent() -> None:
    async with server(echo) as url:
        link = await open_link(url, HEADERS)
        with pytest.raises(WithheldError) as caught:
            await link.send(b'"secret"', lambda: ("paused", "locked"))
        assert caught.value.reasons == ("paused", "locked")
        await link.send(b'"open"', lambda: ())
        async for frame in link:
            assert frame == '"open"'
            break
        await link.close()


async def test_the_guard_is_asked_after_the_wait_for_the_line() -> None:
    """A pause that comes while a send waits behind another still holds the second back."""
    release = asyncio.Event()
    paused = False

    async def handler(connection: ServerConnection) -> None:
        await release.wait()
        await echo(connection)

    async with server(handler) as url:
        link = await open_link(url, HEADERS)
        first = asyncio.create_task(link.send(b'"' + b"x" * 30_000_000 + b'"', lambda: ()))
        second = asyncio.create_task(link.send(b'"late"', lambda: ("paused",) if paused else ()))
        await asyncio.sleep(0.05)
        assert not first.done(), "the line must be slow for this test"
        paused = True
        release.set()
        await first
        with pytest.raises(WithheldError):
            await second
        await link.close()


async def test_the_guard_is_not_asked_on_a_closed_connection() -> None:
    async with server(echo) as url:
        link = await open_link(url, HEADERS)
        await link.close()
        asked: list[int] = []
        with pytest.raises(LinkClosedError):
            await link.send(b"{}", lambda: asked.append(1) or ())  # type: ignore[func-returns-value]
        assert asked == []


# ------------------------------------------------------------------------------------------------------- keepalive


@pytest.fixture
def quick_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hudd.realtime.link.PING_INTERVAL_S", 0.05)


@pytest.mark.usefixtures("quick_pings")
async def test_a_peer_that_answers_no_ping_is_dropped() -> None:
    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await asyncio.sleep(0.6)
        connection.transport.abort()

    async with server(deaf) as url:
        link = await open_link(url, HEADERS, ping_timeout_s=0.1)
        _, closed = await frames_until_closed(link)
        assert (closed.code, closed.reason, closed.ours) == (1006, "no pong in time", False)


@pytest.mark.usefixtures("quick_pings")
async def test_a_loop_of_ours_that_was_blocked_is_not_held_against_the_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hudd.realtime.link.BLOCKED_S", 0.05)

    async def slow(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await asyncio.sleep(0.3)
        connection.transport.resume_reading()
        await asyncio.sleep(0.3)
        await connection.send('"alive"')
        await connection.wait_closed()

    async with server(slow) as url:
        link = await open_link(url, HEADERS, ping_timeout_s=0.1)
        await asyncio.sleep(0.08)  # a ping is on its way
        time.sleep(0.4)  # noqa: ASYNC251 - the loop is blocked on purpose, past the peer's time
        async for frame in link:
            assert frame == '"alive"'
            break
        await link.close()


async def test_a_probe_finds_a_line_that_is_dead_in_silence_long_before_the_keepalive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hudd.realtime.link.PROBE_S", 0.1)

    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await asyncio.sleep(0.6)
        connection.transport.abort()

    async with server(deaf) as url:
        link = await open_link(url, HEADERS)
        link.probe()
        link.probe()
        _, closed = await frames_until_closed(link)
        assert (closed.code, closed.reason) == (1006, "no pong in time")


async def test_a_probe_leaves_a_peer_alone_that_answers_or_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hudd.realtime.link.PROBE_S", 0.1)

    async def speaks(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.pause_reading()
        await connection.send('"words"')
        await asyncio.sleep(0.3)
        connection.transport.resume_reading()
        await connection.send('"more"')
        await connection.wait_closed()

    async with server(speaks) as url:
        link = await open_link(url, HEADERS)
        link.probe()
        await asyncio.sleep(0.2)  # answered by a pong
        await link.send(b'"ask"')
        link.probe()
        heard: list[object] = []
        async for frame in link:
            heard.append(frame)
            if len(heard) == 2:
                break
        assert heard == ['"words"', '"more"']
        await link.close()
