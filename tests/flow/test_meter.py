from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from hudd.errors import StorageError
from hudd.flow.meter import Meter
from hudd.ledger.records import Charge, MoneyFacts, Period, Sample, Totals
from hudd.policy.facts import Facts
from tests.fakes.clock import ManualClock, settle
from tests.fakes.journal import make_question
from tests.fakes.ledger import LIMITS, PRICES, USAGE

NOON = 1_795_343_466.0
SAMPLE = Sample(1, 323, USAGE)


@dataclass
class Till:
    """A ledger that says what a test wants, and everybody who is told."""

    facts: MoneyFacts
    broken: bool = False
    told: list[dict[str, Any]] = field(default_factory=list)
    persons: list[str] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)
    first_use: list[str] = field(default_factory=list)
    windows: list[int] = field(default_factory=list)
    woken: int = 0

    async def money(self, *, day: str, at: float, model: str) -> MoneyFacts:
        if self.broken:
            raise StorageError("The journal cannot be read.")
        return self.facts

    async def set_first_use(self, word: str) -> None:
        if self.broken:
            raise StorageError("The journal cannot be written.")
        self.first_use.append(word)

    def notify(self, topic: str, sentence: str) -> None:
        self.topics.append(topic)
        self.persons.append(sentence)

    def wake(self) -> None:
        self.woken += 1


class Bench:
    """A meter that runs."""

    def __init__(self, till: Till, **changes: Any) -> None:
        self.till = till
        self.clock = ManualClock(wall=NOON)
        self.policy = Facts()
        self.meter = Meter(
            store=till,
            limits=replace(LIMITS, **changes),
            prices=PRICES,
            facts=self.policy,
            clock=self.clock,
            on_cost=till.told.append,
            notify_person=till.notify,
            on_window=till.windows.append,
        )
        self.meter.on_may_ask(till.wake)

    async def set(self, **changes: Any) -> None:
        """The ledger says something else after an answer."""
        self.till.facts = replace(self.till.facts, **changes)
        self.meter.settled(answered=True)
        await settle()

    @property
    def stage(self) -> str:
        return self.meter.standing.stage


@asynccontextmanager
async def metering(facts: MoneyFacts = MoneyFacts(), **changes: Any) -> AsyncIterator[Bench]:  # noqa: B008 - a frozen record
    bench = Bench(Till(facts), **changes)
    running = asyncio.create_task(bench.meter.run())
    await settle()
    try:
        yield bench
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_every_step_is_a_fact_a_cost_event_and_a_word_to_the_person() -> None:
    async with metering() as bench:
        assert (bench.stage, bench.till.told, bench.till.persons) == ("normal", [], [])
        await bench.set(charges=(Charge(NOON, 148_000),))
        assert bench.stage == "slower"
        assert bench.policy.automatic_reasons == ()
        await bench.set(totals=Totals(settled_microusd=895_000))
        assert (bench.stage, bench.meter.standing.because) == ("asked_only", "day")
        assert (bench.policy.reasons, bench.policy.automatic_reasons) == ((), ("cap_near",))
        await bench.set(totals=Totals(settled_microusd=995_000))
        assert bench.stage == "nothing"
        assert bench.policy.reasons == ("cap_reached",)
        await bench.set(totals=Totals(), charges=())
        assert bench.stage == "normal"
        assert bench.policy.automatic_reasons == ()
        assert [body["stage"] for body in bench.till.told] == ["slower", "asked_only", "nothing", "normal"]
        assert [body["blocked"] for body in bench.till.told] == [None, None, "cap_reached", None]
        assert len(bench.till.persons) == 4
        assert "$1.00" in bench.till.persons[1]
        assert "cap_day_usd" in bench.till.persons[2]


