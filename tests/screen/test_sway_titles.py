"""Masks on a real sway that draws title bars, tabs and stacks: no word of a hidden window stays on the picture."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from hudd.clock import SystemClock
from hudd.config.settings import PrivacySettings, ScreenSettings
from hudd.model import Shot
from hudd.policy.windows import WindowRules, hidden_rects, place_of_focus
from hudd.screen.mask import COLOUR, keep_only, paint_over
from hudd.screen.source import Window
from hudd.screen.sway import sway_windows
from hudd.screen.tellers import SwayTeller
from hudd.screen.wayland import WaylandScreen
from tests.fakes.screen import at_rest
from tests.fakes.sway import Sway, sway

PATIENCE_S = 15.0
SECRET, OTHER, FLOATING = "vault", "other", "floating"
LAYOUTS = {"splith": "default", "tabbed": "tabbed", "stacked": "stacking"}
RULES = WindowRules(PrivacySettings(exclude_apps=(SECRET,), on_excluded="mask"))


@pytest.fixture(params=LAYOUTS)
def desk(request: pytest.FixtureRequest) -> Iterator[tuple[str, Sway]]:
    config = (
        "default_border normal\ndefault_floating_border normal\noutput HEADLESS-1 mode 640x400\n"
        f"output * bg #2b4b6f solid_color\nworkspace_layout {LAYOUTS[request.param]}\n"
        f"for_window [app_id={FLOATING}] floating enable, resize set 120 60, move absolute position 400 300"
    )
    with sway(config) as running:
        for app in (SECRET, OTHER, FLOATING):
            running.start("foot", "-a", app, "-T", app, "sh", "-c", "printf '\\033[?25l'; sleep 100")
            end = time.monotonic() + PATIENCE_S
            while f'"app_id": "{app}"' not in running.msg("-t", "get_tree", "-r"):
                assert time.monotonic() < end, f"{app} does not come"
                time.sleep(0.02)
        yield request.param, running


def digest(shot: Shot) -> str:
    return hashlib.sha256(shot.pixels).hexdigest()


def masked(shot: Shot, windows: Sequence[Window]) -> Shot:
    """With what must not be seen painted over."""
    return paint_over(shot, hidden_rects(RULES.judge(windows)))


def kept(shot: Shot, windows: Sequence[Window]) -> Shot:
    """With the focused window alone."""
    focus = place_of_focus(windows)
    assert not isinstance(focus, str), focus
    return keep_only(shot, focus[0], over=focus[1])


Veil = Callable[[Shot, Sequence[Window]], Shot]


def with_a_new_title(running: Sway, app: str, veil: Veil) -> Shot:
    """The screen once another title of a window is drawn."""
    end = time.monotonic() + PATIENCE_S
    screen = WaylandScreen(ScreenSettings(), running.environ, SystemClock())
    teller = SwayTeller(running.environ["SWAYSOCK"])

    def grab() -> Shot:
        return screen.grab(screen.sources()[0], epoch=0, captured_at=0.0)

    try:
        before = digest(at_rest(grab, still_s=0.1))
        running.msg(f"[app_id={app}] title_format", f"Larkspur {time.monotonic_ns()}")
        while digest(grab()) == before:
            assert time.monotonic() < end, "the title is not drawn"
            time.sleep(0.02)
        return veil(at_rest(grab, still_s=0.1), teller.windows())
    finally:
        teller.close()
        screen.close()


def test_another_title_of_a_masked_window_makes_no_difference(desk: tuple[str, Sway]) -> None:
    layout, running = desk
    for focus in (SECRET, OTHER, FLOATING):
        check_masked(running, layout, focus)


def check_masked(running: Sway, layout: str, focus: str) -> None:
    running.msg(f"[app_id={focus}] focus")
    first, second = with_a_new_title(running, SECRET, masked), with_a_new_title(running, SECRET, masked)
    assert digest(first) == digest(second)
    assert second.masked == 1
    hidden = bytes(second.pixels).count(COLOUR) / (second.width * second.height)
    if layout == "splith":
        assert 0.4 < hidden < 0.55
    else:  # its tab or line alone; or all of the tabs or the stack
        assert hidden > 0.85 if focus == SECRET else 0.03 < hidden < 0.07
    if layout == "splith" or focus != SECRET:
        assert digest(with_a_new_title(running, OTHER, masked)) != digest(second), "the other title is seen"


def test_of_what_stands_beside_or_over_the_focused_window_nothing_is_kept(desk: tuple[str, Sway]) -> None:
    _, running = desk
    running.msg(f"[app_id={OTHER}] focus")
    before = digest(with_a_new_title(running, OTHER, kept))
    for app in (SECRET, FLOATING):
        assert digest(with_a_new_title(running, app, kept)) == before
    assert digest(with_a_new_title(running, OTHER, kept)) != before


def test_what_is_behind_tabs_is_no_window_to_look_at(desk: tuple[str, Sway]) -> None:
    layout, running = desk
    running.msg(f"[app_id={OTHER}] focus")
    apps = {window.app: window for window in sway_windows(running.environ["SWAYSOCK"])}
    assert set(apps) == ({SECRET, OTHER, FLOATING} if layout == "splith" else {OTHER, FLOATING})
    assert [window.focused for window in apps.values()].count(True) == 1
    assert apps[FLOATING].popup
    _, top, _, height = apps[OTHER].rect or (0, 0, 0, 0)
    assert top == pytest.approx(27 if layout == "stacked" else 0, abs=8), "a line of the stack is above it"
    assert top + height == 400
