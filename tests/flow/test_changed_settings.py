"""Other settings come into force in stages that run."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from hudd.adapters import shipped_text
from hudd.config.settings import GateSettings, ScreenSettings
from hudd.errors import CaptureError
from hudd.flow.damage import DamageReader
from hudd.flow.keeping import Rules
from hudd.flow.limits import Limits
from hudd.flow.meter import Meter
from hudd.ledger.prices import PriceTable
from hudd.ledger.records import MoneyFacts, Totals
from hudd.policy.facts import Facts
from hudd.realtime.models import Models
from hudd.realtime.prompt import WindowHistory
from tests.fakes.clock import ManualClock, settle
from tests.fakes.flow import Watch, watching
from tests.fakes.keeping import KeepingRoom
from tests.fakes.text_screen import Desk, DeskPixels, from_thread

GATE = GateSettings(settle_s=0.4, max_settle_s=3.0, min_interval_s=2.0)


def gate(watch: Watch, **changes: object) -> None:
    watch.eyes.change(replace(GATE, **changes), DeskPixels(watch.desk))
    watch.capture.change(ScreenSettings())


async def test_another_screen_is_opened_before_the_first_is_closed() -> None:
    async with watching() as watch:
        watch.taken()
        opened = watch.eyes.opened
        watch.capture.change(ScreenSettings(source="other"))
        await watch.wait(1)
        assert watch.eyes.opened == opened + 1
        assert watch.eyes.is_open
        assert watch.capture.facts().state == "watching"
        watch.desk.show("eDP-1", "mail")
        await watch.wait(10)
        assert watch.texts() == ["mail"]


async def test_a_pace_needs_no_other_screen_and_holds_at_once() -> None:
    async with watching() as watch:
        opened = watch.eyes.opened
        watch.capture.change(ScreenSettings(interval_s=20.0, max_interval_s=60.0))
        await watch.wait(0.1)
        before = len(watch.desk.grabs)
        await watch.wait(19)
        assert len(watch.desk.grabs) <= before + 1
        watch.capture.change(ScreenSettings(interval_s=0.1, max_interval_s=0.1))
        before = len(watch.desk.grabs)
        await watch.wait(2)
        assert len(watch.desk.grabs) > before + 10
        assert watch.eyes.opened == opened


async def test_a_display_that_is_missing_is_looked_for_at_once_with_other_settings() -> None:
    desk = Desk()
    desk.missing = 4
    async with watching(desk) as watch:
        await watch.wait(3)
        assert watch.capture.facts().state == "no_display"
        desk.missing = 0
        watch.capture.change(ScreenSettings(source="other"))
        await watch.wait(0.1)
        assert watch.capture.facts().state == "watching"


async def test_a_snap_that_waits_finds_its_source_on_the_other_screen() -> None:
    async with watching() as watch:
        watch.taken()

        def reopen() -> None:
            watch.desk.on_sources = None
            watch.capture.change(ScreenSettings(source="other"))

        watch.desk.on_sources = from_thread(reopen)
        question = await watch.capture.snap(None, "S1")
        assert question.id == "S1"
        await watch.wait(1)
        assert watch.capture.facts().state == "watching"


async def test_a_snap_of_a_source_that_went_with_the_screen_is_refused_with_the_names_there_are() -> None:
    async with watching(Desk("left", "right")) as watch:

        def reopen() -> None:
            watch.desk.on_grab = None
            del watch.desk.shown["left"]
            watch.capture.change(ScreenSettings(source="other"))

        watch.desk.on_grab = from_thread(reopen)
        watch.desk.broken.add("left")
        with pytest.raises(CaptureError):
            await watch.capture.snap("left", "S1")


async def test_settings_may_change_while_nothing_may_be_looked_at() -> None:
    async with watching(held=("paused",)) as watch:
        watch.capture.change(ScreenSettings(source="other"))
        await watch.wait(5)
        assert watch.desk.grabs == []
        watch.facts.set("paused", False)
        await watch.wait(1)
        assert watch.texts() == ["eDP-1 0"]


async def test_the_gate_judges_by_other_settings_and_keeps_what_it_saw() -> None:
    async with watching() as watch:
        watch.taken()
        gate(watch, heartbeat_s=30.0)
        await watch.wait(10)
        assert watch.texts() == [], "it is still no news"
        await watch.wait(30)
        assert len(watch.taken()) == 1
        gate(watch, min_interval_s=100.0, heartbeat_s=0.0)
        watch.desk.show("eDP-1", "mail")
        await watch.wait(60)
        assert watch.texts() == []
        gate(watch)
        await watch.wait(5)
        assert watch.texts() == ["mail"]


async def test_old_notes_go_at_once_by_other_rules() -> None:
    room = KeepingRoom()
    running = asyncio.create_task(room.keeping.run())
    await settle()
    before = len(room.upkeep.calls)
    room.keeping.change(Rules(keep_days=5))
    await settle()
    assert any("prune" in str(call) for call in room.upkeep.calls[before:])
    assert room.keeping.status()["keep_days"] == 5
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_the_model_in_use_stays_while_it_is_named() -> None:
    models = Models("first", ("second", "third"))
    models.give_up()
    models.change("first", ("third", "second"))
    assert models.current == "second"
    assert models.give_up() == ""
    models.change("first", ("third",))
    assert models.current == "first"
    models.give_up()
    models.change("other", ("third",))
    assert models.current == "other", "another first choice is tried first"


def test_the_history_is_cut_by_other_settings_and_keeps_a_limit_that_was_learnt() -> None:
    history = WindowHistory(history_tokens=300, retention_ratio=0.5)
    for number in range(6):
        history.remember("eDP-1", f"{number} " + "word " * 30)
    history.set_limit(150)
    history.change(history_tokens=300, retention_ratio=0.9)
    assert history.tokens("eDP-1") <= 150
    history.change(history_tokens=1000, retention_ratio=0.9)
    for number in range(6):
        history.remember("eDP-1", f"{number} " + "word " * 30)
    assert history.tokens("eDP-1") > 200
    history.change(history_tokens=0, retention_ratio=0.9)
    assert history.messages("eDP-1") == ()
    assert history.latest(1000) == ()


async def test_damage_is_told_once_for_each_time_it_is_asked_for() -> None:
    import socket

    ours, theirs = socket.socketpair()
    with ours, theirs:
        told: list[int] = []
        reader = DamageReader(lambda: told.append(1))
        reader.read(ours.fileno())
        theirs.send(b"xx")
        for _ in range(5):
            await asyncio.sleep(0)
        assert told == [1]
        reader.read(ours.fileno())
        reader.stop()
        reader.stop()
        for _ in range(5):
            await asyncio.sleep(0)
        assert told == [1]


class Till:
    """A ledger with 0.99 dollars spent today."""

    async def money(self, *, day: str, at: float, model: str) -> MoneyFacts:
        return MoneyFacts(totals=Totals(settled_microusd=995_000))

    async def set_first_use(self, word: str) -> None: ...


async def test_another_cap_is_looked_at_at_once() -> None:
    limits = Limits(
        engine="service",
        model="gpt-realtime-1.5",
        cap_day_microusd=1_000_000,
        token_cap_day=0,
        image_tokens=839,
        text_tokens=800,
        max_output_tokens=200,
    )
    prices, facts = PriceTable.from_toml(shipped_text("prices.toml")), Facts()
    meter = Meter(
        store=Till(),
        limits=limits,
        prices=prices,
        facts=facts,
        clock=ManualClock(),
        on_cost=lambda _: None,
        notify_person=lambda *_: None,
        on_window=lambda _: None,
    )
    running = asyncio.create_task(meter.run())
    await settle()
    assert facts.reasons == ("cap_reached",)
    meter.change(replace(limits, cap_day_microusd=5_000_000), prices)
    await settle()
    assert (facts.reasons, meter.standing.stage) == ((), "normal")
    meter.change(replace(limits, cap_day_microusd=500_000), prices)
    await settle()
    assert facts.reasons == ("cap_reached",)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