async def test_each_cap_can_be_the_one() -> None:
    async with metering(cap_hour_microusd=100_000, cap_month_microusd=2_000_000) as bench:
        await bench.set(totals=Totals(hour=Period(99_000)))
        assert (bench.stage, bench.meter.standing.because) == ("nothing", "hour")
        assert "cap_hour_usd" in bench.meter.sentence()
        await bench.set(totals=Totals(month=Period(1_850_000)))
        assert (bench.stage, bench.meter.standing.because) == ("asked_only", "month")


async def test_the_hour_is_lifted_when_it_is_over() -> None:
    async with metering(cap_hour_microusd=100_000) as bench:
        await bench.set(totals=Totals(hour=Period(99_000)))
        assert not bench.meter.may_ask()
        bench.till.facts = MoneyFacts()
        await bench.clock.advance(3600 - NOON % 3600 + 1)
        assert bench.stage == "normal"
        assert bench.meter.may_ask()
        assert bench.till.woken == 1


async def test_a_reached_cap_is_known_from_the_first_moment_after_a_restart() -> None:
    async with metering(MoneyFacts(totals=Totals(settled_microusd=995_000))) as bench:
        assert bench.policy.reasons == ("cap_reached",)


async def test_paced_questions_wait_for_the_bucket_and_then_somebody_is_woken() -> None:
    async with metering() as bench:
        price = bench.meter.predict(make_question()).microusd
        assert price is not None
        await bench.set(charges=(Charge(NOON, 150_000),))
        assert not bench.meter.may_ask()
        wait_s = bench.meter.status()["pacing"]["next_automatic_s"]
        assert wait_s > 60
        await bench.clock.advance(wait_s - 1)
        assert not bench.meter.may_ask()
        assert bench.till.woken == 0
        await bench.clock.advance(2)
        assert bench.meter.may_ask()
        assert bench.till.woken == 1
        assert bench.stage == "slower"


async def test_nothing_wakes_up_while_the_stage_is_normal_or_only_a_person_can_help() -> None:
    async with metering() as bench:
        assert bench.clock.sleeping == 0
    async with metering(model="a-strangers") as bench:
        assert bench.stage == "nothing"
        assert bench.clock.sleeping == 0


async def test_an_unknown_price_is_said_loudly_and_at_once() -> None:
    async with metering(model="a-strangers") as bench:
        assert bench.policy.reasons == ("price_unknown",)
        assert "a-strangers" in bench.till.persons[-1]
        assert "prices_file" in bench.till.persons[-1]
        assert bench.till.told[-1]["blocked"] == "price_unknown"


async def test_a_token_cap_lets_an_unknown_price_pass_until_it_is_used_up() -> None:
    async with metering(model="a-strangers", token_cap_day=5_000) as bench:
        assert bench.stage == "normal"
        assert bench.meter.may_ask()
        await bench.set(totals=Totals(unpriced_tokens=4_900))
        assert (bench.stage, bench.meter.standing.because) == ("nothing", "tokens")
        assert "5,000 tokens" in bench.meter.sentence()
        assert bench.policy.reasons == ("cap_reached",)


async def test_the_local_engine_is_never_paced() -> None:
    async with metering(engine="local") as bench:
        assert bench.meter.may_ask()
        assert bench.meter.predict(make_question()).microusd == 0
        assert bench.clock.sleeping == 0


async def test_a_refusal_counts_open_questions_until_something_is_settled() -> None:
    async with metering(MoneyFacts(totals=Totals(500_000, 499_000))) as bench:
        assert bench.stage == "normal"
        await bench.meter.refused()
        assert bench.policy.reasons == ("cap_reached",)
        assert bench.till.persons == []  # it may be over in a second
        await bench.set(totals=Totals(503_000))
        assert bench.policy.reasons == ()
        await bench.set(totals=Totals(995_000))
        assert len(bench.till.persons) == 1


