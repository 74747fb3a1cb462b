from __future__ import annotations

import gc
import select
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from mss.exception import ScreenShotError

from hudd.clock import SystemClock
from hudd.config.settings import ScreenSettings
from hudd.errors import CaptureError, NoDisplayError
from hudd.screen import mss_source, x11
from hudd.screen.choose import open_screen
from hudd.screen.mss_source import MssScreen, missing_packages
from hudd.screen.pixels import uniform
from tests.fakes.clock import ManualClock
from tests.fakes.screen import XServer, x_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="X11 is tested on Linux")


@pytest.fixture
def screen(server: XServer) -> Iterator[MssScreen]:
    opened = MssScreen(ScreenSettings(), server.environ, SystemClock())
    yield opened
    opened.close()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_monitor_is_grabbed_by_shared_memory(server: XServer, screen: MssScreen) -> None:
    server.run("xsetroot", "-solid", "#e02010")
    (source,) = screen.sources()
    assert (source.kind, source.name, source.rect) == ("monitor", "screen", (0, 0, 640, 480))
    shot = screen.grab(source, epoch=4, captured_at=12.5)
    assert (shot.width, shot.height, len(shot.pixels), shot.epoch, shot.captured_at) == (
        640,
        480,
        640 * 480 * 4,
        4,
        12.5,
    )
    assert bytes(shot.pixels[:3]) == b"\x10\x20\xe0"
    assert uniform(shot) == "one-coloured"
    assert shot.grab_ms > 0
    status = screen.status()
    assert (status.backend, status.degraded, status.damage) == (f"mss xshmgetimage on :{server.number}", "", True)


def test_two_monitors_are_two_sources_and_come_and_go(server: XServer, screen: MssScreen) -> None:
    server.run("xrandr", "--setmonitor", "left one", "320/80x480/120+0+0", "screen")
    server.run("xrandr", "--setmonitor", "RIGHT", "320/80x480/120+320+0", "none")
    assert [(source.name, source.rect) for source in screen.sources()] == [
        ("left-one", (0, 0, 320, 480)),
        ("RIGHT", (320, 0, 320, 480)),
    ]
    shot = screen.grab(screen.sources()[1], epoch=0, captured_at=0.0)
    assert (shot.width, shot.height) == (320, 480)
    server.run("xrandr", "--delmonitor", "RIGHT")
    server.run("xrandr", "--delmonitor", "left one")
    assert [source.name for source in screen.sources()] == ["screen"]


def test_only_wanted_monitors_are_sources_and_losing_them_is_no_display(server: XServer) -> None:
    server.run("xrandr", "--setmonitor", "LEFT", "320/80x480/120+0+0", "screen")
    server.run("xrandr", "--setmonitor", "RIGHT", "320/80x480/120+320+0", "none")
    screen = MssScreen(ScreenSettings(monitors=("RIGHT",)), server.environ, SystemClock())
    try:
        assert [source.name for source in screen.sources()] == ["RIGHT"]
        server.run("xrandr", "--delmonitor", "RIGHT")
        with pytest.raises(NoDisplayError, match=r"RIGHT \(connected: LEFT\)"):
            screen.sources()
    finally:
        screen.close()


def test_a_monitor_that_does_not_exist_is_named_with_those_that_do(server: XServer) -> None:
    with pytest.raises(CaptureError, match=r"DP-7 \(connected: screen\)") as caught:
        open_screen(ScreenSettings(monitors=("DP-7",)), server.environ)
    assert not isinstance(caught.value, NoDisplayError)


def test_a_screen_that_shrinks_and_grows_is_followed(server: XServer, screen: MssScreen) -> None:
    (large,) = screen.sources()
    server.resize(320, 240)
    with pytest.raises(CaptureError):
        screen.grab(large, epoch=0, captured_at=0.0)
    (small,) = screen.sources()
    assert small.rect == (0, 0, 320, 240)
    assert screen.grab(small, epoch=0, captured_at=0.0).width == 320
    server.resize(640, 480)
    (again,) = screen.sources()
    assert len(screen.grab(again, epoch=0, captured_at=0.0).pixels) == 640 * 480 * 4


def test_a_display_that_dies_is_told_by_every_call_and_works_again_when_it_is_back() -> None:
    # The first opening loads libraries, which keep descriptors of their own.
    with x_server() as warm:
        MssScreen(ScreenSettings(), warm.environ, SystemClock()).close()
    gc.collect()
    descriptors, threads = open_descriptors(), threading.active_count()
    number = None
    for _ in range(3):
        server = XServer(number=number)
        number = server.number
        screen = open_screen(ScreenSettings(), server.environ)
        (source,) = screen.sources()
        screen.grab(source, epoch=0, captured_at=0.0)
        server.kill()
        fd = screen.damage_fd()
        assert fd is not None
        assert select.select([fd], [], [], 10.0)[0] == [fd]
        for call in (
            screen.take_damage,
            screen.sources,
            lambda screen=screen: screen.window_rect(5),
            lambda screen=screen, source=source: screen.grab(source, epoch=0, captured_at=0.0),
            lambda screen=screen, source=source: screen.grab(source, epoch=0, captured_at=0.0),
        ):
            with pytest.raises(NoDisplayError):
                call()
        screen.close()
        screen.close()
        for _ in range(3):
            with pytest.raises(NoDisplayError, match="cannot be opened"):
                open_screen(ScreenSettings(), server.environ)
    assert (open_descriptors(), threading.active_count()) == (descriptors, threads)


