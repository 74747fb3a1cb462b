"""Every failure row of realtime-protocol 2.6 ends in a sentence with cause and remedy, and in the right verdict."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.errors import KeyMissingError, LinkRefusedError
from hudd.model import UpstreamError
from hudd.protocol.events import ErrorDetails
from hudd.protocol.vocabulary import FATAL_CODES
from hudd.realtime.retry import DECIDING_CODES
from hudd.realtime.sentences import (
    BY_CLOSE,
    BY_CODE,
    BY_HTTP,
    BY_STEP,
    explain_close,
    explain_error,
    explain_refusal,
    explain_silence,
    explain_timeout,
    explain_withheld,
)


def test_every_known_code_has_a_sentence() -> None:
    assert set(BY_CODE) >= DECIDING_CODES > FATAL_CODES
    assert set(BY_HTTP) >= {400, 401, 402, 403, 404, 407, 429}
    assert set(BY_CLOSE) >= {1000, 1001, 1005, 1006, 1009, 1011, 1012, 1013, 1015, 3000, 4000, 4004}


@pytest.mark.parametrize("status", [200, 302, 405, 408, 409, 410, 418, 422, 425, 426, 500, 530])
def test_any_other_status_makes_one_sentence_too(status: int) -> None:
    error = explain_refusal(LinkRefusedError("h refused.", hint="Check [realtime] url.", status=status, body="no"))
    assert f"(HTTP {status})" in error.sentence or f"HTTP {status} " in error.sentence
    assert error.sentence.count("; ") == 1
    assert ". " not in error.sentence
    assert error.fatal == (300 <= status < 500 and status not in {408, 409, 425})


def test_what_never_answered_is_one_sentence_with_its_remedy() -> None:
    error = explain_refusal(
        LinkRefusedError("No connection to h: nothing listens there.", hint="Check [realtime] url.")
    )
    assert error.sentence == "No connection to h: nothing listens there; check [realtime] url."


@pytest.mark.parametrize("sentence", [*BY_CODE.values(), *BY_HTTP.values(), *BY_CLOSE.values(), *BY_STEP.values()])
def test_each_is_one_sentence_with_cause_and_remedy(sentence: str) -> None:
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert ";" in sentence
    assert ". " not in sentence


FATAL = [
    *(explain_error(ErrorDetails(code=code)) for code in BY_CODE),
    *(explain_error(ErrorDetails(), http_status=status) for status in (*BY_HTTP, 302, 418)),
    *(explain_close(code, "") for code in BY_CLOSE),
    explain_error(ErrorDetails(code="unknown_parameter", param="session.x"), configuring=True),
    explain_silence(explain_error(ErrorDetails(type="invalid_request_error")), "session.created", 10),
]


@pytest.mark.parametrize("error", [error for error in FATAL if error.fatal], ids=lambda error: error.sentence[:40])
def test_whatever_stops_hudd_names_the_command_that_ends_the_stop(error: UpstreamError) -> None:
    assert "hudctl resume" in error.sentence or "hudctl reload" in error.sentence
    # A variable of the environment is the only thing that a running daemon cannot read again.
    assert ("restart hudd" in error.sentence) == (
        "HUDD_REALTIME_KEY" in error.sentence or "HTTPS_PROXY" in error.sentence
    )


# (what came: in-band error, close code, close reason) -> (code kept, fatal)
ROWS = [
    ("invalid_api_key", 3000, "invalid_request_error.invalid_api_key", "invalid_api_key", True),
    (None, 3000, "invalid_request_error.invalid_api_key", "invalid_api_key", True),
    (None, 3000, "", "", True),
    ("missing_model", 4000, "invalid_request_error.missing_model", "missing_model", True),
    ("invalid_model", 4000, "invalid_request_error.invalid_model", "invalid_model", True),
    (None, 4004, "invalid_request_error.model_not_found", "model_not_found", True),
    (None, 4004, "", "", True),
    ("beta_api_shape_disabled", 4000, "invalid_request_error.beta_api_shape_disabled", "beta_api_shape_disabled", True),
    ("insufficient_quota", 1000, "", "insufficient_quota", True),
    ("credit_balance_exhausted", 1006, "", "credit_balance_exhausted", True),
    ("billing_hard_limit_reached", 4001, "", "billing_hard_limit_reached", True),
    ("account_deactivated", 4000, "", "account_deactivated", True),
    ("session_expired", 1001, "Your session hit the maximum duration of 60 minutes.", "session_expired", False),
    ("gateway_confused", 4000, "invalid_request_error.invalid_model", "gateway_confused", True),
    ("gateway_confused", 4000, "invalid_request_error.rate_limit_exceeded", "gateway_confused", False),
    ("gateway_confused", 4000, "", "gateway_confused", True),
    ("gateway_confused", 1011, "", "gateway_confused", False),
    ("gateway_confused", 1011, "invalid_request_error.invalid_api_key", "gateway_confused", True),
    ("", 4000, "invalid_request_error.rate_limit_exceeded", "", False),
    ("invalid_value", 4000, "invalid_request_error.invalid_value", "invalid_value", True),
    (None, 4000, "invalid_request_error.inference_rate_limit_exceeded", "inference_rate_limit_exceeded", False),
    (None, 4000, "invalid_request_error.invalid_value", "invalid_value", True),
    (None, 1000, "", "", False),
    (None, 1001, "", "", False),
    (None, 1006, "", "", False),
    (None, 1011, "keepalive ping timeout", "", False),
    (None, 1012, "", "", False),
    (None, 1013, "", "", False),
    (None, 4321, "", "", False),
]


@pytest.mark.parametrize(("in_band", "close", "reason", "code", "fatal"), ROWS)
def test_failure_rows(in_band: str | None, close: int, reason: str, code: str, fatal: bool) -> None:
    cause = None
    if in_band is not None:
        cause = explain_error(ErrorDetails(type="invalid_request_error", code=in_band, message="as sent"))
    error = explain_close(close, reason, cause)
    assert (error.code, error.fatal, error.close_code, error.close_reason) == (code, fatal, close, reason)
    assert error.sentence
    assert error.message == ("" if in_band is None else "as sent")
    promises = re.search(r"hudd (waits|tries again|connects again|opens a new one)", error.sentence)
    assert not (fatal and promises), "a stop that promises to go on"
    assert fatal == ("`hudctl re" in error.sentence), "a stop names the command that ends it"


@pytest.mark.parametrize(
    ("status", "reason", "close", "fatal", "says"),
    [
        (503, "", 4000, False, "(HTTP 503); hudd tries again"),
        (503, "", 3000, False, "(HTTP 503); hudd tries again"),
        (429, "upstream_error", 4000, False, "(HTTP 429); hudd waits"),
        (401, "", 1011, True, "(HTTP 401)"),
        (503, "invalid_request_error.invalid_api_key", 1011, True, "refused the key; put a valid one"),
        (503, "invalid_request_error.rate_limit_exceeded", 4000, False, "rate limit is reached"),
    ],
)
def test_the_code_decides_before_the_status_and_that_before_the_close(
    status: int, reason: str, close: int, fatal: bool, says: str
) -> None:
    cause = explain_error(ErrorDetails(type="upstream_error", status=status), opening=True)
    error = explain_close(close, reason, cause)
    assert (error.fatal, error.http_status, error.close_code, error.close_reason) == (fatal, status, close, reason)
    assert says in error.sentence


@pytest.mark.parametrize(
    ("status", "body", "code", "fatal"),
    [
        (400, '{"error":{"code":"OpperationNotSupported","message":"no"}}', "OpperationNotSupported", True),
        (401, "", "", True),
        (401, "<html>login</html>", "", True),
        (403, "{}", "", True),
        (404, '{"detail":"not found"}', "", True),
        (307, "", "", True),
        (429, '{"error":{"code":"rate_limit_exceeded"}}', "rate_limit_exceeded", False),
        (400, '{"error":{"code":"rate_limit_exceeded"}}', "rate_limit_exceeded", False),
        (429, '{"error":{"code":"insufficient_quota"}}', "insufficient_quota", True),
        (500, "", "", False),
        (503, "[1]", "", False),
        (418, "", "", True),
    ],
)
def test_refused_upgrades(status: int, body: str, code: str, fatal: bool) -> None:
    refusal = LinkRefusedError(f"host refused the connection (HTTP {status}).", status=status, body=body)
    error = explain_refusal(refusal)
    assert (error.code, error.fatal, error.http_status) == (code, fatal, status)
    assert error.sentence.endswith(".")
    if code not in BY_CODE:
        assert str(status) in error.sentence


def test_no_http_answer_is_tried_again() -> None:
    error = explain_refusal(LinkRefusedError("No connection to h: nothing listens there.", hint="Check it."))
    assert (error.fatal, error.http_status) == (False, None)
    assert error.sentence == "No connection to h: nothing listens there; check it."


def test_a_missing_key_needs_a_person() -> None:
    assert explain_refusal(KeyMissingError("No key was found.", hint="Set HUDD_REALTIME_KEY.")).fatal


@pytest.mark.parametrize(
    ("kind", "code", "status", "fatal"),
    [
        ("invalid_request_error", "unknown_parameter", 0, True),
        ("invalid_request_error", "", 0, True),
        ("server_error", "", 0, False),
        ("invalid_request_error", "rate_limit_exceeded", 0, False),
        ("invalid_request_error", "inference_rate_limit_exceeded", 0, False),
        ("invalid_request_error", "session_expired", 0, False),
        ("upstream_error", "", 503, False),
        ("upstream_error", "", 429, False),
        ("invalid_request_error", "unknown_parameter", 503, False),
        ("upstream_error", "", 400, True),
    ],
)
def test_a_refused_update_is_fatal_unless_the_service_has_trouble(
    kind: str, code: str, status: int, fatal: bool
) -> None:
    error = explain_error(ErrorDetails(type=kind, code=code, status=status), opening=True, configuring=True)
    assert error.fatal is fatal
    assert fatal or "settings" not in error.sentence, "it was not the settings that were refused"


@pytest.mark.parametrize(("status", "fatal"), [(0, True), (503, False), (429, False)])
def test_an_opening_that_led_to_nothing_was_refused_unless_the_status_says_otherwise(status: int, fatal: bool) -> None:
    said = explain_error(ErrorDetails(type="invalid_request_error", status=status), opening=True)
    error = explain_silence(said, "session.created", 10)
    assert error.fatal is fatal
    assert ("hudctl reload" in error.sentence) is fatal


def test_the_verdict_never_depends_on_the_words() -> None:
    words = "invalid_api_key insufficient_quota model_not_found"
    assert not explain_error(ErrorDetails(type="server_error", message=words)).fatal
    assert not explain_close(1011, words).fatal


@pytest.mark.parametrize("key", ["sk-proj-abcDEF1234567890", "ek_" + "a" * 30, "sk-abc***xyz"])
def test_keys_are_not_kept(key: str) -> None:
    text = f"Incorrect API key provided: {key}. Bearer {key}"
    error = explain_close(3000, text, explain_error(ErrorDetails(code="invalid_api_key", message=text)))
    body = explain_refusal(LinkRefusedError("no", status=401, body=json.dumps({"error": {"message": text}})))
    for kept in (error.message, error.close_reason, body.message):
        assert key not in kept
        assert "Incorrect API key provided" in kept


@given(st.builds(ErrorDetails, *(st.text(max_size=30) for _ in range(5))), st.booleans())
def test_any_error_has_a_sentence(details: ErrorDetails, configuring: bool) -> None:
    error = explain_error(details, configuring=configuring)
    assert error.sentence
    assert error.wire()["code"] == error.code


@given(st.text(max_size=300), st.integers(0, 999))
def test_any_refusal_has_a_sentence(body: str, status: int) -> None:
    assert explain_refusal(LinkRefusedError("host refused.", status=status, body=body)).sentence


def test_a_body_nested_too_deep_is_no_trouble() -> None:
    assert explain_refusal(LinkRefusedError("host refused.", status=401, body="[" * 100_000)).fatal


@pytest.mark.parametrize("step", sorted(BY_STEP))
def test_a_timeout_names_its_step_and_seconds(step: str) -> None:
    error = explain_timeout(step, 12.5)
    assert (error.code, error.param) == ("timeout", step)
    assert "12.5 s" in error.sentence


def test_a_withheld_question_names_all_reasons() -> None:
    assert "paused, locked" in explain_withheld(("paused", "locked")).sentence
