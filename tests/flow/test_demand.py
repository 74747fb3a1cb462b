from __future__ import annotations

import pytest

from hudd.config.settings import ScreenSettings
from hudd.flow.demand import Demand
from hudd.model import Source
from tests.fakes.flow import watching
from tests.fakes.text_screen import Desk

WATCHED = ScreenSettings(only_when_watched=True)


@pytest.mark.parametrize(
    ("prefix", "wanted"),
    [("", True), ("note/", True), ("no", True), ("note/eDP-1/", True), ("note/HDMI-1/", False), ("state/", False)],
)
def test_a_subscription_counts_by_its_prefix(prefix: str, wanted: bool) -> None:
    demand = Demand(
        only_when_watched=True, listening=lambda topic: prefix.startswith(topic) or topic.startswith(prefix)
    )
    assert demand.wants(Source("monitor", "eDP-1", (0, 0, 10, 10))) is wanted
    assert demand.anybody() is (wanted or prefix == "note/HDMI-1/")


def test_without_the_setting_everything_is_wanted() -> None:
    demand = Demand(only_when_watched=False, listening=lambda _: False)
    assert demand.anybody()
    assert demand.wants(Source("monitor", "eDP-1", (0, 0, 10, 10)))


@pytest.mark.parametrize("damage", [False, True])
async def test_nothing_is_looked_at_while_nobody_listens_and_an_arrival_looks_at_once(damage: bool) -> None:
    desk = Desk(damage=damage)
    async with watching(desk, screen=ScreenSettings(only_when_watched=True, interval_s=3600.0)) as watch:
        desk.show("eDP-1", "unseen")
        await watch.wait(600)
        assert desk.grabs == []
        facts = watch.capture.facts()
        assert facts.state == "unwatched"
        assert "only_when_watched" in facts.sentence
        assert watch.facts.reasons == ()
        assert watch.facts.automatic_reasons == ()
        assert watch.troubles == []
        for seen in ("first", "second"):
            desk.show("eDP-1", seen)
            before = len(desk.grabs)
            watch.subscribe("note/")
            await watch.wait(0.1)
            assert len(desk.grabs) == before + 1  # although the interval is an hour
            assert watch.capture.facts().state == "watching"
            watch.subscribe()
            await watch.quiet()
            assert watch.capture.facts().state == "unwatched"
            await watch.wait(7200)
            assert len(desk.grabs) == before + 1
        assert watch.states[-4:] == ["watching", "unwatched", "watching", "unwatched"]


async def test_what_changed_meanwhile_becomes_a_note_once_somebody_listens() -> None:
    desk = Desk(damage=True)
    async with watching(desk, screen=WATCHED) as watch:
        watch.subscribe("")
        await watch.wait(5)
        assert watch.texts() == ["eDP-1 0"]
        watch.subscribe()
        desk.show("eDP-1", "meanwhile")
        await watch.wait(60)
        assert watch.texts() == []
        watch.subscribe("note/eDP-1/")
        await watch.wait(3)
        assert watch.texts() == ["meanwhile"]


async def test_a_topic_that_names_a_source_wants_only_that() -> None:
    desk = Desk("left", "right")
    async with watching(desk, screen=WATCHED) as watch:
        watch.subscribe("note/right/")
        await watch.wait(10)
        assert watch.texts() == ["right 0"]
        assert set(desk.grabs) == {"right"}
        watch.subscribe("note/right/", "note/left/")
        await watch.wait(0.1)
        assert watch.texts() == ["left 0"]


async def test_snaps_always_work() -> None:
    desk = Desk(damage=True)
    async with watching(desk, screen=WATCHED) as watch:
        question = await watch.capture.snap(None, "asked")
        assert question.trigger == "manual"
        await watch.wait(60)
        assert len(desk.grabs) == 1
        assert watch.texts() == []


async def test_a_second_subscriber_is_no_cause_to_look() -> None:
    desk = Desk(damage=True)
    async with watching(desk, screen=WATCHED) as watch:
        watch.subscribe("note/")
        await watch.wait(10)
        grabs = len(desk.grabs)
        watch.subscribe("note/", "note/eDP-1/", "hb/")
        await watch.wait(10)
        assert len(desk.grabs) == grabs