async def test_the_alarm_sounds_once_when_money_is_spent_without_a_note() -> None:
    async with metering() as bench:
        await bench.set(unnoted=2, unnoted_microusd=20_000)
        assert bench.till.persons == []
        await bench.set(unnoted=3, unnoted_microusd=30_000)
        await bench.set(unnoted=4, unnoted_microusd=40_000)
        (sentence,) = bench.till.persons
        assert "$0.03" in sentence
        assert "without a note" in sentence
        assert bench.till.told[-1]["alarm"] is True
        assert bench.meter.status()["unnoted"] == {"answers": 4, "microusd": 40_000, "unpriced": 0, "alarm": True}
        await bench.set(unnoted=0, unnoted_microusd=0)
        assert bench.meter.status()["unnoted"]["alarm"] is False
        await bench.set(unnoted=1, unnoted_microusd=50_000)  # one, but a twentieth of the day
        assert len(bench.till.persons) == 2


async def test_an_answer_above_its_reservation_is_announced() -> None:
    async with metering() as bench:
        bench.meter.above_reservation(4_000, 9_000)
        assert bench.till.told[-1]["above_reservation"] == {"reserved_microusd": 4_000, "microusd": 9_000}
        assert "$0.0050 more" in bench.till.told[-1]["sentence"]


async def test_pictures_are_reserved_as_they_were_billed() -> None:
    async with metering() as bench:
        before = bench.meter.predict(make_question())
        await bench.set(samples=(SAMPLE,))
        after = bench.meter.predict(make_question())
        assert before.tokens - after.tokens == 839 - 323
        assert after.expected_image_tokens == 323
        assert bench.meter.status()["learnt"]["images"] == [
            {"pictures": 1, "expected_tokens": 323, "tokens": 323, "answers": 1}
        ]
        assert (bench.meter.image_tokens(), bench.meter.answer_tokens()) == (323, 60)
        long = replace(SAMPLE, usage=replace(SAMPLE.usage, text_tokens=5_000))
        await bench.set(samples=(long,))
        assert bench.meter.predict(make_question()).tokens == after.tokens + 4_300


async def test_the_window_shrinks_step_by_step_while_nothing_is_cached_and_comes_back_at_once() -> None:
    async with metering() as bench:
        for _ in range(31):
            await bench.set(samples=(SAMPLE,) * 10)
        assert bench.till.windows == [150, 80]
        warm = replace(SAMPLE, usage=replace(SAMPLE.usage, cached_text_tokens=448))
        for _ in range(10):
            await bench.set(samples=(warm,) * 10)
        assert bench.till.windows == [150, 80, 300]
        assert bench.meter.status()["learnt"]["cached_percent"] == 54


async def test_a_ledger_that_cannot_be_read_changes_nothing() -> None:
    async with metering(MoneyFacts(totals=Totals(settled_microusd=995_000))) as bench:
        bench.till.broken = True
        await bench.set()
        assert bench.policy.reasons == ("cap_reached",)


async def test_the_first_start_says_the_cap() -> None:
    async with metering(MoneyFacts(ever_paid=False)) as bench:
        assert "at most $1.00 is spent in a day" in bench.till.persons[0]
    async with metering() as bench:
        assert bench.till.persons == []


async def test_another_model_has_other_prices() -> None:
    async with metering() as bench:
        dear = bench.meter.predict(make_question()).microusd
        bench.meter.use_model("gpt-realtime-2.1-mini")
        cheap = bench.meter.predict(make_question()).microusd
        assert dear is not None
        assert cheap is not None
        assert cheap < dear / 3


async def test_the_first_start_is_told_once_in_the_life_of_a_journal() -> None:
    async with metering(MoneyFacts(ever_paid=False)) as bench:
        assert bench.till.persons == [
            "gpt-realtime-1.5 costs money: at most $1.00 is spent in a day ([cost] cap_day_usd)."
        ]
        assert bench.till.topics == ["money"]
        assert bench.till.first_use == ["due"]
        assert "$1.00" in bench.meter.first_use.sentence()
        await bench.meter.first_use.read()
        await bench.meter.first_use.read()
        assert bench.meter.first_use.sentence() == ""
        assert bench.till.first_use == ["due", "told"]


