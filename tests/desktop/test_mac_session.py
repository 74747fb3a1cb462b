"""The session of macOS, as the root of the I/O registry tells it. No Mac was asked: the shape is that of descriptions."""

from __future__ import annotations

import asyncio
import contextlib
import plistlib
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.clock import SystemClock
from hudd.desktop.mac_session import AGAIN_S, MacSession, MacState, parse_registry
from hudd.errors import WithheldError
from hudd.policy.facts import Facts
from hudd.policy.knowledge import Knowledge
from tests.fakes.clock import ManualClock
from tests.fakes.mac import UID, registry


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (registry(), MacState(there=True)),
        (registry(locked=True), MacState(there=True, locked=True)),
        (registry(window=True), MacState(there=True, locked=True)),
        (registry(in_front=False), MacState(there=True, inactive=True)),
        (registry(in_front=False, locked=True), MacState(there=True, locked=True, inactive=True)),
        (registry(uid=777, locked=True), MacState(there=False)),
        (plistlib.dumps({"IOConsoleUsers": []}), MacState(there=False)),
        (plistlib.dumps([plistlib.loads(registry(locked=True))]), MacState(there=True, locked=True)),
    ],
)
def test_the_registry_tells_of_the_persons_own_session(printed: bytes, expected: MacState) -> None:
    assert parse_registry(printed, UID) == expected


@pytest.mark.parametrize(
    "printed", [b"", b"nonsense", plistlib.dumps({}), plistlib.dumps([]), plistlib.dumps({"IOConsoleUsers": 3})]
)
def test_another_shape_is_no_answer(printed: bytes) -> None:
    with pytest.raises(ValueError, match="no"):
        parse_registry(printed, UID)


@given(st.binary(max_size=300), st.integers(0, 1500), st.integers(0, 1500))
def test_no_bytes_break_more_than_the_answer(noise: bytes, start: int, end: int) -> None:
    whole = registry()
    for printed in (noise, whole[:start] + noise + whole[end:]):
        with contextlib.suppress(ValueError):
            assert isinstance(parse_registry(printed, UID), MacState)


class Mac:
    """A session whose registry is a file."""

    def __init__(self, folder: Path) -> None:
        self.printed = folder / "registry"
        self.show(registry())
        self.facts = Facts()
        self.knowledge = Knowledge(self.facts)
        script = "import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read())"
        self.command = [sys.executable, "-S", "-c", script, str(self.printed)]

    def show(self, printed: bytes) -> None:
        self.printed.write_bytes(printed)

    def session(self) -> MacSession:
        return MacSession(self.facts, self.knowledge, clock=SystemClock(), command=self.command, uid=UID)

    @property
    def states(self) -> dict[str, str]:
        return {fact["name"]: fact["state"] for fact in self.knowledge.status()["facts"]}


async def test_a_lock_is_found_at_the_start_and_by_asking_again(tmp_path: Path) -> None:
    mac = Mac(tmp_path)
    session = mac.session()
    assert await session.begin()
    assert mac.facts.reasons == ()
    assert mac.states == {"lock": "known", "session": "known", "sleep": "not_available"}
    mac.show(registry(locked=True))
    await session.begin()
    assert mac.facts.reasons == ("locked",)
    mac.show(registry(uid=777))
    await session.begin()
    assert mac.facts.reasons == ()
    assert mac.states["lock"] == "not_available"


async def test_it_is_asked_again_and_again(tmp_path: Path) -> None:
    mac = Mac(tmp_path)
    clock = ManualClock()
    session = MacSession(mac.facts, mac.knowledge, clock=clock, command=mac.command, uid=UID)
    follower = asyncio.create_task(session.run())
    changed = asyncio.Event()
    mac.facts.on_change(changed.set)
    for locked in (True, False):
        mac.show(registry(locked=locked))
        changed.clear()
        async with asyncio.timeout(20):
            while not clock.sleeping:  # noqa: ASYNC110 - it asks in a thread
                await asyncio.sleep(0.01)
            await clock.advance(AGAIN_S)
            await changed.wait()
        assert mac.facts.reasons == (("locked",) if locked else ())
    follower.cancel()
    await asyncio.wait({follower})


async def test_what_does_not_answer_withholds(tmp_path: Path) -> None:
    mac = Mac(tmp_path)
    mac.show(b"nonsense")
    await mac.session().begin()
    assert mac.facts.reasons == ("facts_unknown",)
    mac.command = [str(tmp_path / "none")]
    await mac.session().begin()
    assert "ioreg" in mac.facts.explain(mac.facts.reasons)[0]


async def test_right_before_a_grab_it_is_asked_anew(tmp_path: Path) -> None:
    mac = Mac(tmp_path)
    session = mac.session()
    await session.begin()
    await asyncio.to_thread(session.check)
    for printed, reason in (
        (registry(locked=True), "locked"),
        (registry(in_front=False), "inactive"),
        (b"", "facts_unknown"),
    ):
        mac.show(printed)
        with pytest.raises(WithheldError) as caught:
            await asyncio.to_thread(session.check)
        assert caught.value.reasons == (reason,)
        await asyncio.sleep(0)  # the fact follows on the event loop
        assert reason in mac.facts.reasons
