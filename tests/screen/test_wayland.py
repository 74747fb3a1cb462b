"""Against a real sway with two outputs."""

from __future__ import annotations

import io
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from PIL import Image, ImageChops

from hudd.clock import SystemClock
from hudd.config.settings import ScreenSettings
from hudd.errors import CaptureError, NoDisplayError
from hudd.model import Shot, Source
from hudd.screen import wayland_globals
from hudd.screen.choose import open_screen, probe
from hudd.screen.grim import GrimScreen
from hudd.screen.places import find_window, window_source
from hudd.screen.source import Screen
from hudd.screen.wayland import WaylandScreen
from tests.fakes.screen import need
from tests.fakes.sway import Sway, foot, sway

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="Wayland"), pytest.mark.slow]

LAYOUT = """output HEADLESS-1 mode 640x400 position 0 0
output HEADLESS-2 mode 800x600 position 640 0 scale 2
output * bg #2b4b6f solid_color
"""
PATIENCE_S = 15.0


@pytest.fixture(scope="module")
def desktop() -> Iterator[Sway]:
    need("foot")
    with sway(
        LAYOUT + foot("read line; echo larkspur; sleep 1000", "the terminal", "org.example"), outputs=2
    ) as running:
        yield running


@pytest.fixture
def screen(desktop: Sway) -> Iterator[WaylandScreen]:
    opened = WaylandScreen(ScreenSettings(), desktop.environ, SystemClock())
    yield opened
    opened.close()


def image(shot: Shot) -> Image.Image:
    return Image.frombuffer("RGB", (shot.width, shot.height), bytes(shot.pixels), "raw", "BGRX", 0, 1)


def by_grim(desktop: Sway, output: str) -> Image.Image:
    done = subprocess.run(
        [need("grim"), "-t", "ppm", "-o", output, "-"], env=desktop.environ, capture_output=True, check=True
    )
    return Image.open(io.BytesIO(done.stdout)).convert("RGB")


def named(screen: Screen, name: str) -> Source:
    return next(source for source in screen.sources() if source.name == name)


def wait_for_window(screen: Screen) -> None:
    end = time.monotonic() + PATIENCE_S
    while not screen.windows() and time.monotonic() < end:
        time.sleep(0.05)


def damaged(screen: Screen, timeout_s: float) -> tuple[object, ...]:
    """What is told within the time; empty when nothing was."""
    descriptor = screen.damage_fd()
    assert descriptor is not None
    return screen.take_damage() if select.select([descriptor], [], [], timeout_s)[0] else ()


def calm(screen: Screen) -> None:
    """Wait until nothing moves any more."""
    end = time.monotonic() + PATIENCE_S
    while damaged(screen, 0.7) and time.monotonic() < end:
        pass


def until_it_fails(call: Callable[[], object]) -> None:
    """Call it until it raises."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        call()


def follow(screen: Screen) -> None:
    """Take all that is told, until that fails."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        damaged(screen, PATIENCE_S)


def test_two_outputs_of_mixed_scale_are_seen_as_grim_sees_them(desktop: Sway, screen: WaylandScreen) -> None:
    wait_for_window(screen)
    calm(screen)
    assert [(s.name, s.rect) for s in screen.sources()] == [
        ("HEADLESS-1", (0, 0, 640, 400)),
        ("HEADLESS-2", (640, 0, 400, 300)),
    ]
    assert screen.status().backend.startswith("wlr-screencopy on wayland-")
    assert (screen.status().degraded, screen.status().damage) == ("", True)
    for source in screen.sources():
        shot = screen.grab(source, epoch=4, captured_at=2.0)
        assert (shot.epoch, shot.captured_at, shot.source) == (4, 2.0, source)
        assert ImageChops.difference(image(shot), by_grim(desktop, source.name)).getbbox() is None
    assert screen.grab(named(screen, "HEADLESS-2"), epoch=0, captured_at=0.0).width == 800


@pytest.mark.parametrize("turn", ["90", "180", "270", "flipped", "flipped-90"])
def test_a_turned_output_is_upright(desktop: Sway, turn: str) -> None:
    desktop.msg("output HEADLESS-2 transform normal")
    screen = WaylandScreen(ScreenSettings(), desktop.environ, SystemClock())
    try:
        desktop.msg(f"output HEADLESS-2 transform {turn}")
        wide = (400, 300) if turn in ("180", "flipped") else (300, 400)
        end = time.monotonic() + PATIENCE_S
        while named(screen, "HEADLESS-2").rect[2:] != wide and time.monotonic() < end:
            time.sleep(0.02)
        shot = screen.grab(named(screen, "HEADLESS-2"), epoch=0, captured_at=0.0)
        assert ImageChops.difference(image(shot), by_grim(desktop, "HEADLESS-2")).getbbox() is None
    finally:
        screen.close()
        desktop.msg("output HEADLESS-2 transform normal")


def test_a_change_is_told_once_and_a_still_screen_is_silent(desktop: Sway, screen: WaylandScreen) -> None:
    wait_for_window(screen)
    calm(screen)
    assert damaged(screen, 0.5) == ()
    desktop.msg("output HEADLESS-2 bg #405060 solid_color")
    assert damaged(screen, PATIENCE_S)
    calm(screen)
    desktop.msg("output HEADLESS-2 bg #2b4b6f solid_color")


