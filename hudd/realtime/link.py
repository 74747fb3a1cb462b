"""The WebSocket to a Realtime endpoint, from open to close. The only client-side module that knows ``websockets``.

Nothing above sees an exception of that library. The key is in the headers only: never in a message, a ``repr`` or a
log.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
    ProxyError,
    WebSocketException,
)
from websockets.protocol import State
from websockets.proxy import get_proxy
from websockets.uri import parse_uri

from hudd.errors import LinkClosedError, LinkError, LinkRefusedError, WithheldError
from hudd.protocol.events import Malformed

PING_INTERVAL_S: Final = 20.0
PROBE_S: Final = 10.0
"""Seconds for a sign of life of the peer after the network came up: the way there may be another one now."""
CLOSE_S: Final = 5.0
"""Seconds that the closing handshake may take before the socket is dropped."""
BLOCKED_S: Final = 2.0
"""A timer that is later than this says that the process could not run meanwhile."""
BODY_BYTES: Final = 2048

_CHECK_PROXY: Final = "Check [realtime] proxy, or HTTPS_PROXY."
_BASES: Final = {"https": "wss", "http": "ws"}
Guard = Callable[[], tuple[str, ...]]


def endpoint_url(url: str, model: str) -> str:
    """The address to connect to: the setting's address with the model as a query (realtime-protocol 1.1).

    A query that the address has already is kept; a model in it wins, as does a ``deployment`` (older Azure form). An
    ``https://`` address is a base as the official clients take it: ``/realtime`` is added to its path.

    Args:
        url: ``wss://…``, ``ws://…``, ``https://…`` or ``http://…``.
        model: Opaque to us; a vendor prefix is encoded.
    """
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if model and not {"model", "deployment", "call_id"} & {name for name, _ in query}:
        query.append(("model", model))
    path, scheme = parts.path.rstrip("/"), parts.scheme
    if scheme in _BASES:
        scheme = _BASES[scheme]
        path = path if path.endswith("/realtime") else f"{path}/realtime"
    return urlunsplit((scheme, parts.netloc, path, urlencode(query, quote_via=quote, safe=""), ""))


def is_loopback(url: str) -> bool:
    """Whether the address is this machine, so that no proxy may stand between."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name, not a number
        return False


