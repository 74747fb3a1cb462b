"""A proxy of another kind than http is judged by the handshake, which knows the way through it."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.proxy import get_proxy
from websockets.uri import parse_uri

from hudd.checks.configured import check_hosts, proxy_of
from hudd.checks.endpoint import check_endpoint
from hudd.checks.finding import Finding, gather
from tests.fakes.realtime_peer import RealtimePeer

HOST = "service.example"


def certificate(folder: Path) -> Path:
    """Self-made, with its key, for the service and for this machine."""
    both = folder / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOST}",
         "-addext", f"subjectAltName=DNS:{HOST},IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "ca.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    both.write_text((folder / "key.pem").read_text() + (folder / "ca.pem").read_text())
    return both


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # the other side was dropped, as the check does at its end
    finally:
        writer.close()


@asynccontextmanager
async def tunnel(encryption: ssl.SSLContext, to_port: int) -> AsyncIterator[tuple[int, list[str]]]:
    """An https proxy that leads everything to one port of this machine; its own port, and what it was asked for."""
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode())
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to_port)
        await asyncio.gather(_hand_on(reader, far_writer), _hand_on(far_reader, writer))

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=encryption) as running:
        yield running.sockets[0].getsockname()[1], asked


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
async def test_an_https_proxy_that_works_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encryption = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    encryption.load_cert_chain(await asyncio.to_thread(certificate, tmp_path))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    async def greet(connection: ServerConnection) -> None:
        await connection.send(RealtimePeer().greeting()[0])
        await connection.wait_closed()

    def look(port: int) -> list[Finding]:
        (tmp_path / "config.toml").write_text(
            f'[realtime]\nuse = "service"\nurl = "wss://{HOST}/v1/realtime"\nproxy = "https://127.0.0.1:{port}"\n'
        )
        environ = {
            "HUDD_CONFIG": str(tmp_path / "config.toml"),
            "HUDD_RUNTIME_DIR": str(tmp_path / "run"),
            "HUDD_STATE_DIR": str(tmp_path / "state"),
            "HUDD_REALTIME_KEY": "sk-planted-0123456789abcdef",
        }
        return list(check_endpoint(gather(environ)))

    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(serve(greet, "127.0.0.1", 0, ssl=encryption, close_timeout=1))
        far = service.sockets[0].getsockname()[1]
        port, asked = await stack.enter_async_context(tunnel(encryption, far))
        found = await asyncio.to_thread(look, port)
    assert [(f.name, f.state) for f in found] == [("clock", "ok"), ("endpoint", "ok")], found
    assert found[-1].details["step"] == "handshake"
    assert asked == [f"CONNECT {HOST}:443 HTTP/1.1"]


_NAMES = (
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
    "socks_proxy",
    "SOCKS_PROXY",
    "all_proxy",
    "wss_proxy",
    "WS_PROXY",
)
_ADDRESSES = ("", "http://one.example:3128", "socks5h://two.example:1080", "https://three.example")
_BYPASSES = ("", "*", "service.example", ".example", "other.example, service.example:443", "service.example:80")


@given(
    st.dictionaries(st.sampled_from(_NAMES), st.sampled_from(_ADDRESSES)),
    st.dictionaries(st.sampled_from(("no_proxy", "NO_PROXY")), st.sampled_from(_BYPASSES)),
    st.sampled_from(("wss://service.example/v1", "wss://service.example:80/v1")),
)
def test_the_proxy_of_the_environment_is_the_one_that_the_link_takes(
    proxies: dict[str, str], bypass: dict[str, str], url: str
) -> None:
    realtime = {"HUDD_REALTIME_USE": "service", "HUDD_REALTIME_URL": url, "HUDD_REALTIME_KEY": "sk-planted"}
    with pytest.MonkeyPatch.context() as patch:
        for name in (*_NAMES, "no_proxy", "NO_PROXY", "HTTP_PROXY", "ALL_PROXY", "ws_proxy"):
            patch.delenv(name, raising=False)
        for name, value in (proxies | bypass).items():
            patch.setenv(name, value)
        taken = get_proxy(parse_uri(url))
        context = gather({"HOME": "/nowhere", **realtime, **proxies, **bypass})
    assert not context.problems
    assert proxy_of(context) == (taken or "")


@pytest.mark.parametrize(
    "proxy", ["http://[::1:3128", "http://h.example:99999", "proxy.example:3128", "ftp://h.example"]
)
def test_a_proxy_of_the_environment_that_is_no_address_is_told(proxy: str) -> None:
    context = gather({"HOME": "/nowhere", "HUDD_REALTIME_KEY": "sk-planted", "HTTPS_PROXY": proxy})
    found = next(iter(check_endpoint(context)))
    assert (found.state, found.cause) == (
        "failure",
        "The proxy that the environment names is no address that can be used.",
    )
    (hosts,) = check_hosts(context)
    assert hosts.details["hosts"] == ["api.openai.com:443"]
