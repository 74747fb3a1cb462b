"""Screensavers of desktops, on a real bus."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hudd.clock import SystemClock
from hudd.desktop.bus import Bus
from hudd.desktop.screensaver import ScreenSavers
from hudd.policy.facts import Facts
from hudd.policy.knowledge import AnyOf, AnyTells, Knowledge
from tests.fakes.dbus import PrivateBus, private_bus, service

GNOME = "org.gnome.ScreenSaver"


class Room:
    def __init__(self, bus: PrivateBus) -> None:
        self.bus = Bus("session", bus.environ, clock=SystemClock())
        self.facts = Facts()
        self.knowledge = Knowledge(self.facts)
        saved, tells = AnyOf(self.facts, "screensaver"), AnyTells(self.knowledge, "screensaver")
        self.savers = ScreenSavers(self.bus, saved, tells, clock=SystemClock())

    async def until(self, *reasons: str) -> None:
        async with asyncio.timeout(20):
            while self.facts.reasons != reasons:  # noqa: ASYNC110 - a bus works towards it
                await asyncio.sleep(0.01)

    @property
    def state(self) -> str:
        known = self.knowledge.of("screensaver")
        return "" if known is None else known.state


async def test_a_screensaver_that_runs_withholds_until_it_ends(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as bus, service(bus, GNOME) as desk:
        desk.answers["GetActive"] = lambda _: ("b", [True])
        room = Room(bus)
        await room.savers.begin()
        assert (room.facts.reasons, room.state) == (("screensaver",), "known")
        await desk.signal("/org/gnome/ScreenSaver", GNOME, "ActiveChanged", "b", False)
        await room.until()
        async with service(bus) as stranger:
            await stranger.signal("/org/gnome/ScreenSaver", GNOME, "ActiveChanged", "b", True)
            await desk.signal("/org/gnome/ScreenSaver", GNOME, "ActiveChanged", "b", True)
            await room.until("screensaver")
        await room.bus.close()


async def test_a_desktop_without_one_is_said_and_withholds_nothing(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as bus:
        room = Room(bus)
        await room.savers.begin()
        assert (room.facts.reasons, room.state) == ((), "not_available")
        async with service(bus, GNOME) as desk:  # it comes later
            await desk.signal("/org/gnome/ScreenSaver", GNOME, "ActiveChanged", "b", True)
            await room.until("screensaver")
            assert room.state == "known"
        await room.bus.close()


async def test_one_that_does_not_answer_properly_withholds_until_it_does(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as bus, service(bus, GNOME) as desk:
        room = Room(bus)
        await room.savers.begin()
        assert (room.facts.reasons, room.state) == (("facts_unknown",), "failing")
        follower = asyncio.create_task(room.savers.run())
        desk.answers["GetActive"] = lambda _: ("b", [False])
        await room.until()
        follower.cancel()
        await asyncio.wait({follower})
        await room.bus.close()


async def test_one_that_ends_while_it_runs_saves_nothing_any_more(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as bus:
        room = Room(bus)
        async with service(bus, GNOME) as desk:
            desk.answers["GetActive"] = lambda _: ("b", [True])
            await room.savers.begin()
            follower = asyncio.create_task(room.savers.run())
            assert room.facts.reasons == ("screensaver",)
        await room.until()
        assert room.state == "not_available"
        async with service(bus, GNOME) as desk:
            desk.answers["GetActive"] = lambda _: ("b", [True])
            await room.until("screensaver")
        await room.until()
        follower.cancel()
        await asyncio.wait({follower})
        await room.bus.close()
