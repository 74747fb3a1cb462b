from __future__ import annotations

import sqlite3
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.journal import money, schema
from hudd.ledger.budget import decide
from hudd.ledger.records import Settlement, Totals
from hudd.model import Usage
from tests.fakes.journal import RESERVATION

DAY = RESERVATION.day
CAP = 100
TOKEN_CAP = 100

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.one_of(st.none(), st.integers(0, 60)), st.integers(0, 60)),
        st.tuples(st.just("answer"), st.integers(0, 9), st.integers(0, 100)),
        st.tuples(st.just("assume"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("crash"), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(steps=STEPS)
def test_no_cap_is_passed_in_any_order_across_crashes(steps: list[tuple[str, int | None, int]]) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    known: dict[int, tuple[int | None, int]] = {}
    for what, first, second in steps:
        if what == "ask":
            verdict = decide(
                money.totals(connection, DAY), engine="service", cap_microusd=CAP, token_cap=TOKEN_CAP,
                predicted_microusd=first, predicted_tokens=second, trigger="change",
            )  # fmt: skip
            if verdict.allowed:
                asked = replace(RESERVATION, microusd=first, tokens=second)
                known[money.insert_reservation(connection, asked)] = (first, second)
        elif what == "crash":
            money.settle_left_open(connection, 1.0)
        elif known:
            number = list(known)[(first or 0) % len(known)]
            cost, tokens = known[number]
            share = second / 100
            settlement = (
                Settlement(number, "vanished", None, None, assumed=True)
                if what == "assume"
                else Settlement(
                    number, "completed", Usage(input_tokens=int(tokens * share)),
                    None if cost is None else int(cost * share),
                )
            )  # fmt: skip
            money.settle(connection, settlement, note_seq=None, at=1.0)
        totals = money.totals(connection, DAY)
        assert totals.settled_microusd + totals.reserved_microusd <= CAP
        assert totals.unpriced_tokens + totals.unpriced_reserved_tokens <= TOKEN_CAP
    assert money.totals(connection, "2026-11-22") == Totals()
    connection.close()


@settings(deadline=None)
@given(usages=st.lists(st.lists(st.integers(0, 10_000), min_size=11, max_size=11), max_size=8))
def test_tokens_by_kind_are_summed_without_loss(usages: list[list[int]]) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    for usage in usages:
        number = money.insert_reservation(connection, RESERVATION)
        money.settle(connection, Settlement(number, "completed", Usage(*usage), 1), note_seq=None, at=1.0)
    rows = money.costs(connection, None, None).rows
    assert [row.usage for row in rows] == ([Usage(*map(sum, zip(*usages, strict=True)))] if usages else [])
    assert sum(row.microusd or 0 for row in rows) == len(usages)
    connection.close()
