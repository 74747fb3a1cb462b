from __future__ import annotations

import select
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hudd.screen.source import Rect
from hudd.screen.x11 import X11Watch, open_watch
from tests.fakes.screen import XServer, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="X11 is tested on Linux")


@pytest.fixture
def watch(server: XServer) -> Iterator[X11Watch]:
    opened = open_watch(server.environ["DISPLAY"])
    assert isinstance(opened, X11Watch)
    opened.take_damage()
    yield opened
    opened.close()


def readable(watch: X11Watch, seconds: float) -> bool:
    return bool(select.select([watch.fileno()], [], [], seconds)[0])


def damage(watch: X11Watch, seconds: float = 10.0) -> list[Rect]:
    """What is reported until nothing more comes for a while."""
    rects: list[Rect] = []
    while readable(watch, seconds):
        rects.extend(watch.take_damage())
        seconds = 0.3
    return rects


def covers(rects: list[Rect], point: tuple[int, int]) -> bool:
    return any(x <= point[0] < x + w and y <= point[1] < y + h for x, y, w, h in rects)


def test_a_still_screen_reports_nothing_and_a_painted_one_does(server: XServer, watch: X11Watch) -> None:
    assert watch.damage
    damage(watch, 0.3)
    assert not readable(watch, 0.2)
    server.run("xsetroot", "-solid", "#123456")
    assert covers(damage(watch), (320, 240))
    assert watch.take_damage() == ()


def test_a_change_in_one_place_is_reported_there(server: XServer, watch: X11Watch, tmp_path: Path) -> None:
    told = tmp_path / "ready"
    server.start(
        "xterm", "-geometry", "40x5+200+300", "-e", "sh", "-c", f"echo x > {told}; read line; echo hello; sleep 60"
    )
    wait_for(told)
    damage(watch)
    server.run("xdotool", "mousemove", "250", "330", "type", "\n")
    rects = damage(watch)
    assert rects
    assert all(x >= 190 and y >= 290 for x, y, _, _ in rects)


def test_no_change_is_lost_however_the_reading_falls(server: XServer, watch: X11Watch) -> None:
    """Paints while another thread reads: after the last paint the descriptor must have told of it."""
    damage(watch, 0.3)
    done, seen = threading.Event(), 0

    def paint() -> None:
        for step in range(25):
            server.run("xsetroot", "-solid", f"#0000{step:02x}")
        done.set()

    painter = threading.Thread(target=paint)
    painter.start()
    while not done.is_set():
        if readable(watch, 0.05):
            seen += len(watch.take_damage())
    painter.join()
    damage(watch, 0.5)
    assert seen >= 5
    server.run("xsetroot", "-solid", "#ffffff")
    assert covers(damage(watch), (320, 240))


def test_nobody_reading_costs_a_few_events_not_thousands(server: XServer, watch: X11Watch) -> None:
    damage(watch, 0.3)
    for step in range(20):
        server.run("xsetroot", "-solid", f"#0000{step:02x}")
    assert len(watch.take_damage()) <= 3


def test_a_window_is_where_its_frame_is(server: XServer, watch: X11Watch, tmp_path: Path) -> None:
    server.start("openbox")
    server.run("sh", "-c", "until xprop -root _NET_SUPPORTING_WM_CHECK | grep -q 0x; do sleep 0.05; done")
    told = tmp_path / "window"
    server.start("xterm", "-geometry", "40x5+100+120", "-e", "sh", "-c", f"echo $WINDOWID > {told}; sleep 60")
    window = int(wait_for(told))
    end = time.monotonic() + 10
    while (rect := watch.window_rect(window)) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    inner = watch._windows.core.GetGeometry(window).reply()
    assert rect[3] >= inner.height + 10, "the title bar is part of the frame"
    left, top, width, _ = rect
    # openbox puts its frame where the window asked to be; title bar and borders are part of it.
    assert abs(left - 100) <= 5
    assert abs(top - 120) <= 5
    assert width > 200
    server.run("xdotool", "windowmove", str(window), "10", "200")
    end = time.monotonic() + 10
    while abs((watch.window_rect(window) or (999, 0, 0, 0))[0] - 10) > 10:
        assert time.monotonic() < end
        time.sleep(0.05)
    server.run("xdotool", "windowunmap", str(window))
    end = time.monotonic() + 10
    while watch.window_rect(window) is not None:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("window", [0, -1, 12345, 1 << 31, 1 << 40])
def test_a_window_that_does_not_exist_is_nowhere(watch: X11Watch, window: int) -> None:
    assert watch.window_rect(window) is None
    assert watch.take_damage() is not None


def test_a_layout_that_changes_is_told_once(server: XServer, watch: X11Watch) -> None:
    assert not watch.take_monitors_changed()
    assert watch.monitor_names() == {(0, 0, 640, 480): "screen"}
    server.resize(320, 240)
    assert watch.take_monitors_changed()
    assert not watch.take_monitors_changed()
    assert watch.monitor_names() == {(0, 0, 320, 240): "screen"}
