"""Of several monitors in the settings one is not there: the others are watched, and it too once it comes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hudd.checks.display import check_display
from hudd.checks.finding import Context
from hudd.clock import SystemClock
from hudd.config.settings import ScreenSettings, Settings
from hudd.errors import CaptureError
from hudd.screen.choose import open_screen
from hudd.screen.source import Screen
from tests.fakes.screen import XServer, need
from tests.fakes.sway import sway

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="X11 and Wayland")
PATIENCE_S = 15.0


@contextmanager
def opened(settings: ScreenSettings, environ: dict[str, str]) -> Iterator[Screen]:
    screen = open_screen(settings, environ, SystemClock())
    try:
        yield screen
    finally:
        screen.close()


def names(screen: Screen) -> list[str]:
    return sorted(source.name for source in screen.sources())


def wait_until(met: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not met() and time.monotonic() < end:
        time.sleep(0.02)


def test_x11_is_watched_without_the_monitor_that_is_not_there_and_with_it_when_it_comes(server: XServer) -> None:
    server.run("xrandr", "--setmonitor", "eDP-1", "320/80x480/120+0+0", "screen")
    with opened(ScreenSettings(monitors=("eDP-1", "HDMI-1")), server.environ) as screen:
        assert names(screen) == ["eDP-1"]
        server.run("xrandr", "--setmonitor", "HDMI-1", "320/80x480/120+320+0", "none")
        wait_until(lambda: len(names(screen)) == 2)
        assert names(screen) == ["HDMI-1", "eDP-1"]


def test_where_none_of_several_is_there_all_are_named(server: XServer) -> None:
    with pytest.raises(CaptureError, match=r"DP-7, DP-8 \(connected: screen\)"):
        open_screen(ScreenSettings(monitors=("DP-7", "DP-8")), server.environ)


def test_doctor_names_the_one_that_is_not_there_beside_the_frame_of_the_other(server: XServer) -> None:
    server.run("xrandr", "--setmonitor", "eDP-1", "640/160x480/120+0+0", "screen")
    server.start("xterm", "-geometry", "30x10+10+10")
    settings = Settings(screen=ScreenSettings(monitors=("eDP-1", "HDMI-1")))
    context = Context({**server.environ, "PATH": "/usr/bin:/bin"}, None, settings)
    wait_until(lambda: next(iter(check_display(context))).state == "ok")
    works, lacking = check_display(context)
    assert (works.state, "eDP-1 640x480" in works.cause) == ("ok", True)
    assert (lacking.state, lacking.cause) == ("warning", "The monitor HDMI-1 is not connected.")
    assert lacking.remedy == "Connect it, or correct [screen] monitors"


@pytest.mark.slow
@pytest.mark.parametrize("source", ["wayland", "grim"])
def test_sway_is_watched_without_the_output_that_is_not_there_and_with_it_when_it_comes(source: str) -> None:
    need("grim")
    with sway("output * bg #2b4b6f solid_color") as desktop:
        settings = ScreenSettings(source=source, monitors=("HEADLESS-1", "HEADLESS-2"))
        with opened(settings, desktop.environ) as screen:
            assert names(screen) == ["HEADLESS-1"]
            desktop.msg("create_output")
            wait_until(lambda: len(names(screen)) == 2)
            assert names(screen) == ["HEADLESS-1", "HEADLESS-2"]
