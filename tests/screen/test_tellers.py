"""Who tells windows, on real displays."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hudd.errors import CaptureError, NoDisplayError
from hudd.policy.windows import is_browser
from hudd.screen.tellers import HIDDEN, TOPLEVELS_LIMITS, SwayTeller, ToplevelTeller, X11Teller, open_teller
from hudd.screen.wayland_idle import WaylandIdle
from hudd.screen.x11_saver import X11Saver, open_saver
from tests.fakes.desks import PRIVATE, SwayDesk, x_desk
from tests.fakes.screen import x_server
from tests.fakes.sway import sway


def until(teller: X11Teller | SwayTeller | ToplevelTeller, true: Callable[[], object]) -> None:
    """Asks only when the descriptor says so."""
    end = time.monotonic() + 10.0
    while not true():
        assert select.select([teller.fileno()], [], [], max(0.0, end - time.monotonic()))[0], "nothing was told"
        teller.take_changed()


def test_x11_tells_windows_that_come_and_go_and_change_their_titles() -> None:
    with x_desk() as desk:
        teller = open_teller("auto", desk.environ)
        assert isinstance(teller, X11Teller)
        try:
            assert (teller.limits, teller.hides) == ("", False)
            until(teller, lambda: {"firefox", "ticker"} <= {w.app for w in teller.windows()})
            desk.secret(shown=True)
            until(teller, lambda: "hudd-secret" in {w.app for w in teller.windows()})
            desk.retitle(private=True)
            until(teller, lambda: PRIVATE in {w.title for w in teller.windows() if is_browser(w)})
            desk.secret(shown=False)
            until(teller, lambda: "hudd-secret" not in {w.app for w in teller.windows()})
            teller.take_changed()
            while select.select([teller.fileno()], [], [], 0.5)[0]:  # the focus that moves on is told a little later
                teller.take_changed()
            desk.tick(1)  # pixels are no news here
            assert not select.select([teller.fileno()], [], [], 0.2)[0]
        finally:
            teller.close()


def test_sway_tells_windows_with_places() -> None:
    with sway() as running:
        desk = SwayDesk(running)
        teller = open_teller("auto", desk.environ)
        assert isinstance(teller, SwayTeller)
        try:
            assert "hudd-secret" not in {w.app for w in teller.windows()}
            desk.secret(shown=True)
            until(teller, lambda: "hudd-secret" in {w.app for w in teller.windows() if w.rect and w.rect[2] > 0})
            desk.retitle(private=True)
            until(teller, lambda: any(w.title.endswith(PRIVATE) for w in teller.windows()))
            running.kill()
            with pytest.raises(CaptureError):
                until(teller, lambda: False)
        finally:
            teller.close()


def test_another_compositor_tells_titles_and_no_places() -> None:
    with sway() as running:
        desk = SwayDesk(running)
        teller = open_teller("auto", {k: v for k, v in desk.environ.items() if k != "SWAYSOCK"})
        assert isinstance(teller, ToplevelTeller)
        try:
            assert teller.limits == TOPLEVELS_LIMITS
            until(teller, lambda: "hudd-secret" in {w.app for w in teller.windows()})
            assert all(w.rect is None for w in teller.windows())
            desk.retitle(private=True)
            until(teller, lambda: any(w.title.endswith(PRIVATE) for w in teller.windows()))
        finally:
            teller.close()


def test_where_nobody_tells_it_is_said(tmp_path: Path) -> None:
    assert "no display" in str(open_teller("auto", {}))
    assert "folder" in str(open_teller("pictures:/somewhere", {"DISPLAY": ":1"}))
    assert open_teller("portal", {"WAYLAND_DISPLAY": "wayland-0"}) == HIDDEN
    with pytest.raises(NoDisplayError):
        open_teller("auto", {"DISPLAY": ":4711"})
    with pytest.raises(NoDisplayError):
        open_teller("auto", {"WAYLAND_DISPLAY": "wayland-0", "SWAYSOCK": str(tmp_path / "none")})


def test_the_x_servers_screensaver_and_idle_time_are_told_without_polling() -> None:
    with x_server() as server:
        saver = open_saver("auto", {"DISPLAY": server.environ["DISPLAY"]}, 0.5)
        assert isinstance(saver, X11Saver)
        try:
            assert (saver.saves, saver.tells_idle) == (True, True)

            def next_word() -> tuple[bool, bool]:
                assert select.select([saver.fileno()], [], [], 10.0)[0], "nothing was told"
                return saver.read()

            state = saver.read()
            while state != (False, True):
                state = next_word()
            server.run("xdotool", "mousemove", "10", "10")
            while state != (False, False):
                state = next_word()
            server.run("xset", "s", "activate")
            while not state[0]:
                state = next_word()
            server.run("xset", "s", "reset")
            while state[0]:
                state = next_word()
        finally:
            saver.close()


def test_a_compositor_tells_who_is_away_and_its_x_server_is_not_asked() -> None:
    """The X server of a compositor counts only the input to X windows: who types into others would be away."""
    with x_server() as server, sway() as running:
        both = {**running.environ, "DISPLAY": server.environ["DISPLAY"]}
        saver = open_saver("auto", both, 0.5)
        assert isinstance(saver, WaylandIdle)
        try:
            assert saver.tells_idle
            assert saver.read() == (False, False)
            assert select.select([saver.fileno()], [], [], 10.0)[0], "nothing was told"
            assert saver.read() == (False, True)
            running.kill()
            assert select.select([saver.fileno()], [], [], 10.0)[0], "nothing was told"
            with pytest.raises(NoDisplayError):
                saver.read()
        finally:
            saver.close()
        assert "away" in str(open_saver("auto", both, 0.0))
        with pytest.raises(NoDisplayError):
            open_saver("auto", both, 0.5)


def test_the_x_server_of_a_compositor_knows_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with x_server() as server:
        monkeypatch.setattr(X11Saver, "xwayland", True)
        assert "does not know who is away" in str(open_saver("auto", {"DISPLAY": server.environ["DISPLAY"]}, 0.5))


def test_no_x_server_tells_no_screensaver() -> None:
    assert isinstance(open_saver("auto", {}, 0.0), str)
    assert isinstance(open_saver("pictures:/somewhere", {"DISPLAY": ":1"}, 0.0), str)
    with pytest.raises(NoDisplayError):
        open_saver("auto", {"DISPLAY": ":4711"}, 0.0)
