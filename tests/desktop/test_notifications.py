from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hudd.clock import SystemClock
from hudd.desktop.bus import Bus, BusError
from hudd.desktop.notifications import LONGEST, Notices, open_notices
from hudd.model import NoticeTopic
from tests.fakes.clock import settle
from tests.fakes.dbus import NOTIFICATIONS, Bubbles, PrivateBus, private_bus, service


@asynccontextmanager
async def running(notices: Notices) -> AsyncIterator[Notices]:
    task = asyncio.create_task(notices.run())
    try:
        yield notices
    finally:
        task.cancel()
        await asyncio.wait({task})


@asynccontextmanager
async def notices_on(there: PrivateBus) -> AsyncIterator[Notices]:
    bus = Bus("session", there.environ, clock=SystemClock())
    async with running(open_notices(bus, {}, wanted=True, platform="linux")) as notices:
        yield notices
    await bus.close()


async def test_each_matter_has_one_bubble_that_newer_words_replace(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as there, service(there, NOTIFICATIONS) as desktop, notices_on(there) as notices:
        bubbles = Bubbles(desktop)
        notices.tell("money", "hudd asks less often.")
        await bubbles.wait(1)
        notices.tell("attention", "The key is wrong; give another.", urgent=True)
        await bubbles.wait(2)
        notices.tell("money", "The day's cap of $1.00 is reached.")
        await bubbles.wait(3)
        notices.tell("attention", "hudd is connected again.")
        await bubbles.wait(4)
        assert bubbles.shown == {1: ("The day's cap of $1.00 is reached.", 1), 2: ("hudd is connected again.", 1)}
        assert [body[0] for member, body in desktop.calls if member == "Notify"] == ["hudd"] * 4


async def test_an_urgent_one_stays(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as there, service(there, NOTIFICATIONS) as desktop, notices_on(there) as notices:
        bubbles = Bubbles(desktop)
        notices.tell("alarm", "Money was spent without a note.", urgent=True)
        await bubbles.wait(1)
        assert bubbles.shown == {1: ("Money was spent without a note.", 2)}


async def test_words_are_no_markup(tmp_path: Path) -> None:
    async with private_bus(tmp_path) as there, service(there, NOTIFICATIONS) as desktop, notices_on(there) as notices:
        bubbles = Bubbles(desktop, capabilities=["body", "body-markup"])
        notices.tell("money", "<b>model</b> & co.")
        await bubbles.wait(1)
        assert bubbles.history == ["&lt;b&gt;model&lt;/b&gt; &amp; co."]


async def test_another_desktop_gets_no_numbers_of_the_one_before(tmp_path: Path) -> None:
    """Its number 1 is the bubble of another program."""
    async with private_bus(tmp_path) as there, notices_on(there) as notices:
        for _ in range(2):
            async with service(there, NOTIFICATIONS) as desktop:
                bubbles = Bubbles(desktop)
                notices.tell("money", "A step.")
                await bubbles.wait(1)
                assert [body[1] for member, body in desktop.calls if member == "Notify"] == [0]


async def test_without_a_service_nothing_fails_and_one_line_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hudd.desktop")
    async with private_bus(tmp_path) as there, notices_on(there) as notices:
        notices.tell("money", "A step.")
        async with asyncio.timeout(20):
            while not caplog.messages:  # noqa: ASYNC110 - the log tells nobody
                await asyncio.sleep(0.01)
        notices.tell("money", "Another step.")
        async with service(there, NOTIFICATIONS) as desktop:
            bubbles = Bubbles(desktop)
            notices.tell("money", "A third step.")
            await bubbles.wait(1)
            if bubbles.history[-1] == "Another step.":  # it still waited when the service came
                await bubbles.wait(2)
            assert bubbles.history[-1] == "A third step."
    assert len([m for m in caplog.messages if "no desktop notification" in m]) == 1


@pytest.mark.parametrize(
    ("platform", "says"), [("linux", "There is no session bus here."), ("darwin", "There is no osascript on PATH.")]
)
async def test_where_nothing_can_be_shown_one_line_at_the_start_says_so(
    platform: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hudd.desktop")
    bus = Bus("session", {}, clock=SystemClock())
    notices = open_notices(bus, {"PATH": "/nonexistent"}, wanted=True, platform=platform)
    notices.tell("money", "A step.")
    await notices.run()
    assert [says in message for message in caplog.messages] == [True]
    await bus.close()


async def test_only_the_newest_of_a_matter_waits_and_it_is_short() -> None:
    shown: list[tuple[NoticeTopic, str]] = []
    gate = asyncio.Event()

    async def show(topic: NoticeTopic, sentence: str, urgent: bool) -> None:
        await gate.wait()
        shown.append((topic, sentence))

    async with running(Notices(show)) as notices:
        for number in range(100):
            notices.tell("money", f"step {number} " + "x" * 1000)
        await settle()
        notices.tell("money", "last")
        gate.set()
        await settle()
    assert [(topic, text[:7]) for topic, text in shown] == [("money", "step 99"), ("money", "last")]
    assert len(shown[0][1]) == LONGEST


async def test_nothing_is_shown_while_the_settings_say_so() -> None:
    shown: list[str] = []

    async def show(topic: NoticeTopic, sentence: str, urgent: bool) -> None:
        shown.append(sentence)

    async with running(Notices(show, wanted=False)) as notices:
        notices.tell("money", "A step.")
        await settle()
        notices.wanted = True
        notices.tell("money", "The next step.")
        await settle()
    assert shown == ["The next step."]


async def test_on_macos_the_words_are_an_argument_and_never_a_script(tmp_path: Path) -> None:
    program = tmp_path / "osascript"
    program.write_text(f'#!/bin/sh\nfor word in "$@"; do printf "%s\\n" "$word"; done > {tmp_path}/got.part\n'
                       f"mv {tmp_path}/got.part {tmp_path}/got\n")  # fmt: skip
    program.chmod(0o755)
    bus = Bus("session", {}, clock=SystemClock())
    sentence = '" & (do shell script "false") & "; $(false)'
    async with running(open_notices(bus, {"PATH": str(tmp_path)}, wanted=True, platform="darwin")) as notices:
        notices.tell("money", sentence)
        async with asyncio.timeout(20):
            while not (tmp_path / "got").exists():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.01)
    words = (tmp_path / "got").read_text().splitlines()
    assert words[0::2][:3] == ["-e", "-e", "-e"]
    assert words[-2:] == ["hudd", sentence]
    await bus.close()


async def test_a_program_that_fails_is_an_error_of_the_bubble_alone(tmp_path: Path) -> None:
    from hudd.desktop.notifications import MacBubbles

    program = tmp_path / "osascript"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(BusError, match="exit code 3"):
        await MacBubbles(str(program)).show("money", "A step.", False)
    with pytest.raises(BusError, match="cannot be started"):
        await MacBubbles(str(tmp_path / "none")).show("money", "A step.", False)
