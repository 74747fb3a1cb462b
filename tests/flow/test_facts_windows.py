"""Windows as facts, and frames without them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from hudd.config.settings import PrivacySettings
from hudd.errors import CaptureError, NoDisplayError, WithheldError
from hudd.flow.facts_windows import LINGER_S, UNPLACED
from hudd.policy.facts import FACTS_CHANGED
from hudd.policy.windows import WindowRules
from hudd.screen.mask import COLOUR
from hudd.screen.source import Window
from tests.fakes.window_facts import OTHER, SECRET, Room, Teller, followed


async def test_an_excluded_window_withholds_until_a_moment_after_it_went() -> None:
    teller = Teller(OTHER)
    room = Room(teller)
    async with followed(room):
        assert room.facts.reasons == ()
        epoch = room.facts.epoch
        teller.show(OTHER, SECRET)
        await room.until("excluded")
        assert room.facts.epoch > epoch
        with pytest.raises(WithheldError, match="excluded"):
            room.grab()
        teller.show(OTHER)
        await asyncio.sleep(0.05)
        assert room.facts.reasons == ("excluded",)  # it may still fade out
        await room.clock.advance(LINGER_S + 0.01)
        await room.until()


async def test_a_title_that_changes_without_meaning_discards_nothing() -> None:
    teller = Teller(OTHER)
    room = Room(teller)
    async with followed(room):
        epoch = room.facts.epoch
        teller.show(Window("2", "Editor *", "gedit", rect=OTHER.rect))
        await asyncio.sleep(0.05)
        assert room.facts.epoch == epoch


async def test_the_capture_thread_sees_a_window_before_its_event_is_read() -> None:
    teller = Teller(OTHER)
    room = Room(teller)
    async with followed(room):
        teller.shown = (OTHER, SECRET)  # nothing was told
        with pytest.raises(WithheldError, match="excluded"):
            room.grab()
        teller.shown = (OTHER,)
        with pytest.raises(WithheldError, match="excluded"):
            room.grab(lambda: setattr(teller, "shown", (OTHER, SECRET)))


async def test_a_mask_covers_the_window_and_the_note_can_say_how_many() -> None:
    teller = Teller(OTHER, SECRET)
    room = Room(teller, on_excluded="mask")
    async with followed(room):
        assert room.facts.reasons == ()
        shot = room.grab()
        assert shot.masked == 1
        assert bytes(shot.pixels[:20]) == COLOUR * 5
        assert bytes(shot.pixels[20:24]) == bytes(4)


async def test_a_masked_window_that_moves_during_the_grab_discards_the_frame() -> None:
    teller = Teller(SECRET)
    room = Room(teller, on_excluded="mask")
    moved = Window("1", "Vault", "keepassxc", rect=(3, 3, 5, 5))
    async with followed(room):
        with pytest.raises(WithheldError, match=FACTS_CHANGED):
            room.grab(lambda: setattr(teller, "shown", (moved,)))
        assert room.grab().masked == 2  # where it was a moment ago, too


async def test_a_window_without_a_place_cannot_be_masked() -> None:
    teller = Teller(Window("1", "Vault", "keepassxc"))
    room = Room(teller, on_excluded="mask")
    async with followed(room):
        assert room.facts.reasons == ("excluded",)


async def test_who_tells_no_more_withholds_until_somebody_does() -> None:
    teller = Teller(OTHER)
    room = Room(teller)
    async with followed(room):
        teller.error = CaptureError("It is broken.")
        teller.show()
        await room.until("facts_unknown")
        assert "It is broken." in room.facts.explain(room.facts.reasons)[0]
        room.teller = Teller(OTHER)
        await room.clock.advance(1.0)
        await room.until()


async def test_a_display_that_is_not_there_holds_only_the_eyes() -> None:
    room = Room(NoDisplayError("It is gone."))
    async with followed(room):
        assert room.facts.reasons == ()
        with pytest.raises(WithheldError, match="facts_unknown"):
            room.grab()
        room.teller = Teller(OTHER)
        async with asyncio.timeout(20):
            while True:
                await asyncio.sleep(0.005)
                try:
                    room.grab()
                except WithheldError:
                    continue
                break


async def test_before_anything_was_read_nothing_passes() -> None:
    room = Room(Teller(OTHER))
    with pytest.raises(WithheldError):
        room.grab()


async def test_hidden_windows_are_told_and_withhold_only_under_strict() -> None:
    for strict, reasons in ((False, ()), (True, ("not_strict_enough",))):
        room = Room("Windows are hidden here.", strict=strict)
        async with followed(room):
            assert room.facts.reasons == reasons
            assert room.knowledge.status()["facts"][0]["sentence"] == "Windows are hidden here."


async def test_strict_keeps_only_the_focused_window_where_windows_are_hidden() -> None:
    teller = Teller(OTHER)
    teller.hides = True
    room = Room(teller, strict=True)
    async with followed(room):
        shot = room.grab()
        assert bytes(shot.pixels[:44]) == COLOUR * 5 + bytes(20) + COLOUR
        teller.shown = ()
        with pytest.raises(WithheldError, match="not_strict_enough"):
            room.grab()


async def test_strict_paints_over_what_lies_over_the_focused_window() -> None:
    teller = Teller(SECRET, OTHER, Window("3", "Chat", "chat", rect=(8, 0, 5, 5)))
    teller.hides = True
    room = Room(teller, strict=True, exclude_apps=())
    async with followed(room):
        shot = room.grab()
        assert bytes(shot.pixels[:44]) == COLOUR * 5 + bytes(12) + COLOUR * 3
        assert (shot.veiled, shot.masked) == (True, 0)


@pytest.mark.parametrize(
    ("window", "sentence"),
    [
        (Window("2", "Editor", "gedit", focused=True), "is not told here"),
        (Window("2", "Editor", "gedit", rect=(5, 0, 5, 5)), "No window has the focus"),
    ],
)
async def test_strict_tells_that_nothing_can_leave_without_a_focused_window_with_a_place(
    window: Window, sentence: str
) -> None:
    teller = Teller(window)
    teller.hides = True
    room = Room(teller, strict=True)
    async with followed(room):
        assert room.facts.reasons == ("not_strict_enough",)
        cause, remedy = room.facts.explain(room.facts.reasons)
        assert sentence in cause
        assert remedy
        teller.show(OTHER)
        await room.until()
        teller.show(window)
        await room.until("not_strict_enough")
        room.knowledge.strict = False
        assert room.facts.reasons == ()


async def test_where_the_place_of_the_picture_is_not_known_no_mask_is_believed() -> None:
    teller = Teller(OTHER, SECRET)
    room = Room(teller, on_excluded="mask")
    async with followed(room):
        with pytest.raises(WithheldError, match="excluded"):
            await asyncio.to_thread(room.grab, placed=False)
        await room.until("excluded")  # it is a fact until the window goes
        cause, remedy = room.facts.explain(room.facts.reasons)
        assert "where it is on the picture is not known" in cause
        assert remedy.startswith("Close or minimize it")
        assert room.knowledge.status()["facts"][0]["sentence"] == UNPLACED
        teller.show(OTHER)
        await asyncio.sleep(0.05)
        await room.clock.advance(LINGER_S + 0.01)
        await room.until()
        assert (await asyncio.to_thread(room.grab, placed=False)).masked == 0


async def test_where_nobody_tells_a_picture_without_a_place_does_not_withhold_the_next() -> None:
    room = Room("Nobody tells here.")
    async with followed(room):
        room.grab(placed=False)
        await asyncio.sleep(0)
        room.grab(placed=False)


async def test_a_picture_with_a_place_is_masked_again_after_one_without() -> None:
    teller = Teller(OTHER, SECRET)
    room = Room(teller, on_excluded="mask")
    async with followed(room):
        with pytest.raises(WithheldError, match="excluded"):
            await asyncio.to_thread(room.grab, placed=False)
        await room.until("excluded")
        room.windows.change(PrivacySettings(exclude_apps=("keepassxc",), on_excluded="mask"), reopen=True)
        room.teller = Teller(OTHER, SECRET)
        await asyncio.sleep(0.05)
        await room.clock.advance(LINGER_S + 0.01)
        await room.until()
        assert (await asyncio.to_thread(room.grab)).masked == 1


async def test_strict_keeps_no_window_of_a_picture_whose_place_is_not_known() -> None:
    teller = Teller(OTHER)
    teller.hides = True
    room = Room(teller, strict=True)
    async with followed(room):
        with pytest.raises(WithheldError, match="not_strict_enough"):
            await asyncio.to_thread(room.grab, placed=False)
        await room.until("not_strict_enough")


async def test_other_rules_hold_at_once() -> None:
    teller = Teller(SECRET)
    room = Room(teller, exclude_apps=())
    async with followed(room):
        assert room.facts.reasons == ()
        room.windows.change(PrivacySettings(exclude_apps=("keepassxc",)))
        await room.until("excluded")


async def test_a_snap_after_a_change_is_settled_does_not_meet_facts_that_are_being_read() -> None:
    for told in ("Nobody tells here.", Teller(OTHER), CaptureError("It is broken."), NoDisplayError("It is gone.")):
        room = Room(told, exclude_apps=(), private_windows=False, pause_when_sharing=False)
        async with followed(room):
            await room.windows.settled()
            opened = threading.Event()
            room.opening = opened
            room.windows.change(PrivacySettings(exclude_apps=("keepassxc",)))
            settled = asyncio.create_task(room.windows.settled())
            await asyncio.sleep(0.02)
            assert not settled.done()
            with pytest.raises(WithheldError, match="facts_unknown"):
                room.grab()
            opened.set()
            async with asyncio.timeout(20):
                await settled
            if not isinstance(told, CaptureError):
                room.grab()


async def test_what_was_asked_before_a_change_tells_nothing_after_it() -> None:
    room = Room("Pictures of a folder are shown.", exclude_apps=())
    async with followed(room):
        held = room.opening = threading.Event()
        room.windows.change(PrivacySettings(exclude_apps=("gedit",)))
        await asyncio.sleep(0.02)  # the windows of one place are being asked for
        room.windows.change(PrivacySettings(exclude_apps=("keepassxc",)), reopen=True)
        room.teller = Teller(SECRET)
        held.set()
        async with asyncio.timeout(20):
            await room.windows.settled()
        assert room.facts.reasons == ("excluded",)
        assert room.knowledge.status()["facts"][0]["state"] == "known"


async def test_while_another_screen_is_opened_the_windows_of_the_one_before_let_nothing_pass() -> None:
    room = Room(Teller(OTHER))
    async with followed(room):
        room.grab()
        room.windows.change(PrivacySettings(exclude_apps=("keepassxc",)), reopen=True)
        with pytest.raises(WithheldError, match="facts_unknown"):
            room.grab()


async def test_the_same_windows_are_judged_once_and_anew_by_other_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[tuple[Window, ...]] = []
    judge = WindowRules.judge

    def counting(rules: WindowRules, windows: tuple[Window, ...]) -> Any:
        judged.append(windows)
        return judge(rules, windows)

    monkeypatch.setattr(WindowRules, "judge", counting)
    teller = Teller(OTHER)
    room = Room(teller)
    async with followed(room):
        for _ in range(3):
            await asyncio.to_thread(room.grab)
        assert len(judged) == 1
        teller.shown = (OTHER, SECRET)
        with pytest.raises(WithheldError) as caught:
            await asyncio.to_thread(room.grab)
        assert caught.value.reasons == ("excluded",)
        room.windows.change(PrivacySettings(exclude_apps=("gedit",)))
        await room.until("excluded")
        assert judged[-1] is teller.shown
