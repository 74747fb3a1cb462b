"""Parameters are checked by the table alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.wire.params import ParamError, check_params
from hudd.wire.table import METHOD_BY_NAME, METHODS, Method, Param

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
PYTHON = {"string": str, "integer": int, "number": int | float, "boolean": bool, "array": list, "object": dict}


@given(st.data())
def test_whatever_comes_is_checked_or_refused_by_name(data: st.DataObject) -> None:
    method = data.draw(st.sampled_from(METHODS))
    names = [p.name for p in method.params] + ["sent_at", "deadline_ms", "stranger"]
    given_params = data.draw(st.dictionaries(st.sampled_from(names), VALUES))
    try:
        checked = check_params(method, given_params)
    except ParamError as error:
        assert error.name in str(error)  # noqa: PT017 - either way is right; only the form is stated
        return
    by_name = {p.name: p for p in method.params}
    for name, value in checked.items():
        assert name != "stranger"
        if name in by_name and by_name[name].kind != "time":
            assert isinstance(value, PYTHON[by_name[name].kind])


@pytest.mark.parametrize(
    ("method", "params", "name"),
    [
        ("notes.since", {}, "seq"),
        ("notes.since", {"seq": "5"}, "seq"),
        ("notes.since", {"seq": True}, "seq"),
        ("notes.since", {"seq": 1.5}, "seq"),
        ("notes.since", {"seq": -1}, "seq"),
        ("notes.since", {"seq": 0, "limit": 501}, "limit"),
        ("notes.since", {"seq": 0, "limit": 10**400}, "limit"),
        ("notes.since", {"seq": 0, "stream": "x" * 65}, "stream"),
        ("snap", {}, "snap_id"),
        ("snap", {"snap_id": "short"}, "snap_id"),
        ("snap", {"snap_id": "01JD000000000000000000000I"}, "snap_id"),
        ("snap", {"snap_id": "01JD0000000000000000000000\n"}, "snap_id"),
        ("wait", {"for": "godot"}, "for"),
        ("notes.search", {"since": "yesterday"}, "since"),
        ("notes.search", {"since": "2026-11-21T10:00:00"}, "since"),
        ("notes.search", {"reverse": 1}, "reverse"),
        ("hello", {"protocol": {"oldest": 1}}, "protocol"),
        ("status", {"deadline_ms": 0}, "deadline_ms"),
        ("status", {"sent_at": "now"}, "sent_at"),
    ],
)
def test_a_wrong_parameter_is_named(method: str, params: dict[str, Any], name: str) -> None:
    with pytest.raises(ParamError) as caught:
        check_params(METHOD_BY_NAME[method], params)
    assert caught.value.name == name
    assert name in str(caught.value)


def test_times_come_back_as_seconds() -> None:
    checked = check_params(METHOD_BY_NAME["errors"], {"since": "1970-01-01T00:01:00Z", "until": 90})
    assert checked == {"since": 60.0, "until": 90.0}


def test_null_is_absent_and_strangers_are_left_out() -> None:
    assert check_params(METHOD_BY_NAME["pause"], {"for_s": None, "novel": 1, "why": "lunch"}) == {"why": "lunch"}


def test_a_whole_number_may_be_written_with_a_point() -> None:
    checked = check_params(METHOD_BY_NAME["notes.since"], {"seq": 5.0})
    assert checked == {"seq": 5}
    assert isinstance(checked["seq"], int)


def test_bounds_belong_to_the_allowed_values() -> None:
    method = Method("m", "", (Param("n", "number", "", low=1, high=2), Param("s", "string", "", low=2, high=3)))
    assert check_params(method, {"n": 1, "s": "ab"}) == {"n": 1, "s": "ab"}
    assert check_params(method, {"n": 2, "s": "abc"}) == {"n": 2, "s": "abc"}


WHOLE_NUMBERS = [(method, param) for method in METHODS for param in method.params if param.kind == "integer"]


@pytest.mark.parametrize(("method", "param"), WHOLE_NUMBERS, ids=lambda value: value.name)
@given(
    number=st.integers(-(2**70), 2**70)
    | st.integers(2**63 - 2, 2**63 + 2)
    | st.floats(1e15, 1e300).map(float.__round__)
)
def test_every_whole_number_fits_where_it_goes_or_is_refused(method: Method, param: Param, number: int) -> None:
    required = {p.name: 1 for p in method.params if p.required and p.kind == "integer"}
    try:
        checked = check_params(method, {**required, param.name: number})[param.name]
    except ParamError as error:
        assert error.name == param.name  # noqa: PT017 - either way is right
        assert param.low is not None
        assert param.high is not None
        assert not param.low <= number <= param.high
    else:
        assert checked == number
        assert 0 <= number < 2**63


@pytest.mark.parametrize(("method", "param"), WHOLE_NUMBERS, ids=lambda value: value.name)
def test_the_bound_is_named_with_every_digit(method: Method, param: Param) -> None:
    with pytest.raises(ParamError, match=rf"at most {param.high}\."):
        check_params(method, {"seq": 1, param.name: 10**30})
