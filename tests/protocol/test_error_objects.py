"""Error objects as services and gateways write them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.protocol.error_objects import error_of
from hudd.protocol.events import ErrorDetails

PLAIN = {"type": "t", "code": "invalid_api_key", "message": "m", "param": "p", "event_id": "e"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ErrorDetails()),
        (PLAIN, ErrorDetails("t", "invalid_api_key", "m", "p", "e")),
        ({"error": PLAIN}, ErrorDetails("t", "invalid_api_key", "m", "p", "e")),
        ([{"error": PLAIN}], ErrorDetails("t", "invalid_api_key", "m", "p", "e")),
        (json.dumps({"error": PLAIN}), ErrorDetails("t", "invalid_api_key", "m", "p", "e")),
        ({"code": "502", "message": json.dumps({"error": PLAIN})}, ErrorDetails("t", "invalid_api_key", "m", "p", "e", 502)),
        ({"code": 401, "message": "no"}, ErrorDetails(message="no", status=401)),
        ({"statusCode": 1, "status": 429, "code": "outer", "innererror": {"code": "inner"}}, ErrorDetails(code="inner", status=429)),
        ({"detail": "Not Found"}, ErrorDetails(message="Not Found")),
        ("plain words", ErrorDetails(message="plain words")),
        ("{ no JSON", ErrorDetails(message="{ no JSON")),
        ({"code": True, "message": 5, "status": 200}, ErrorDetails()),
    ],
)  # fmt: skip
def test_forms_of_errors(value: Any, expected: ErrorDetails) -> None:
    assert error_of(value) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "code", "detail", "status", "x"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_json_raises(value: Any) -> None:
    assert error_of(json.dumps(value)).status in {0, *range(400, 600)}
    error_of(value)


def test_deep_nesting_ends() -> None:
    value: Any = PLAIN
    for _ in range(500):
        value = {"error": value}
    assert error_of(value).code == ""