def test_a_closed_screen_says_so(server: XServer) -> None:
    screen = MssScreen(ScreenSettings(), server.environ, SystemClock())
    (source,) = screen.sources()
    screen.close()
    with pytest.raises(NoDisplayError):
        screen.grab(source, epoch=0, captured_at=0.0)


def test_without_xcffib_it_polls_and_says_so(server: XServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xcffib", None)
    clock = ManualClock()
    screen = MssScreen(ScreenSettings(), server.environ, clock)
    try:
        status = screen.status()
        assert not status.damage
        assert "polling: xcffib cannot be loaded" in status.degraded
        assert (screen.damage_fd(), screen.take_damage(), screen.window_rect(1)) == (None, (), None)
        assert screen.sources()[0].name == "screen"
        server.resize(320, 240)
        assert screen.sources()[0].rect == (0, 0, 640, 480)
        clock._move(clock.monotonic() + 11)
        assert screen.sources()[0].rect == (0, 0, 320, 240)
    finally:
        screen.close()


def test_a_server_without_shared_memory_is_slower_and_says_so() -> None:
    with x_server(extra=("-extension", "MIT-SHM")) as server:
        screen = MssScreen(ScreenSettings(), server.environ, SystemClock())
        try:
            shot = screen.grab(screen.sources()[0], epoch=0, captured_at=0.0)
            assert len(shot.pixels) == 640 * 480 * 4
            status = screen.status()
            assert "xgetimage on" in status.backend
            assert "without shared memory: MIT-SHM extension not present" in status.degraded
        finally:
            screen.close()


def test_a_server_without_damage_is_polled_and_says_so() -> None:
    with x_server(extra=("-extension", "DAMAGE")) as server:
        screen = MssScreen(ScreenSettings(), server.environ, SystemClock())
        try:
            assert screen.damage_fd() is None
            assert "no DAMAGE extension" in screen.status().degraded
        finally:
            screen.close()


def test_an_x_server_inside_wayland_is_refused(server: XServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def has(_: x11.X11Watch, extension: str) -> bool:
        return extension == "XWAYLAND"

    monkeypatch.setattr(x11.X11Watch, "_has", has)
    with pytest.raises(NoDisplayError, match="inside a Wayland session"):
        open_screen(ScreenSettings(), server.environ)


def test_missing_system_libraries_are_named_by_their_packages(server: XServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise ScreenShotError("Library libxcb-randr.so not found")

    def find(name: str) -> str | None:
        return None if name in {"xcb-randr", "xcb-shm"} else f"lib{name}.so.1"

    monkeypatch.setattr(mss_source.mss, "MSS", fail)
    monkeypatch.setattr(mss_source.ctypes.util, "find_library", find)
    assert missing_packages() == ("libxcb-randr0", "libxcb-shm0")
    with pytest.raises(CaptureError, match="apt-get install -y libxcb-randr0 libxcb-shm0") as caught:
        open_screen(ScreenSettings(), server.environ)
    assert not isinstance(caught.value, NoDisplayError)


def test_monitor_names_are_unique_and_fit_for_topics() -> None:
    monitors = [
        {"left": 0, "top": 0, "width": 90, "height": 10},
        {"left": 0, "top": 0, "width": 10, "height": 10, "output": "DP 1/2"},
        {"left": 10, "top": 0, "width": 10, "height": 10, "output": "DP 1/2"},
        {"left": 20, "top": 0, "width": 10, "height": 10, "name": "Bürobild"},
        {"left": 30, "top": 0, "width": 10, "height": 10},
        {"left": 40, "top": 0, "width": 10, "height": 10, "output": "eDP-1"},
    ]
    names = [source.name for source in mss_source._named(monitors, {(40, 0, 10, 10): "built-in"})]
    assert names == ["DP-1-2", "DP-1-2-2", "B-robild", "screen-4", "built-in"]
    assert [source.name for source in mss_source._named(monitors[:1], {})] == ["screen-1"]


def test_the_pointer_is_drawn_only_when_asked(server: XServer) -> None:
    server.run("xdotool", "mousemove", "200", "200")
    frames = []
    for cursor in (False, True):
        screen = MssScreen(ScreenSettings(cursor=cursor), server.environ, SystemClock())
        frames.append(bytes(screen.grab(screen.sources()[0], epoch=0, captured_at=0.0).pixels))
        screen.close()
    assert frames[0] != frames[1]
