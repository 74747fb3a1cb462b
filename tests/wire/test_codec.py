"""Strict JSON in, one shape out."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.wire.codec import (
    MAX_DEPTH,
    FrameError,
    Refusal,
    RequestFrame,
    decode_json,
    encode_error,
    encode_json,
    encode_request,
    encode_result,
    parse_request,
    split_envelope,
)
from hudd.wire.table import ERRORS, MAX_FRAME_BYTES, MAX_FRAME_MARKS

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
IDS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT


def refused(data: bytes) -> Refusal:
    found = parse_request(data)
    assert isinstance(found, Refusal)
    return found


@given(VALUES)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert decode_json(encode_json(value), max_bytes=None) == value


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused_in_a_sentence(data: bytes) -> None:
    try:
        decode_json(data)
    except FrameError as error:
        assert str(error).endswith(".")  # noqa: PT017 - either way is right; only the form is stated


@given(st.binary(max_size=200) | TEXT.map(str.encode))
def test_any_bytes_are_a_request_or_a_refusal(data: bytes) -> None:
    assert isinstance(parse_request(data), RequestFrame | Refusal)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xef\xbb\xbf{}", "BOM"),
        ("{}".encode("utf-16"), "UTF-8"),
        ("{}".encode("utf-16-le"), "not JSON"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "Infinity"),
        (b'{"a":1e999}', "out of range"),
        (b'{"a":1,"a":2}', "twice"),
        (b'{"b":{"a":1,"a":1}}', "twice"),
        (b'["\\ud800"]', "surrogate"),
        (b'{"\\udfff":1}', "surrogate"),
        (b'"\xed\xa0\x80"', "UTF-8"),
        (b"[" * 40 + b"]" * 40, "deeper"),
        (b"[" * 20_000, "deeper"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "deeper"),
        (b"9" * 4301, "digits"),
        (b"{} {}", "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b'"a\nb"', "not JSON"),
        (b"", "not JSON"),
        (b" " * (MAX_FRAME_BYTES + 1), "bytes"),
    ],
)
def test_what_python_would_take_or_choke_on_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        decode_json(data)


def test_a_surrogate_pair_is_a_character_and_passes() -> None:
    assert decode_json(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_the_deepest_allowed_nesting_passes_and_one_more_does_not() -> None:
    assert decode_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(FrameError):
        decode_json(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


def test_many_shallow_brackets_are_not_deep() -> None:
    assert decode_json(b"[" + b"[],[]," * 100 + b"[]]")


def test_a_half_surrogate_in_an_answer_is_replaced_when_written() -> None:
    assert encode_json({"text": "cut \ud83d"}) == b'{"text":"cut ?"}'


def test_nan_is_never_written() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        encode_json({"a": float("nan")})


@given(IDS, TEXT, st.dictionaries(TEXT, VALUES, max_size=3))
def test_a_request_comes_through(request_id: Any, method: str, params: dict[str, Any]) -> None:
    found = parse_request(encode_request(request_id, method, params))
    assert isinstance(found, RequestFrame)
    assert (found.id, found.method, found.params) == (request_id, method, params)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('{"jsonrpc":"2.0","id":7,"method":"status","params":{"a":NaN}}', "E_PROTO"),
        ('{"jsonrpc":"2.0","id":7,"method":"status","params":{"a":1e999}}', "E_PROTO"),
        ('{"jsonrpc":"2.0","id":7,"method":"status","params":{"a":-' + "9" * 4301 + "}}", "E_PROTO"),
        ('{"jsonrpc":"2.0","id":7,"method":"status","params":{"a":1,"a":2}}', "E_PROTO"),
        ('{"jsonrpc":"2.0","id":7,"method":"\\ud800"}', "E_PROTO"),
        ('{"jsonrpc":"2.0","id":7,"method":"m","params":' + "[" * 99 + "]" * 99 + "}", "E_PROTO"),
        ('{"jsonrpc":"2.0","id":7}', "E_REQUEST"),
        ('{"jsonrpc":"2.0","id":7,"method":5}', "E_REQUEST"),
        ('{"jsonrpc":"1.0","id":7,"method":"status"}', "E_REQUEST"),
        ('{"id":7,"method":"status"}', "E_REQUEST"),
        ('{"jsonrpc":"2.0","id":7,"method":"status","params":[1]}', "E_ARGS"),
    ],
)
def test_a_bad_request_whose_id_can_be_read_is_answered_with_it(frame: str, code: str) -> None:
    found = refused(frame.encode())
    assert (found.answer, found.id, found.code) == (True, 7, code)


@pytest.mark.parametrize(
    "frame",
    [
        '{"jsonrpc":"2.0","id":null,"method":"status"}',
        '{"jsonrpc":"2.0","id":true,"method":"status"}',
        '{"jsonrpc":"2.0","id":[1],"method":"status"}',
        '{"jsonrpc":"2.0","id":{},"method":"status"}',
        '{"jsonrpc":"2.0","id":1e999,"method":"status"}',
        '{"jsonrpc":"2.0","id":' + "9" * 4301 + ',"method":"status"}',
        '{"jsonrpc":"2.0","id":NaN,"method":"status"}',
        '{"jsonrpc":"2.0","id":"\\ud800","method":"status"}',
        '{"jsonrpc":"2.0","id":1,"id":2,"method":"status"}',
        "7",
        '"status"',
        "not json",
        '{"jsonrpc":"2.0","id":7',
    ],
)
def test_a_frame_whose_id_cannot_be_read_gets_no_answer(frame: str) -> None:
    found = refused(frame.encode())
    assert (found.kind, found.answer) == ("bad", False)


def test_a_request_without_id_is_ignored() -> None:
    found = refused(b'{"jsonrpc":"2.0","method":"status"}')
    assert (found.kind, found.answer) == ("ignored", False)


def test_a_batch_is_refused_once_without_an_id() -> None:
    found = refused(b'[{"jsonrpc":"2.0","id":1,"method":"status"},{"jsonrpc":"2.0","id":2,"method":"status"}]')
    assert (found.answer, found.id, found.code) == (True, None, "E_REQUEST")


def test_the_id_of_a_repeated_key_elsewhere_is_still_read() -> None:
    assert refused(b'{"jsonrpc":"2.0","id":7,"method":"a","method":"b"}').id == 7


def test_a_request_too_long_for_the_daemon_is_refused_before_it_is_sent() -> None:
    with pytest.raises(FrameError, match="at most"):
        encode_request(1, "snap", {"why": "x" * MAX_FRAME_BYTES})


@pytest.mark.parametrize("before", range(5))
def test_the_envelope_goes_up_to_the_first_empty_frame(before: int) -> None:
    frames = [b"peer", *[b"hop%d" % i for i in range(before)], b"", b"{}"]
    assert split_envelope(frames) == (frames[:-1], [b"{}"])


@pytest.mark.parametrize(
    "frames",
    [[b"peer"], [b"peer", b"{}"], [b"peer", b"1", b"2", b"3", b"4", b"5", b"", b"{}"]],
)
def test_a_message_without_an_empty_frame_where_one_must_be_has_no_envelope(frames: list[bytes]) -> None:
    assert split_envelope(frames) is None


def test_a_later_empty_frame_belongs_to_the_body() -> None:
    assert split_envelope([b"peer", b"", b"{}", b""]) == ([b"peer", b""], [b"{}", b""])


@given(st.lists(st.binary(max_size=3), max_size=9))
def test_an_envelope_and_the_rest_make_the_message(frames: list[bytes]) -> None:
    parts = split_envelope(frames)
    if parts is not None:
        assert parts[0] + parts[1] == frames
        assert parts[0][-1] == b""
        assert len(parts[0]) <= 6


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_an_error_carries_its_number_and_all_data(error: Any) -> None:
    reply = json.loads(encode_error(7, error.code, "No.", hint="Do.", retry_after_ms=5, upstream={"code": "x"}))
    assert reply["id"] == 7
    assert reply["error"]["code"] == error.rpc
    assert reply["error"]["data"] == {
        "code": error.code,
        "hint": "Do.",
        "retry_after_ms": 5,
        "upstream": {"code": "x"},
    }


def test_a_code_outside_the_table_becomes_internal() -> None:
    assert json.loads(encode_error(1, "E_NONSENSE", "No."))["error"]["data"]["code"] == "E_INTERNAL"


def test_a_result_has_nothing_but_the_result() -> None:
    assert json.loads(encode_result("a", {"x": 1})) == {"jsonrpc": "2.0", "id": "a", "result": {"x": 1}}


@pytest.mark.parametrize("params", ["", ',"params":null', ',"params":{}'])
def test_params_that_are_null_are_as_good_as_absent(params: str) -> None:
    found = parse_request(f'{{"jsonrpc":"2.0","id":7,"method":"status"{params}}}'.encode())
    assert found == RequestFrame(7, "status", {})


WIDE = b"[" + b",".join([b"{}"] * 20_000) + b"]"
DEEP = b"[" * 3000 + b"]" * 3000
NESTED = b"[" * 1100 + b"]" * 1100  # not too many of them, and too deep for the interpreter


@pytest.mark.parametrize("params", [WIDE, DEEP, NESTED], ids=["wide", "deep", "nested"])
@pytest.mark.parametrize(
    ("frame", "request_id"),
    [
        (b'{"jsonrpc":"2.0","id":7,"method":"status","params":{"a":%b}}', 7),
        (b'{"jsonrpc":"2.0","method":"status","params":{"a":%b},"id":"\\u00fc"}', "\u00fc"),
        (b' { "a" : {"id":8} , "m":"\\"id\\":9}","id" : -1.5e1 , "params":%b }', -15.0),
        (b'{"method":"id","id":"]{","a":%b}', "]{"),
        (b'{"id":7,"a":%b,"params":{"id":8}}', 7),
        (b'{"a":%b,"id":"8,\\"id\\":9" } ', '8,"id":9'),
        (b'{"params":%b,"id":7,"jsonrpc":"2.0"}', 7),
        (b'{"a":%b, "id" : 7 , "m":"\\"id\\":9,}","n":null,"o" :true,"p":-0.5e3, "q":false } ', 7),
    ],
)
def test_what_is_not_read_is_answered_by_an_id_in_front_or_at_the_end(
    params: bytes, frame: bytes, request_id: Any
) -> None:
    found = refused(frame % params)
    assert (found.answer, found.id, found.code) == (True, request_id, "E_PROTO")


@pytest.mark.parametrize(
    "frame",
    [
        b'{"params":{"id":7,"a":%b}}',
        b'{"params":{"a":%b,"id":7}}',
        b'{"a":%b,"b":"\\",\\"id\\":7}"}',
        b'{"id":null,"a":%b}',
        b'{"id":true,"a":%b}',
        b'{"id":[7],"a":%b}',
        b'{"id":"\\ud800","a":%b}',
        b'{"id":1e999,"a":%b}',
        b'{"id":1,"a":%b,"id":2}',
        b'[{"jsonrpc":"2.0","id":7},%b]',
        b'{"a":%b,"b":[{"id":7}]}',
        b'{"a":%b,"b":{"c":1,"id":7,"d":1}}',
        b'{"a":%b,"b":{"c":1,"id":7},"d":1}',
        b'{"a":%b,"b":"c,\\"id\\":7","d":1}',
        b'{"a":%b,"b":"c\\\\,\\"id\\":7,","d":1}',
        b'{"b":"' + b"x" * 1500 + b'","id":7,"a":%b,"c":"' + b"x" * 1500 + b'"}',
        b"%b",
    ],
)
def test_what_is_not_read_and_has_no_such_id_gets_no_answer(frame: bytes) -> None:
    found = refused(frame % WIDE)
    assert (found.kind, found.answer, found.code) == ("bad", False, "E_PROTO")


FIELDS = st.dictionaries(TEXT.filter("id".__ne__), VALUES, max_size=3)


@given(IDS, FIELDS, FIELDS, st.booleans())
def test_the_id_of_an_unread_frame_is_never_another(
    request_id: Any, before: dict[str, Any], after: dict[str, Any], first: bool
) -> None:
    written = {**before, "id": request_id, **after}
    begin, end = ("", f',"wide":{WIDE.decode()}') if first else (f'"wide":{WIDE.decode()},', "")
    frame = "{" + begin + json.dumps(written)[1:-1] + end + "}"
    assert json.loads(frame)["id"] == request_id
    assert refused(frame.encode()).id in (request_id, None)


def test_as_many_marks_as_are_allowed_are_read() -> None:
    inner = MAX_FRAME_MARKS - 5  # two braces of the frame, three commas between its fields
    frame = b'{"jsonrpc":"2.0","id":7,"method":"m","params":{"a":"' + b"," * (inner - 1) + b'"}}'
    assert isinstance(parse_request(frame), RequestFrame)
    assert refused(frame.replace(b",,", b",,,,", 1)).id == 7


@pytest.mark.parametrize(
    "item",
    [
        b"{}",
        b"[]",
        b"1.5",
        b"NaN",
        b'{"a":1,"a":2}',
        b"9" * 4300,
        b"9" * 4301,
        b"9" * 65_000,
        b'"\\ud83d\\ude00"',
        b'"a"',
        b"[1,2]",
    ],
)
def test_no_frame_costs_much(item: bytes) -> None:
    """A generous bound: a millisecond on a machine that does nothing else, and more than that is an order of it."""
    whole = b'{"jsonrpc":"2.0","id":1,"method":"status","params":{"a":[%b]}}'
    frame = whole % b",".join([item] * ((MAX_FRAME_BYTES - len(whole)) // (len(item) + 1)))
    best = min(_took_s(frame) for _ in range(5))
    assert best < 0.003
    assert parse_request(frame).id == 1


def _took_s(frame: bytes) -> float:
    started = time.thread_time()
    parse_request(frame)
    return time.thread_time() - started
