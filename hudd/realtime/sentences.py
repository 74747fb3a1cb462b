"""Errors of the service in words for people: one sentence with cause and remedy for each row of realtime-protocol 2.6.

Pure. The raw code, type, message, event id, close code and reason are kept beside the sentence, but for keys, which a
service may quote and which must reach neither journal nor log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from hudd.errors import LinkError, LinkRefusedError
from hudd.model import UpstreamError
from hudd.protocol.error_objects import error_of
from hudd.protocol.events import ErrorDetails
from hudd.realtime.retry import (
    DECIDING_CODES,
    PASSING_HTTP,
    RETRY_CODES,
    code_of_close_reason,
    is_fatal,
    is_refused_request,
)

_BILLING: Final = "add credit or raise the limit in the account's billing page, then run `hudctl resume`."
_KEY_WANTED: Final = (
    "put a valid one into the key's place, which `hudctl doctor` names, and run `hudctl resume`, or `hudctl service "
    "restart` where systemd or a variable hands it over."
)
_MODEL: Final = "set [realtime] model to one that your account may use, then run `hudctl reload`."
_OURS: Final = "this is hudd's mistake: please report it with `hudctl errors`."

BY_CODE: Final[Mapping[str, str]] = {
    "invalid_api_key": f"The service refused the key; {_KEY_WANTED}",
    "insufficient_quota": f"The account has no quota left; {_BILLING}",
    "credit_balance_exhausted": f"The account's credit is used up; {_BILLING}",
    "billing_hard_limit_reached": f"The account's billing limit is reached; {_BILLING}",
    "account_deactivated": "The account is deactivated; use a key of another account, then run `hudctl resume`.",
    "missing_model": "The service was told no model; set [realtime] model, then run `hudctl reload`.",
    "invalid_model": f"The service does not offer this model for realtime sessions; {_MODEL}",
    "model_not_found": f"The model is retired, or this key has no access to it; {_MODEL}",
    "OpperationNotSupported": f"The deployment is no realtime model; {_MODEL}",  # spelt so on the wire
    "DeploymentNotFound": f"There is no deployment of this name; {_MODEL}",
    "beta_api_shape_disabled": "The endpoint took hudd for a client of the retired beta interface; check that nothing "
    "between hudd and the service adds an OpenAI-Beta header, then run `hudctl resume`.",
    "rate_limit_exceeded": "The service's rate limit is reached; hudd waits, and asks less if you raise "
    "[gate] min_interval_s.",
    "inference_rate_limit_exceeded": "The deployment's shared rate limit is reached; hudd waits, and asks less if you "
    "raise [gate] min_interval_s.",
    "session_expired": "The session reached the service's limit of 60 minutes; hudd opens a new one.",
    "invalid_json": f"The service could not read an event of hudd; {_OURS}",
    "invalid_event": f"The service did not accept an event of hudd; {_OURS}",
    "invalid_value": "The service did not accept a value that hudd sent; check [session] and [realtime] model.",
    "unknown_parameter": "The service does not know a parameter that hudd sent; the endpoint may speak another "
    "version of the protocol: check [realtime] url and model.",
    "missing_required_parameter": "The service misses a parameter; the endpoint may speak another version of the "
    "protocol: check [realtime] url.",
    "conversation_already_has_active_response": "The session was still answering another question; ask again.",
    "item_retrieve_invalid_item_id": f"The item to read does not exist; {_OURS}",
    "string_above_max_length": f"A text that hudd sent is too long for the service; {_OURS}",
    "integer_below_min_value": "A number that hudd sent is below the service's limit; check [session].",
    "input_audio_buffer_commit_empty": f"Less than 100 ms of audio was sent; {_OURS}",
}

BY_HTTP: Final[Mapping[int, str]] = {
    400: "The endpoint refused the request (HTTP 400); check [realtime] url and model, then run `hudctl reload`.",
    401: f"The endpoint refused the key (HTTP 401); {_KEY_WANTED}",
    402: f"The account has no credit at this endpoint (HTTP 402); {_BILLING}",
    403: "The key has no access to this endpoint or model (HTTP 403); use another key and run "
    "`hudctl resume`, or another model and run `hudctl reload`.",
    404: "There is no Realtime endpoint at this address (HTTP 404); check [realtime] url, then run `hudctl reload`.",
    407: "The proxy wants a name and password (HTTP 407); put them into the proxy's address in [realtime] proxy and "
    "run `hudctl reload`, or in HTTPS_PROXY and restart hudd.",
    429: "The endpoint has too many requests (HTTP 429); hudd waits and tries again.",
}

BY_CLOSE: Final[Mapping[int, str]] = {
    1000: "The service ended the session without saying why; hudd connects again.",
    1001: "The service is going away; hudd connects again.",
    1005: "The service closed the connection without a code; hudd connects again.",
    1006: "The connection was lost without a word; hudd connects again: check the network if this repeats.",
    1007: "Text that is no UTF-8 came from the endpoint; hudd connects again: check [realtime] url if this repeats.",
    1008: "The service closed the connection over a rule of its own; hudd connects again.",
    1009: "A message was too big for the endpoint, so smaller pictures are sent from now on; lower [picture] "
    "max_bytes to make that lasting.",
    1011: "The service had an internal error, or the line was dead for too long; hudd connects again.",
    1012: "The service restarts; hudd connects again.",
    1013: "The service is overloaded; hudd tries again later.",
    1015: "The connection's encryption failed; hudd connects again.",
    3000: f"The service refused the key; {_KEY_WANTED}",
    4000: "The service refused the session; check [realtime] url and model, then run `hudctl reload`.",
    4004: f"The model is retired, or this key has no access to it; {_MODEL}",
}

BY_STEP: Final[Mapping[str, str]] = {
    "session.created": "The endpoint opened the connection but no session within {s:g} s; check that [realtime] url is "
    "a Realtime endpoint.",
    "session.updated": "The endpoint did not confirm the session's settings within {s:g} s; hudd connects again.",
    "response.created": "The service did not take the question within {s:g} s; ask again.",
    "first text": "The service took the question but wrote nothing within {s:g} s; ask again.",
    "response.done": "The answer was not complete within {s:g} s and was cancelled; ask again.",
    "rollover": "The answer was not complete within {s:g} s after the next session had taken over; ask again.",
    "cancel": "The service did not react to a cancellation within {s:g} s; hudd connects again.",
}

RENEWED: Final = "The session was ended on purpose, because notes were forgotten; hudd connects again."
RENEWED_CODE: Final = "renewed"
NETWORK_UP: Final = "The network came up while a connection was still being opened; hudd begins with it anew."
SLEPT: Final = "The machine slept or its clock was set forward; hudd connects again."

_KEY = re.compile(r"\b(sk-|sk_|ek-|ek_|Bearer )[A-Za-z0-9_*.\-]{4,}")
_LONGEST_RAW: Final = 2000


def explain_error(
    error: ErrorDetails, *, opening: bool = False, configuring: bool = False, http_status: int | None = None
) -> UpstreamError:
    """Put an error object of the service into words.

    Args:
        error: As it came.
        opening: True before the session is ready: a status that a gateway put into the error is then that of a
            refused connection (realtime-protocol 1.6). Later it is one of a single request, and decides nothing.
        configuring: True when it answers our ``session.update``: the same update would be refused for ever, so
            this is fatal unless it is trouble that passes.
        http_status: Set when it came as the body of a refused upgrade.
    """
    if http_status is None and opening and error.status:
        http_status = error.status
    fatal = is_fatal(code=error.code, http_status=http_status)
    sentence = BY_CODE.get(error.code) or _http_sentence(http_status)
    if not sentence and error.type == "server_error":
        # Of a single question only a snap is repeated, and once: no promise is made here.
        again = "hudd connects again." if opening else "ask again in a moment."
        sentence = f"The service had trouble of its own; {again}"
    passes = error.code in RETRY_CODES or error.type in {"server_error", "rate_limit_error"} or http_status
    if configuring and not fatal and not passes:
        fatal = True
        named = error.param or error.code or "no reason given"
        sentence = (
            f"The service refused the session's settings ({_clean(named)}); check [session] and [realtime] model, then "
            "run `hudctl reload`."
        )
    if not sentence:
        named = _clean(error.code or error.type) or "without a code"
        sentence = f"The service reported an error ({named}); see `hudctl errors`."
    return UpstreamError(
        sentence=sentence,
        type=_clean(error.type),
        code=_clean(error.code),
        message=_clean(error.message),
        param=_clean(error.param),
        event_id=_clean(error.event_id),
        http_status=http_status,
        fatal=fatal,
    )


def explain_close(code: int, reason: str, cause: UpstreamError | None = None) -> UpstreamError:
    """Put the end of a connection into words.

    Args:
        code: Close code; 1006 when none came.
        reason: Close reason, as sent; ``<type>.<code>`` is understood.
        cause: The error of the service that led to it; its words are kept.
    """
    reason_code = code_of_close_reason(reason)
    told = cause or UpstreamError(
        sentence=BY_CODE.get(reason_code)
        or BY_CLOSE.get(code)
        or f"The service closed the connection with code {code}; hudd connects again.",
        type=reason.strip().partition(".")[0] if reason_code else "",
        code=reason_code,
    )
    deciding = next((named for named in (told.code, reason_code) if named in DECIDING_CODES), "")
    fatal, sentence = told.fatal, told.sentence
    if not fatal:
        fatal = is_fatal(code=deciding, http_status=told.http_status, close_code=code)
        if deciding:
            sentence = BY_CODE[deciding]
        elif fatal:  # by the close code alone
            sentence = BY_CLOSE.get(code, sentence)
    return replace(told, sentence=sentence, fatal=fatal, close_code=code, close_reason=_clean(reason))


def explain_refusal(error: LinkError) -> UpstreamError:
    """Put a connection that could not be opened into words.

    Args:
        error: From the link. What is no ``LinkRefusedError`` (no key, no engine) is for a person to mend.
    """
    if not isinstance(error, LinkRefusedError):
        return UpstreamError(sentence=str(error), fatal=True)
    if not error.status:
        remedy = f"; {error.hint[0].lower()}{error.hint[1:]}" if error.hint else "."
        return UpstreamError(sentence=f"{error.message.rstrip('.')}{remedy}", code=error.code)
    return explain_error(error_of(error.body), http_status=error.status)


def explain_timeout(step: str, seconds: float) -> UpstreamError:
    """Put a step that took too long into words. ``step`` is a key of ``BY_STEP``."""
    return UpstreamError(sentence=BY_STEP[step].format(s=seconds), code="timeout", param=step)


def explain_no_cancel(late: UpstreamError | None, seconds: float) -> UpstreamError:
    """Put an answer into words that did not come in time and could not be cancelled either.

    Args:
        late: What did not come, as ``explain_timeout`` says it; None says the second part only.
        seconds: How long the cancellation was waited for.
    """
    error = explain_timeout("cancel", seconds)
    if late is None:
        return error
    return replace(
        late,
        sentence=f"{_cause(late)}, and the service did not react to a cancellation within {seconds:g} s; hudd connects "
        "again.",
    )


def explain_silence(failure: UpstreamError | None, step: str, seconds: float) -> UpstreamError:
    """Put an opening that led to nothing into words.

    Args:
        failure: The error that came meanwhile, or None.
        step: What did not come, as for ``explain_timeout``.
        seconds: How long was waited.
    """
    if failure is None:
        return explain_timeout(step, seconds)
    if failure.fatal or step != "session.created" or not is_refused_request(failure):
        return failure
    named = failure.code or failure.type
    return replace(
        failure,
        fatal=True,
        sentence=f"The service refused the session ({named}); check [realtime] url and model, then run "
        "`hudctl reload`.",
    )


def explain_fallback(gone: UpstreamError, model: str, instead: str) -> UpstreamError:
    """Put the step to another model into words. The raw part stays that of the refusal."""
    sentence = (
        f"The model {model} is not offered any more; hudd uses {instead} of [realtime] fallback_models: set [realtime] "
        "model to make that lasting."
    )
    return replace(gone, sentence=sentence, fatal=False)


def explain_last(ended: UpstreamError, refused: UpstreamError) -> UpstreamError:
    """Put the end of a session into words that no other follows. The raw part stays that of its end.

    Args:
        ended: How it ended.
        refused: Why the next one was refused for good.
    """
    return replace(ended, sentence=f"{_cause(ended)}, and the next session was refused before: {refused.sentence}")


def explain_withheld(reasons: Sequence[str]) -> UpstreamError:
    """Put a question that was not sent into words."""
    why = ", ".join(reasons) or "no reason given"
    return UpstreamError(sentence=f"Nothing was sent ({why}); see `hudctl status`.", code="withheld", param=why)


def explain_lost(why: str) -> UpstreamError:
    """Put a question into words whose connection ended under it. ``why`` is a full sentence."""
    return UpstreamError(sentence=why, code="connection_lost")


def explain_renewed(why: str) -> UpstreamError:
    """Put a connection into words that was ended on purpose, which is no error. ``why`` is a full sentence."""
    return UpstreamError(sentence=why, code=RENEWED_CODE)


def _http_sentence(status: int | None) -> str:
    if not status:
        return ""
    if 300 <= status < 400:
        return (
            f"The endpoint points to another address (HTTP {status}), which hudd does not follow; check [realtime] "
            "url, then run `hudctl reload`."
        )
    if status >= 500:
        return f"The endpoint has trouble of its own (HTTP {status}); hudd tries again."
    if status < 300:
        return f"The endpoint answered with HTTP {status} instead of opening a WebSocket; check [realtime] url."
    again = (
        "hudd tries again." if status in PASSING_HTTP else "check [realtime] url and model, then run `hudctl reload`."
    )
    return BY_HTTP.get(status) or f"The endpoint refused the connection (HTTP {status}); {again}"


def _cause(error: UpstreamError) -> str:
    """Its sentence without the remedy, to go on with."""
    return error.sentence.partition(";")[0].rstrip(".")


def _clean(text: str) -> str:
    """Without keys, and not longer than a person reads."""
    return _KEY.sub(r"\1…", text)[:_LONGEST_RAW]
