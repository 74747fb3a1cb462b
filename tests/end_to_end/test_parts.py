"""Regions, windows, monitors that go, and blank screens, as a person meets them through hudctl."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.fakes.daemon import DaemonProcess
from tests.fakes.screen import XServer, x_server

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="X11")]


def show(server: XServer, title: str, place: str, words: str) -> None:
    server.start(
        "xterm", "-fa", "DejaVu Sans Mono", "-fs", "14", "-T", title, "-geometry", f"30x6{place}",
        "-e", "sh", "-c", f"echo {words}; sleep 600",
    )  # fmt: skip


def test_parts_of_the_screen_are_snapped_and_what_cannot_be_is_told(tmp_path: Path) -> None:
    with x_server((1280, 720)) as server:
        server.start("openbox")
        time.sleep(0.5)
        show(server, "first one", "+20+20", "larkspur invoice")
        show(server, "second", "+700+400", "blackbird harvest")
        with DaemonProcess(tmp_path, display=server.environ["DISPLAY"]).start() as daemon:
            daemon.ready("connected")
            daemon.until("a window", lambda _: "larkspur" in daemon.hudctl("snap", "--window", "first").stdout)
            note = daemon.asked("snap", "--window", "first")["note"]
            (picture,) = note["snap"]["pictures"]
            assert (picture["kind"], picture["name"]) == ("window", "window")
            assert "blackbird" not in note["text"]
            region = daemon.asked("snap", "--region", "640,360,640x360")["note"]
            assert region["snap"]["pictures"][0]["rect"] == [640, 360, 640, 360]
            assert "blackbird" in region["text"]
            assert "larkspur" not in region["text"]
            for words, sentence in (
                (("--window", "third"), 'No shown window is called "third"'),
                (("--region", "4000,0,10x10"), "The region lies outside of the screen"),
                (("--region", "0,700,10x10"), "The region shows one colour only (black)."),
            ):
                refused = daemon.hudctl("snap", *words)
                assert refused.returncode == 7
                assert sentence in refused.stderr
            server.run("xrandr", "--setmonitor", "LEFT", "640/80x720/120+0+0", "screen")
            server.run("xrandr", "--setmonitor", "RIGHT", "640/80x720/120+640+0", "none")
            assert daemon.hudctl("snap", "--monitor", "RIGHT").returncode == 0
            server.run("xrandr", "--delmonitor", "RIGHT")
            gone = daemon.hudctl("snap", "--monitor", "RIGHT")
            assert (gone.returncode, "The monitor RIGHT was unplugged" in gone.stderr) == (7, True)
            assert "The monitor RIGHT was unplugged." in daemon.status()["capture"]["degraded"]


def test_a_blank_screen_is_told_and_sends_nothing(tmp_path: Path) -> None:
    with x_server((640, 480)) as server, DaemonProcess(tmp_path, display=server.environ["DISPLAY"]).start() as daemon:
        daemon.ready("connected")
        status = daemon.until("a look", lambda status: status["counters"]["uniform"] > 0)
        assert "the screen is one colour: locked, off, or capture is not permitted." in status["capture"]["degraded"]
        assert status["counters"]["sent"] == 0
        snap = daemon.hudctl("snap")
        assert snap.returncode == 7
        assert "shows nothing: the screen is one colour" in snap.stderr
