"""The WebSocket door against a real server on the loopback."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from hudd.errors import LinkClosedError, LinkError, LinkRefusedError, WithheldError
from hudd.protocol.events import Malformed
from hudd.realtime.link import Link, endpoint_url, is_loopback, open_link
from hudd.realtime.sentences import explain_refusal

KEY = "sk-very-secret-key"
HEADERS = {"Authorization": f"Bearer {KEY}"}


@asynccontextmanager
async def server(
    handler: Callable[[ServerConnection], Awaitable[None]],
    *,
    process_request: Callable[[ServerConnection, Request], Response | None] | None = None,
) -> AsyncIterator[str]:
    async with serve(
        handler, "127.0.0.1", 0, max_size=None, process_request=process_request, close_timeout=1
    ) as running:
        port = next(iter(running.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/realtime"


async def echo(connection: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(message)


async def frames_until_closed(link: Link) -> tuple[list[str | Malformed], LinkClosedError]:
    frames: list[str | Malformed] = []
    try:
        async for frame in link:
            frames.append(frame)  # noqa: PERF401 - a comprehension would lose them at the error
    except LinkClosedError as closed:
        return frames, closed
    raise AssertionError("the iteration ended without a word")


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


# ------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
async def test_a_refused_upgrade_tells_status_body_and_retry_after(status: int) -> None:
    def refuse(connection: ServerConnection, _: Request) -> Response:
        response = connection.respond(HTTPStatus(status), "x" * 5000)
        response.headers["Retry-After"] = "7"
        return response

    async with server(echo, process_request=refuse) as url:
        with pytest.raises(LinkRefusedError) as caught:
            await open_link(url, HEADERS)
    error = caught.value
    assert (error.status, len(error.body), error.retry_after_s) == (status, 2048, 7.0)
    assert str(status) in str(error)
    assert KEY not in str(error)


async def test_a_redirect_is_not_followed_because_the_key_would_go_along() -> None:
    seen: list[str] = []

    def redirect(connection: ServerConnection, request: Request) -> Response:
        seen.append(request.path)
        response = connection.respond(HTTPStatus.TEMPORARY_REDIRECT, "")
        response.headers["Location"] = "/elsewhere"
        return response

    async with server(echo, process_request=redirect) as url:
        with pytest.raises(LinkRefusedError) as caught:
            await open_link(url, {"api-key": KEY})
    assert caught.value.status == 307
    assert seen == ["/v1/realtime"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_nothing_listens() -> None:
    port = free_port()
    with pytest.raises(LinkRefusedError) as caught:
        await open_link(f"ws://127.0.0.1:{port}/v1/realtime", HEADERS)
    assert caught.value.status == 0
    assert f"127.0.0.1:{port}: nothing listens there." in str(caught.value)


async def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(LinkRefusedError) as caught:
        await open_link("ws://no-such-host.invalid/v1/realtime", HEADERS, proxy=False)
    assert caught.value.status == 0
    assert "no-such-host.invalid" in str(caught.value)


async def test_a_server_that_never_answers() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        writer.close()

    raw = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = raw.sockets[0].getsockname()[1]
    with pytest.raises(LinkRefusedError) as caught:
        await open_link(f"ws://127.0.0.1:{port}/v1/realtime", HEADERS, connect_s=0.2)
    assert "did not answer within 0.2 s" in str(caught.value)
    raw.close()


async def test_something_that_is_no_websocket() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()

    raw = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = raw.sockets[0].getsockname()[1]
    with pytest.raises(LinkRefusedError) as caught:
        await open_link(f"ws://127.0.0.1:{port}/v1/realtime", HEADERS)
    assert "no WebSocket" in str(caught.value)
    raw.close()


async def test_tls_to_a_server_without_it() -> None:
    async with server(echo) as url:
        with pytest.raises(LinkRefusedError) as caught:
            await open_link(url.replace("ws://", "wss://"), HEADERS, connect_s=2)
    assert caught.value.status == 0
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize("url", ["http://h/x", "ws://", "wss://h:notaport/x"])
async def test_an_address_that_cannot_be_used(url: str) -> None:
    with pytest.raises(LinkRefusedError):
        await open_link(url, HEADERS, proxy=False)


async def test_a_key_with_a_line_break_is_refused_and_not_shown() -> None:
    async with server(echo) as url:
        with pytest.raises(LinkRefusedError) as caught:
            await open_link(url, {"Authorization": f"Bearer {KEY}\r\nX-Evil: 1"})
    assert KEY not in str(caught.value)


async def test_the_key_is_in_no_log_and_no_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with server(echo) as url:
        link = await open_link(url, HEADERS)
        assert KEY not in repr(link)
        caplog.handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
        await link.close()
    ours = [record for record in caplog.records if not record.name.startswith("websockets.server")]
    assert not [record for record in ours if KEY in record.getMessage()]


# ------------------------------------------------------------------------------------------------------- ways there


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("Sat, 21 Nov 2026 10:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 09:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("9999999999999", None),
    ],
)
async def test_retry_after_may_be_a_date_of_the_servers_own_clock(value: str, seconds: float | None) -> None:
    def refuse(connection: ServerConnection, _: Request) -> Response:
        response = connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "")
        response.headers["Retry-After"] = value
        del response.headers["Date"]
        response.headers["Date"] = "Sat, 21 Nov 2026 10:00:00 GMT"
        return response

    async with server(echo, process_request=refuse) as url:
        with pytest.raises(LinkRefusedError) as caught:
            await open_link(url, HEADERS)
    assert caught.value.retry_after_s == seconds


@asynccontextmanager
async def proxy(port: int, status: str = "200 OK") -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that knows CONNECT, and leads every name to the port; gives its address and what it was asked."""
    asked: list[str] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[0])
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        if not status.startswith("200"):
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", port)

        async def pump(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                to.write(data)
            to.close()

        await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)

    raw = await asyncio.start_server(carry, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{raw.sockets[0].getsockname()[1]}", asked
    raw.close()


@pytest.mark.parametrize("by", ["setting", "environment"])
async def test_a_proxy_is_used(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(echo) as url:
        port = int(url.split(":")[2].split("/")[0])
        async with proxy(port) as (address, asked):
            if by == "environment":
                monkeypatch.setenv("HTTPS_PROXY", address)
                monkeypatch.setenv("HTTP_PROXY", address)
                monkeypatch.delenv("NO_PROXY", raising=False)
                monkeypatch.delenv("no_proxy", raising=False)
            far = f"ws://service.example:{port}/v1/realtime"
            link = await open_link(far, HEADERS, proxy=address if by == "setting" else True)
            await link.send(b'"hello"')
            async for frame in link:
                assert frame == '"hello"'
                break
            await link.close()
            assert asked == [f"CONNECT service.example:{port} HTTP/1.1"]


async def test_no_proxy_stands_before_this_machine_itself() -> None:
    async with server(echo) as url, proxy(1) as (address, asked):
        link = await open_link(url, HEADERS, proxy=address)
        await link.close()
        assert asked == []


@pytest.mark.parametrize(
    ("status", "fatal", "says"),
    [
        ("407 Proxy Authentication Required", True, "wants a name and password"),
        ("502 Bad Gateway", False, "(HTTP 502)"),
    ],
)
async def test_a_proxy_that_refuses_is_named(status: str, fatal: bool, says: str) -> None:
    async with proxy(1, status) as (address, _):
        with pytest.raises(LinkRefusedError) as caught:
            await open_link("ws://service.example:1/v1/realtime", HEADERS, proxy=address)
    told = explain_refusal(caught.value)
    assert told.fatal == fatal
    assert "proxy" in told.sentence
    assert says in told.sentence


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-made certificate with its key, for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("ca")
    path = folder / "both.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key.pem"), "-out", str(folder / "ca.pem"),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    path.write_text((folder / "ca.pem").read_text() + (folder / "key.pem").read_text())
    return path


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
async def test_the_other_side_is_verified_and_a_private_authority_may_be_named(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with serve(echo, "127.0.0.1", 0, ssl=context, close_timeout=1) as running:
        url = f"wss://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}/v1/realtime"
        with pytest.raises(LinkRefusedError, match="its certificate is not trusted"):
            await open_link(url, HEADERS)
        link = await open_link(url, HEADERS, ca_file=str(certificate.parent / "ca.pem"))
        await link.close()


async def test_certificates_that_cannot_be_used_are_for_a_person_to_mend(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    for name in ("bad.pem", "absent.pem"):
        with pytest.raises(LinkError, match=name) as caught:
            await open_link("wss://h.example/v1/realtime", HEADERS, ca_file=str(tmp_path / name), proxy=False)
        assert not isinstance(caught.value, LinkRefusedError)
        assert "ca_file" in caught.value.hint


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
