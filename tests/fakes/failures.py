"""The failure table (realtime-protocol 2.6, 2.7) as data, and a service on a real socket that plays a row of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from hudd.realtime.retry import ConnectionWord
from tests.fakes.official_types import check_client_event
from tests.fakes.realtime_peer import RealtimePeer

MESSAGE = "The service's own words."
EXPIRED = "Your session hit the maximum duration of 60 minutes."


@dataclass(frozen=True)
class Row:
    """One way in which it goes wrong.

    Attributes:
        name: For the test's id.
        at: Where: at the upgrade, in place of ``session.created``, in place of ``session.updated``, once ready, or in
            place of an answer.
        error: An ``error`` event's object; in place of an answer it names the request.
        event: Fields beside the error object.
        failed: ``status_details.error`` of a failed answer.
        close: Close code and reason; 1006 drops the socket.
        http: Status, headers and body of a refused upgrade.
        word: What the connection becomes.
        says: Part of the sentence for people; '' when it is only counted, because nothing is wrong.
        raw: Fields of the error that is kept.
        retry_s: Least seconds until the next try.
    """

    name: str
    at: Literal["upgrade", "greeting", "configuring", "ready", "answer"]
    word: ConnectionWord
    says: str
    raw: Mapping[str, Any]
    error: dict[str, Any] | None = None
    event: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, Any] | None = None
    close: tuple[int, str] | None = None
    http: tuple[int, dict[str, str], str] | None = None
    retry_s: float = 0.0

    def frames(self, peer: RealtimePeer, request: Mapping[str, Any] | None = None) -> list[str]:
        """What the service says in this row."""
        if self.failed is not None:
            response = {"id": "resp_f", "status": "failed", "status_details": {"type": "failed", "error": self.failed}}
            metadata = (request or {}).get("response", {}).get("metadata")
            return [
                peer.event("response.created", response={"id": "resp_f", "metadata": metadata}),
                peer.event("response.done", response={**response, "metadata": metadata}),
            ]
        if self.error is None:
            return []
        about = {"event_id": request["event_id"]} if self.at == "answer" and request else {}
        return [peer.event("error", error=self.error | about, **self.event)]


def error(code: str | None, kind: str = "invalid_request_error", **more: Any) -> dict[str, Any]:
    """An error object as the service sends it."""
    return {"type": kind, "code": code, "message": MESSAGE, "param": None, "event_id": None, **more}


def refused(name: str, status: int, body: str, word: ConnectionWord, says: str, **raw: Any) -> Row:
    """A refused upgrade."""
    headers = {"Retry-After": "17"} if status == 429 else {}
    return Row(
        name,
        "upgrade",
        word,
        says,
        {"http_status": status, **raw},
        http=(status, headers, body),
        retry_s=17 if status == 429 else 0,
    )


def ended(code: str, close_code: int, says: str, **more: Any) -> Row:
    """An error in place of the session, then the close that names it."""
    reason = f"invalid_request_error.{code}"
    kept = {"close_code": close_code, "close_reason": reason}
    raw = {"code": code, "type": "invalid_request_error", "message": MESSAGE, "fatal": True, **kept}
    return Row(
        code, "greeting", "needs_attention", says, {**raw, **more}, error=error(code), close=(close_code, reason)
    )


ATTENTION, BACK = "needs_attention", "backing_off"
WRAPPED = json.dumps({"error": {"message": json.dumps({"error": error("invalid_api_key")}), "code": "502"}})
ROWS: tuple[Row, ...] = (
    ended("invalid_api_key", 3000, "refused the key"),
    ended("missing_model", 4000, "was told no model"),
    ended("invalid_model", 4000, "does not offer this model"),
    ended("model_not_found", 4004, "retired, or this key has no access"),
    ended("beta_api_shape_disabled", 4000, "retired beta interface"),
    ended("account_deactivated", 3000, "account is deactivated"),
    Row("only_3000", "greeting", ATTENTION, "refused the key", {"close_code": 3000, "fatal": True}, close=(3000, "")),
    Row(
        "only_4004",
        "greeting",
        ATTENTION,
        "model is retired",
        {"close_code": 4004, "close_reason": "invalid_request_error.model_not_found", "code": "model_not_found"},
        close=(4004, "invalid_request_error.model_not_found"),
    ),
    Row(
        "transcription_model",
        "greeting",
        ATTENTION,
        "refused the session; check [realtime] url and model",
        {"type": "invalid_request_error", "code": "", "message": MESSAGE, "close_code": 4000},
        error=error(None),
        close=(4000, "invalid_request_error"),
    ),
    *(
        refused(code, status, json.dumps({"error": {"code": code}}), ATTENTION, says, code=code, fatal=True)
        for code, status, says in (
            ("OpperationNotSupported", 400, "is no realtime model"),
            ("DeploymentNotFound", 404, "no deployment of this name"),
        )
    ),
    refused("http_400", 400, "", ATTENTION, "refused the request (HTTP 400)", fatal=True),
    refused("http_401", 401, "Unauthorized", ATTENTION, "refused the key (HTTP 401)", message="Unauthorized"),
    refused("http_401_number", 401, '{"error": {"code": "401", "message": "m"}}', ATTENTION, "(HTTP 401)", message="m"),
    refused("http_402", 402, "", ATTENTION, "no credit"),
    refused("http_403", 403, '{"detail": "Forbidden"}', ATTENTION, "no access", message="Forbidden"),
    refused("http_404", 404, "<html>", ATTENTION, "no Realtime endpoint at this address"),
    refused("http_404_model", 404, '[{"error": {"code": "model_not_found"}}]', ATTENTION, "retired", code="model_not_found"),
    refused("http_407", 407, "", ATTENTION, "proxy wants a name"),
    refused("http_418", 418, "", ATTENTION, "refused the connection (HTTP 418)", fatal=True),
    refused("http_425", 425, "", BACK, "refused the connection (HTTP 425)", fatal=False),
    refused("http_429", 429, '{"error": {"code": "rate_limit_exceeded"}}', BACK, "rate limit", fatal=False),
    refused("http_429_quota", 429, '{"error": {"code": "insufficient_quota"}}', ATTENTION, "no quota left", fatal=True),
    refused("http_500", 500, "", BACK, "trouble of its own (HTTP 500)"),
    refused("http_502_wrapped", 502, WRAPPED, ATTENTION, "refused the key", code="invalid_api_key", message=MESSAGE),
    refused("http_503", 503, "", BACK, "trouble of its own (HTTP 503)"),
    refused("http_301", 301, "", ATTENTION, "points to another address"),
    Row(
        "gateway_status_in_band",
        "greeting",
        ATTENTION,
        "(HTTP 401)",
        {"http_status": 401, "close_code": 1011, "type": "upstream_error"},
        error=error(None, "upstream_error"),
        event={"status": 401},
        close=(1011, "upstream"),
    ),
    Row(
        "gateway_wrapped_in_band",
        "greeting",
        ATTENTION,
        "refused the key",
        {"code": "invalid_api_key", "message": MESSAGE, "close_code": 1000},
        error={"type": "upstream_error", "code": "400", "message": json.dumps({"error": error("invalid_api_key")})},
        close=(1000, ""),
    ),
    Row(
        "gateway_trouble_in_band",
        "greeting",
        BACK,
        "(HTTP 503)",
        {"http_status": 503, "close_code": 1000},
        error=error("503", "upstream_error"),
        close=(1000, ""),
    ),
    Row(
        "gateway_trouble_then_4000",
        "greeting",
        BACK,
        "(HTTP 503); hudd tries again",
        {"http_status": 503, "close_code": 4000, "type": "upstream_error", "fatal": False},
        error=error(None, "upstream_error", status=503),
        close=(4000, ""),
    ),
    Row(
        "gateway_names_the_rate_limit_in_the_reason",
        "greeting",
        BACK,
        "rate limit is reached; hudd waits",
        {"close_code": 4000, "close_reason": "invalid_request_error.rate_limit_exceeded", "fatal": False},
        error=error(None, "upstream_error"),
        close=(4000, "invalid_request_error.rate_limit_exceeded"),
    ),
    Row(
        "rate_limit_in_the_reason_alone",
        "greeting",
        BACK,
        "rate limit is reached; hudd waits",
        {"code": "rate_limit_exceeded", "close_code": 4000, "fatal": False},
        close=(4000, "invalid_request_error.rate_limit_exceeded"),
    ),
    Row(
        "gateway_trouble_with_the_update",
        "configuring",
        BACK,
        "(HTTP 503); hudd tries again",
        {"http_status": 503, "event_id": "su_1", "close_code": 1011, "fatal": False},
        error=error(None, "upstream_error", status=503, event_id="su_1"),
        close=(1011, ""),
    ),
    Row(
        "rate_limit_of_the_update",
        "configuring",
        BACK,
        "shared rate limit is reached; hudd waits",
        {"code": "inference_rate_limit_exceeded", "event_id": "su_1", "close_code": 4000, "fatal": False},
        error=error("inference_rate_limit_exceeded", event_id="su_1"),
        close=(4000, "invalid_request_error.inference_rate_limit_exceeded"),
    ),
    Row(
        "beta_shaped_update",
        "configuring",
        ATTENTION,
        "refused the session's settings (session.voice)",
        {"code": "unknown_parameter", "param": "session.voice", "event_id": "su_1", "fatal": True},
        error=error("unknown_parameter", param="session.voice", event_id="su_1"),
    ),
    Row(
        "missing_session_type",
        "configuring",
        ATTENTION,
        "refused the session's settings (session.type)",
        {"code": "missing_required_parameter", "param": "session.type", "event_id": ""},
        error=error("missing_required_parameter", param="session.type"),
    ),
    Row(
        "expired",
        "ready",
        BACK,
        "limit of 60 minutes",
        {"code": "session_expired", "message": EXPIRED, "fatal": False, "close_code": 1001, "close_reason": EXPIRED},
        error=error("session_expired", message=EXPIRED),
        close=(1001, EXPIRED),
    ),
    *(
        Row(f"close_{code}", "ready", BACK, says, {"close_code": code, "fatal": False}, close=(code, ""))
        for code, says in (
            (1000, "without saying why"),
            (1001, "going away"),
            (1006, "lost without a word"),
            (1008, "over a rule"),
            (1009, "too big"),
            (1011, "internal error"),
            (1012, "restarts"),
            (1013, "overloaded"),
            (4321, "with code 4321"),
        )
    ),
    *(
        Row(code, "answer", ATTENTION, says, {"code": code, "message": MESSAGE, "fatal": True}, failed=error(code))
        for code, says in (
            ("insufficient_quota", "no quota left"),
            ("credit_balance_exhausted", "credit is used up"),
            ("billing_hard_limit_reached", "billing limit"),
        )
    ),
    Row(
        "model_gone_in_answers",
        "answer",
        ATTENTION,
        "retired",
        {"code": "model_not_found"},
        failed=error("model_not_found"),
    ),
    *(
        Row(code, "answer", "ready", "rate limit", {"code": code, "fatal": False}, failed=error(code))
        for code in ("rate_limit_exceeded", "inference_rate_limit_exceeded")
    ),
    Row(
        "conversation_already_has_active_response",
        "answer",
        "ready",
        "still answering another question; ask again",
        {"code": "conversation_already_has_active_response", "message": MESSAGE, "fatal": False},
        error=error("conversation_already_has_active_response"),
    ),
    *(
        Row(code, "ready", "ready", "", {"code": code}, error=error(code))
        for code in ("response_cancel_not_active", "item_delete_invalid_item_id")
    ),
    Row("server_error", "answer", "ready", "trouble of its own", {"type": "server_error"}, failed=error(None, "server_error")),
    *(
        Row(code, "ready", "ready", says, {"code": code, "message": MESSAGE}, error=error(code))
        for code, says in (
            ("invalid_json", "could not read"),
            ("invalid_event", "did not accept an event"),
            ("invalid_value", "did not accept a value"),
            ("item_retrieve_invalid_item_id", "does not exist"),
            ("string_above_max_length", "too long"),
            ("integer_below_min_value", "below the service's limit"),
            ("input_audio_buffer_commit_empty", "100 ms of audio"),
            ("a_code_of_tomorrow", "a_code_of_tomorrow"),
        )
    ),
)  # fmt: skip


@asynccontextmanager
async def failing_service(row: Row) -> AsyncIterator[str]:
    """A service on a free port that plays the row in every connection; gives its address.

    Raises:
        AssertionError: At the end, when something came that the official types do not allow.
    """
    wrong: list[str] = []

    def refuse(connection: ServerConnection, _: Request) -> Response | None:
        if row.http is None:
            return None
        status, headers, body = row.http
        response = connection.respond(status, body)
        for name, value in headers.items():
            response.headers[name] = value
        return response

    async def play(connection: ServerConnection) -> None:
        peer = RealtimePeer()
        with suppress(ConnectionClosed):
            if row.at == "greeting":
                await _say(connection, row, row.frames(peer))
                return
            for frame in peer.greeting():
                await connection.send(frame)
            async for data in connection:
                try:
                    event = check_client_event(data if isinstance(data, bytes) else data.encode())
                except AssertionError as error:
                    wrong.append(str(error))
                    return
                if row.at == "configuring" and event["type"] == "session.update":
                    await _say(connection, row, row.frames(peer))
                elif row.at == "answer" and event["type"] == "response.create":
                    await _say(connection, row, row.frames(peer, event))
                else:
                    for frame in peer.receive(data if isinstance(data, bytes) else data.encode()):
                        await connection.send(frame)
                    if row.at == "ready" and event["type"] == "session.update":
                        await _say(connection, row, row.frames(peer))

    async with serve(play, "127.0.0.1", 0, process_request=refuse, close_timeout=1) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/v1/realtime"
    assert not wrong, wrong


async def _say(connection: ServerConnection, row: Row, frames: list[str]) -> None:
    for frame in frames:
        await connection.send(frame)
    if row.close is None:
        await connection.wait_closed()
    elif row.close[0] == 1006:
        connection.transport.abort()
    else:
        await connection.close(*row.close)
