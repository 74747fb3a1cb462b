from __future__ import annotations

import sqlite3
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hudd.journal import money, schema
from hudd.ledger.budget import decide
from hudd.ledger.caps import Caps, local_day, open_to
from hudd.ledger.records import Charge, Period, Sample, Settlement
from hudd.model import Trigger, Usage
from tests.fakes.journal import RESERVATION

DAY = RESERVATION.day
CAPS = Caps(day=100, hour=60, month=250)
TOKEN_CAP = 100
BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 10, 24, 20, 0, tzinfo=BERLIN).timestamp()  # the night in which the clocks are set back

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.one_of(st.none(), st.integers(0, 60)), st.integers(0, 60)),
        st.tuples(st.just("snap"), st.one_of(st.none(), st.integers(0, 60)), st.integers(0, 60)),
        st.tuples(st.just("answer"), st.integers(0, 9), st.integers(0, 130)),
        st.tuples(st.just("assume"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("crash"), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 100), st.just(0)),
        st.tuples(st.just("jump"), st.integers(-200_000, 200_000), st.just(0)),
    ),
    max_size=40,
)


ASK = ("snap", 60, 0)
TIGHT = [("snap", 55, 0), ("answer", 0, 0), ("snap", 55, 0), ("answer", 0, 100), ("snap", 55, 0)]


