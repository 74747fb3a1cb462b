"""Ways there, and connections that do not come about, against real servers on the loopback."""

from __future__ import annotations

import asyncio
import logging
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from hudd.errors import LinkError, LinkRefusedError
from hudd.realtime.link import open_link
from hudd.realtime.sentences import explain_refusal
from tests.fakes.link_server import HEADERS, KEY, echo, server
from tests.fakes.ports import free_port

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


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://name:word@127.0.0.1:{port}", "nothing listens at the proxy 127.0.0.1:{port}"),
        ("http://no-such-host.invalid:{port}", "the name of the proxy no-such-host.invalid:{port} is not known"),
        ("http://[::1:{port}", "the address or a header cannot be used"),
    ],
)
@pytest.mark.parametrize("by", ["setting", "environment"])
async def test_a_proxy_that_is_not_there_is_named_and_not_the_service(
    address: str, says: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("HTTPS_PROXY", address.format(port=port))
    monkeypatch.setenv("NO_PROXY", "other.example")
    given = address.format(port=port) if by == "setting" else True
    with pytest.raises(LinkRefusedError) as caught:
        await open_link("wss://service.example/v1/realtime", HEADERS, proxy=given)
    assert str(caught.value).startswith(f"No connection to service.example: {says.format(port=port)}. Check [realtime]")


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
