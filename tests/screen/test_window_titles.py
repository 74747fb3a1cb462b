"""Long titles, and the pop-ups of a program, as a real X server tells them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.clock import SystemClock
from hudd.config.settings import PrivacySettings, ScreenSettings
from hudd.policy.windows import WindowRules, hidden_rects
from hudd.screen.mask import paint_over
from hudd.screen.mss_source import MssScreen
from hudd.screen.windows import GAP
from hudd.screen.x11 import X11Watch
from tests.fakes.desks import manage
from tests.fakes.screen import XServer, at_rest
from tests.fakes.x_windows import XWindows

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="X11 is tested on Linux")
PATIENCE_S = 15.0
PRIVATE = " \u2014 Mozilla Firefox Private Browsing"
READ_BYTES = 4 * 4096


@pytest.fixture
def entitled(ours: XWindows, follower: X11Watch) -> Callable[[bytes], str]:
    """What is read of a title that was set."""
    window = ours.make("firefox")
    ours.show(window)

    def read(title: bytes) -> str:
        ours.entitle(window, title)
        (told,) = follower.windows()
        return told.title

    return read


@pytest.mark.parametrize(
    "title",
    [
        "秘密のお知らせ" * 50,
        "秘密" * 4000,
        "x" * 100_000,
        "Überweisung " + "ä" * 600,
    ],
)
def test_a_long_title_is_read_with_its_beginning_and_its_end(entitled: Callable[[bytes], str], title: str) -> None:
    told = entitled(f"{title}{PRIVATE}".encode())
    assert told.startswith(title[:600])
    assert told.endswith(title[-100:] + PRIVATE)
    if len(title.encode()) < 2 * READ_BYTES - 100:
        assert told == title + PRIVATE
    else:
        assert GAP in told


def test_letters_that_are_cut_do_not_turn_the_rest_into_another_alphabet(entitled: Callable[[bytes], str]) -> None:
    told = entitled("Überweisung ä".encode()[:-1])
    assert told.startswith("Überweisung ")
    assert entitled("Überweisung".encode("latin-1")) == "Überweisung"

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 12_000), st.integers(0, 12_000), st.sampled_from("xä秘\U0001f600"))
    def check(before: int, after: int, letter: str) -> None:
        title = f"{letter * before}Überweisung{letter * after}{PRIVATE}"
        told = entitled(title.encode())
        assert told.endswith(PRIVATE)
        hidden = 4 * before > READ_BYTES - 20 and 4 * after > READ_BYTES - 60
        assert "Überweisung" in told or hidden

    check()


def test_pop_ups_of_a_private_window_are_painted_over_with_it(
    server: XServer, ours: XWindows, follower: X11Watch
) -> None:
    """Menus have a class at most, dialogues a title of their own; those of other programs stay."""
    manage(server)
    others = XWindows(server.environ["DISPLAY"])
    screen = MssScreen(ScreenSettings(), server.environ, SystemClock())
    try:
        private = ours.make("firefox", "Bank" + " - Mozilla Firefox (Private Browsing)", place=(20, 40, 200, 100))
        menu = ours.make("firefox", alone=True, place=(240, 40, 60, 60))
        nameless = ours.make("", alone=True, place=(320, 40, 60, 60))
        dialogue = ours.make("firefox", "Save as", place=(240, 200, 80, 60))
        ours.own(dialogue, private)
        public = ours.make("firefox", "News - Mozilla Firefox", colour=0x00FF00, place=(20, 200, 100, 80))
        foreign = others.make("", alone=True, colour=0x0000FF, place=(400, 40, 60, 60))
        editor = others.make("gedit", "Notes", colour=0x0000FF, place=(400, 200, 60, 60))
        for window in (private, menu, nameless, dialogue, public):
            ours.show(window)
        for window in (foreign, editor):
            others.show(window)
        rules = WindowRules(PrivacySettings(on_excluded="mask"))
        end = time.monotonic() + PATIENCE_S
        while True:
            shot = at_rest(lambda: screen.grab(screen.sources()[0], epoch=0, captured_at=0.0), still_s=0.1)
            seen = pixels(shot.pixels)
            if len(follower.windows()) >= 6 and seen.count(GREEN) >= 8000 and seen.count(BLUE) >= 7200:
                break
            assert time.monotonic() < end, "the windows do not come"
        assert MAGENTA in seen
        masked = paint_over(shot, hidden_rects(rules.judge(follower.windows())))
        assert masked.masked == 4
        seen = pixels(masked.pixels)
        assert (MAGENTA in seen, seen.count(GREEN) >= 8000, seen.count(BLUE) >= 7200) == (False, True, True)
        ours.end(private)
        ours.done()
        assert rules.judge(follower.windows()) == ()
    finally:
        screen.close()
        others.close()


@pytest.mark.parametrize("layout", ["default", "tabbed", "stacking"])
def test_titles_that_i3_draws_are_painted_over(
    server: XServer, follower: X11Watch, tmp_path: Path, layout: str
) -> None:
    """Another title of the window that is hidden makes no difference to the picture."""
    config = tmp_path / "i3"
    config.write_text(f"font pango:monospace 12\nworkspace_layout {layout}\nipc-socket {tmp_path}/ipc\n")
    server.start("i3", "-c", str(config))
    ours, others = XWindows(server.environ["DISPLAY"]), XWindows(server.environ["DISPLAY"])
    screen = MssScreen(ScreenSettings(), server.environ, SystemClock())
    rules = WindowRules(PrivacySettings(exclude_apps=("vault",), on_excluded="mask"))
    end = time.monotonic() + PATIENCE_S

    def picture() -> bytes:
        return bytes(screen.grab(screen.sources()[0], epoch=0, captured_at=0.0).pixels)

    try:
        vault, other = ours.make("vault", "Accounts"), others.make("other", "Notes")
        for program, window in ((ours, vault), (others, other)):
            program.show(window)
            while f"{window:#x}" not in {one.id for one in follower.windows() if one.focused}:
                assert time.monotonic() < end, "i3 does not manage the window"
                time.sleep(0.02)
        shot = at_rest(lambda: screen.grab(screen.sources()[0], epoch=0, captured_at=0.0))
        before = paint_over(shot, hidden_rects(rules.judge(follower.windows())))
        ours.entitle(vault, b"VAULT Larkspur account 4711")
        while picture() == bytes(shot.pixels):
            assert time.monotonic() < end, "i3 does not draw the title"
            time.sleep(0.02)
        shot = at_rest(lambda: screen.grab(screen.sources()[0], epoch=0, captured_at=0.0))
        after = paint_over(shot, hidden_rects(rules.judge(follower.windows())))
        assert before.masked == after.masked > 0
        assert bytes(before.pixels) == bytes(after.pixels)
    finally:
        for opened in (screen, ours, others):
            opened.close()


MAGENTA, GREEN, BLUE = (bytes.fromhex(colour) for colour in ("ff00ff", "00ff00", "ff0000"))
"""As a frame has them: B G R."""


def pixels(data: bytes | bytearray | memoryview) -> list[bytes]:
    frame = bytes(data)
    return [frame[place : place + 3] for place in range(0, len(frame), 4)]
