"""What doctor says of a Wayland desktop that shows its screen by the portal only, and of monitors that show nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hudd.checks.display import check_display
from hudd.checks.finding import Context, Finding
from hudd.config.settings import Settings
from tests.fakes.screen import x_server


def found(folder: Path, desktop: str, *, dbus: bool = True) -> Finding:
    environ = {
        "WAYLAND_DISPLAY": "wayland-0",
        "XDG_RUNTIME_DIR": str(folder),
        "HUDD_STATE_DIR": str(folder / "state"),
        "XDG_CURRENT_DESKTOP": desktop,
        "PATH": str(folder),
    }
    (finding,) = check_display(Context(environ, None, Settings(), has=lambda _: dbus))
    return finding


@pytest.mark.parametrize(
    ("desktop", "called", "package"),
    [
        ("ubuntu:GNOME", "GNOME", "xdg-desktop-portal-gnome,"),
        ("KDE", "KDE Plasma", "xdg-desktop-portal-kde,"),
        ("", "the desktop", "xdg-desktop-portal,"),
    ],
)
def test_where_the_desktop_was_not_asked_yet_the_remedy_is_to_let_it_ask(
    tmp_path: Path, desktop: str, called: str, package: str
) -> None:
    finding = found(tmp_path, desktop)
    assert finding.state == "failure"
    assert f"{called} has not been asked yet whether hudd may see the screen" in finding.cause.replace("The d", "the d")
    assert f"Start hudd in this session and choose the screens in the window that {called} shows" in finding.remedy
    assert package in finding.remedy
    assert "Install hudd[desktop]" not in finding.remedy


def test_without_the_extra_it_is_named(tmp_path: Path) -> None:
    assert "Install hudd[desktop]" in found(tmp_path, "GNOME", dbus=False).remedy


def test_of_two_monitors_the_one_that_shows_nothing_is_named() -> None:
    """A black frame is never fine, also beside one that shows something."""
    with x_server((640, 480)) as server:
        server.run("xrandr", "--setmonitor", "LEFT", "320/80x480/120+0+0", "screen")
        server.run("xrandr", "--setmonitor", "RIGHT", "320/80x480/120+320+0", "none")
        server.start("xterm", "-geometry", "30x10+10+10")
        context = Context({**server.environ, "PATH": "/usr/bin:/bin"}, None, Settings())
        end = time.monotonic() + 20.0
        while (findings := list(check_display(context)))[0].state != "ok":
            assert time.monotonic() < end, findings
            time.sleep(0.1)
        works, dark = findings
        assert "RIGHT 320x480" in works.cause
        assert (dark.state, dark.name) == ("warning", "display")
        assert "The monitor RIGHT shows nothing" in dark.cause
        assert "switch on the screen" in dark.remedy
