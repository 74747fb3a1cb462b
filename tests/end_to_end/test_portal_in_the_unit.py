"""The desktop portal as source of the shipped unit, in its sandbox: xdg-desktop-portal in a sway without a monitor."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator

import pytest

from tests.end_to_end.test_real_portal import PROGRAMS, need_portal
from tests.fakes.screen import need, need_root
from tests.fakes.sway import foot
from tests.fakes.systemd import ROOT, UserSystemd

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

OWN = f"""[Service]
Environment=PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1
RestartSec=200ms
StandardError=append:%h/hudd.log
"""
SANDBOX = {"MemoryDenyWriteExecute": "yes", "ProtectSystem": "strict"}
HEADLESS = "WLR_BACKENDS=headless WLR_RENDERER=pixman WLR_LIBINPUT_NO_DEVICES=1 XDG_CURRENT_DESKTOP=sway"
CONFIG = f"""default_border none
output HEADLESS-1 mode 640x400 position 0 0
output * bg #2b4b6f solid_color
{foot("echo invoice larkspur; sleep 600")}
"""


@pytest.fixture
def manager() -> Iterator[UserSystemd]:
    need("sway")
    need_portal()
    need_root("making namespaces")
    with UserSystemd() as made:
        made.write(".config/systemd/user/hudd.service.d/own.conf", OWN)
        yield made


def start_desktop(manager: UserSystemd) -> None:
    """A sway of the user's, with PipeWire and the portals on the bus of the session."""
    made = manager.write("sway.conf", CONFIG)
    manager.start(f"exec env {HEADLESS} sway -c {made} > ~/sway.log 2>&1")
    place, end = f"/run/user/{manager.uid}", time.monotonic() + 20
    while not (names := manager.run("sh", "-c", f"cd {place} && ls -d wayland-? 2>/dev/null").stdout.split()):
        assert time.monotonic() < end, (manager.home / "sway.log").read_text()
        time.sleep(0.1)
    told = [f"WAYLAND_DISPLAY={names[0]}", "XDG_CURRENT_DESKTOP=sway"]
    assert manager.run("dbus-update-activation-environment", *told).returncode == 0
    assert manager.systemctl("set-environment", *told).returncode == 0
    for program in ("pipewire", *(f"/usr/libexec/{name}" for name in PROGRAMS)):
        manager.start(f"exec env {' '.join(told)} {program} >> ~/portal.log 2>&1")
        time.sleep(0.5)  # each looks for the one before


def install(manager: UserSystemd, *words: str) -> None:
    done = manager.hudctl("service", "install", *words)
    assert done.returncode == 0, f"{done.stderr}\n{manager.daemon_log()}"


def left_behind(manager: UserSystemd) -> bool:
    """Whether the picture that xdg-desktop-portal-wlr wrote is still there."""
    return manager.as_root("test", "-e", "/tmp/out.png").returncode == 0


def test_screenshots_of_the_portal_are_taken_and_taken_away_or_none_is_asked_for(manager: UserSystemd) -> None:
    start_desktop(manager)
    manager.write(".config/hudd/config.toml", '[screen]\nsource = "portal"\n')

    # The sandbox lets nobody remove what lies in /tmp, so the first screenshot is the last one.
    install(manager)
    manager.until_logged("/tmp/out.png (Read-only file system) cannot be taken away, so hudd asks for no more", 60.0)
    assert left_behind(manager)
    assert manager.as_root("rm", "/tmp/out.png").returncode == 0
    time.sleep(3.0)
    assert not left_behind(manager), "it went on, and left pictures of the screen behind"

    install(manager, "--loosen", "portal-screenshots")
    assert manager.show("MemoryDenyWriteExecute", "ProtectSystem") == SANDBOX
    done = manager.hudctl("snap", "--json", "--timeout", "40")
    assert done.returncode == 0, f"{done.stderr}\n{manager.daemon_log()}"
    assert "larkspur" in json.loads(done.stdout)["note"]["text"]
    capture = json.loads(manager.hudctl("status", "--json").stdout)["capture"]
    assert (capture["backend"], capture["state"]) == ("portal screenshots", "watching")
    # Without a graphics card this back end gives no ScreenCast.
    assert capture["degraded"].startswith("Single screenshots are taken")
    assert manager.hudctl("pause").returncode == 0  # no screenshot is under way from now on
    time.sleep(0.5)
    assert not left_behind(manager)


# What a ScreenCast is read by, with another source of frames. Its code generator (orc) must do without memory that is
# written and run.
FRAMES = """
import os
from hudd.screen.pipewire import FramePipe, pipeline
pipe = FramePipe(pipeline(("videotestsrc", "is-live=true", "!", "video/x-raw,format=I420,width=320,height=240")), lambda: None)
frame = pipe.newest()
words = f"{frame.width}x{frame.height}, {len(frame.data)} bytes, {len(set(frame.data)) > 8}\\n"
pipe.close()
os.write(2, words.encode())
"""


def test_the_program_that_reads_a_screencast_works_in_the_sandbox(manager: UserSystemd) -> None:
    need("gst-launch-1.0")
    script = manager.write("frames.py", FRAMES)
    manager.write(
        ".config/systemd/user/hudd.service.d/frames.conf",
        f"[Service]\nType=oneshot\nRestart=no\nExecStart=\nExecStart={sys.executable} {script}\n",
    )
    install(manager, "--no-start")
    assert manager.systemctl("daemon-reload").returncode == 0
    assert manager.systemctl("start", "hudd").returncode == 0, manager.daemon_log()
    assert manager.show("MemoryDenyWriteExecute", "ProtectSystem") == SANDBOX
    assert f"320x240, {320 * 240 * 4} bytes, True" in manager.daemon_log()