@settings(deadline=None, max_examples=200)
@given(steps=STEPS)
@example(steps=[ASK, ("crash", 0, 0), ASK, ("crash", 0, 0), ASK])
@example(steps=[ASK, ("assume", 0, 0), ASK, ASK])
@example(steps=TIGHT)
@example(steps=[("snap", 55, 0), ("answer", 0, 100), ("answer", 0, 0), ("snap", 55, 0)])
@example(steps=[ASK, ("wait", 40, 0), ASK, ("wait", 40, 0), ASK, ("wait", 99, 0), ASK, ("wait", 99, 0), ASK])
def test_no_cap_is_passed_in_any_order_across_crashes_jumps_and_midnights(
    steps: list[tuple[str, int | None, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        book = Book(Path(folder) / "journal.db")
        for what, first, second in steps:
            book.step(what, first, second)
            book.check()
        book.connection.close()


class Book:
    """The ledger in a file, a clock that jumps, and what answers cost above their reservations."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = START
        self.connection = self.open()
        schema.migrate(self.connection)
        self.known: dict[int, tuple[int | None, int]] = {}
        # What the service really billed, or may have: kept apart from the ledger, which could be wrong.
        self.truth: dict[int, tuple[float, str, str, int]] = {}
        self.answered: set[int] = set()
        self.excess = self.token_excess = 0

    def open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("PRAGMA synchronous = OFF")  # it is not the disk that is tested here
        return connection

    def step(self, what: str, first: int | None, second: int) -> None:
        if what in ("ask", "snap"):
            self.ask("manual" if what == "snap" else "change", first, second)
        elif what == "wait":
            self.now += (first or 0) * 97
        elif what == "jump":
            self.now += first or 0
        elif what == "crash":
            self.connection.close()
            self.connection = self.open()
            money.settle_left_open(self.connection, self.now)
        elif self.known:
            number = list(self.known)[(first or 0) % len(self.known)]
            self.answer(number, None if what == "assume" else second)

    def ask(self, trigger: str, cost: int | None, tokens: int) -> None:
        day = local_day(self.now, BERLIN)
        verdict = decide(
            money.totals(self.connection, day, self.now), engine="service", caps=CAPS, token_cap=TOKEN_CAP,
            predicted_microusd=cost, predicted_tokens=tokens, trigger=cast("Trigger", trigger),
        )  # fmt: skip
        if verdict.allowed:
            asked = replace(RESERVATION, microusd=cost, tokens=tokens, day=day, reserved_at=self.now, trigger=trigger)
            number = money.insert_reservation(self.connection, asked)
            self.known[number] = (cost, tokens)
            self.truth[number] = (self.now, day, trigger, cost or 0)

    def answer(self, number: int, percent: int | None) -> None:
        cost, tokens = self.known[number]
        if percent is None:
            settlement = Settlement(number, "vanished", None, None, assumed=True)
        else:
            billed, used = None if cost is None else cost * percent // 100, tokens * percent // 100
            settlement = Settlement(number, "completed", Usage(input_tokens=used), billed)
            if number not in self.answered:  # a response is billed once, whatever is told of it again
                self.answered.add(number)
                self.truth[number] = (*self.truth[number][:3], billed or 0)
                self.excess += max(0, (billed or 0) - (cost or 0))
                self.token_excess += max(0, used - tokens)
        money.settle(self.connection, settlement, note_seq=None, at=self.now)

    def check(self) -> None:
        """Every hour, day and month that there ever was is within its cap, but for what was billed above."""
        for automatic in (False, True):
            sums: dict[object, int] = {}
            for at, day, trigger, cost in self.truth.values():
                for key in (("hour", at // 3600), ("day", day), ("month", day[:7])):
                    if trigger != "manual" or not automatic:
                        sums[key] = sums.get(key, 0) + cost
            for key, total in sums.items():
                cap = CAPS.of(cast("Any", key)[0])
                assert cap is not None
                assert total <= open_to(cap, automatic=automatic) + self.excess, key
        for (day,) in self.connection.execute("SELECT DISTINCT day FROM ledger").fetchall():
            totals = money.totals(self.connection, day)
            assert totals.unpriced_tokens + totals.unpriced_reserved_tokens <= TOKEN_CAP + self.token_excess


def test_hour_day_and_month_are_told_apart() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    for day, at, cost in (
        ("2026-10-31", 0.0, 1),
        ("2026-11-01", 3600.0, 2),
        ("2026-11-30", 7200.0, 4),
        ("2026-12-01", 7300.0, 8),
    ):
        number = money.insert_reservation(connection, replace(RESERVATION, day=day, reserved_at=at))
        money.settle(connection, Settlement(number, "completed", Usage(1), cost), note_seq=None, at=at)
    local = money.insert_reservation(connection, replace(RESERVATION, engine="local", microusd=0, reserved_at=7201.0))
    money.settle(connection, Settlement(local, "completed", Usage(1), 0), note_seq=None, at=1.0)
    money.insert_reservation(connection, replace(RESERVATION, day="2026-11-30", reserved_at=7201.0, microusd=50))
    totals = money.totals(connection, "2026-11-30", 7250.0)
    assert (totals.settled_microusd, totals.reserved_microusd) == (4, 50)
    assert totals.month == Period(6, 50)
    assert totals.hour == Period(12, 50)
    assert money.totals(connection, "2026-11-30").hour == Period()
    connection.close()


def test_money_without_a_note_is_counted_since_the_last_note() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)

    def answer(cost: int | None, *, noted: bool = False, engine: str = "service") -> None:
        price = None if cost is None else RESERVATION.microusd
        number = money.insert_reservation(connection, replace(RESERVATION, engine=engine, microusd=price))
        money.settle(connection, Settlement(number, "failed", Usage(1), cost), note_seq=1, at=1.0, noted=noted)

    def unnoted() -> tuple[int, int]:
        facts = money.facts(connection, DAY, 0.0, "m")
        return facts.unnoted, facts.unnoted_microusd

    assert unnoted() == (0, 0)
    assert not money.facts(connection, DAY, 0.0, "m").ever_paid
    answer(5)
    answer(0)
    answer(7, engine="local")
    assert unnoted() == (1, 5)
    answer(3, noted=True)
    assert unnoted() == (0, 0)
    answer(4)
    assert unnoted() == (1, 4)
    assert money.facts(connection, DAY, 0.0, "m").ever_paid
    answer(None)
    answer(None)
    facts = money.facts(connection, DAY, 0.0, "m")
    assert (facts.unnoted, facts.unnoted_microusd, facts.unnoted_unpriced) == (3, 4, 2)
    assert (facts.totals.unpriced, facts.totals.unpriced_tokens, facts.totals.known_microusd) == (2, 2, 19)
    connection.close()


def test_samples_and_charges() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    asked = replace(RESERVATION, pictures=1, image_tokens=323, reserved_at=5.0, microusd=9)
    first = money.insert_reservation(connection, asked)
    money.settle(connection, Settlement(first, "completed", Usage(700, 60, 377, 323), 4), note_seq=1, at=6.0)
    vanished = money.insert_reservation(connection, replace(asked, reserved_at=4.0))
    money.settle(connection, Settlement(vanished, "vanished", None, None, assumed=True), note_seq=None, at=6.0)
    money.insert_reservation(connection, replace(asked, reserved_at=7.0))
    money.insert_reservation(connection, replace(asked, trigger="manual"))
    facts = money.facts(connection, DAY, 8.0, asked.model)
    assert facts.samples == (Sample(1, 323, Usage(700, 60, 377, 323)),)
    assert facts.charges == (Charge(4.0, 9), Charge(5.0, 4), Charge(7.0, 9))
    assert money.facts(connection, DAY, 8.0, "another").samples == ()
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
