"""The person's session as a logind tells it, on a real bus."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from hudd.clock import SystemClock
from hudd.desktop.bus import Bus
from hudd.desktop.session import LoginSession
from hudd.policy.facts import Facts
from hudd.policy.knowledge import Knowledge
from tests.fakes.dbus import PrivateBus, private_bus
from tests.fakes.logind import Logind, logind


class Room:
    """What follows a session, and what it has learnt."""

    def __init__(self, bus: PrivateBus, environ: dict[str, str] | None = None) -> None:
        self.private = bus
        self.bus = Bus("system", {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus.socket}"}, clock=SystemClock())
        self.facts = Facts()
        self.knowledge = Knowledge(self.facts)
        self.idle: list[bool] = []
        self.session = LoginSession(
            self.bus,
            self.facts,
            self.knowledge,
            clock=SystemClock(),
            environ=environ or {},
            on_idle=self.idle.append,
        )
        self.changed = asyncio.Event()
        self.facts.on_change(self.changed.set)

    async def until(self, true: Callable[[], Any]) -> None:
        async with asyncio.timeout(20):
            while not true():
                self.changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self.changed.wait()


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with private_bus(tmp_path) as bus:
        made = Room(bus)
        try:
            yield made
        finally:
            await made.bus.close()


@contextlib.asynccontextmanager
async def followed(room: Room) -> AsyncIterator[Logind]:
    async with logind(room.private) as desk:
        assert await room.session.begin()
        follower = asyncio.create_task(room.session.run())
        try:
            yield desk
        finally:
            follower.cancel()
            await asyncio.wait({follower})


async def test_what_holds_at_the_start_is_read(room: Room) -> None:
    async with logind(room.private) as desk:
        desk.session.update(LockedHint=True, Active=False)
        desk.sleeping = True
        await room.session.begin()
        assert room.facts.reasons == ("inactive", "locked", "suspended")
        assert {f["name"]: f["state"] for f in room.knowledge.status()["facts"]} == dict.fromkeys(
            ("lock", "session", "sleep"), "known"
        )


@pytest.mark.parametrize(("name", "holds", "reason"), [("LockedHint", True, "locked"), ("Active", False, "inactive")])
async def test_a_changed_property_is_a_fact_and_raises_the_epoch(
    room: Room, name: str, holds: bool, reason: str
) -> None:
    async with followed(room) as desk:
        epoch = room.facts.epoch
        await desk.set(name, holds)
        await room.until(lambda: room.facts.reasons == (reason,))
        assert room.facts.epoch > epoch
        await desk.set(name, not holds)
        await room.until(lambda: not room.facts.reasons)


async def test_the_word_lock_counts_before_the_locker_has_locked(room: Room) -> None:
    async with followed(room) as desk:
        await desk.word("Lock")
        await room.until(lambda: room.facts.reasons == ("locked",))
        await desk.set("LockedHint", True)
        await desk.set("LockedHint", False)
        await room.until(lambda: not room.facts.reasons)
        await desk.word("Lock")
        await room.until(lambda: room.facts.reasons == ("locked",))
        await desk.word("Unlock")
        await room.until(lambda: not room.facts.reasons)


async def test_sleep_withholds_until_the_wake(room: Room) -> None:
    async with followed(room) as desk:
        await desk.sleep(going=True)
        await room.until(lambda: room.facts.reasons == ("suspended",))
        await desk.sleep(going=False)
        await room.until(lambda: not room.facts.reasons)


async def test_the_desktops_word_for_idle_is_passed_on(room: Room) -> None:
    async with followed(room) as desk:
        await desk.set("IdleHint", True)
        await room.until(lambda: room.idle[-1])


@pytest.mark.parametrize(("kind", "seat"), [("tty", ""), ("tty", "seat0"), ("unspecified", "")])
async def test_started_elsewhere_the_graphical_session_is_followed(tmp_path: Path, kind: str, seat: str) -> None:
    """Over ssh, in tmux or on a console, ``XDG_SESSION_ID`` names a session that never locks."""
    async with private_bus(tmp_path) as bus, logind(bus) as desk:
        room = Room(bus, {"XDG_SESSION_ID": "5"})
        desk.add("5", kind=kind, seat=seat)
        desk.session["LockedHint"] = True
        await room.session.begin()
        assert room.facts.reasons == ("locked",)
        await room.bus.close()


@pytest.mark.parametrize(
    ("kind", "seat", "state"), [("x11", "", "known"), ("tty", "seat0", "known"), ("tty", "", "not_available")]
)
async def test_the_named_session_counts_where_it_can_have_a_desktop(
    tmp_path: Path, kind: str, seat: str, state: str
) -> None:
    """``startx`` leaves a console's type and its seat."""
    async with private_bus(tmp_path) as bus, logind(bus) as desk:
        room = Room(bus, {"XDG_SESSION_ID": "5"})
        path = desk.add("5", kind=kind, seat=seat)
        desk.display = ("5", path)
        await room.session.begin()
        known = room.knowledge.of("lock")
        assert known is not None
        assert known.state == state
        await room.bus.close()


