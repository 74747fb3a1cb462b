"""What a person ends from the desktop stays ended, and what the portal is only late with is asked for again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hudd.clock import SystemClock
from hudd.desktop import portal as portal_module
from hudd.desktop.portal import PORTAL, DesktopPortal
from hudd.errors import CaptureError, NoDisplayError
from hudd.relays import Relays
from hudd.screen.source import CastEndedError
from tests.fakes.dbus import private_bus
from tests.fakes.portal import FakePortal, fake_portal


class Session:
    """A portal, and the dialogues that a daemon has with it, one after the other."""

    def __init__(self, fake: FakePortal, environ: dict[str, str], folder: Path) -> None:
        self.fake = fake
        self.environ = environ
        self.token = folder / "token"
        self.refused: set[str] = set()

    @asynccontextmanager
    async def dialogue(self) -> AsyncIterator[DesktopPortal]:
        one = DesktopPortal(self.environ, self.token, SystemClock(), refused=self.refused)
        try:
            yield one
        finally:
            await asyncio.to_thread(one.end_cast)

    async def cast(self, one: DesktopPortal) -> None:
        os.close((await asyncio.to_thread(one.cast, cursor=False))[0])


@asynccontextmanager
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    async with private_bus(tmp_path) as bus, fake_portal(bus, tmp_path / "out.png") as fake:
        yield Session(fake, bus.environ, tmp_path)


async def test_a_cast_that_a_person_ended_is_not_begun_again_before_a_person_asks(tmp_path: Path) -> None:
    async with session(tmp_path) as desk:
        async with desk.dialogue() as one:
            await desk.cast(one)
            await desk.fake.end_session()
            assert await asyncio.to_thread(one.cast_ended, 20.0)
            assert await asyncio.to_thread(one.remember_end)
        asked = len(desk.fake.asked)
        async with desk.dialogue() as later:
            with pytest.raises(CastEndedError, match="ended from the desktop") as told:
                await desk.cast(later)
        assert ("hudctl resume" in told.value.hint, len(desk.fake.asked)) == (True, asked), "nothing was asked"
        house: Any = SimpleNamespace(
            refused=desk.refused,
            endpoint=SimpleNamespace(look_again=lambda: None),
            conversation=SimpleNamespace(resume=lambda: None),
        )
        Relays(house).try_again()
        async with desk.dialogue() as again:
            await desk.cast(again)
            assert not await asyncio.to_thread(again.cast_ended)


async def test_a_portal_that_was_restarted_ended_the_cast_by_itself(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as bus:
        desk: Session | None = None
        async with fake_portal(bus, tmp_path / "out.png") as fake:
            desk = Session(fake, bus.environ, tmp_path)
            one = DesktopPortal(bus.environ, desk.token, SystemClock(), refused=desk.refused)
            await desk.cast(one)
            await fake.end_session()
            assert await asyncio.to_thread(one.cast_ended, 20.0)
            await fake.bus.release_name(PORTAL)
            assert not await asyncio.to_thread(one.remember_end), "nobody is the portal"
        async with fake_portal(bus, tmp_path / "out.png") as fake:
            assert not await asyncio.to_thread(one.remember_end), "another one is"
            await asyncio.to_thread(one.end_cast)
            desk.fake = fake
            async with desk.dialogue() as again:
                await desk.cast(again)


@pytest.mark.parametrize("member", ["CreateSession", "SelectSources"])
async def test_a_portal_that_is_late_once_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: str
) -> None:
    monkeypatch.setattr(portal_module, "_STEP_S", 0.3)
    async with session(tmp_path) as desk:
        desk.fake.codes[member] = None  # its back end is still starting
        async with desk.dialogue() as one:
            with pytest.raises(NoDisplayError, match=rf"did not answer {member} within 0\.3 s; it may still") as told:
                await desk.cast(one)
        assert told.value.hint.startswith("hudd tries again by itself.")
        assert desk.refused == set()
        desk.fake.codes[member] = 0
        monkeypatch.setattr(portal_module, "_STEP_S", 10.0)
        async with desk.dialogue() as again:
            await desk.cast(again)


async def test_a_person_who_does_not_answer_is_not_asked_again(tmp_path: Path) -> None:
    async with session(tmp_path) as desk:
        desk.fake.codes["Start"] = None
        one = DesktopPortal(desk.environ, desk.token, SystemClock(), refused=desk.refused, person_s=0.2)
        for _ in range(2):
            with pytest.raises(CaptureError) as told:
                await desk.cast(one)
            assert not isinstance(told.value, NoDisplayError)
        await asyncio.to_thread(one.end_cast)
        assert [name for name, _ in desk.fake.asked].count("Start") == 1
