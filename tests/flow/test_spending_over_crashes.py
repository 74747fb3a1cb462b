"""The money of a daemon over crashes, hours, days, months and clocks that are set: no cap is passed whatever happens."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.errors import WithheldError
from hudd.flow.spending import Spending
from hudd.journal.store import Journal
from hudd.ledger.caps import open_to
from hudd.model import Answer, Question, Usage
from hudd.policy.facts import Facts
from tests.fakes.clock import ManualClock
from tests.fakes.journal import make_question
from tests.fakes.ledger import LIMITS, PRICES, USAGE

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["change", "manual", "answer", "dear", "lose", "unsent", "crash", "wait", "jump"]),
        st.integers(0, 400),
    ),
    max_size=30,
)
CAPS = {"cap_day_microusd": 60_000, "cap_hour_microusd": 40_000, "cap_month_microusd": 90_000}


@contextmanager
def zone(name: str) -> Iterator[None]:
    """The machine's time zone; a test must not depend on where it runs."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


class Life:
    """A daemon's money over crashes: its journal, its clock, and what it knows to be above."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # In New York the evening before the clocks are set back, which is also the end of a month.
        self.clock = ManualClock(wall=datetime(2026, 10, 31, 20, 0).astimezone().timestamp())
        self.excess = 0
        self.ids = 0
        # What was really billed, or may have been: kept apart from the ledger, which could be wrong.
        self.truth: dict[str, tuple[float, str, str, int]] = {}
        self.start()

    def start(self) -> None:
        self.journal = Journal.open(self.path, clock=self.clock)
        self.asked: list[Question] = []
        self.spending = Spending(
            store=self.journal, prices=PRICES, limits=replace(LIMITS, **CAPS), facts=Facts(), clock=self.clock,
            on_cost=lambda _: None,
        )  # fmt: skip

    async def step(self, what: str, number: int) -> None:
        if what in ("change", "manual"):
            self.ids += 1
            question = make_question(id=f"q{self.ids}", trigger=what)
            with suppress(WithheldError):
                await self.spending.reserve(question)
                self.spending.sent(question)
                self.asked.append(question)
                reserved = self.spending._open[question.id].microusd or 0
                self.truth[question.id] = (self.clock.wall(), self.spending.today(), what, reserved)
        elif what == "crash":
            await self.journal.close()
            self.start()
        elif what == "wait":
            await self.clock.advance(number * 60.0)
        elif what == "jump":
            self.clock.jump_wall((number - 200) * 1_000.0)
        elif self.asked:
            await self.end(self.asked.pop(number % len(self.asked)), what)

    async def end(self, question: Question, what: str) -> None:
        usage = {"answer": USAGE, "dear": Usage(input_tokens=4_000, text_tokens=4_000)}.get(what)
        if what == "unsent":
            self.spending._open[question.id].sent = False
        billed = 0 if what == "unsent" else None if usage is None else PRICES.cost_microusd(usage, LIMITS.model)
        at, day, trigger, reserved = self.truth[question.id]
        if billed is not None:
            self.truth[question.id] = (at, day, trigger, billed)
            self.excess += max(0, billed - reserved)
        settlement = self.spending.settlement(Answer(question, "completed", usage=usage))
        assert settlement is not None
        await self.journal.settle(settlement)

    def check(self) -> None:
        for automatic in (False, True):
            sums: dict[tuple[str, object], int] = {}
            for at, day, trigger, cost in self.truth.values():
                for key in (("hour", at // 3600), ("day", day), ("month", day[:7])):
                    if trigger == "change" or not automatic:
                        sums[key] = sums.get(key, 0) + cost
            for key, total in sums.items():
                assert total <= open_to(CAPS[f"cap_{key[0]}_microusd"], automatic=automatic) + self.excess, key


@settings(max_examples=40, deadline=None)
@given(STEPS)
async def test_no_cap_is_ever_passed(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder, zone("America/New_York"):
        life = Life(Path(folder) / "journal.db")
        for what, number in steps:
            await life.step(what, number)
            life.check()
        await life.journal.close()
