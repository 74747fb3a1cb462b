"""Nothing is looked at, put or sent while a reason holds, nor when the facts changed meanwhile."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.errors import WithheldError
from hudd.flow.grabs import GRABS
from hudd.model import Question
from hudd.policy.facts import FACTS_CHANGED
from tests.fakes.clock import settle
from tests.fakes.flow import watching
from tests.fakes.text_screen import Desk, from_thread


async def test_nothing_is_grabbed_while_a_reason_holds_and_the_end_of_it_is_a_cause_to_look() -> None:
    for damage in (False, True):
        desk = Desk(damage=damage)
        async with watching(desk, held=("paused",)) as watch:
            for number in range(5):
                desk.show("eDP-1", f"secret {number}")
                await watch.wait(20)
            assert desk.grabs == []
            assert watch.clock.sleeping == 0
            watch.facts.set("paused", False)
            await watch.wait(1)
            assert watch.texts() == ["secret 4"]


async def test_a_pause_in_the_middle_stops_the_looks_and_what_changed_meanwhile_is_sent_afterwards() -> None:
    for damage in (False, True):
        desk = Desk(damage=damage)
        async with watching(desk) as watch:
            await watch.wait(5)
            watch.taken()
            watch.facts.set("paused", True)
            grabs = len(desk.grabs)
            desk.show("eDP-1", "secret")
            await watch.wait(100)
            watch.facts.set("cap_reached", True)
            watch.facts.set("paused", False)
            await watch.wait(100)
            assert len(desk.grabs) == grabs
            desk.show("eDP-1", "public")
            watch.facts.set("cap_reached", False)
            await watch.wait(5)
            assert watch.texts() == ["public"]


async def test_changes_that_nobody_may_look_at_cost_one_event_and_do_not_spin() -> None:
    desk = Desk(damage=True)
    async with watching(desk) as watch:
        await watch.wait(5)
        watch.facts.set("paused", True)
        await watch.wait(5)
        drains = desk.drains
        desk.show("eDP-1", "secret")
        await watch.wait(60)
        descriptor = watch.eyes.damage_fd()
        assert descriptor is not None
        assert not asyncio.get_running_loop().remove_reader(descriptor)
        assert desk.drains == drains


async def test_a_pause_and_its_end_in_one_moment_do_not_stop_the_looks_for_good() -> None:
    desk = Desk(damage=True)
    async with watching(desk) as watch:
        await watch.wait(5)
        watch.taken()
        watch.facts.set("paused", True)
        await watch.wait(5)
        desk.show("eDP-1", "news")
        await watch.wait(5)
        watch.facts.set("paused", False)
        watch.facts.set("paused", True)
        watch.facts.set("paused", False)
        await watch.wait(5)
        assert watch.texts() == ["news"]


async def test_a_frame_whose_epoch_changed_during_the_grab_is_discarded() -> None:
    desk = Desk()
    async with watching(desk) as watch:
        await watch.wait(5)
        watch.taken()

        def pause_for_a_moment() -> None:
            watch.facts.set("paused", True)
            watch.facts.set("paused", False)

        desk.on_grab = from_thread(pause_for_a_moment)
        desk.show("eDP-1", "seen during a change")
        frames = len(desk.grabs)
        await watch.wait(3)
        assert len(desk.grabs) > frames
        assert watch.texts() == []
        assert watch.counters.discarded == len(desk.grabs) - frames
        desk.on_grab = None
        await watch.wait(5)
        assert watch.texts() == ["seen during a change"]


async def test_a_frame_whose_epoch_changed_during_the_encoding_is_discarded_and_stays_news() -> None:
    desk = Desk()
    async with watching(desk) as watch:
        await watch.wait(5)
        watch.taken()
        desk.on_encode = from_thread(lambda: watch.facts.set("paused", True))
        desk.show("eDP-1", "news")
        await watch.wait(5)
        assert watch.texts() == []
        assert watch.counters.discarded == 1
        desk.on_encode = None
        watch.facts.set("paused", False)
        await watch.wait(5)
        assert watch.texts() == ["news"]


async def test_a_snap_whose_epoch_changed_ends_in_the_reason() -> None:
    desk = Desk()
    async with watching(desk) as watch:
        pause = from_thread(lambda: watch.facts.set("paused", True))
        for hook in ("on_grab", "on_encode"):
            setattr(desk, hook, pause)
            with pytest.raises(WithheldError) as refused:
                await watch.capture.snap(None, "snap-1")
            assert refused.value.reasons == ("paused", FACTS_CHANGED)
            setattr(desk, hook, None)
            watch.facts.set("paused", False)
            await watch.quiet()


async def test_a_snap_is_grabbed_again_when_only_a_fact_changed_meanwhile() -> None:
    desk = Desk()
    async with watching(desk) as watch:
        times = 2

        def change() -> None:
            nonlocal times
            times -= 1
            if times >= 0:
                watch.facts.touch()

        desk.on_encode = from_thread(change)
        grabs = len(desk.grabs)
        question = await watch.capture.snap(None, "snap-1")
        assert (question.id, question.epoch) == ("snap-1", watch.facts.epoch)
        assert len(desk.grabs) == grabs + 3


async def test_a_snap_over_facts_that_never_rest_ends_in_words() -> None:
    desk = Desk()
    async with watching(desk) as watch:
        desk.on_encode = from_thread(watch.facts.touch)
        grabs = len(desk.grabs)
        with pytest.raises(WithheldError) as refused:
            await watch.capture.snap(None, "snap-1")
        assert refused.value.reasons == (FACTS_CHANGED,)
        assert len(desk.grabs) == grabs + GRABS


async def test_a_snap_does_not_even_grab_while_a_reason_holds() -> None:
    desk = Desk()
    async with watching(desk, held=("paused",)) as watch:
        with pytest.raises(WithheldError) as refused:
            await watch.capture.snap(None, "snap-1")
        assert refused.value.reasons == ("paused",)
        assert desk.grabs == []


async def test_a_grab_that_waited_its_turn_over_a_change_is_not_made() -> None:
    desk = Desk()
    async with watching(desk) as watch:
        inside, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            inside.set()
            assert go_on.wait(10)

        # Something takes long in the capture thread, behind the search for the monitor and before the grab.
        desk.on_sources = lambda: watch.eyes.busy_with(hold)
        snap = asyncio.create_task(watch.capture.snap(None, "snap-1"))
        assert await asyncio.to_thread(inside.wait, 10)
        desk.on_sources = None
        await settle()
        watch.facts.set("paused", True)
        grabs = len(desk.grabs)
        go_on.set()
        with pytest.raises(WithheldError) as refused:
            await snap
        assert refused.value.reasons == ("paused", FACTS_CHANGED)
        assert len(desk.grabs) == grabs


async def test_a_change_of_facts_drops_what_waits_and_it_is_looked_at_again_afterwards() -> None:
    async with watching(Desk("left", "right", damage=True)) as watch:
        assert len(watch.mailbox) == 2
        watch.facts.set("paused", True)
        assert len(watch.mailbox) == 0
        assert watch.counters.withheld == 2
        await watch.wait(60)
        watch.facts.set("paused", False)
        await watch.wait(5)
        questions = watch.taken()
        assert sorted(q.pictures[0].data for q in questions) == [b"left 0", b"right 0"]
        assert {q.epoch for q in questions} == {watch.facts.epoch}


async def test_a_reason_for_automatic_pictures_alone_stops_the_looks_and_lets_snaps_pass() -> None:
    for damage in (False, True):
        desk = Desk(damage=damage)
        async with watching(desk) as watch:
            await watch.wait(5)
            watch.taken()
            watch.facts.set("cap_near", True)
            desk.show("eDP-1", "news")
            grabs = len(desk.grabs)
            await watch.wait(60)
            assert len(desk.grabs) == grabs
            assert (await watch.capture.snap(None, "snap-1")).pictures[0].data == b"news"
            desk.show("eDP-1", "later news")
            watch.facts.set("cap_near", False)
            await watch.wait(5)
            assert watch.texts() == ["later news"]


async def test_an_automatic_frame_is_not_put_when_its_reason_comes_during_the_encoding() -> None:
    desk = Desk()
    async with watching(desk) as watch:
        await watch.wait(5)
        watch.taken()
        desk.on_encode = from_thread(lambda: watch.facts.set("cap_near", True))
        desk.show("eDP-1", "news")
        await watch.wait(5)
        assert watch.texts() == []
        assert (await watch.capture.snap(None, "snap-1")).pictures[0].data == b"news"


MOVES = st.lists(
    st.sampled_from(["pause", "resume", "cap", "uncap", "show", "look", "snap", "race grab", "race encode", "send"]),
    min_size=5,
    max_size=30,
)


@settings(max_examples=25, deadline=None)
@given(MOVES)
async def test_nothing_is_put_or_sent_whose_epoch_is_old_or_while_a_reason_holds(moves: list[str]) -> None:
    desk = Desk()
    async with watching(desk, min_interval_s=0.0, settle_s=0.0) as watch:
        put = watch.mailbox.put

        def checked(question: Question) -> None:
            assert watch.facts.withheld(question.epoch) == ()
            put(question)

        watch.mailbox.put = checked  # pyright: ignore[reportAttributeAccessIssue]
        flip = from_thread(lambda: watch.facts.set("paused", "paused" not in watch.facts.reasons))
        sent = 0
        for number, move in enumerate(moves):
            held = bool(watch.facts.reasons)
            grabs = len(desk.grabs)
            match move:
                case "pause" | "resume":
                    watch.facts.set("paused", move == "pause")
                case "cap" | "uncap":
                    watch.facts.set("cap_reached", move == "cap")
                case "show":
                    desk.show("eDP-1", f"text {number}")
                case "look":
                    await watch.wait(2)
                    assert not held or len(desk.grabs) == grabs
                case "snap":
                    try:
                        checked(await watch.capture.snap(None, f"snap-{number}"))
                    except WithheldError:
                        assert held
                case "race grab" | "race encode":
                    setattr(desk, move.replace("race ", "on_"), flip)
                    desk.show("eDP-1", f"race {number}")
                    await watch.wait(2)
                    setattr(desk, move.replace("race ", "on_"), None)
                case _:
                    while (question := watch.mailbox.take_nowait()) is not None:
                        if watch.facts.withheld(question.epoch):
                            assert question.trigger == "manual" or held
                        else:
                            sent += 1
                            assert not watch.facts.reasons
                            assert question.epoch == watch.facts.epoch
            await watch.quiet()
        assert sent <= watch.counters.frames
