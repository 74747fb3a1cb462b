"""The whole path on a real display: Xvfb, a window manager, real windows, real text recognition."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hudctl import Feed
from tests.fakes.daemon import DaemonProcess
from tests.fakes.screen import XServer, need, x_server

pytestmark = pytest.mark.slow

FONT = ("-fa", "DejaVu Sans Mono", "-fs", "11")
DOSE = float(os.environ.get("HUDD_DOSE", "0.05"))
TYPED_WITHIN_S = 3.0
FOLLOW_S = max(12.0, 120.0 * DOSE)


@pytest.fixture
def desktop() -> Iterator[XServer]:
    with x_server((1600, 900)) as server:
        server.start("openbox")
        time.sleep(0.3)
        yield server


def xterm(server: XServer, geometry: str, title: str, command: str = "exec bash --norc") -> subprocess.Popen[bytes]:
    """An xterm with a plain prompt, shown before this returns."""
    shell = f"PS1='desk: ' ; export PS1; {command}"
    window = server.start("xterm", *FONT, "-geometry", geometry, "-T", title, "-e", "bash", "-c", shell)
    end = time.monotonic() + 10
    environ = {**os.environ, **server.environ}
    while subprocess.run(
        [need("xdotool"), "search", "--name", title], env=environ, capture_output=True, check=False
    ).returncode:
        assert time.monotonic() < end, f"{title} did not appear"
        time.sleep(0.05)
    return window


def type_into(server: XServer, title: str, text: str) -> None:
    """Focus a window, type a line, press return."""
    server.run("xdotool", "search", "--name", title, "windowactivate", "--sync")
    server.run("xdotool", "type", "--delay", "15", text)
    server.run("xdotool", "key", "Return")


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{4,}|\d+", text.lower()))


def test_text_typed_into_a_window_is_in_a_note_within_three_seconds(desktop: XServer, tmp_path: Path) -> None:
    xterm(desktop, "90x24+30+30", "ledger", "exec bash --norc -i")
    with DaemonProcess(tmp_path, display=desktop.environ["DISPLAY"]) as daemon:
        daemon.start().ready()
        daemon.until("the first note", lambda s: s["counters"]["notes"] >= 1 and not s["responding"])
        status = daemon.status()
        assert status["capture"]["backend"].startswith("mss")
        assert status["capture"]["degraded"] == ""
        time.sleep(2.5)
        told = ["Invoice", "Larkspur", "harbour", "seventeen"]
        with Feed(runtime_dir=daemon.environ["HUDD_RUNTIME_DIR"]) as feed:
            feed.get(0.5)
            type_into(desktop, "ledger", f"echo {' '.join(told)}")
            typed_at = time.monotonic()
            wanted = {word.lower() for word in told}
            found: set[str] = set()
            while time.monotonic() - typed_at < 10 and not wanted <= found:
                note = feed.get(0.5)
                if note is not None:
                    found |= words(note.text)
            took = time.monotonic() - typed_at
        assert wanted <= found, (found, daemon.log())
        assert took <= TYPED_WITHIN_S, f"after {took:.2f} s"


def test_a_snap_names_words_that_stand_on_the_screen(desktop: XServer, tmp_path: Path) -> None:
    page = tmp_path / "page.txt"
    page.write_text("Moorings report\n\nBerth twelve is free from Tuesday\nThe crane stops at eighteen\n")
    xterm(desktop, "80x20+40+40", "report", f"cat {page}; exec sleep 600")
    html = tmp_path / "page.html"
    html.write_text(
        "<html><title>Tide tables</title><body style='font:20px DejaVu Sans'><h1>Tide tables</h1>"
        "<p>High water at Northpier is at seven in the evening.</p></body></html>"
    )
    desktop.start(
        "chromium", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--test-type",
        f"--user-data-dir={tmp_path / 'chromium'}", "--window-position=850,40", "--window-size=700,700",
        f"--app=file://{html}",
    )  # fmt: skip
    time.sleep(5)
    with DaemonProcess(tmp_path, display=desktop.environ["DISPLAY"]) as daemon:
        daemon.start().ready()
        note = daemon.asked("snap", "--timeout", "20")["note"]
    on_screen = words(page.read_text()) | words(html.read_text()) | {"report", "tide", "tables"}
    quoted = [q for q in re.findall(r'"([^"]+)"', note["text"]) if len(words(q)) >= 2]
    assert quoted, note["text"]
    told = set().union(*(words(q) for q in quoted))
    assert len(told & on_screen) >= 4, note["text"]
    assert len(told & on_screen) >= 0.8 * len(told), f"not on the screen: {told - on_screen}"
    assert {"moorings", "tide"} & told, note["text"]


@pytest.mark.timeout(300)
def test_hudd_does_not_feed_on_itself(desktop: XServer, tmp_path: Path) -> None:
    """``hudctl follow`` in an xterm on an otherwise still screen: at most two notes."""
    with DaemonProcess(tmp_path, display=desktop.environ["DISPLAY"], gate_min_interval_s=0.5) as daemon:
        daemon.start().ready()
        runner = tmp_path / "follow.sh"
        exports = "\n".join(f"export {k}={v!r}" for k, v in daemon.environ.items() if k.startswith("HUDD_"))
        runner.write_text(f"{exports}\nexport PYTHONPATH={os.environ.get('PYTHONPATH', '')}\n"
                          f"exec {sys.executable} -m hudctl follow --after 0\n")  # fmt: skip
        window = desktop.start("xterm", *FONT, "-geometry", "100x30+60+60", "-T", "follow", "-e", "bash", str(runner))
        time.sleep(3)
        assert daemon.hudctl("snap").returncode == 0  # something for it to print
        time.sleep(FOLLOW_S)
        assert window.poll() is None
        status = daemon.status()
        automatic = [n for n in daemon.asked("notes")["notes"] if n["snap"]["trigger"] != "manual"]
    assert len(automatic) <= 2, [n["text"] for n in automatic]
    assert status["counters"]["frames"] >= 2, "it did look"
    assert status["subscribers"]["total"] >= 1


def test_a_display_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    server = XServer((800, 600))
    number = server.number
    try:
        with DaemonProcess(tmp_path, display=f":{number}", engine_answers="canned") as daemon:
            daemon.start().ready()
            xterm(server, "40x10+30+30", "content", "echo something; exec sleep 600")
            daemon.until("it watches", lambda s: s["counters"]["notes"] >= 1)
            server.kill()
            status = daemon.until("it says so", lambda s: s["capture"]["state"] == "no_display")
            assert f":{number}" in status["capture"]["sentence"]
            assert status["connection"] == "ready"
            server = XServer((1024, 768), number=number)
            xterm(server, "40x10+30+30", "content", "echo something; exec sleep 600")
            status = daemon.until("it resumes", lambda s: s["capture"]["state"] == "watching", timeout_s=20)
            assert daemon.asked("snap")["note"]["snap"]["pictures"][0]["rect"] == [0, 0, 1024, 768]
            assert daemon.stop() == 0
    finally:
        server.kill()


def test_a_still_screen_is_not_looked_at(desktop: XServer, tmp_path: Path) -> None:
    """With damage events nothing is polled."""
    xterm(desktop, "40x10+30+30", "content", "printf '\\e[?25l'; echo something; exec sleep 600")
    with DaemonProcess(tmp_path, display=desktop.environ["DISPLAY"], engine_answers="canned") as daemon:
        daemon.start().ready()
        status = daemon.until("the first note", lambda s: s["counters"]["notes"] >= 1)
        assert status["capture"]["damage"] is True
        time.sleep(2)
        before = daemon.status()["counters"]["frames"]
        time.sleep(5)
        assert daemon.status()["counters"]["frames"] == before


def test_a_configured_monitor_that_does_not_exist_is_named_with_those_there_are(
    desktop: XServer, tmp_path: Path
) -> None:
    with DaemonProcess(
        tmp_path, display=desktop.environ["DISPLAY"], engine_answers="canned", screen_monitors=["DP-9"]
    ) as daemon:
        daemon.start().ready("connected")
        status = daemon.until("it says so", lambda s: s["capture"]["state"] in {"failed", "no_display"})
        assert "DP-9" in status["capture"]["sentence"]
        assert "screen" in status["capture"]["sentence"]
        assert status["sending"]["allowed"] is False
        done = daemon.hudctl("snap")
        assert done.returncode == 7
        assert "DP-9" in done.stderr
