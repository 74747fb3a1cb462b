"""Stop or try again, and when: decided by codes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.model import UpstreamError
from hudd.protocol.vocabulary import FATAL_CODES
from hudd.realtime.retry import (
    FLAPPING_DELAY_S,
    LONGEST_ASKED_S,
    LONGEST_DELAY_S,
    Backoff,
    Verdict,
    code_of_close_reason,
    is_fatal,
)

DROP = UpstreamError(sentence="lost", close_code=1006)
WRONG_KEY = UpstreamError(sentence="wrong key", code="invalid_api_key", fatal=True)


@pytest.mark.parametrize("code", sorted(FATAL_CODES))
def test_fatal_codes_win_over_everything(code: str) -> None:
    assert is_fatal(code=code, http_status=503, close_code=1006)


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "session_expired"])
def test_codes_that_pass_win_over_a_status_that_does_not(code: str) -> None:
    assert not is_fatal(code=code, http_status=400, close_code=4000)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 407, 410, 418, 422, 426, 451, 499, 301, 302, 307])
def test_fatal_statuses(status: int) -> None:
    assert is_fatal(http_status=status)


@pytest.mark.parametrize("status", [200, 408, 409, 425, 429, 500, 502, 503, 504])
def test_statuses_that_pass(status: int) -> None:
    assert not is_fatal(http_status=status)


@pytest.mark.parametrize("code", [3000, 4000, 4004])
def test_fatal_closes(code: int) -> None:
    assert is_fatal(close_code=code)


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1008, 1009, 1011, 1012, 1013, 1015, 4999])
def test_closes_that_pass(code: int) -> None:
    assert not is_fatal(close_code=code)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("invalid_request_error.invalid_api_key", "invalid_api_key"),
        ("invalid_request_error.model_not_found", "model_not_found"),
        ("server_error.internal", "internal"),
        ("Your session hit the maximum duration of 60 minutes.", ""),
        ("keepalive ping timeout", ""),
        ("invalid_request_error.", ""),
        ("e.g. this", ""),
        ("", ""),
    ],
)
def test_the_code_in_a_close_reason(reason: str, code: str) -> None:
    assert code_of_close_reason(reason) == code


@given(st.text())
def test_any_close_reason_is_read(reason: str) -> None:
    assert isinstance(code_of_close_reason(reason), str)


def test_delays_double_to_thirty_seconds() -> None:
    backoff = Backoff(lambda: 1.0)
    delays = [backoff.after(DROP, opened_s=None).after_s for _ in range(9)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_jitter_is_full() -> None:
    assert Backoff(lambda: 0.0).after(DROP, opened_s=None).after_s == 0.0


@given(st.lists(st.floats(0, 0.999), min_size=1, max_size=50))
def test_no_delay_is_longer_than_thirty_seconds(numbers: list[float]) -> None:
    rolls = iter(numbers)
    backoff = Backoff(lambda: next(rolls))
    assert all(backoff.after(DROP, opened_s=None).after_s <= LONGEST_DELAY_S for _ in numbers)


@pytest.mark.parametrize("life", [{"answered": True}, {"ready_s": 60.0}])
def test_a_good_life_resets_the_delays(life: dict[str, float]) -> None:
    backoff = Backoff(lambda: 1.0)
    for _ in range(5):
        backoff.after(DROP, opened_s=None)
    assert backoff.after(DROP, opened_s=70.0, **life).after_s == 0.5  # type: ignore[arg-type]


def test_a_life_without_an_answer_does_not_reset() -> None:
    backoff = Backoff(lambda: 1.0)
    backoff.after(DROP, opened_s=None)
    assert backoff.after(DROP, opened_s=30.0, ready_s=29.0).after_s == 1.0


def test_three_short_lives_are_flapping_until_a_long_one() -> None:
    backoff = Backoff(lambda: 0.0)
    words = [backoff.after(DROP, opened_s=0.1).word for _ in range(4)]
    assert words == ["backing_off", "backing_off", "flapping", "flapping"]
    assert backoff.after(DROP, opened_s=0.1).after_s == FLAPPING_DELAY_S
    assert backoff.after(DROP, opened_s=6.0).word == "backing_off"


def test_accept_then_close_makes_at_most_fifteen_connects_in_ten_minutes() -> None:
    backoff = Backoff(lambda: 0.0)
    now, connects = 0.0, 0
    while now < 600:
        connects += 1
        now += backoff.after(DROP, opened_s=0.0).after_s
    assert connects <= 15


def test_tries_that_never_opened_are_not_lives() -> None:
    backoff = Backoff(lambda: 0.0)
    assert {backoff.after(DROP, opened_s=None).word for _ in range(10)} == {"backing_off"}


def test_a_fatal_error_stops() -> None:
    assert Backoff(lambda: 1.0).after(WRONG_KEY, opened_s=1.0) == Verdict("stop", 0.0, "needs_attention")


def test_retry_after_is_honoured_within_reason() -> None:
    backoff = Backoff(lambda: 0.0)
    assert backoff.after(DROP, opened_s=None, retry_after_s=12.0).after_s == 12.0
    assert backoff.after(DROP, opened_s=None, retry_after_s=1e9).after_s == LONGEST_ASKED_S


def test_a_person_resets_everything() -> None:
    backoff = Backoff(lambda: 1.0)
    for _ in range(5):
        backoff.after(DROP, opened_s=0.1)
    backoff.reset()
    assert backoff.after(DROP, opened_s=0.1) == Verdict("retry", 0.5, "backing_off")