def test_a_region_and_a_window_are_cut_out(desktop: Sway, screen: WaylandScreen) -> None:
    wait_for_window(screen)
    (window,) = screen.windows()
    assert (window.title, window.app, window.focused) == ("the terminal", "org.example", True)
    assert window.pid is not None
    assert window.rect is not None
    shot = screen.grab(window_source(find_window(screen.windows(), "term"), "term"), epoch=0, captured_at=0.0)
    scale = 1 if window.rect[0] < 640 else 2
    assert (shot.width, shot.height) == (window.rect[2] * scale, window.rect[3] * scale)
    region = screen.grab(Source("region", "region", (650, 10, 50, 40)), epoch=0, captured_at=0.0)
    assert (region.width, region.height) == (100, 80)
    with pytest.raises(CaptureError, match="several monitors"):
        screen.grab(Source("region", "region", (600, 10, 100, 40)), epoch=0, captured_at=0.0)


def test_windows_without_sways_own_socket_have_titles_and_no_places(desktop: Sway) -> None:
    environ = {name: value for name, value in desktop.environ.items() if name != "SWAYSOCK"}
    screen = WaylandScreen(ScreenSettings(), environ, SystemClock())
    try:
        wait_for_window(screen)
        (window,) = screen.windows()
        assert (window.title, window.app, window.focused, window.rect, window.pid) == (
            "the terminal",
            "org.example",
            True,
            None,
            None,
        )
    finally:
        screen.close()


def test_only_wanted_outputs_are_sources(desktop: Sway) -> None:
    screen = open_screen(ScreenSettings(source="wayland", monitors=("HEADLESS-2",)), desktop.environ)
    assert [source.name for source in screen.sources()] == ["HEADLESS-2"]
    screen.close()
    with pytest.raises(CaptureError, match=r"DP-7 \(connected: HEADLESS-1, HEADLESS-2"):
        open_screen(ScreenSettings(monitors=("DP-7",)), desktop.environ)


def test_auto_takes_screencopy_and_grim_gives_the_same_picture(desktop: Sway, screen: WaylandScreen) -> None:
    chosen = open_screen(ScreenSettings(), desktop.environ)
    assert isinstance(chosen, WaylandScreen)
    chosen.close()
    wait_for_window(screen)
    calm(screen)
    grim = GrimScreen(ScreenSettings(), desktop.environ, SystemClock())
    try:
        for source in grim.sources():
            one, other = grim.grab(source, epoch=0, captured_at=0.0), screen.grab(source, epoch=0, captured_at=0.0)
            assert ImageChops.difference(image(one), image(other)).getbbox() is None
        assert (grim.status().damage, grim.damage_fd()) == (False, None)
        assert grim.grab(Source("region", "region", (10, 10, 30, 20)), epoch=0, captured_at=0.0).width == 30
    finally:
        grim.close()


def test_probe_names_each_way_with_cause_and_remedy(desktop: Sway) -> None:
    wayland, grim, portal = probe(ScreenSettings(), {**desktop.environ, "PATH": "/nowhere"})
    assert (wayland.name, wayland.ok) == ("wayland", True)
    assert "HEADLESS-1 640x400 in" in wayland.sentence
    assert (grim.ok, grim.sentence) == (False, "grim cannot be started (No such file or directory).")
    assert grim.remedy == "Install it, or correct [screen] source."
    assert (portal.ok, portal.remedy) == (False, "Install hudd[desktop].")


def test_an_output_that_is_plugged_in_is_told_and_seen() -> None:
    with sway("output * bg #2b4b6f solid_color") as desktop:
        screen = WaylandScreen(ScreenSettings(), desktop.environ, SystemClock())
        try:
            assert [source.name for source in screen.sources()] == ["HEADLESS-1"]
            calm(screen)
            desktop.msg("create_output")
            assert damaged(screen, PATIENCE_S) is not None
            end = time.monotonic() + PATIENCE_S
            while len(screen.sources()) < 2 and time.monotonic() < end:
                time.sleep(0.02)
            new = screen.sources()[1]
            assert screen.grab(new, epoch=0, captured_at=0.0).width == new.rect[2]
        finally:
            screen.close()


def test_a_compositor_that_dies_is_told_by_every_call() -> None:
    with sway() as desktop:
        screen = WaylandScreen(ScreenSettings(), desktop.environ, SystemClock())
        try:
            (source,) = screen.sources()
            screen.grab(source, epoch=0, captured_at=0.0)
            calm(screen)
            desktop.process.kill()
            desktop.kill()
            with pytest.raises(NoDisplayError, match="is gone"):
                follow(screen)  # what its programs did as they ended may be told before
            for call in (screen.take_damage, screen.sources):
                with pytest.raises(NoDisplayError, match="is gone"):
                    until_it_fails(call)  # a program that dies closes its connections one after the other
            with pytest.raises(NoDisplayError):
                screen.grab(source, epoch=0, captured_at=0.0)
        finally:
            screen.close()
            screen.close()


def test_a_compositor_without_screencopy_is_refused(desktop: Sway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(wayland_globals._NEWEST, wayland_globals.SCREENCOPY, 0)
    with pytest.raises(CaptureError, match="does not offer zwlr_screencopy_manager_v1"):
        WaylandScreen(ScreenSettings(), desktop.environ, SystemClock())
