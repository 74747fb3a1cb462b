"""How the sources of facts hang together: on a Mac, where the session can only be asked, and on a plain X server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from hudd.clock import SystemClock
from hudd.config.settings import PrivacySettings, Settings
from hudd.desktop import mac_session
from hudd.desktop.bus import Bus
from hudd.errors import WithheldError
from hudd.guards import Guards
from hudd.model import Shot, Source
from hudd.policy.facts import Facts
from tests.fakes.mac import UID, registry
from tests.fakes.screen import x_server

SOURCE = Source("monitor", "m", (0, 0, 1, 1))
SETTINGS = Settings(privacy=PrivacySettings(private_windows=False, pause_when_sharing=False))


class Screen:
    """Counts its grabs."""

    grabs = 0

    def grab(self, source: Source, *, epoch: int, captured_at: float) -> Shot:
        self.grabs += 1
        return Shot(source, bytes(4), 1, 1, captured_at, epoch)


def guards_of(facts: Facts, environ: Mapping[str, str], *, platform: str) -> Guards:
    clock = SystemClock()
    buses = [Bus("session", {}, clock=clock), Bus("system", {}, clock=clock)]
    return Guards(
        settings=SETTINGS,
        environ=environ,
        facts=facts,
        session_bus=buses[0],
        system_bus=buses[1],
        clock=clock,
        on_state=lambda: None,
        platform=platform,
    )


async def mac(facts: Facts) -> Guards:
    guards = guards_of(facts, {}, platform="darwin")
    await guards.begin()
    return guards


@pytest.mark.skipif(sys.platform == "darwin", reason="there it answers")
async def test_a_mac_that_does_not_answer_withholds_every_grab() -> None:
    facts, screen = Facts(), Screen()
    guards = await mac(facts)
    assert facts.reasons == ("facts_unknown",)
    grab: Any = guards.grab
    with pytest.raises(WithheldError):
        await asyncio.to_thread(grab, screen, SOURCE, epoch=1, captured_at=0.0)
    assert screen.grabs == 0


async def test_a_lock_during_the_grab_withholds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter([*[registry()] * 4, registry(locked=True)])

    def ask(self: Any) -> Any:
        del self
        return mac_session.parse_registry(next(said), UID)

    monkeypatch.setattr(mac_session.MacSession, "_ask", ask)
    facts, screen = Facts(), Screen()
    guards = await mac(facts)
    grab: Any = guards.grab
    await asyncio.to_thread(grab, screen, SOURCE, epoch=1, captured_at=0.0)
    with pytest.raises(WithheldError) as caught:
        await asyncio.to_thread(grab, screen, SOURCE, epoch=1, captured_at=0.0)
    assert (caught.value.reasons, screen.grabs) == (("locked",), 2)
    await asyncio.sleep(0)
    assert facts.reasons == ("locked",)


async def test_the_x_servers_own_screensaver_is_named_where_no_desktop_has_one() -> None:
    with x_server() as server:
        facts = Facts()
        guards = guards_of(facts, {"DISPLAY": server.environ["DISPLAY"]}, platform="linux")
        await guards.begin()
        following = asyncio.create_task(guards.run())
        try:
            (told,) = [fact for fact in guards.status()["facts"] if fact["name"] == "screensaver"]
            assert (told["state"], "the X server's own" in told["sentence"]) == ("partly", True)
            assert facts.reasons == ()
            server.run("xset", "s", "activate")
            async with asyncio.timeout(10):
                while facts.reasons != ("screensaver",):  # noqa: ASYNC110 - the server works towards it
                    await asyncio.sleep(0.01)
        finally:
            following.cancel()
            await asyncio.wait([following])
