"""Which questions may carry pictures of parts, by the money."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Literal

import pytest

from hudd.adapters import shipped_text
from hudd.flow.limits import Limits
from hudd.flow.meter import MOST_DETAILS, Meter
from hudd.ledger.pacing import Pace, spares
from hudd.ledger.prices import PriceTable
from hudd.ledger.records import Charge, MoneyFacts, Sample, Totals
from hudd.model import Usage
from hudd.policy.facts import Facts
from tests.fakes.clock import ManualClock, settle
from tests.fakes.questions import make_question

LIMITS = Limits(
    engine="service",
    model="gpt-realtime-1.5",
    cap_day_microusd=1_000_000,
    token_cap_day=0,
    image_tokens=839,
    text_tokens=700,
    max_output_tokens=200,
)


class Till:
    """A ledger that says what a test wants."""

    def __init__(self, facts: MoneyFacts) -> None:
        self.facts = facts

    async def money(self, *, day: str, at: float, model: str) -> MoneyFacts:
        return self.facts

    async def set_first_use(self, word: Literal["due", "told"]) -> None: ...


@asynccontextmanager
async def metering(facts: MoneyFacts | None = None, **changes: Any) -> AsyncGenerator[Meter]:
    meter = Meter(
        store=Till(facts or MoneyFacts()),
        limits=replace(LIMITS, **changes),
        prices=PriceTable.from_toml(shipped_text("prices.toml")),
        facts=Facts(),
        clock=ManualClock(),
        on_cost=lambda _: None,
        notify_person=lambda _, __: None,
        on_window=lambda _: None,
    )
    task = asyncio.create_task(meter.run())
    await settle()
    try:
        yield meter
    finally:
        task.cancel()
        await asyncio.wait([task])


def charged(microusd: int) -> MoneyFacts:
    return MoneyFacts(charges=(Charge(ManualClock().wall(), microusd),))


async def test_with_a_full_bucket_parts_may_go() -> None:
    async with metering() as meter:
        assert meter.affordable_details(True) == MOST_DETAILS
        assert meter.affordable_details(False) == MOST_DETAILS


async def test_below_half_only_whoever_asked_gets_parts() -> None:
    async with metering(charged(76_000)) as meter:
        assert meter.standing.stage == "normal"
        assert meter.affordable_details(True) == 0
        assert meter.why_no_details(True) == "pace"
        assert meter.affordable_details(False) == MOST_DETAILS


async def test_near_the_half_fewer_parts_are_affordable() -> None:
    pace = Pace.of_day(LIMITS.cap_day_microusd, active_hours=10, question_microusd=1)
    found: set[int] = set()
    for left in range(0, 30_000, 1_000):
        async with metering(charged(pace.capacity_microusd // 2 - left)) as meter:
            found.add(meter.affordable_details(True))
    assert found == {0, 1, 2, MOST_DETAILS}


async def test_what_was_billed_for_two_pictures_counts_once_it_is_known() -> None:
    usage = Usage(input_tokens=1146, text_tokens=500, image_tokens=646, output_tokens=60)
    left = charged(75_000 - 10_500)
    async with metering(left) as meter:
        assert meter.affordable_details(True) == 0
    async with metering(replace(left, samples=(Sample(2, 646, usage),))) as meter:
        assert meter.affordable_details(True) == 1


async def test_both_pictures_are_reserved_and_the_estimate_knows_how_many_there_are_on_average() -> None:
    one = make_question()
    two = replace(one, pictures=(*one.pictures, replace(one.pictures[0], width=1024, height=512)))
    async with metering() as meter:
        assert meter.predict(two).tokens - meter.predict(one).tokens == LIMITS.image_tokens
        assert meter.predict(two).expected_image_tokens == 323 + 323
        meter.predict(two)
        assert meter.image_tokens() == 646
    billed = tuple(
        Sample(pictures, 323 * pictures, Usage(text_tokens=500, image_tokens=323 * pictures)) for pictures in (1, 2, 1)
    )
    async with metering(MoneyFacts(samples=billed)) as meter:
        assert meter.image_tokens() == 430
        assert meter.predict(two).tokens - meter.predict(one).tokens == 323, "as billed"


@pytest.mark.parametrize("settled", [895_000, 995_000])
async def test_near_a_cap_nobody_gets_parts(settled: int) -> None:
    async with metering(MoneyFacts(totals=Totals(settled_microusd=settled))) as meter:
        assert (meter.affordable_details(True), meter.affordable_details(False)) == (0, 0)
        assert meter.why_no_details(True) == "cap"


async def test_while_questions_are_paced_only_whoever_asked_gets_parts() -> None:
    async with metering(charged(149_000)) as meter:
        assert meter.standing.stage == "slower"
        assert (meter.affordable_details(True), meter.affordable_details(False)) == (0, MOST_DETAILS)


async def test_the_local_engine_reads_the_whole() -> None:
    async with metering(engine="local") as meter:
        assert (meter.affordable_details(True), meter.affordable_details(False)) == (0, 0)
        assert meter.why_no_details(False) == "engine"


async def test_without_a_price_there_is_no_pace_to_go_by() -> None:
    async with metering(model="a-strangers", token_cap_day=100_000) as meter:
        assert (meter.affordable_details(True), meter.affordable_details(False)) == (0, MOST_DETAILS)
        assert meter.why_no_details(True) == "price"


def test_a_question_may_cost_more_while_the_bucket_stays_half_full() -> None:
    assert spares(100, 100, 50)
    assert not spares(100, 100, 51)
    assert not spares(0, 0, 1)