async def test_the_named_session_stands_before_an_equal_one(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as bus, logind(bus) as desk:
        room = Room(bus, {"XDG_SESSION_ID": "5"})
        desk.add("5", kind="wayland", seat="")
        desk.session["LockedHint"] = True  # the one that logind takes for the user's first
        await room.session.begin()
        assert room.facts.reasons == ()
        await room.bus.close()


async def test_without_a_graphical_session_nothing_is_withheld_and_it_is_said(room: Room) -> None:
    async with logind(room.private) as desk:
        desk.display = ("", "/")
        await room.session.begin()
        assert room.facts.reasons == ()
        known = room.knowledge.of("lock")
        assert known is not None
        assert (known.state, known.sentence) == (
            "not_available",
            "logind knows of no graphical session of yours.",
        )


async def test_without_logind_nothing_is_withheld_except_under_strict(room: Room) -> None:
    await room.session.begin()
    known = room.knowledge.of("lock")
    assert known is not None
    assert (known.state, known.sentence) == ("not_available", "There is no logind here.")
    assert room.facts.reasons == ()
    room.knowledge.strict = True
    assert room.facts.reasons == ("not_strict_enough",)
    assert "There is no logind here." in room.facts.explain(room.facts.reasons)[0]


async def test_a_logind_that_refuses_withholds_until_it_answers(room: Room) -> None:
    async with logind(room.private) as desk:
        answer = desk.served.answers.pop("GetAll")
        await room.session.begin()
        assert room.facts.reasons == ("facts_unknown",)
        assert "It says no." in room.facts.explain(room.facts.reasons)[0]
        follower = asyncio.create_task(room.session.run())
        desk.served.answers["GetAll"] = answer
        await room.until(lambda: not room.facts.reasons)
        follower.cancel()
        await asyncio.wait({follower})


async def test_a_lost_bus_withholds_and_what_changed_meanwhile_is_read(room: Room) -> None:
    async with followed(room):
        await room.private.stop()
        await room.until(lambda: room.facts.reasons == ("facts_unknown",))
        await room.private.start()
        async with logind(room.private) as desk:
            desk.session["LockedHint"] = True
            await room.until(lambda: room.facts.reasons == ("locked",))


async def test_signals_of_strangers_do_not_count(room: Room) -> None:
    async with followed(room) as desk:
        from tests.fakes.dbus import service

        async with service(room.private) as stranger:
            for member in ("Lock", "Unlock"):
                await stranger.signal(desk.display[1], "org.freedesktop.login1.Session", member)
            await desk.set("Active", False)  # comes after them
            await room.until(lambda: room.facts.reasons == ("inactive",))


async def test_a_bus_that_is_only_named_is_no_bus() -> None:
    facts = Facts()
    bus = Bus("system", {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent/bus"}, clock=SystemClock())
    knowledge = Knowledge(facts)
    assert not await LoginSession(bus, facts, knowledge, clock=SystemClock(), environ={}).begin()
    assert facts.reasons == ()
    await bus.close()
