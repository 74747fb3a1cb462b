"""What one reading of the windows costs, which is taken before and after every grab: with 5, 30 and 200 windows."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Final

import xcffib
import xcffib.xproto

from hudd.config.settings import PrivacySettings
from hudd.policy.windows import WindowRules
from hudd.screen.x11 import X11Watch, open_watch
from tests.bench.rows import NO_BAR, Row
from tests.fakes.desks import manage
from tests.fakes.screen import x_server

WINDOWS: Final = (5, 30, 200)
STILL_BAR_MS: Final = 1.0
"""On a desktop on which nothing changed a reading is one question, however many windows there are."""
_PATIENCE_S: Final = 60.0


class _Windows:
    """Windows of our own on a display, which the window manager has framed."""

    def __init__(self, display: str) -> None:
        self._connection = xcffib.connect(display)
        self._screen = self._connection.get_setup().roots[0]
        self._made: list[int] = []

    def open(self, count: int) -> None:
        """Until there are so many."""
        xproto, core, screen = xcffib.xproto, self._connection.core, self._screen
        while len(self._made) < count:
            number, window = len(self._made), self._connection.generate_id()
            place = (20 * (number % 40), 20 * (number // 40), 100, 60, 0)
            look = (xproto.WindowClass.InputOutput, screen.root_visual, xproto.CW.BackPixel, [0x808080])
            core.CreateWindow(screen.root_depth, window, screen.root, *place, *look)
            name = b"notes\0Notes\0"
            core.ChangeProperty(
                xproto.PropMode.Replace, window, xproto.Atom.WM_CLASS, xproto.Atom.STRING, 8, len(name), name
            )
            self._made.append(window)
            self.call(number, f"Page {number}")
            core.MapWindow(window)
        self._connection.flush()

    def call(self, number: int, title: str) -> None:
        """Give one another title."""
        xproto, data = xcffib.xproto, title.encode()
        self._connection.core.ChangeProperty(
            *(xproto.PropMode.Replace, self._made[number], xproto.Atom.WM_NAME),
            *(xproto.Atom.STRING, 8, len(data), data),
        )
        self._connection.core.GetInputFocus().reply()  # the server has done it all

    def close(self) -> None:
        self._connection.disconnect()


def bench_window_reading(*, quick: bool = False) -> list[Row]:
    """Median of many, wall and all: the server answers meanwhile."""
    pages = itertools.count()
    times, rows = 5 if quick else 50, list[Row]()
    rules = WindowRules(PrivacySettings(exclude_apps=("keepassxc",), exclude_titles=("bank", "*invoice*")))
    with x_server((1280, 800)) as server:
        manage(server)
        display = server.environ["DISPLAY"]
        windows = _Windows(display)
        try:
            for count in WINDOWS:
                windows.open(count)
                following = _open(display, count, follow=True)
                asking = _open(display, count, follow=False)
                everything = _median_ms(asking.windows, times)
                still = _median_ms(following.windows, times)
                titled = _median_ms(following.windows, times, lambda: windows.call(0, f"Page {next(pages)}"))
                judged = _median_ms(lambda f=following: rules.judge(f.windows()), times) - still
                rows += [
                    Row(f"{count} windows, read, nothing changed", still, STILL_BAR_MS, "ms", "median, wall"),
                    Row(f"{count} windows, read, a title changed", titled, NO_BAR, "ms", "median, wall"),
                    Row(
                        f"{count} windows, read, all of them", everything, NO_BAR, "ms", "when one came, went or moved"
                    ),
                    Row(f"{count} windows, judged", judged, NO_BAR, "ms", "when anything changed"),
                ]
                following.close()
                asking.close()
        finally:
            windows.close()
    return rows


def _open(display: str, count: int, *, follow: bool) -> X11Watch:
    watch = open_watch(display, only_windows=follow)
    assert isinstance(watch, X11Watch)
    end, still = time.monotonic() + _PATIENCE_S, 0
    while still < 20:  # the window manager frames them one after the other
        still = still + 1 if len(watch.windows()) == count and not watch.take_windows_changed() else 0
        assert time.monotonic() < end, f"{len(watch.windows())} of {count} windows are shown"
        time.sleep(0.01)
    return watch


def _median_ms(work: Callable[[], object], times: int, before: Callable[[], object] = lambda: None) -> float:
    took: list[float] = []
    for _ in range(times):
        before()
        started = time.perf_counter()
        work()
        took.append((time.perf_counter() - started) * 1000.0)
    return statistics.median(took)
