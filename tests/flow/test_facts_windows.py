"""Windows as facts, and frames without them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hudd.config.settings import PrivacySettings
from hudd.errors import CaptureError, NoDisplayError, WithheldError
from hudd.flow.facts_windows import LINGER_S, WindowFacts
from hudd.model import Shot, Source
from hudd.policy.facts import FACTS_CHANGED, Facts
from hudd.policy.knowledge import Knowledge
from hudd.policy.windows import WindowRules
from hudd.screen.mask import COLOUR
from hudd.screen.source import Window
from tests.fakes.clock import ManualClock

SOURCE = Source("monitor", "m", (0, 0, 20, 10))
SECRET = Window("1", "Vault", "keepassxc", rect=(0, 0, 5, 5))
OTHER = Window("2", "Editor", "gedit", rect=(5, 0, 5, 5), focused=True)


class Teller:
    """Tells what it is told."""

    def __init__(self, *windows: Window) -> None:
        self.shown = windows
        self.limits = ""
        self.hides = False
        self.error: CaptureError | None = None
        self.closed = False
        self._reader, self._writer = os.pipe()

    def show(self, *windows: Window) -> None:
        self.shown = windows
        os.write(self._writer, b"x")

    def fileno(self) -> int:
        return self._reader

    def take_changed(self) -> bool:
        os.set_blocking(self._reader, False)
        try:
            return bool(os.read(self._reader, 100))
        except BlockingIOError:
            return False

    def windows(self) -> tuple[Window, ...]:
        if self.error is not None:
            raise self.error
        return self.shown

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self._reader)
            os.close(self._writer)


class Grabbed:
    """A screen whose windows change during the grab, if wanted."""

    def __init__(self, during: Callable[[], Any] = lambda: None) -> None:
        self.during = during

    def grab(self, source: Source, *, epoch: int, captured_at: float) -> Shot:
        self.during()
        return Shot(source, bytes(800), 20, 10, captured_at, epoch)


class Room:
    def __init__(self, teller: Teller | str | CaptureError, **settings: object) -> None:
        self.teller: Teller | str | CaptureError = teller
        self.clock = ManualClock()
        self.facts = Facts()
        self.knowledge = Knowledge(self.facts)
        chosen = {"exclude_apps": ("keepassxc",), **settings}
        self.knowledge.strict = bool(chosen.get("strict"))
        self.windows = WindowFacts(
            open_teller=self._open,
            settings=PrivacySettings(**chosen),  # type: ignore[arg-type]  # a table of settings
            facts=self.facts,
            knowledge=self.knowledge,
            clock=self.clock,
        )

    def _open(self) -> Teller | str:
        if isinstance(self.teller, CaptureError):
            raise self.teller
        return self.teller

    def grab(self, during: Callable[[], Any] = lambda: None) -> Shot:
        screen: Any = Grabbed(during)
        return self.windows.grab(screen, SOURCE, epoch=1, captured_at=0.0)

    async def until(self, *reasons: str) -> None:
        async with asyncio.timeout(20):
            while self.facts.reasons != reasons:  # noqa: ASYNC110 - a thread of its own works towards it
                await asyncio.sleep(0.005)


@asynccontextmanager
async def followed(room: Room) -> AsyncIterator[None]:
    await room.windows.begin()
    task = asyncio.create_task(room.windows.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


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


async def test_other_rules_hold_at_once() -> None:
    teller = Teller(SECRET)
    room = Room(teller, exclude_apps=())
    async with followed(room):
        assert room.facts.reasons == ()
        room.windows.change(PrivacySettings(exclude_apps=("keepassxc",)))
        await room.until("excluded")


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