async def test_what_nobody_has_read_before_a_restart_is_told_after_it_but_shown_no_second_time() -> None:
    async with metering(MoneyFacts(ever_paid=True, first_use="due")) as bench:
        assert bench.till.persons == []
        assert "costs money" in bench.meter.first_use.sentence()
    for facts in (MoneyFacts(ever_paid=True, first_use="told"), MoneyFacts(ever_paid=False, first_use="told")):
        async with metering(facts) as bench:
            assert (bench.till.persons, bench.meter.first_use.sentence()) == ([], "")


async def test_a_refusal_names_the_cap_and_its_end() -> None:
    async with metering(cap_hour_microusd=200_000) as bench:
        await bench.set(totals=Totals(hour=Period(199_000)))
        cause, remedy = bench.policy.explain(bench.policy.reasons)
        assert cause.startswith("The hour's cap of $0.20 is reached until ")
        assert "cap_hour_usd" in remedy
        await bench.set(totals=Totals())
        assert bench.policy.explain(("cap_reached",))[0].startswith("A money cap is reached")


UNPRICED: dict[str, Any] = {"model": "my-deployment", "token_cap_day": 50_000}


async def test_that_nobody_knows_the_price_is_said_loudly_at_each_start() -> None:
    for facts in (MoneyFacts(ever_paid=False), MoneyFacts(first_use="told")):
        async with metering(facts, **UNPRICED) as bench:
            (sentence,) = bench.till.persons
            assert "no cap in dollars holds it, only 50,000 tokens a day ([cost] token_cap_day)" in sentence
            assert "[cost] prices_file" in sentence
            assert [body["sentence"] for body in bench.till.told] == [sentence]
            assert bench.meter.first_use.sentence() == ("" if facts.first_use else sentence)
            await bench.set()
            assert len(bench.till.persons) == len(bench.till.told) == 1


async def test_a_model_without_a_price_that_takes_over_is_told() -> None:
    async with metering(token_cap_day=50_000) as bench:
        assert bench.till.persons == []
        bench.meter.use_model("my-deployment")
        await settle()
        assert ["my-deployment" in sentence for sentence in bench.till.persons] == [True]


async def test_a_model_that_may_not_be_asked_is_said_to_cost_nothing_yet() -> None:
    async with metering(MoneyFacts(ever_paid=False), model="my-deployment") as bench:
        assert (bench.stage, bench.meter.first_use.sentence(), bench.till.first_use) == ("nothing", "", [])
        bench.meter.change(replace(LIMITS, **UNPRICED), PRICES)
        await settle()
        assert "only 50,000 tokens a day" in bench.meter.first_use.sentence()
        assert bench.till.first_use == ["due"]


async def test_an_unknown_cost_is_no_zero_on_the_topic() -> None:
    async with metering(**UNPRICED) as bench:
        await bench.set(totals=Totals(answers=3, unpriced=3, unpriced_tokens=49_900))
        told = bench.till.told[-1]
        assert (told["stage"], told["because"], told["microusd"]) == ("nothing", "tokens", None)
        assert told["unpriced"] == {"answers": 3, "tokens": 49_900}


async def test_answers_of_unknown_price_without_a_note_ring_the_alarm() -> None:
    async with metering(**UNPRICED) as bench:
        await bench.set(unnoted=3, unnoted_unpriced=3)
        assert bench.till.persons[-1].startswith("An unknown sum was spent on the last 3 answers without a note")
        assert bench.meter.status()["unnoted"] == {"answers": 3, "microusd": None, "unpriced": 3, "alarm": True}
    async with metering(**UNPRICED) as bench:
        await bench.set(unnoted=3, unnoted_unpriced=2, unnoted_microusd=10_000)
        assert bench.till.persons[-1].startswith("$0.01 and an unknown sum was spent on")
