"""The way to the service, over real sockets: refusals, certificates, clocks, and what is asked for money only."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest
from websockets.asyncio.server import Request, Response, ServerConnection, serve

from hudd.checks import question
from hudd.checks.endpoint import check_endpoint
from hudd.checks.finding import Context, Finding, gather, ok
from hudd.checks.question import check_engine
from hudd.config.keys import FoundKey
from hudd.engine.errors import ReaderError
from hudd.engine.ocr import best_reader
from tests.fakes.engine import running_engine
from tests.fakes.realtime_peer import RealtimePeer

KEY = "sk-planted-0123456789abcdef"


def context(tmp_path: Path, url: str, *lines: str) -> Context:
    config = tmp_path / "config.toml"
    config.write_text("\n".join(['[realtime]\nuse = "service"', f'url = "{url}"', *lines]))
    return gather(
        {
            "HUDD_CONFIG": str(config),
            "HUDD_RUNTIME_DIR": str(tmp_path / "run"),
            "HUDD_STATE_DIR": str(tmp_path / "state"),
            "HUDD_REALTIME_KEY": KEY,
        }
    )


async def look(seen: Context) -> list[Finding]:
    found = await asyncio.to_thread(lambda: list(check_endpoint(seen)))
    assert KEY not in str([f.to_json() for f in found])
    return found


def one(found: list[Finding], step: str) -> Finding:
    return next(f for f in found if f.details.get("step") == step)


@asynccontextmanager
async def peer(
    *, refuse: int = 0, page: str = "", silent: bool = False, date: str = ""
) -> AsyncIterator[tuple[str, RealtimePeer]]:
    """A service on a socket."""
    spoken = RealtimePeer(text="ready")

    def answer(connection: ServerConnection, request: Request) -> Response | None:
        del request
        if not refuse:
            return None
        body = json.dumps({"error": {"message": f"Incorrect key {KEY}", "type": "invalid_request_error", "code": None}})
        return connection.respond(HTTPStatus(refuse), page or body)

    async def talk(connection: ServerConnection) -> None:
        if silent:
            await connection.wait_closed()
            return
        for frame in spoken.greeting():
            await connection.send(frame)
        async for frame in connection:
            for reaction in spoken.receive(str(frame).encode()):
                await connection.send(reaction)

    def stamp(connection: ServerConnection, request: Request, response: Response) -> Response:
        del connection, request
        if date:
            del response.headers["Date"]
            response.headers["Date"] = date
        return response

    async with serve(talk, "127.0.0.1", 0, process_request=answer, process_response=stamp, close_timeout=1) as running:
        port = running.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/realtime", spoken


async def test_a_session_is_opened_and_nothing_is_asked(tmp_path: Path) -> None:
    async with peer() as (url, spoken):
        found = await look(context(tmp_path, url))
    assert [f.state for f in found] == ["ok"] * len(found)
    assert "cost nothing" in one(found, "handshake").cause
    assert spoken.received == []


async def test_money_is_spent_only_when_asked_for(tmp_path: Path) -> None:
    async with peer() as (url, spoken):
        found = await look(replace(context(tmp_path, url), spend=True))
    told = one(found, "question")
    assert told.state == "ok"
    assert told.details["paid"] is True
    assert "dollars" in told.cause
    assert [e["type"] for e in spoken.received] == ["session.update", "response.create"]


@pytest.mark.parametrize(
    ("status", "cause", "remedy"),
    [
        (401, "refused the key (HTTP 401)", "key"),
        (404, "no Realtime endpoint", "[realtime] url"),
        (503, "503", "again"),
    ],
)
async def test_a_refusal_is_told_with_its_words_but_not_the_key(
    tmp_path: Path, status: int, cause: str, remedy: str
) -> None:
    async with peer(refuse=status) as (url, _):
        found = await look(context(tmp_path, url))
    told = one(found, "handshake")
    assert (told.state, told.details["status"]) == ("failure", status)
    assert cause in told.cause
    assert remedy in told.remedy


async def test_a_proxys_page_for_browsers_is_not_repeated(tmp_path: Path) -> None:
    async with peer(refuse=401, page="<html><h1>Authorization Required</h1></html>") as (url, _):
        told = one(await look(context(tmp_path, url)), "handshake")
    assert "refused the key (HTTP 401)" in told.cause
    assert "<" not in told.cause


async def test_an_endpoint_without_a_session_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hudd.checks.endpoint.STEP_S", 0.3)
    async with peer(silent=True) as (url, _):
        found = await look(context(tmp_path, url))
    assert one(found, "handshake").state == "failure"
    assert "no session within" in one(found, "handshake").cause


@pytest.mark.parametrize(
    ("ahead_s", "state"), [(0.0, "ok"), (90.0, "warning"), (7200.0, "failure"), (-7200.0, "failure")]
)
async def test_a_clock_that_is_wrong_is_measured_against_the_endpoint(
    tmp_path: Path, ahead_s: float, state: str
) -> None:
    date, then = "Sat, 21 Nov 2026 10:00:00 GMT", 1_795_255_200.0
    async with peer(date=date) as (url, _):
        found = await look(replace(context(tmp_path, url), wall=lambda: then + ahead_s))
    (clock,) = [f for f in found if f.name == "clock"]
    assert clock.state == state
    assert clock.details["skew_s"] == ahead_s
    assert state == "ok" or "timedatectl" in clock.remedy


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
async def test_a_certificate_of_an_unknown_authority_is_named(tmp_path: Path) -> None:
    made = tmp_path / "both.pem"
    subprocess.run(  # noqa: ASYNC221 - nothing else runs yet
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "ca.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    made.write_text((tmp_path / "key.pem").read_text() + (tmp_path / "ca.pem").read_text())
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trusted.load_cert_chain(made)

    async def greet(connection: ServerConnection) -> None:
        await connection.send(RealtimePeer().greeting()[0])
        await connection.wait_closed()

    async with serve(greet, "127.0.0.1", 0, ssl=trusted, close_timeout=1) as running:
        url = f"wss://127.0.0.1:{running.sockets[0].getsockname()[1]}/v1/realtime"
        refused = await look(context(tmp_path, url))
        known = await look(context(tmp_path, url, f'ca_file = "{tmp_path / "ca.pem"}"'))
    bad = next(f for f in refused if f.state == "failure")
    assert "not trusted" in bad.cause
    assert "ca_file" in bad.remedy
    assert {f.state for f in known} == {"ok"}
    assert one(known, "tls").cause.count("TLSv1.3") == 1


async def test_the_embedded_engine_passes_as_a_service(tmp_path: Path) -> None:
    async with running_engine() as server:
        found = await look(context(tmp_path, f"ws://127.0.0.1:{server.port}/v1/realtime"))
    assert one(found, "handshake").state == "ok"


async def test_the_service_is_left_alone_when_the_local_engine_answers(tmp_path: Path) -> None:
    async with peer() as (url, spoken):
        seen = context(tmp_path, url)
        local = gather(
            {k: v for k, v in seen.environ.items() if k != "HUDD_REALTIME_KEY"} | {"HUDD_REALTIME_USE": "local"}
        )
        found = await look(local)
    assert "not asked" in found[0].cause
    assert spoken.received == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "state", "cause"),
    [
        ({"HUDD_ENGINE_ANSWERS": "canned"}, "ok", "reads nothing, because [engine] answers is canned"),
        ({"HUDD_ENGINE_READER": "none"}, "warning", "reads nothing, because [engine] reader is none"),
        ({"HUDD_ENGINE_BUDGET_S": "7"}, "ok", "The local engine read a picture that ships with hudd."),
    ],
)
def test_the_local_engine_is_shown_a_picture_and_what_it_read_is_looked_at(
    tmp_path: Path, setting: dict[str, str], state: str, cause: str
) -> None:
    if "HUDD_ENGINE_BUDGET_S" in setting:
        readable()
    (found,) = check_engine(gather({"HUDD_STATE_DIR": str(tmp_path), "HUDD_RUNTIME_DIR": str(tmp_path), **setting}))
    assert (found.name, found.state, cause in found.cause) == ("engine", state, True), found
    assert bool(found.remedy) == (state != "ok")


def test_an_engine_that_read_no_word_of_the_picture_is_not_praised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(_: Context) -> Finding:
        return ok("endpoint", "It read a picture.", read=False, letters=86)

    monkeypatch.setattr(question, "_ask_engine", answer)
    (found,) = check_engine(gather({"HUDD_STATE_DIR": str(tmp_path), "HUDD_RUNTIME_DIR": str(tmp_path)}))
    assert (found.state, "read no word" in found.cause, "hudctl doctor" in found.remedy) == ("warning", True, True)


def readable() -> None:
    """Some text recognition is installed; in CI it must be."""
    try:
        best_reader()
    except ReaderError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


async def test_a_refused_key_that_systemd_hands_over_is_replaced_in_its_file(tmp_path: Path) -> None:
    async with peer(refuse=401) as (url, _):
        made = context(tmp_path, url)
        made.key.get(lambda: FoundKey("sk-refused-0123456789", "systemd credential", copied=tmp_path / "secret"))
        told = one(await look(made), "handshake")
    assert told.remedy == f"Put a valid one into {tmp_path}/secret and run: hudctl service restart"
