"""A proxy of another kind than http is judged by the handshake, which knows the way through it."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

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


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({"https_proxy": "http://one.example:3128"}, "http://one.example:3128"),
        ({"HTTPS_PROXY": "http://one.example:3128", "https_proxy": "http://two.example"}, "http://two.example"),
        ({"HTTPS_PROXY": "http://one.example", "SOCKS_PROXY": "http://two.example:1080"}, "socks5h://two.example:1080"),
        ({"HTTP_PROXY": "http://one.example", "ALL_PROXY": "http://two.example"}, ""),
        ({"HTTPS_PROXY": "http://one.example", "NO_PROXY": "*"}, ""),
        ({"HTTPS_PROXY": "http://one.example", "NO_PROXY": "other.example, .openai.com"}, ""),
        ({"HTTPS_PROXY": "http://one.example", "no_proxy": "api.openai.com:443"}, ""),
        ({"HTTPS_PROXY": "http://one.example", "NO_PROXY": "api.openai.com:80,penai.com"}, "http://one.example"),
        ({}, ""),
    ],
)
def test_the_proxy_of_the_environment_is_the_one_that_the_link_takes(
    variables: dict[str, str], proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_proxies(monkeypatch)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    context = gather({"HOME": "/nowhere", "HUDD_REALTIME_KEY": "sk-planted"})
    assert proxy_of(context) == proxy


def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    "proxy", ["http://[::1:3128", "http://h.example:99999", "proxy.example:3128", "ftp://h.example"]
)
def test_a_proxy_of_the_environment_that_is_no_address_is_told(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_proxies(monkeypatch)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    context = gather({"HOME": "/nowhere", "HUDD_REALTIME_KEY": "sk-planted"})
    found = next(iter(check_endpoint(context)))
    assert (found.state, found.cause) == (
        "failure",
        "The proxy that the environment names is no address that can be used.",
    )
    (hosts,) = check_hosts(context)
    assert hosts.details["hosts"] == ["api.openai.com:443"]
