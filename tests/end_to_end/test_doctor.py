"""`hudctl doctor` on real machines: a running, a hung and a stopped daemon, a real display, no network."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hudd.checks.__main__ import CHECKS
from tests.fakes.daemon import DaemonProcess, draw_page
from tests.fakes.screen import x_server

pytestmark = pytest.mark.slow

LONGEST_S = 15.0


@pytest.fixture
def daemon(tmp_path: Path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    draw_page(pictures / "001.png", ["Harbour office, berth 12"])
    with DaemonProcess(tmp_path, screen_source=f"pictures:{pictures}", engine_answers="canned") as made:
        yield made


def examined(daemon: DaemonProcess, *before: str, words: Sequence[str] = ()) -> tuple[int, dict[str, Any]]:
    """Exit code and report; in time, whatever is wrong."""
    started = time.monotonic()
    done = subprocess.run(
        [*before, sys.executable, "-m", "hudctl", "doctor", "--json", *words],
        env=daemon.environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert time.monotonic() - started < LONGEST_S + 3, "a cold interpreter may take a moment more"
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["schema"] == 1
    assert report["seconds"] <= LONGEST_S
    return done.returncode, report


def lines(report: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [row for row in report["checks"] if row["name"] == name]


def test_a_daemon_that_runs_is_well(daemon: DaemonProcess) -> None:
    daemon.start().ready("ready")
    daemon.hudctl("wait", "--for", "connected")
    code, report = examined(daemon)
    assert code == 0, [row for row in report["checks"] if row["state"] == "failure"]
    assert lines(report, "daemon")[0]["state"] == "ok"
    assert [row["details"]["mode"] for row in lines(report, "sockets")] == ["0600", "0600"]
    assert lines(report, "journal")[0]["state"] == "ok"
    assert {name for name, _ in CHECKS} <= {row["name"] for row in report["checks"]}, "each check has its line"
    assert daemon.hudctl("snap").returncode == 0, "it works as before"


def test_a_daemon_that_hangs_is_named_with_its_pid(daemon: DaemonProcess) -> None:
    daemon.start().ready()
    assert daemon.process is not None
    daemon.signal(signal.SIGSTOP)
    try:
        code, report = examined(daemon)
    finally:
        daemon.signal(signal.SIGCONT)
    (hung,) = lines(report, "daemon")
    assert (code, hung["state"]) == (1, "failure")
    assert str(daemon.process.pid) in hung["cause"]
    assert f"kill -CONT {daemon.process.pid}" in hung["remedy"]


def test_a_daemon_that_was_killed_left_a_socket(daemon: DaemonProcess) -> None:
    daemon.start().ready()
    daemon.kill()
    code, report = examined(daemon)
    assert code == 0
    assert lines(report, "daemon")[0]["state"] == "warning"
    assert "Start it with" in lines(report, "daemon")[0]["remedy"]
    assert "left it behind" in lines(report, "sockets")[0]["cause"]


def test_a_socket_that_was_removed_under_a_daemon_is_named(daemon: DaemonProcess) -> None:
    daemon.start().ready()
    (daemon.folder / "run" / "ctl.sock").unlink()
    code, report = examined(daemon)
    assert code == 1
    assert "somebody removed it" in lines(report, "sockets")[0]["cause"]


def test_a_black_screen_is_a_warning_and_a_picture_is_not(daemon: DaemonProcess) -> None:
    with x_server((320, 240)) as server:
        daemon.environ |= {**server.environ, "HUDD_SCREEN_SOURCE": "auto"}
        _, dark = examined(daemon)
        server.start("xterm", "-geometry", "40x10+5+5")
        end = time.monotonic() + 10
        while (seen := lines(examined(daemon)[1], "display")[0])["state"] != "ok":
            assert time.monotonic() < end
    assert lines(dark, "display")[0]["state"] == "warning"
    assert "one colour" in lines(dark, "display")[0]["cause"]
    assert "320x240" in seen["cause"]
    assert not list(daemon.folder.rglob("*.jpg")), "no frame is kept"


def test_a_shell_without_a_display_is_no_failure_where_hudd_sees_the_screen(daemon: DaemonProcess) -> None:
    with x_server((320, 240)) as server:
        server.start("xterm", "-geometry", "40x10+5+5")
        daemon.environ |= {**server.environ, "HUDD_SCREEN_SOURCE": "auto"}
        daemon.start().ready("ready")
        end = time.monotonic() + 10
        while json.loads(daemon.hudctl("status", "--json").stdout)["capture"]["state"] != "watching":
            assert time.monotonic() < end
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            daemon.environ.pop(name, None)
        code, report = examined(daemon)
    assert code == 0, report
    (display,) = lines(report, "display")
    assert display["state"] == "ok"
    assert "hudd itself sees the screen by" in display["cause"]
    assert "this shell has no display" in display["cause"]


def test_a_display_that_hangs_does_not_hold_up_the_rest(daemon: DaemonProcess) -> None:
    with x_server((320, 240)) as server:
        server.process.send_signal(signal.SIGSTOP)
        daemon.environ |= {**server.environ, "HUDD_SCREEN_SOURCE": "auto"}
        try:
            code, report = examined(daemon)
        finally:
            server.process.send_signal(signal.SIGCONT)
    assert code == 1
    assert lines(report, "display")[0]["state"] == "failure"
    assert "display server hangs" in lines(report, "display")[0]["cause"]
    assert lines(report, "hosts"), "those after it are told"


def test_no_network_is_named(daemon: DaemonProcess) -> None:
    if subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no network of its own can be made here")
    daemon.environ["HUDD_REALTIME_KEY"] = "sk-planted-0123456789abcdef"
    code, report = examined(daemon, "unshare", "-n")
    assert code == 1
    (found,) = [row for row in lines(report, "endpoint") if row["state"] == "failure"]
    assert "is not found" in found["cause"]
    assert "Check the network" in found["remedy"]


def test_a_tiny_limit_of_descriptors_is_named(daemon: DaemonProcess) -> None:
    code, report = examined(daemon, "sh", "-c", 'ulimit -n 100; exec "$@"', "sh")
    assert code == 1
    assert "100 files" in lines(report, "limits")[0]["cause"]


def test_libraries_that_are_missing_are_named_by_an_interpreter_without_any(daemon: DaemonProcess) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "hudctl", "doctor", "--json"],
        env={**daemon.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONNOUSERSITE": "1"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert "No module named 'zmq'" in lines(report, "daemon")[0]["cause"]
    assert "pip install" in lines(report, "daemon")[0]["remedy"]


def test_another_installation_on_the_path_is_named(daemon: DaemonProcess) -> None:
    other = daemon.folder / "bin" / "hudd"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\necho hudd 0.0.7\n")
    other.chmod(0o755)
    daemon.environ["PATH"] = f"{other.parent}:{daemon.environ['PATH']}"
    code, report = examined(daemon)
    assert code == 0
    (found,) = lines(report, "install")
    assert found["state"] == "warning"
    assert "0.0.7" in found["cause"]
    assert "Keep one" in found["remedy"]


def test_people_read_lines_with_their_remedy(daemon: DaemonProcess) -> None:
    daemon.environ["HUDD_REALTIME_USE"] = "service"
    daemon.environ["NO_COLOR"] = "1"
    done = daemon.hudctl("doctor")
    assert done.returncode == 1
    rows = done.stdout.splitlines()
    place = next(number for number, row in enumerate(rows) if row.startswith("failure  key"))
    assert rows[place + 1].strip().startswith("-> Set HUDD_REALTIME_KEY")
    assert "hudctl bugreport" in rows[-1]
    assert "\x1b" not in done.stdout
