"""Logind's word after a sleep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hudd.desktop.bus import BusUnavailableError, SignalHandler
from hudd.desktop.sleep import follow_sleep
from tests.fakes.clock import ManualClock


class FakeBus:
    """Keeps who wants to hear what; the first calls may fail."""

    def __init__(self, *errors: Exception) -> None:
        self.handlers: dict[tuple[str, str, str, str], SignalHandler] = {}
        self.errors = list(errors)

    async def on_signal(
        self, handler: SignalHandler, *, interface: str, member: str, path: str = "", sender: str = ""
    ) -> Callable[[], None]:
        if self.errors:
            raise self.errors.pop(0)
        self.handlers[interface, member, path, sender] = handler
        return lambda: None


MANAGER = (
    "org.freedesktop.login1.Manager",
    "PrepareForSleep",
    "/org/freedesktop/login1",
    "org.freedesktop.login1",
)


async def test_only_the_end_of_a_sleep_is_a_wake() -> None:
    bus, woke = FakeBus(), []
    await follow_sleep(bus, lambda: woke.append(True), clock=ManualClock())
    bus.handlers[MANAGER]("/org/freedesktop/login1", (True,))
    assert woke == []
    bus.handlers[MANAGER]("/org/freedesktop/login1", (False,))
    bus.handlers[MANAGER]("/org/freedesktop/login1", ())
    assert woke == [True]


async def test_a_bus_that_is_not_there_yet_is_looked_for_again() -> None:
    clock, woke = ManualClock(), []
    bus = FakeBus(*[BusUnavailableError("There is no system bus here.")] * 3)
    following = asyncio.create_task(follow_sleep(bus, lambda: woke.append(True), clock=clock))
    await clock.advance(6.9)
    assert bus.handlers == {}
    await clock.advance(0.2)
    bus.handlers[MANAGER]("/org/freedesktop/login1", (False,))
    assert woke == [True]
    assert following.done()


async def test_a_machine_without_a_bus_is_left_in_peace_after_some_minutes() -> None:
    clock, bus = ManualClock(), FakeBus(*[BusUnavailableError("There is no system bus here.")] * 100)
    following = asyncio.create_task(follow_sleep(bus, lambda: None, clock=clock))
    await clock.advance(300)
    assert following.done()
    assert clock.sleeping == 0
    assert len(bus.errors) == 90


async def test_without_the_library_nothing_is_tried_again() -> None:
    bus = FakeBus(*[BusUnavailableError("dbus-fast is not installed.", hint="Install hudd[desktop].")] * 2)
    await follow_sleep(bus, lambda: None, clock=ManualClock())
    assert len(bus.errors) == 1