class Link:
    """One open WebSocket. Iterate over it for what comes; any task may send."""

    def __init__(self, connection: ClientConnection, host: str, ping_timeout_s: float = 60.0) -> None:
        self._connection = connection
        self._host = host
        self._lock = asyncio.Lock()
        self._ours = False
        self._silent = False
        self._ping_timeout_s = ping_timeout_s
        self._keepalive = asyncio.create_task(self._keep_alive(), name="realtime-keepalive")
        self._probe: asyncio.Task[None] | None = None
        self._frames_heard = 0

    def __repr__(self) -> str:
        return f"<Link to {self._host}>"

    async def send(self, data: bytes, guard: Guard | None = None) -> None:
        """Send one text frame.

        Between the guard's answer and the moment when the bytes are with the socket nothing else can run. Waiting for
        a slow line comes after it: cancelling does not take the frame back, and a connection that ends meanwhile is
        told by the iteration, not here.

        Args:
            data: UTF-8 JSON.
            guard: Asked as the last statement before the write; the reasons it returns forbid it.

        Raises:
            WithheldError: When the guard gave reasons; nothing was sent.
            LinkClosedError: When the connection was gone before the guard was asked; nothing was sent.
        """
        async with self._lock:
            if self._connection.state is not State.OPEN:
                raise self._closed_error()
            try:
                if guard is not None and (reasons := guard()):
                    raise WithheldError(reasons)
                await self._connection.send(data, text=True)
            except ConnectionClosed:
                return  # the bytes were handed over before; whether they arrived, only response.created tells

    def __aiter__(self) -> AsyncIterator[str | Malformed]:
        return self._frames()

    async def _frames(self) -> AsyncIterator[str | Malformed]:
        """Text frames as they come. Ends in ``LinkClosedError`` for every close, 1000 and 1001 included (1.3)."""
        while True:
            try:
                frame = await self._connection.recv()
            except ConnectionClosed as error:
                self._stop_pings()
                raise self._closed_error() from error
            self._frames_heard += 1
            yield frame if isinstance(frame, str) else Malformed("a binary frame")

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, waiting at most ``CLOSE_S`` for the other side. Safe to call twice."""
        self._ours = True
        self._stop_pings()
        await self._connection.close(code, reason)

    def abort(self) -> None:
        """Drop the socket at once, without a word to the other side."""
        self._ours = True
        self._stop_pings()
        self._connection.transport.abort()

    def probe(self) -> None:
        """Ask the peer at once whether it is there, and drop the line without a sign of life in ``PROBE_S``.

        Nothing while such a question is on its way. A peer that is only slow with its pongs is heard by its frames.
        """
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._ask_for_life(), name="realtime-probe")

    def _stop_pings(self) -> None:
        self._keepalive.cancel()
        if self._probe is not None:
            self._probe.cancel()

    async def _keep_alive(self) -> None:
        """Ping, and drop the line when no pong comes in time.

        The library's own keepalive counts the time in which this process could not run (a blocked loop, a stopped
        process) as silence of the peer. Here, time that passed unseen is not counted: the peer gets another period.
        """
        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(PING_INTERVAL_S)
                if not await self._pong_within(self._ping_timeout_s):
                    self._give_up()
                    return

    async def _ask_for_life(self) -> None:
        heard = self._frames_heard
        with suppress(ConnectionClosed):
            if not await self._pong_within(min(PROBE_S, self._ping_timeout_s)) and self._frames_heard == heard:
                self._give_up()

    async def _pong_within(self, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        pong = asyncio.ensure_future(await self._connection.ping())
        while not pong.done():
            asked_at = loop.time()
            await asyncio.wait({pong}, timeout=seconds)
            overslept_s = loop.time() - asked_at - seconds
            if not pong.done() and overslept_s < BLOCKED_S:
                return False
        return True

    def _give_up(self) -> None:
        self._silent = True
        self._connection.transport.abort()

    def _closed_error(self) -> LinkClosedError:
        code = self._connection.close_code
        code = 1006 if code is None else code
        reason = self._connection.close_reason or ("no pong in time" if self._silent else "")
        frames = self._connection.protocol
        theirs = frames.close_rcvd is not None and (frames.close_sent is None or bool(frames.close_rcvd_then_sent))
        ours = self._ours and not theirs
        by_us = ours or (self._silent and not theirs)
        # Of a socket that is simply gone nobody knows who cut it.
        how = f"was closed by {self._host}" if theirs else "was closed by this side" if by_us else "was lost"
        sentence = f"The connection to {self._host} {how} (code {code})."
        return LinkClosedError(sentence, code=code, reason=reason, ours=ours)


class _Connect(connect):
    """As the library's, but follows no redirect: the key must not go to an address that nobody named."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def open_link(
    url: str,
    headers: Mapping[str, str],
    *,
    connect_s: float = 10.0,
    ping_timeout_s: float = 60.0,
    proxy: bool | str = True,
    ca_file: str = "",
) -> Link:
    """Open a connection. Cancelling it leaves nothing open.

    Args:
        url: From ``endpoint_url``.
        headers: Authorization and the like; values are never shown.
        connect_s: Seconds that DNS, TCP, TLS and the upgrade may take together.
        ping_timeout_s: Seconds without a pong until the connection counts as dead.
        proxy: Whether the environment's proxy is used, or the address of one; never for this machine itself.
        ca_file: Certificates to trust beside the system's; '' for none. The other side is verified in any case.

    Raises:
        LinkRefusedError: When it could not be opened; ``status`` is 0 when no HTTP answer came.
        LinkError: ``ca_file`` cannot be used.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    middle: str | None = None
    try:
        middle = proxy_between(url, proxy=proxy)
        connection = await _Connect(
            url,
            additional_headers=dict(headers),
            max_size=None,  # an item with a picture may be echoed whole (realtime-protocol 4.2)
            compression=None,  # pictures do not shrink
            proxy=middle,
            ssl=trusted(ca_file) if parts.scheme == "wss" else None,
            open_timeout=connect_s,
            ping_interval=None,  # by ``Link`` itself, which tells a silent peer from a blocked loop of ours
            close_timeout=CLOSE_S,
            logger=_quiet_logger(),
        )
    except InvalidStatus as error:
        raise _refused(host, error) from error
    except InvalidProxyStatus as error:
        status = error.response.status_code
        cause, hint = _cause_at(middle, error, connect_s)
        # Only a missing name and password are for a person to mend; the rest may pass, as a network does.
        needed = status if status == 407 else 0
        raise LinkRefusedError(f"No connection to {host}: {cause}.", hint=hint, status=needed) from None
    except (OSError, WebSocketException, ValueError, EOFError, ImportError) as error:
        # ValueError: an address or header that cannot be written down. ImportError: a SOCKS proxy without its library.
        cause, hint = _cause_at(middle, error, connect_s)
        raise LinkRefusedError(f"No connection to {host}: {cause}.", hint=hint) from None
    return Link(connection, host, ping_timeout_s)


def proxy_between(url: str, *, proxy: bool | str) -> str | None:
    """The address of the proxy between us and an endpoint, with its password if it has one; None for none.

    Args:
        url: From ``endpoint_url``.
        proxy: As for ``open_link``; the environment is that of this process.
    """
    if not proxy or is_loopback(url):
        return None
    return get_proxy(parse_uri(url)) if proxy is True else proxy


def trusted(ca_file: str) -> ssl.SSLContext:
    """Whom to believe: the system's authorities, and a private one on top.

    Args:
        ca_file: As for ``open_link``.

    Raises:
        LinkError: The file cannot be used; a person must act.
    """
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise LinkError(
                f"The certificates in {ca_file} cannot be used ({error.strerror or error}).",
                hint="Name a readable PEM file in [realtime] ca_file.",
            ) from error
    return context


def _quiet_logger() -> logging.Logger:
    """The library logs headers, and with them the key, at debug level; this logger never does."""
    logger = logging.getLogger("hudd.realtime.websocket")
    if logger.level < logging.WARNING:
        logger.setLevel(logging.WARNING)
    return logger


def _refused(host: str, error: InvalidStatus) -> LinkRefusedError:
    response = error.response
    body = (response.body or b"")[:BODY_BYTES].decode("utf-8", "replace")
    asked = response.headers.get_all("Retry-After")
    return LinkRefusedError(
        f"{host} refused the connection (HTTP {response.status_code}).",
        hint="Check [realtime] url and model.",
        status=response.status_code,
        body=body,
        retry_after_s=_seconds(asked[0], response.headers.get("Date", "")) if asked else None,
    )


def _seconds(value: str, date: str) -> float | None:
    """``Retry-After`` in seconds; None when it cannot be read.

    Args:
        value: A number, or a moment.
        date: The moment of the answer by the server's own clock, against which the moment is read.
    """
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        until, sent = parsedate_to_datetime(text), parsedate_to_datetime(date)
        return max(0.0, (until - sent).total_seconds())
    except (TypeError, ValueError, IndexError, OverflowError):  # no date, or one with and one without a zone
        return None


def _cause_at(middle: str | None, error: Exception, connect_s: float) -> tuple[str, str]:
    """As ``_cause``; ``middle`` is the address of a proxy, which is then what was not reached."""
    if middle is None or not isinstance(error, ConnectionRefusedError | socket.gaierror):
        return _cause(error, connect_s)
    there = urlsplit(middle).netloc.rpartition("@")[2]  # it was read before anybody was asked
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens at the proxy {there}", _CHECK_PROXY
    return f"the name of the proxy {there} is not known", _CHECK_PROXY


def _cause(error: Exception, connect_s: float) -> tuple[str, str]:
    """Cause and remedy of a failure before any HTTP answer."""
    match error:
        case TimeoutError():
            return f"it did not answer within {connect_s:g} s", "Check the network and [realtime] url."
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message})", "Check [realtime] url and the clock."
        case ssl.SSLError():
            return f"encryption failed ({error.reason or 'TLS error'})", "Check that [realtime] url speaks TLS."
        case socket.gaierror():
            return f"the name is not known ({error.strerror})", "Check the network and [realtime] url."
        case ConnectionRefusedError():
            return "nothing listens there", "Check [realtime] url."
        case InvalidProxyStatus():
            return f"the proxy refuses it (HTTP {error.response.status_code})", "Check what the proxy allows."
        case InvalidProxy() | ProxyError():
            return "the proxy does not work", _CHECK_PROXY
        case ImportError():
            return "a SOCKS proxy needs the package python-socks", "Install it, or use an HTTP proxy."
        case InvalidURI() | ValueError():
            return "the address or a header cannot be used", "Check [realtime] url and the key."
        case InvalidHandshake() | EOFError():
            return "it speaks no WebSocket there", "Check [realtime] url."
        case OSError():
            return (error.strerror or type(error).__name__).lower(), "Check the network."
        case _:
            return f"the handshake failed ({type(error).__name__})", "Check [realtime] url."
