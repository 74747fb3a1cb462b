"""What is said of a monitor that the settings name and that is not there, while others are watched."""

from __future__ import annotations

import logging

import pytest

from hudd.config.settings import ScreenSettings
from tests.fakes.flow import watching
from tests.fakes.text_screen import Desk

BOTH = ScreenSettings(monitors=("eDP-1", "HDMI-1"))
LACKS = "The monitor HDMI-1 is not connected. Connect it, or correct [screen] monitors."


async def test_it_is_named_in_the_log_once_and_in_the_status_until_it_comes(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with watching(Desk("eDP-1"), screen=BOTH) as watch:
            facts = watch.capture.facts()
            assert (facts.state, facts.degraded) == ("watching", LACKS)
            await watch.wait(60)
            assert [record.getMessage() for record in caplog.records] == [LACKS]
            watch.desk.show("HDMI-1", "docked")
            await watch.wait(10)
            assert watch.capture.facts().degraded == ""
            assert "docked" in watch.texts()
            watch.desk.shown.pop("HDMI-1")
            await watch.wait(10)
            assert watch.capture.facts().degraded == "The monitor HDMI-1 was unplugged."


async def test_one_that_is_not_wanted_any_more_was_not_unplugged() -> None:
    async with watching(Desk("eDP-1", "HDMI-1"), screen=ScreenSettings()) as watch:
        watch.desk.shown.pop("HDMI-1")
        await watch.wait(10)
        assert "unplugged" in watch.capture.facts().degraded
        watch.capture.change(ScreenSettings(monitors=("eDP-1",)))
        await watch.wait(10)
        assert watch.capture.facts().degraded == ""
