"""The desktop portal itself: xdg-desktop-portal with the back end of wlroots, in a sway without a monitor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fakes.sway import Sway, foot, sway

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="Wayland")]

PROGRAMS = ("xdg-desktop-portal-gtk", "xdg-desktop-portal-wlr", "xdg-desktop-portal")

# The portal looks at /proc of whoever asks, so root must become the session's user first. Everything is loaded before,
# because that user may not read where Python lives.
CLIENT = """
import ctypes, json, os, sys
from pathlib import Path
import dbus_fast.aio, dbus_fast.unpack
from PIL import Image
from hudd.clock import SystemClock
from hudd.config.settings import ScreenSettings
from hudd.desktop.portal import DesktopPortal
from hudd.screen import choose, pixels, portal
Image.init()
folder = Path(os.environ["XDG_RUNTIME_DIR"])
if os.getuid() == 0:
    facts = folder.stat()
    os.setgroups([]); os.setgid(facts.st_gid); os.setuid(facts.st_uid)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: a process that changed its user hides its /proc
ours = DesktopPortal(os.environ, folder / "token", SystemClock())
screen = choose.open_screen(ScreenSettings(source="portal"), os.environ, portal=lambda: ours)
source = screen.sources()[0]
shot = screen.grab(source, epoch=0, captured_at=0.0)
print(json.dumps([source.name, shot.width, shot.height, pixels.uniform(shot), screen.status().backend, screen.status().degraded]))
screen.close()
"""


def need_portal() -> None:
    """Skip the test where the portal is not installed, and fail it in CI, which installs it."""
    missing = [program for program in PROGRAMS if not Path("/usr/libexec", program).exists()]
    if missing and os.environ.get("CI"):
        pytest.fail(f"{', '.join(missing)} missing; CI installs it")
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")


def start_portal(desktop: Sway) -> None:
    need_portal()
    name = f"WAYLAND_DISPLAY={desktop.environ['WAYLAND_DISPLAY']}"
    desktop.run("dbus-update-activation-environment", name, "XDG_CURRENT_DESKTOP=sway")
    desktop.start("pipewire")
    for program in PROGRAMS:
        time.sleep(0.5)  # each looks for the one before
        desktop.start(f"/usr/libexec/{program}")


def test_a_screenshot_of_the_real_portal_is_taken_and_its_file_taken_away() -> None:
    config = "output HEADLESS-1 mode 640x400 position 0 0\noutput * bg #2b4b6f solid_color\n"
    with sway(config + foot("echo larkspur; sleep 100")) as desktop:
        start_portal(desktop)
        done = None
        for _ in range(10):
            done = subprocess.run(
                [sys.executable, "-c", CLIENT],
                env={**desktop.environ, "PYTHONPATH": str(Path.cwd())},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            if done.returncode == 0:
                break
            time.sleep(0.5)
        assert done is not None
        assert done.returncode == 0, done.stderr
        name, width, height, uniform, backend, degraded = json.loads(done.stdout)
        assert (name, width, height, uniform) == ("desktop", 640, 400, "")
        assert backend == "portal screenshots"
        assert "ScreenCast" in degraded  # without a graphics card this back end gives none
        assert not Path("/tmp/out.png").exists()
