"""The key, and the way to the service: name, encryption, clock, handshake. Nothing that costs money, unless asked."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from hudd.checks.configured import port_of, proxy_of
from hudd.checks.finding import Context, Finding, failure, ok, warning
from hudd.config.crosschecks import is_proxy_address
from hudd.errors import HuddError, LinkError, LinkRefusedError

if TYPE_CHECKING:
    from hudd.config.keys import FoundKey

STEP_S: Final = 4.0
KEY_S: Final = 8.0
"""Less than a check may take: a program or a keyring that does not answer is named as such."""
SKEW_WARNING_S: Final = 30.0
SKEW_FAILURE_S: Final = 300.0
"""Certificates and tokens allow some minutes; more breaks them."""
NOT_ASKED: Final = "The service is not asked: the local engine answers. hudctl doctor --service looks at it."
_TEST_TOKENS: Final = 16
_KEY_REMEDY: Final = "Put a valid key where it is looked for (see the line key), or run: hudctl setup"


def check_key(context: Context) -> Iterable[Finding]:
    """Where the key is found; never what it is."""
    if not context.asks_service:
        yield ok("key", "No key is needed: the local engine answers.")
        return
    from hudd.checks.credential import UnreadableError, is_outdated  # noqa: PLC0415 - needs platformdirs

    found = _key(context)
    if isinstance(found, UnreadableError):
        yield ok("key", found.message)
        return
    if isinstance(found, HuddError):
        yield failure("key", found.message, found.hint.rstrip("."))
        return
    if found.copied is not None and is_outdated(context, found.copied):
        cause = f"The service has another key than {found.copied}, which it copied when it started."
        yield warning("key", cause, "Run: hudctl service restart", where=found.where)
        return
    host = urlsplit(context.settings.realtime.url).hostname or ""
    if host.endswith("openai.com") and not found.value.startswith("sk-"):
        cause = f"The key in {found.where} does not look like one of OpenAI's, which begin with sk-."
        yield warning("key", cause, "Check that the right text was copied there", where=found.where)
    else:
        yield ok("key", f"A key is found in {found.where}; it is not shown.", where=found.where)


def _key(context: Context) -> FoundKey | HuddError:
    from hudd.checks.credential import UnreadableError, service_credential  # noqa: PLC0415 - beside it
    from hudd.config.key_programs import KeyPrograms  # noqa: PLC0415 - beside it
    from hudd.config.keys import find_key, key_of_service  # noqa: PLC0415 - needs platformdirs

    # With --service it is looked at as if the service answered already.
    as_service = replace(context.settings, realtime=replace(context.settings.realtime, use="service"))

    def look() -> FoundKey | HuddError:
        try:
            # In the service the credential comes before all that can be named in the settings.
            handed = None if context.environ.get("HUDD_REALTIME_KEY") else service_credential(context)
            if handed is None:
                return find_key(as_service, context.environ, KeyPrograms(KEY_S))
            return key_of_service(handed.file) if handed.file is not None else UnreadableError(handed)
        except HuddError as error:
            return error

    return context.key.get(look)


def check_endpoint(context: Context) -> Iterable[Finding]:
    """Name, encryption and clock first, each with its own cause; then the handshake that hudd makes itself."""
    if not context.asks_service:
        yield ok("endpoint", NOT_ASKED)
        yield _clock_alone(context)
        return
    parts = urlsplit(context.settings.realtime.url)
    proxy = proxy_of(context)
    if proxy and not is_proxy_address(proxy):
        told = "The proxy that the environment names is no address that can be used."
        yield failure("endpoint", told, "Correct HTTPS_PROXY, for instance http://proxy.example:3128")
        yield _clock_alone(context)
        return
    if not proxy:
        named = _name(parts.hostname or "", parts.port or 443)
        yield named
        if named.state == "failure":
            yield _clock_alone(context)
            return
    # Through a proxy of another kind only the handshake finds its way.
    reached = list(_first_answer(context) if urlsplit(proxy).scheme in ("", "http") else _proxy_alone(context))
    yield from reached
    if not any(found.state == "failure" and found.name == "endpoint" for found in reached):
        yield _handshake(context)


def _name(host: str, port: int) -> Finding:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return failure(
            "endpoint", f"The name {host} is not found ({error.strerror}).",
            "Check the network and the name server, and [realtime] url; behind a proxy set HTTPS_PROXY",
        )  # fmt: skip
    addresses = sorted({str(row[4][0]) for row in found})
    return ok("endpoint", f"The name {host} is found ({', '.join(addresses[:3])}).", step="name", addresses=addresses)


def _first_answer(context: Context) -> Iterable[Finding]:
    """Ask the endpoint for anything, without a key: it shows the way, the certificate and the time."""
    host = urlsplit(context.settings.realtime.url).netloc.rpartition("@")[2]
    try:
        status, date, encrypted = _ask(context)
    except ssl.SSLCertVerificationError as error:
        remedy = "Check the clock; behind a company's proxy name its certificates in [realtime] ca_file"
        yield failure("endpoint", f"The certificate of {host} is not trusted ({error.verify_message}).", remedy)
        yield _clock_alone(context)
        return
    except LinkError as error:  # of [realtime] ca_file; nobody was asked yet
        yield failure("endpoint", error.message, error.hint.rstrip("."))
        yield _clock_alone(context)
        return
    except (OSError, http.client.HTTPException) as error:
        yield _unreachable(context, host, error)
        yield _clock_alone(context)
        return
    told = f"{host} answers{encrypted and f' ({encrypted})'}, HTTP {status} to a question without a key."
    yield ok("endpoint", told, step="tls" if encrypted else "http", status=status)
    yield _skew(context, date, host)


def _proxy_alone(context: Context) -> Iterable[Finding]:
    """Whether anybody listens at a proxy; what it can do shows later."""
    middle = urlsplit(proxy_of(context))
    try:
        socket.create_connection((middle.hostname or "", port_of(middle)), STEP_S).close()
    except OSError as error:
        yield _unreachable(context, urlsplit(context.settings.realtime.url).netloc.rpartition("@")[2], error)
    yield _clock_alone(context)


def _unreachable(context: Context, host: str, error: Exception) -> Finding:
    proxy = proxy_of(context)
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        why = f"no answer within {STEP_S:g} s"
    if proxy:
        middle = urlsplit(proxy)
        cause = f"{host} is not reached through the proxy {middle.hostname}:{port_of(middle)} ({why})."
        return failure("endpoint", cause, "Check the proxy: [realtime] proxy, or HTTPS_PROXY; none goes without")
    return failure("endpoint", f"{host} is not reached ({why}).", "Check the network, a firewall, and [realtime] url")


def _ask(context: Context) -> tuple[int, str, str]:
    """Status, ``Date`` and TLS version of an answer to a plain question.

    Raises:
        OSError, http.client.HTTPException: Nobody answers there, or not as HTTP.
        LinkError: The certificates of ``[realtime] ca_file`` cannot be used.
    """
    from hudd.config.paths import expand  # noqa: PLC0415 - needs platformdirs
    from hudd.realtime.link import endpoint_url, trusted  # noqa: PLC0415 - loads websockets

    realtime = context.settings.realtime
    parts = urlsplit(endpoint_url(realtime.url, ""))
    proxy = urlsplit(proxy_of(context))
    host, port = parts.hostname or "", port_of(parts)
    to_host, to_port = (proxy.hostname, port_of(proxy)) if proxy.hostname else (host, port)
    if parts.scheme == "wss":
        authorities = trusted(str(expand(realtime.ca_file, context.environ)) if realtime.ca_file else "")
        made: http.client.HTTPConnection = http.client.HTTPSConnection(
            to_host, to_port, timeout=STEP_S, context=authorities
        )
    else:
        made = http.client.HTTPConnection(to_host, to_port, timeout=STEP_S)
    try:
        if proxy.hostname:
            made.set_tunnel(host, port, _proxy_headers(proxy.username, proxy.password))
        made.request("GET", parts.path or "/", headers={"User-Agent": "hudd"})
        version = made.sock.version() if isinstance(made.sock, ssl.SSLSocket) else ""
        answer = made.getresponse()
        return answer.status, answer.headers.get("Date", ""), version or ""
    finally:
        made.close()


def _proxy_headers(name: str | None, word: str | None) -> dict[str, str]:
    if not name:
        return {}
    from base64 import b64encode  # noqa: PLC0415 - beside its only use

    shown = b64encode(f"{unquote(name)}:{unquote(word or '')}".encode()).decode("ascii")
    return {"Proxy-Authorization": f"Basic {shown}"}


def _skew(context: Context, date: str, host: str) -> Finding:
    try:
        ahead_s = context.wall() - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):  # it told no time
        return _clock_alone(context)
    way = "ahead of" if ahead_s > 0 else "behind"
    cause = f"The clock is {abs(ahead_s):,.0f} s {way} that of {host}."
    remedy = "Set the clock: timedatectl set-ntp true"
    if abs(ahead_s) > SKEW_FAILURE_S:
        return failure("clock", cause, remedy, skew_s=round(ahead_s))
    if abs(ahead_s) > SKEW_WARNING_S:
        return warning("clock", cause, remedy, skew_s=round(ahead_s))
    return ok("clock", f"The clock agrees with that of {host} (within {abs(ahead_s):.0f} s).", skew_s=round(ahead_s))


def _clock_alone(context: Context) -> Finding:
    """Without another clock to compare with: whether it can be true at all."""
    from hudd.adapters import shipped_text  # noqa: PLC0415 - loads what the daemon needs
    from hudd.ledger.prices import PriceTable  # noqa: PLC0415 - beside it

    built = PriceTable.from_toml(shipped_text("prices.toml")).date
    now = datetime.fromtimestamp(context.wall(), UTC)
    if now.date().isoformat() < built:
        cause = f"The clock says {now:%Y-%m-%d}, and this hudd was made after {built}."
        return failure("clock", cause, "Set the clock: timedatectl set-ntp true")
    return ok("clock", f"The clock says {now:%Y-%m-%d %H:%M} UTC; it was not compared with another one.")


def _handshake(context: Context) -> Finding:
    from hudd.checks.credential import UnreadableError  # noqa: PLC0415 - needs platformdirs

    found = _key(context)
    if isinstance(found, UnreadableError):
        cause = "No session was opened, as only the service can read its key; hudctl status tells what came of it."
        return ok("endpoint", cause, step="handshake")
    if isinstance(found, HuddError):
        return warning("endpoint", "No session was opened, as there is no key to show.", _KEY_REMEDY, step="handshake")
    shown = _shown(context, found)
    if found.copied is not None and "put a valid one" in shown.remedy.lower():
        return replace(shown, remedy=f"Put a valid one into {found.copied} and run: hudctl service restart")
    return shown


def _shown(context: Context, key: FoundKey) -> Finding:
    """What the endpoint says to a key."""
    from hudd.realtime.sentences import explain_refusal  # noqa: PLC0415 - loads the protocol

    try:
        return asyncio.run(_session(context, key.value))
    except LinkError as error:
        told = explain_refusal(error)
        cause, _, remedy = told.sentence.partition("; ")
        page = told.message.lstrip().startswith("<")  # of a proxy, for a browser
        words = f" The endpoint's words: {told.message}" if told.message and not page else ""
        status = error.status if isinstance(error, LinkRefusedError) else 0
        return failure(
            "endpoint", f"{cause.rstrip('.')}.{words}", f"{remedy[:1].upper()}{remedy[1:]}".rstrip(".") or _KEY_REMEDY,
            step="handshake", status=status,
        )  # fmt: skip
    except TimeoutError:
        cause = f"The endpoint opened the connection, and no session within {STEP_S:g} s."
        return failure("endpoint", cause, "Check that [realtime] url is a Realtime endpoint", step="handshake")


async def _session(context: Context, key: str) -> Finding:
    """Open a session as hudd does, and close it. An open session costs nothing."""
    from hudd.adapters import request_headers  # noqa: PLC0415 - loads what the daemon needs
    from hudd.config.paths import expand  # noqa: PLC0415 - needs platformdirs
    from hudd.realtime.link import endpoint_url, open_link  # noqa: PLC0415 - loads websockets

    realtime = context.settings.realtime
    link = await open_link(
        endpoint_url(realtime.url, realtime.model),
        request_headers(realtime, key),
        connect_s=STEP_S,
        proxy=proxy_of(context) or False,
        ca_file=str(expand(realtime.ca_file, context.environ)) if realtime.ca_file else "",
    )
    frames = link.__aiter__()
    try:
        async with asyncio.timeout(STEP_S):
            first = json.loads(str(await anext(frames)))
        refused = _refusal(first)
        if refused is not None:
            return refused
        if not context.spend:
            told = f"A session with {realtime.model} was opened and closed; that cost nothing."
            return ok("endpoint", told, step="handshake", paid=False)
        from hudd.checks.question import ask_once  # noqa: PLC0415 - only when money may be spent

        return await ask_once(link, frames, context, _TEST_TOKENS)
    finally:
        link.abort()


def _refusal(event: dict[str, object]) -> Finding | None:
    if event.get("type") != "error":
        return None
    from hudd.protocol.error_objects import error_of  # noqa: PLC0415 - beside its only use
    from hudd.realtime.sentences import explain_error  # noqa: PLC0415 - beside its only use

    told = explain_error(error_of(event.get("error")), opening=True)
    cause, _, remedy = told.sentence.partition("; ")
    remedy = f"{remedy[:1].upper()}{remedy[1:]}".rstrip(".") or _KEY_REMEDY
    return failure("endpoint", f"{cause.rstrip('.')}.", remedy, step="handshake", code=told.code)
