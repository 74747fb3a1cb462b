from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from dbus_fast import Variant

from hudd.clock import SystemClock
from hudd.desktop.bus import Body, Bus, BusCallError, BusUnavailableError, bus_address, variant
from tests.fakes.dbus import PrivateBus, private_bus, service

LOCKER = "org.example.Locker"
WHERE = (LOCKER, "/lock", LOCKER)


class Heard:
    """Signals, as they came."""

    def __init__(self) -> None:
        self.signals: list[tuple[str, Body]] = []
        self.states: list[bool] = []
        self.news = asyncio.Event()

    def __call__(self, path: str, body: Body) -> None:
        self.signals.append((path, body))
        self.news.set()

    def state(self, connected: bool) -> None:
        self.states.append(connected)
        self.news.set()

    async def until(self, *, signals: int = 0, states: int = 0) -> None:
        async with asyncio.timeout(20):
            while len(self.signals) < signals or len(self.states) < states:
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def bus_on(there: PrivateBus) -> AsyncIterator[Bus]:
    bus = Bus("session", there.environ, clock=SystemClock())
    try:
        yield bus
    finally:
        await bus.close()


async def test_a_call_is_answered_and_variants_are_unwrapped(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as there, service(there, LOCKER) as locker, bus_on(there) as bus:
        locker.answers["Describe"] = lambda body: ("sa{sv}", [body[0], {"locked": Variant("b", True)}])
        assert not bus.connected
        assert await bus.call(*WHERE, "Describe", "sv", ("now", variant("u", 7))) == ("now", {"locked": True})
        assert locker.calls == [("Describe", ["now", Variant("u", 7)])]
        assert bus.connected
        assert (await bus.unique_name()).startswith(":")


async def test_a_refusal_a_missing_service_and_a_silence_are_told_apart(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as there, service(there, LOCKER) as locker, bus_on(there) as bus:
        with pytest.raises(BusCallError, match="refused Lock: It says no") as told:
            await bus.call(*WHERE, "Lock")
        assert told.value.name == "org.example.Error.No"
        with pytest.raises(BusCallError) as told:
            await bus.call("org.example.Nobody", "/x", "org.example.Nobody", "Lock")
        assert told.value.name == "org.freedesktop.DBus.Error.ServiceUnknown"
        locker.silent.add("Wait")
        with pytest.raises(BusCallError, match=r"within 0\.05 s") as told:
            await bus.call(*WHERE, "Wait", timeout_s=0.05)
        assert told.value.name == "org.freedesktop.DBus.Error.NoReply"
        assert await bus.owner_of("org.example.Nobody") == ""


async def test_a_descriptor_comes_as_its_number(tmp_path: Path) -> None:
    """As logind hands out an inhibitor lock."""
    read, write = os.pipe()
    async with private_bus(tmp_path) as there, service(there, LOCKER, fds=True) as locker, bus_on(there) as bus:
        from dbus_fast import Message

        def answer(message: Message) -> Message | None:
            if message.member != "Inhibit":
                return None
            return Message.new_method_return(message, "h", [0], unix_fds=[write])

        locker.bus._user_message_handlers.insert(0, answer)
        (got,) = await bus.call(*WHERE, "Inhibit")
        os.write(got, b"x")
        assert os.read(read, 1) == b"x"
        for number in (read, write, got):
            os.close(number)


async def test_a_signal_counts_only_from_whom_it_was_asked(tmp_path: Path) -> None:
    """Any program of the session can send a signal to us alone, whatever our rules say."""
    async with private_bus(tmp_path) as there, service(there, LOCKER) as locker, service(there) as liar:  # noqa: SIM117 - too long for one line
        async with bus_on(there) as bus:
            heard = Heard()
            end = await bus.on_signal(heard, interface=LOCKER, member="Locked", path="/lock", sender=LOCKER)
            everybody = Heard()
            await bus.on_signal(everybody, interface=LOCKER, member="Locked")
            await liar.signal("/lock", LOCKER, "Locked", "b", False)
            await locker.signal("/other", LOCKER, "Locked", "b", False)
            await locker.signal("/lock", LOCKER, "Locked", "b", True)
            await everybody.until(signals=3)
            assert heard.signals == [("/lock", (True,))]
            end()
            await locker.signal("/lock", LOCKER, "Locked", "b", False)
            await everybody.until(signals=4)
            assert len(heard.signals) == 1


async def test_a_service_that_starts_later_is_believed(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as there, bus_on(there) as bus:
        heard = Heard()
        await bus.on_signal(heard, interface=LOCKER, member="Locked", sender=LOCKER)
        async with service(there, LOCKER) as locker:
            await locker.signal("/lock", LOCKER, "Locked")
            await heard.until(signals=1)


async def test_a_lost_bus_is_found_again_with_its_signals(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as there, bus_on(there) as bus:
        heard = Heard()
        bus.on_change(heard.state)
        await bus.on_signal(heard, interface=LOCKER, member="Locked", sender=LOCKER)
        await there.stop()
        await heard.until(states=2)
        assert heard.states == [True, False]
        with pytest.raises(BusUnavailableError):
            await bus.call(*WHERE, "Lock")
        await there.start()
        await heard.until(states=3)
        async with service(there, LOCKER) as locker:
            await locker.signal("/lock", LOCKER, "Locked", "u", 2)
            await heard.until(signals=1)
        assert heard.signals == [("/lock", (2,))]


async def test_a_bus_that_dies_during_a_call_is_said(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as there, service(there, LOCKER) as locker, bus_on(there) as bus:
        locker.silent.add("Wait")
        call = asyncio.create_task(bus.call(*WHERE, "Wait"))
        async with asyncio.timeout(20):
            while not locker.calls:  # noqa: ASYNC110 - the fake tells nobody
                await asyncio.sleep(0.01)
        await there.stop()
        with pytest.raises(BusUnavailableError):
            await call


@pytest.mark.parametrize("address", ["", "unix:path=/nonexistent/bus", "nonsense", "carrier:pigeon=1"])
async def test_without_a_bus_there_is_one_sentence(address: str) -> None:
    bus = Bus("session", {"DBUS_SESSION_BUS_ADDRESS": address}, clock=SystemClock())
    with pytest.raises(BusUnavailableError, match="session bus"):
        await bus.call(*WHERE, "Lock")
    await bus.close()
    with pytest.raises(BusUnavailableError, match="closed"):
        await bus.call(*WHERE, "Lock")


async def test_without_the_extra_the_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "dbus_fast", None)
    monkeypatch.setitem(sys.modules, "dbus_fast.aio", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    bus = Bus("session", {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/x"}, clock=SystemClock())
    assert "hudd[desktop]" in bus.why_not()
    with pytest.raises(BusUnavailableError, match=r"hudd\[desktop\]"):
        await bus.call(*WHERE, "Lock")
    with pytest.raises(BusUnavailableError, match=r"hudd\[desktop\]"):
        variant("u", 1)


def test_addresses(tmp_path: Path) -> None:
    assert bus_address("session", {}) == ""
    assert bus_address("session", {"XDG_RUNTIME_DIR": str(tmp_path)}) == ""
    (tmp_path / "bus").touch()
    assert bus_address("session", {"XDG_RUNTIME_DIR": str(tmp_path)}) == f"unix:path={tmp_path}/bus"
    assert bus_address("session", {"DBUS_SESSION_BUS_ADDRESS": "unix:abstract=x"}) == "unix:abstract=x"
    assert bus_address("system", {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/y"}) == "unix:path=/y"
