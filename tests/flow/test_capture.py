"""Automatic looks: when a monitor is looked at, and what is news."""

from __future__ import annotations

from itertools import pairwise

from hudd.config.settings import ScreenSettings
from tests.fakes.flow import watching
from tests.fakes.text_screen import Desk

EAGER = ScreenSettings(interval_s=0.5, max_interval_s=3.0)


async def test_the_first_frame_is_sent_with_its_epoch() -> None:
    async with watching() as watch:
        (question,) = watch.taken()
        assert question.trigger == "change"
        assert question.id == "auto-1"
        assert question.pictures[0].data == b"eDP-1 0"
        assert question.epoch == watch.facts.epoch
        assert watch.capture.facts().state == "watching"
        assert watch.capture.facts().backend == "desk"
        assert watch.capture.facts().last_frame_at is not None
        assert [(s.source.name, s.last_reason) for s in watch.capture.facts().sources] == [("eDP-1", "first")]


async def test_a_change_is_sent_once_and_a_still_screen_never() -> None:
    async with watching() as watch:
        watch.taken()
        watch.desk.show("eDP-1", "mail")
        await watch.wait(10)
        assert watch.texts() == ["mail"]
        await watch.wait(600)
        assert watch.texts() == []
        assert watch.counters.same > 100


async def test_every_monitor_is_a_source_of_its_own() -> None:
    async with watching(Desk("left", "right")) as watch:
        assert sorted(watch.texts()) == ["left 0", "right 0"]
        watch.desk.show("right", "code")
        await watch.wait(10)
        assert watch.texts() == ["code"]
        assert watch.counters.frames == len(watch.desk.grabs)


async def test_the_polled_interval_grows_on_a_still_screen_and_falls_back_at_a_change() -> None:
    async with watching(screen=EAGER) as watch:
        await watch.wait(60)
        times = watch.desk.grabbed_at
        gaps = [round(b - a, 2) for a, b in pairwise(times)]
        assert gaps[0] <= 0.66
        assert gaps == sorted(gaps)
        assert gaps[-1] == 3.0
        watch.desk.show("eDP-1", "news")
        await watch.wait(3.1)
        seen = len(times)
        await watch.wait(1.0)
        assert len(times) >= seen + 1
        assert times[-1] - times[-2] <= 0.66


async def test_with_damage_events_a_still_screen_is_not_polled() -> None:
    desk = Desk(damage=True)
    async with watching(desk) as watch:
        await watch.wait(5)
        grabs, drains = len(desk.grabs), desk.drains
        assert watch.clock.sleeping == 0
        await watch.wait(600)
        assert (len(desk.grabs), desk.drains) == (grabs, drains)
        desk.show("eDP-1", "news")
        await watch.wait(3)
        assert watch.texts() == ["news"]


async def test_what_never_rests_is_looked_at_once_an_interval_and_costs_one_event_each() -> None:
    desk = Desk(damage=True)
    desk.restless = True
    async with watching(desk) as watch:
        await watch.wait(60)
        gaps = [b - a for a, b in pairwise(desk.grabbed_at)]
        assert min(gaps) >= 0.5 - 1e-6
        assert len(desk.grabs) >= 100
        assert desk.drains <= len(desk.grabs)


async def test_a_burst_is_looked_at_shortly_after_its_first_change() -> None:
    desk = Desk(damage=True)
    async with watching(desk) as watch:
        await watch.wait(10)
        started, grabs = watch.clock.monotonic(), len(desk.grabs)
        desk.show("eDP-1", "one")
        await watch.quiet()
        desk.show("eDP-1", "two")
        await watch.wait(0.06)
        assert len(desk.grabs) == grabs + 1
        assert desk.grabbed_at[-1] - started <= 0.06


async def test_with_a_heartbeat_changes_are_still_seen_at_once() -> None:
    async with watching(Desk(damage=True), heartbeat_s=600.0) as watch:
        await watch.wait(5)
        watch.taken()
        watch.desk.show("eDP-1", "news")
        await watch.wait(3)
        assert [(q.trigger, q.pictures[0].data) for q in watch.taken()] == [("change", b"news")]
        await watch.wait(700)
        assert [q.trigger for q in watch.taken()] == ["interval"]


async def test_an_echo_is_counted_as_such() -> None:
    async with watching() as watch:
        watch.taken()
        for number in range(4):
            await watch.wait(10)
            watch.capture.published(f"question {number}")
            watch.desk.show("eDP-1", f"the note {number}")
        await watch.wait(10)
        assert watch.counters.echo > 0
        assert watch.counters.same >= watch.counters.echo


async def test_a_question_that_was_not_sent_is_news_again_but_not_at_once_and_each_time_later() -> None:
    desk = Desk(damage=True)
    async with watching(desk) as watch:
        times: list[float] = []
        for _ in range(5):
            while not (taken := watch.taken()):
                await watch.wait(0.5)
            times.append(watch.clock.monotonic())
            watch.capture.unsent(taken[0])
        gaps = [b - a for a, b in pairwise(times)]
        assert gaps[0] >= 2.0
        assert all(b > 1.5 * a for a, b in pairwise(gaps))
        await watch.wait(300)
        (again,) = watch.taken()
        await watch.wait(600)
        watch.capture.unsent(again)
        await watch.wait(3)
        assert len(watch.taken()) == 1


async def test_an_unsent_question_changes_nothing_once_a_later_frame_is_on_its_way() -> None:
    async with watching() as watch:
        (first,) = watch.taken()
        watch.desk.show("eDP-1", "later")
        await watch.wait(10)
        watch.capture.unsent(first)
        assert watch.texts() == ["later"]
        await watch.wait(60)
        assert watch.texts() == []
