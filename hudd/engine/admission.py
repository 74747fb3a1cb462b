"""Who may open a session: decided from the upgrade request alone. Pure. Source: realtime-protocol 1 and 2.6."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from hudd.engine.objects import JsonObject, error_event
from hudd.protocol.vocabulary import CLOSE_BAD_KEY, CLOSE_BAD_REQUEST, CLOSE_NO_MODEL

KEY_SUBPROTOCOL: Final = "openai-insecure-api-key."
SUBPROTOCOL: Final = "realtime"
_EXAMPLE: Final = "gpt-realtime-1.5"
_TRANSCRIPTION_MODELS: Final = ("transcribe", "whisper", "translate")


@dataclass(frozen=True, slots=True)
class Refused:
    """The upgrade is refused with an HTTP status."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The upgrade succeeds; an ``error`` event and a close follow at once (2.6)."""

    event: JsonObject
    close_code: int
    close_reason: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """The session begins."""

    model: str


Admission = Refused | Rejected | Admitted


def admit(target: str, header: Callable[[str], str | None], *, token: str | None) -> Admission:
    """Decide.

    Args:
        target: Path and query of the request.
        header: Gives the value of a header by its lower-case name; several of one name joined by commas.
        token: The only key that is admitted; None admits any.
    """
    path, _, written_query = target.partition("?")
    if not path.rstrip("/").endswith("/realtime"):
        return Refused(404, "Not found: the session is at /v1/realtime.\n")
    key = _key(header)
    if not key:
        return Refused(401, "Missing key: send 'Authorization: Bearer KEY'.\n")
    # Headers may hold bytes that are no text; they must compare as different, not raise.
    if token is not None and not hmac.compare_digest(key.encode(errors="surrogatepass"), token.encode()):
        return _reject(
            "invalid_api_key",
            "Incorrect API key provided. The local engine admits only the key that its parent made up.",
            CLOSE_BAD_KEY,
        )
    if header("openai-beta") is not None:
        return _reject(
            "beta_api_shape_disabled",
            "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.",
        )
    query = parse_qs(written_query)
    if query.get("intent") == ["transcription"]:
        return _reject("invalid_value", "The local engine does not transcribe: leave 'intent' out.")
    if "call_id" in query:
        return _reject("invalid_value", "The local engine holds no calls: give a model instead of 'call_id'.")
    return _admit_model(query.get("model", [""])[-1])


def _admit_model(model: str) -> Admission:
    if not model:
        return _reject(
            "missing_model",
            f"You must provide a model parameter, for example wss://api.openai.com/v1/realtime?model={_EXAMPLE}",
        )
    name = model.rpartition("/")[2]
    if any(word in name for word in _TRANSCRIPTION_MODELS):
        return _reject(
            "invalid_model",
            f'Model "{model[:100]}" is a transcription model and cannot be used as the realtime session model.',
        )
    if "realtime" not in name:
        return _reject(
            "invalid_model", f'Model "{model[:100]}" is not supported in realtime mode. Use for example {_EXAMPLE}.'
        )
    if "realtime-preview" in name:  # shut down on 2026-05-07 (5.3)
        return _reject(
            "model_not_found",
            f"The model `{model[:100]}` does not exist or you do not have access to it.",
            CLOSE_NO_MODEL,
        )
    return Admitted(model)


def _key(header: Callable[[str], str | None]) -> str:
    scheme, _, key = (header("authorization") or "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    if key := (header("api-key") or "").strip():
        return key
    offered = [word.strip() for word in (header("sec-websocket-protocol") or "").split(",")]
    return next((w.removeprefix(KEY_SUBPROTOCOL) for w in offered if w.startswith(KEY_SUBPROTOCOL)), "")


def _reject(code: str, message: str, close_code: int = CLOSE_BAD_REQUEST) -> Rejected:
    return Rejected(error_event(code, message), close_code, f"invalid_request_error.{code}")
