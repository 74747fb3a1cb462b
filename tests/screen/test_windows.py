"""Windows as a real X server tells them: what they are, what changes, and that none is on the screen before it is told."""

from __future__ import annotations

import select
import sys
import threading
import time
from collections.abc import Callable

import pytest

from hudd.clock import SystemClock
from hudd.config.settings import ScreenSettings
from hudd.errors import CaptureError, NoDisplayError
from hudd.model import Source
from hudd.screen.mss_source import MssScreen
from hudd.screen.places import find_window, window_source
from hudd.screen.source import Window
from hudd.screen.x11 import X11Watch, open_watch
from tests.fakes.desks import manage
from tests.fakes.screen import XServer
from tests.fakes.x_windows import XWindows

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="X11 is tested on Linux")
PATIENCE_S = 15.0


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
    manage(server)
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
    manage(server)
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


def apps(watch: X11Watch) -> list[str]:
    return [window.app for window in watch.windows()]


def test_what_no_window_manager_lists_is_told_at_once(server: XServer, ours: XWindows, follower: X11Watch) -> None:
    manage(server)
    assert apps(follower) == []
    menu = ours.make("vault", "", alone=True)
    ours.show(menu)
    (window,) = follower.windows()
    assert (window.app, window.rect) == ("vault", (20, 20, 100, 50))
    ours.show(menu, shown=False)
    assert apps(follower) == []
    ours.show(menu)
    ours.end(menu)
    assert apps(follower) == []


def test_a_window_is_told_while_its_frame_is_not_known_yet(ours: XWindows, follower: X11Watch) -> None:
    """As between the frame's mapping and the window manager's list: nothing says that the inner window is a client."""
    frame = ours.make("", alone=True)
    wrapper = ours.make("", parent=frame)
    inner = ours.make("vault", "Accounts", parent=wrapper)
    for window in (inner, wrapper, frame):
        ours.show(window)
    (window,) = follower.windows()
    assert (window.app, window.title, window.rect) == ("vault", "Accounts", (20, 20, 100, 50))
    assert window.id == f"{inner:#x}"


def test_a_frame_with_a_name_of_its_own_tells_the_managed_window_in_it(ours: XWindows, follower: X11Watch) -> None:
    frame = ours.make("manager", alone=True)
    inner, behind = ours.make("vault", parent=frame), ours.make("tab", parent=frame)
    state = ours.atom("WM_STATE")
    for window in (inner, behind):
        ours.set(window, state, b"1")
    ours.show(inner)
    ours.show(frame)
    assert apps(follower) == ["vault"], "the other is behind a tab"
    ours.show(inner, shown=False)
    ours.set(inner, state, b"3")
    ours.set(frame, ours.atom("WM_NAME"), b"rolled up")
    assert apps(follower) == ["vault", "tab"], "its frame still shows the title"


def test_each_change_is_seen_by_the_next_reading_and_nothing_is_asked_without_one(
    ours: XWindows, follower: X11Watch
) -> None:
    first = ours.make("one", "News")
    ours.show(first)
    before = follower.windows()
    assert [window.title for window in before] == ["News"]
    assert follower.windows() is before
    for title in ("Bank", "News", "Bank"):
        ours.set(first, ours.atom("WM_NAME"), title.encode())
        assert [window.title for window in follower.windows()] == [title]
    ours.set(first, ours.atom("WM_CLASS"), b"x\0vault\0")
    assert apps(follower) == ["vault"]
    ours.move(first, 7)
    (moved,) = follower.windows()
    assert moved.rect == (7, 20, 100, 50)
    ours.focus(first)
    assert [window.focused for window in follower.windows()] == [True]
    settled = follower.windows()
    ours.set(first, ours.atom("WM_ICON_NAME"), b"irrelevant")
    assert follower.windows() is settled


def test_a_title_that_changed_before_its_window_was_followed_is_told(ours: XWindows, follower: X11Watch) -> None:
    """Whoever waits for the descriptor is woken once more after a new window was listed."""
    ours.show(ours.make("one"))
    follower.windows()
    while follower.take_windows_changed():
        pass
    ours.show(ours.make("two"))
    assert told(follower)
    follower.windows()
    assert told(follower)
    follower.windows()
    assert not select.select([follower.fileno()], [], [], 0.2)[0]


def test_whenever_a_window_is_on_the_screen_a_reading_after_that_tells_it(
    server: XServer, ours: XWindows, follower: X11Watch
) -> None:
    """A window manager draws a window some milliseconds before it lists it."""
    manage(server)
    secret = ours.make("vault", "Accounts")
    for number in range(60):
        ours.show(secret)
        end = time.monotonic() + PATIENCE_S
        while True:
            follower.windows()
            shown = ours.colour() == 0xFF00FF
            after = follower.windows()
            if shown:
                break
            assert time.monotonic() < end
        assert "vault" in [window.app for window in after], f"not told the {number}th time"
        ours.show(secret, shown=False)
        while ours.colour() == 0xFF00FF or "vault" in apps(follower):
            assert time.monotonic() < end


def test_windows_of_any_kind_that_come_and_go_meanwhile_are_no_error(
    server: XServer, ours: XWindows, follower: X11Watch
) -> None:
    manage(server)
    stop = threading.Event()
    flicker = XWindows(server.environ["DISPLAY"])

    def come_and_go() -> None:
        for number in range(300):
            window = flicker.make(f"app{number}", "x", alone=number % 2 == 0)
            flicker.show(window)
            flicker.end(window)
        stop.set()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    readings = 0
    try:
        while not stop.is_set():
            follower.windows()
            follower.take_windows_changed()
            readings += 1
    finally:
        thread.join()
        flicker.close()
    assert readings > 5
    end = time.monotonic() + PATIENCE_S
    while follower.windows():
        assert time.monotonic() < end
        time.sleep(0.02)
