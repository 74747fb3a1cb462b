from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from hudd.clock import SystemClock
from hudd.config.settings import ScreenSettings
from hudd.errors import CaptureError, NoDisplayError
from hudd.model import Source
from hudd.screen.mss_source import MssScreen
from hudd.screen.places import find_window, window_source
from hudd.screen.source import Window
from hudd.screen.x11 import X11Watch, open_watch
from tests.fakes.screen import XServer, x_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="X11 is tested on Linux")
PATIENCE_S = 15.0


@pytest.fixture
def server() -> Iterator[XServer]:
    with x_server((640, 480)) as running:
        yield running


def xterm(server: XServer, title: str, place: str) -> int:
    return server.start("xterm", "-T", title, "-geometry", f"20x5{place}", "-e", "sleep", "100").pid


def until(windows: Callable[[], tuple[Window, ...]], titles: set[str]) -> tuple[Window, ...]:
    end = time.monotonic() + PATIENCE_S
    while {window.title for window in windows()} != titles and time.monotonic() < end:
        time.sleep(0.02)
    assert {window.title for window in windows()} == titles
    return windows()


def told(watch: X11Watch) -> bool:
    """Whether windows changed, waiting on the descriptor as an event loop does."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if watch.take_windows_changed():
            return True
        select.select([watch.fileno()], [], [], 0.2)
    return False


def test_windows_are_told_with_title_class_process_place_and_focus(server: XServer) -> None:
    server.start("openbox")
    watch = open_watch(server.environ["DISPLAY"])
    assert isinstance(watch, X11Watch)
    try:
        pids = {xterm(server, "größer", "+10+20"), xterm(server, "second", "+200+200")}
        windows = until(watch.windows, {"größer", "second"})
        assert {window.pid for window in windows} == pids
        assert {window.app for window in windows} == {"XTerm"}
        end = time.monotonic() + PATIENCE_S
        while sum(window.focused for window in windows) != 1:  # the window manager gives the focus a moment later
            assert time.monotonic() < end
            time.sleep(0.02)
            windows = watch.windows()
        for window in windows:
            assert window.rect is not None
            assert watch.window_rect(int(window.id, 16)) == window.rect
    finally:
        watch.close()


def test_a_new_title_a_minimized_window_and_an_ended_one_are_told(server: XServer) -> None:
    server.start("openbox")
    xterm(server, "one", "+10+20")
    program = server.start("xterm", "-T", "two", "-geometry", "20x5+200+200", "-e", "sleep", "100")
    watch = open_watch(server.environ["DISPLAY"])
    assert isinstance(watch, X11Watch)
    try:
        until(watch.windows, {"one", "two"})
        time.sleep(0.3)
        while watch.take_windows_changed():
            pass
        server.run("xdotool", "search", "--name", "^one$", "set_window", "--name", "changed")
        assert told(watch)
        until(watch.windows, {"changed", "two"})
        while watch.take_windows_changed():
            pass
        server.run("xdotool", "search", "--name", "^changed$", "windowminimize")
        assert told(watch)
        until(watch.windows, {"two"})
        program.terminate()
        assert told(watch)
        until(watch.windows, set())
    finally:
        watch.close()


def test_without_a_window_manager_the_top_levels_are_listed(server: XServer) -> None:
    watch = open_watch(server.environ["DISPLAY"])
    assert isinstance(watch, X11Watch)
    try:
        xterm(server, "bare", "+30+40")
        (window,) = until(watch.windows, {"bare"})
        assert window.rect is not None
        assert window.rect[:2] == (30, 40)
    finally:
        watch.close()


def test_a_window_is_looked_at_as_far_as_it_is_on_the_screen(server: XServer) -> None:
    screen = MssScreen(ScreenSettings(), server.environ, SystemClock())
    try:
        xterm(server, "partly", "+600+20")
        (window,) = until(screen.windows, {"partly"})
        shot = screen.grab(window_source(find_window((window,), "partly"), "partly"), epoch=1, captured_at=0.0)
        assert shot.source.kind == "window"
        assert shot.source.rect[0] + shot.source.rect[2] == 640
        assert (shot.width, shot.height) == shot.source.rect[2:]
        region = screen.grab(Source("region", "region", (-50, -50, 100, 80)), epoch=0, captured_at=0.0)
        assert (region.source.rect, region.width, region.height) == ((0, 0, 50, 30), 50, 30)
        with pytest.raises(
            CaptureError, match=r"region lies outside of the screen \(monitors: screen 640x480 at 0,0\)"
        ):
            screen.grab(Source("region", "region", (640, 0, 10, 10)), epoch=0, captured_at=0.0)
    finally:
        screen.close()


def test_a_dead_display_is_told(server: XServer) -> None:
    watch = open_watch(server.environ["DISPLAY"])
    assert isinstance(watch, X11Watch)
    server.kill()
    for call in (watch.windows, watch.take_windows_changed):
        with pytest.raises(NoDisplayError):
            call()
    watch.close()
