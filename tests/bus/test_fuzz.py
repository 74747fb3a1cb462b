"""Whatever a peer sends: one reply per request with a readable id, none otherwise, and the server lives."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.bus.server import Request
from hudd.wire.table import ERRORS, METHODS
from tests.fakes.bus import ThreadedDaemon

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
NAMES = sorted({p.name for m in METHODS for p in m.params} | {"deadline_ms", "sent_at"})
GOOD_ID = st.integers() | TEXT | st.floats(allow_nan=False, allow_infinity=False)
ENVELOPE = st.lists(st.binary(min_size=1, max_size=5), max_size=4)


class Wire:
    """One DEALER to one server; `exchange` sends messages and returns every reply to them."""

    def __init__(self, folder: Path) -> None:
        async def echo(request: Request) -> Mapping[str, Any]:
            return {"ran": request.method}

        self.daemon = ThreadedDaemon(folder, handlers={method.name: echo for method in METHODS})
        self.context: zmq.Context[Any] = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.address = f"ipc://{folder}/ctl.sock"
        self.marks = 0

    def mark(self) -> str:
        """A request of ours, so that a reply that should not be has time to show."""
        self.marks += 1
        mark = f"mark {self.marks} \x00"
        self.socket.send_multipart([b"", json.dumps({"jsonrpc": "2.0", "id": mark, "method": "status"}).encode()])
        return mark

    def exchange(self, messages: list[list[bytes]], expected: int) -> list[list[bytes]]:
        for message in messages:
            self.socket.send_multipart(message)
        found: list[list[bytes]] = []
        for wait_for in (expected, 0):
            mark, marked = self.mark(), False
            while not marked or len(found) < wait_for:
                assert self.socket.poll(5000), "a reply is missing"
                reply = self.socket.recv_multipart()
                if json.loads(reply[-1])["id"] == mark:
                    marked = True
                else:
                    found.append(reply)
        return found


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    there = Wire(tmp_path_factory.mktemp("fuzz"))
    with there.daemon:
        there.socket.connect(there.address)
        yield there
        there.context.destroy(linger=0)


def check_reply(reply: dict[str, Any]) -> None:
    assert reply["jsonrpc"] == "2.0"
    assert ("result" in reply) != ("error" in reply)
    if "error" in reply:
        code = reply["error"]["data"]["code"]
        assert (code, reply["error"]["code"]) in {(error.code, error.rpc) for error in ERRORS}
        assert reply["error"]["message"]
        assert code != "E_INTERNAL"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            ENVELOPE,
            GOOD_ID,
            st.sampled_from([m.name for m in METHODS]) | TEXT | JSON,
            st.dictionaries(st.sampled_from(NAMES) | TEXT, JSON, max_size=4) | JSON,
            st.sampled_from(["2.0", "2.0", "2.0", "1.0", 2, None]),
        ),
        max_size=6,
    )
)
def test_requests_after_the_schema_get_one_reply_each(wire: Wire, asked: list[tuple[Any, ...]]) -> None:
    messages: list[list[bytes]] = []
    wanted: Counter[str] = Counter()
    for envelope, request_id, method, params, version in asked:
        frame = {"jsonrpc": version, "id": request_id, "method": method, "params": params}
        messages.append([*envelope, b"", json.dumps(frame, ensure_ascii=False).encode()])
        wanted[repr((envelope, json.loads(json.dumps(request_id))))] += 1
    found: Counter[str] = Counter()
    for *envelope, empty, body in wire.exchange(messages, len(messages)):
        reply = json.loads(body)
        check_reply(reply)
        assert empty == b""
        found[repr((envelope, reply["id"]))] += 1
    assert found == wanted


UNREADABLE = (
    st.binary(max_size=60).filter(lambda data: not data.lstrip(b" \t\r\n").startswith((b"{", b"[")))
    | JSON.filter(lambda value: not isinstance(value, list)).map(
        lambda value: json.dumps(
            {k: v for k, v in value.items() if k != "id"} if isinstance(value, dict) else value
        ).encode()
    )
    | st.sampled_from([None, True, [1], {"a": 1}]).map(
        lambda bad: json.dumps({"jsonrpc": "2.0", "id": bad, "method": "status"}).encode()
    )
    | st.integers(0, 40).map(lambda cut: json.dumps({"jsonrpc": "2.0", "id": 1, "method": "status"}).encode()[:cut])
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(ENVELOPE, UNREADABLE), max_size=6))
def test_frames_without_a_readable_id_get_none(wire: Wire, sent: list[tuple[list[bytes], bytes]]) -> None:
    assert wire.exchange([[*envelope, b"", body] for envelope, body in sent], 0) == []


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.binary(max_size=80), min_size=1, max_size=8), max_size=6))
def test_any_frames_leave_the_server_alive(wire: Wire, messages: list[list[bytes]]) -> None:
    before = wire.daemon.do(lambda there: sum(there.server.counters().values()))
    for reply in wire.exchange(messages, 0):
        check_reply(json.loads(reply[-1]))
    after = wire.daemon.do(lambda there: sum(there.server.counters().values()))
    assert after - before >= len(messages)
