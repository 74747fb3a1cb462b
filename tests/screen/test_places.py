from __future__ import annotations

import pytest

from hudd.errors import CaptureError, NoDisplayError
from hudd.model import Source
from hudd.screen.places import check_wanted, find_window, source_around, visible_part, wanted_sources, window_source
from hudd.screen.source import Rect, Window

LEFT = Source("monitor", "LEFT", (0, 0, 100, 100))
RIGHT = Source("monitor", "RIGHT", (100, 0, 100, 100))


def part(*rect: int) -> Source:
    return Source("region", "region", (rect[0], rect[1], rect[2], rect[3]))


def test_wanted_monitors_are_those_of_the_settings_or_all() -> None:
    assert wanted_sources((), (LEFT, RIGHT)) == (LEFT, RIGHT)
    assert wanted_sources(("RIGHT", "gone"), (LEFT, RIGHT)) == (RIGHT,)
    with pytest.raises(NoDisplayError, match=r"gone \(connected: LEFT\)"):
        wanted_sources(("gone",), (LEFT,))
    with pytest.raises(CaptureError, match=r"gone \(connected: LEFT\)"):
        check_wanted(("gone",), (LEFT,))
    check_wanted(("gone", "LEFT"), (LEFT,))
    check_wanted((), (LEFT,))


def test_a_region_lies_on_one_monitor() -> None:
    assert source_around(part(10, 10, 20, 20), (LEFT, RIGHT)) == LEFT
    assert source_around(part(110, 10, 20, 20), (LEFT, RIGHT)) == RIGHT
    assert source_around(part(-10, 10, 20, 20), (LEFT, RIGHT)) == LEFT
    with pytest.raises(CaptureError, match=r"several monitors \(LEFT, RIGHT\)"):
        source_around(part(90, 10, 20, 20), (LEFT, RIGHT))
    with pytest.raises(CaptureError, match=r"outside of the screen \(monitors: LEFT, RIGHT\)"):
        source_around(part(0, 100, 20, 20), (LEFT, RIGHT))


@pytest.mark.parametrize(
    ("rect", "seen"),
    [
        ((10, 10, 20, 20), (10, 10, 20, 20)),
        ((-10, -10, 20, 20), (0, 0, 10, 10)),
        ((190, 90, 50, 50), (190, 90, 10, 10)),
        ((200, 0, 5, 5), None),
    ],
)
def test_only_what_is_on_the_screen_can_be_seen(rect: Rect, seen: Rect | None) -> None:
    assert visible_part(rect, (LEFT, RIGHT)) == seen


def test_a_window_is_found_by_focus_id_or_title() -> None:
    low = Window("0x1", "Notes - editor", "Editor", rect=(0, 0, 5, 5))
    middle = Window("0x2", "notes two", "Editor", rect=(1, 1, 5, 5))
    top = Window("0x3", "Mail", "Mail", rect=(2, 2, 5, 5), focused=True)
    windows = (low, middle, top)
    assert find_window(windows, "") is top
    assert find_window(windows, "0X1") is low
    assert find_window(windows, "NOTES") is middle
    with pytest.raises(CaptureError, match=r'called "x" .there are: "Mail", "notes two", "Notes - editor"'):
        find_window(windows, "x")
    with pytest.raises(CaptureError, match="No window has the focus"):
        find_window((low,), "")
    assert window_source(middle, "notes") == Source("window", "window", (1, 1, 5, 5))


def test_a_window_without_a_place_cannot_be_cut_out() -> None:
    with pytest.raises(CaptureError, match='Wayland does not tell where the window "Mail" is'):
        window_source(Window("0x3", "Mail", "Mail"), "")
