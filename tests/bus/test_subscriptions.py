"""The counts are those of the connections that stand, whatever peers claim."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.bus import subscriptions
from hudd.bus.subscriptions import MAX_PREFIXES_OF_PEER, Subscriptions

PREFIXES = st.sampled_from([b"", b"h", b"hb", b"hb/", b"hc", b"note/", b"note/a/", b"note/b/", b"notes", "é/".encode()])
EVENTS = st.tuples(st.sampled_from(["came", "left", "subscribe", "cancel"]), st.integers(-1, 3), PREFIXES)


@given(st.lists(EVENTS, max_size=60))
def test_whatever_comes_the_counts_are_those_of_the_sets(events: list[tuple[str, int, bytes]]) -> None:
    there, model = Subscriptions(), dict[int, set[bytes]]()
    for event, connection, prefix in events:
        if event == "came":
            there.came(connection)
            model[connection] = set()
        elif event == "left":
            there.left(connection)
            model.pop(connection, None)
        elif event == "cancel":
            there.cancel(connection, prefix)
            model.get(connection, set()).discard(prefix)
        elif there.stands(connection):
            there.subscribe(connection, prefix)
            model[connection].add(prefix)
    held = Counter(prefix for prefixes in model.values() for prefix in prefixes)
    assert there.counts() == dict(sorted(held.items()))
    assert {connection for connection in range(-1, 4) if there.stands(connection)} == set(model)
    for connection in range(-1, 4):
        assert there.of(connection) == len(model.get(connection, ()))
    for asked in (b"hb/", b"note/", b"note/a/", b"note/c/", b"state/", "é/".encode(), b""):
        assert there.listening(asked) == any(asked.startswith(one) or one.startswith(asked) for one in held)


def test_one_with_too_many_has_to_end_itself() -> None:
    there = Subscriptions()
    there.came(1)
    for number in range(MAX_PREFIXES_OF_PEER):
        there.subscribe(1, b"%d" % number)
        there.subscribe(1, b"0")
        assert there.too_much(1) is None
    there.subscribe(1, b"one too many")
    assert there.too_much(1) == 1


def test_where_all_have_too_much_together_it_is_the_one_that_holds_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MAX_PREFIX_BYTES", 100)
    there = Subscriptions()
    for connection, size in ((1, 30), (2, 60), (3, 10)):
        there.came(connection)
        there.subscribe(connection, bytes([connection]) * size)
        assert there.too_much(connection) is None
    there.subscribe(3, b"x")
    assert there.too_much(3) == 2
    there.left(2)
    assert there.too_much(3) is None
    there.cancel(3, b"x")
    there.subscribe(3, b"y" * 31)
    assert there.too_much(3) is None  # 71 bytes are held


def test_what_several_hold_is_kept_once() -> None:
    there = Subscriptions()
    for connection in range(200):
        there.came(connection)
        there.subscribe(connection, b"note/".ljust(500, b"x"))
        there.subscribe(connection, b"welcome/%d/" % connection)
        assert there.too_much(connection) is None
    for connection in range(200):
        there.left(connection)
    assert there.counts() == {}
