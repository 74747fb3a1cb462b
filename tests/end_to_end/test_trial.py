"""``hudctl try`` as a newcomer runs it: real processes, the embedded engine, nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.fakes.daemon import DaemonProcess, draw_page
from tests.fakes.screen import x_server

pytestmark = pytest.mark.slow

HUDCTL = [sys.executable, "-X", "dev", "-W", "error", "-m", "hudctl"]
DROP = ("DISPLAY", "WAYLAND_DISPLAY", "WINDOWID", "NO_COLOR", "OPENAI_API_KEY", "XDG_SESSION_TYPE")


class Trial:
    """Where trials run: a temporary folder, a home and an environment of their own."""

    def __init__(self, folder: Path) -> None:
        self.temporary = folder / "tmp"
        self.home = folder / "home"
        for made in (self.temporary, self.home):
            made.mkdir()
        self.environ = {k: v for k, v in os.environ.items() if k not in DROP} | {
            "TMPDIR": str(self.temporary),
            "HOME": str(self.home),
        }

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end, and see that nothing is left."""
        done = subprocess.run(
            [*HUDCTL, "try", *words],
            env=self.environ | more,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        self.nothing_is_left()
        return done

    @contextmanager
    def started(self, *words: str, **more: str) -> Iterator[subprocess.Popen[str]]:
        """One that runs until the block sends it a signal."""
        process = subprocess.Popen(
            [*HUDCTL, "try", *words],
            env=self.environ | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        with process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    def processes(self) -> list[psutil.Process]:
        """Every process that was started from this environment, hudctl's own children and theirs."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("TMPDIR") == str(self.temporary):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found

    def folders(self) -> list[str]:
        """What lies in the temporary folder and at home."""
        return [str(path) for place in (self.temporary, self.home) for path in place.iterdir()]

    def nothing_is_left(self, timeout_s: float = 0.0) -> None:
        """Neither a process nor a folder; at once, or soon."""
        end = time.monotonic() + timeout_s
        while (left := [*map(repr, self.processes()), *self.folders()]) and time.monotonic() < end:
            time.sleep(0.05)
        assert not left


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    folder.mkdir()
    draw_page(folder / "1.png", ["Harbour office", "Ferry to Saltholm at 14:30"])
    draw_page(folder / "2.png", ["Harbour office", "Ferry to Saltholm is late", "Invoice 4711 is paid"])
    return folder


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def read_until(process: subprocess.Popen[str], true: Callable[[str], bool]) -> str:
    """The first line that is wanted; a trial that ends before fails the test."""
    assert process.stdout is not None
    for line in process.stdout:
        if true(line):
            return line
    assert process.stderr is not None
    raise AssertionError(f"it ended: {process.stderr.read()}")


def test_without_a_display_it_says_so_and_shows_the_pictures_of_the_package(trial: Trial) -> None:
    done = trial.run("--seconds", "7")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert "no key" in lines[0]
    assert any("DISPLAY is not set" in line for line in lines)
    assert any("pictures that ship with hudd" in line for line in lines)
    assert re.search(r"^#1 · pictures · .* · local, hudd-local · .* · free$", done.stdout, re.MULTILINE)
    assert re.search(r"^Done: looked \d+ times, asked \d+ times, wrote [1-9]\d* notes?\.", done.stdout, re.MULTILINE)
    assert "would have cost $0." in done.stdout
    assert lines[-1].startswith("Nothing is left running")


def test_with_a_display_it_watches_the_screen(trial: Trial) -> None:
    with x_server((640, 400)) as server:
        server.start("xterm", "-geometry", "70x12+10+10", "-e", "bash", "-c", "echo Larkspur; exec sleep 60")
        done = trial.run("--seconds", "6", **server.environ)
    assert done.returncode == 0, done.stderr
    assert f"on {server.environ['DISPLAY']}" in done.stdout
    assert "ship with hudd" not in done.stdout
    assert "#1 · screen · " in done.stdout


def test_the_pictures_of_a_folder(trial: Trial, pages: Path) -> None:
    done = trial.run("--seconds", "8", "--pictures", str(pages))
    assert done.returncode == 0, done.stderr
    assert "Watching pictures" in done.stdout
    assert done.stdout.count(" · local, hudd-local · ") == 2


def test_every_line_of_json_is_an_object_with_a_schema(trial: Trial, pages: Path) -> None:
    done = trial.run("--seconds", "8", "--pictures", str(pages), "--json")
    assert done.returncode == 0, done.stderr
    found = objects(done.stdout)
    assert {line["schema"] for line in found} == {1}
    notes = [line["note"] for line in found if "note" in line]
    assert [note["seq"] for note in notes] == list(range(1, len(notes) + 1))
    assert {note["engine"] for note in notes} == {"local"}
    assert {note["cost_microusd"] for note in notes} == {0}
    summary = found[-1]["summary"]
    assert summary["notes"] == sum(1 for note in notes if note["kind"] == "note") >= 1
    assert summary["microusd"] == 0
    assert all(cost > 0 for cost in summary["if_service"].values())


def test_keys_settings_and_a_running_daemon_are_ignored(trial: Trial, pages: Path, tmp_path: Path) -> None:
    (trial.home / ".config" / "hudd").mkdir(parents=True)
    (trial.home / ".config" / "hudd" / "config.toml").write_text('[realtime]\nuse = "service"\nnonsense = 1\n')
    folder = tmp_path / "daemon"
    folder.mkdir()
    with DaemonProcess(folder, screen_source=f"pictures:{pages}", engine_answers="canned") as daemon:
        daemon.start().ready()
        before = daemon.until("its first note", lambda s: s["counters"]["notes"] >= 1)["pid"]
        environ = {k: v for k, v in daemon.environ.items() if k.startswith("HUDD_")}
        done = subprocess.run(
            [*HUDCTL, "try", "--seconds", "5", "--pictures", str(pages), "--json"],
            env=trial.environ
            | environ
            | {"HUDD_REALTIME_KEY": "sk-never-used", "OPENAI_API_KEY": "sk-never-used", "HUDD_GATE_SETTLE_S": "often"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert {line["note"]["engine"] for line in objects(done.stdout) if "note" in line} == {"local"}
        assert daemon.status()["pid"] == before
    assert not [p for p in trial.temporary.iterdir() if p.name.startswith("hudd")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_the_summary(trial: Trial, pages: Path, number: signal.Signals) -> None:
    with trial.started("--seconds", "60", "--pictures", str(pages)) as process:
        read_until(process, lambda line: line.startswith("#1 "))
        sent_at = time.monotonic()
        process.send_signal(number)
        rest, complaint = process.communicate(timeout=15)
        took_s = time.monotonic() - sent_at
    assert process.returncode == 130
    assert complaint == ""
    assert "Done: looked" in rest
    assert took_s < 8
    trial.nothing_is_left()


def test_ctrl_c_of_a_terminal_reaches_the_daemon_only_through_hudctl(trial: Trial, pages: Path) -> None:
    """A terminal signals its whole foreground group; the daemon must live until it has told its figures."""
    with trial.started("--seconds", "60", "--pictures", str(pages)) as process:
        read_until(process, lambda line: line.startswith("#1 "))
        groups = {os.getpgid(p.pid) for p in trial.processes() if p.pid != process.pid}
        assert groups
        assert os.getpgid(process.pid) not in groups
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=15)


def test_a_trial_that_is_killed_takes_its_daemon_and_folders_along(trial: Trial, pages: Path) -> None:
    with trial.started("--seconds", "60", "--pictures", str(pages)) as process:
        read_until(process, lambda line: line.startswith("#1 "))
        assert len(trial.processes()) >= 2
        process.kill()
        process.wait()
        trial.nothing_is_left(timeout_s=10)


def test_a_missing_system_library_is_one_sentence_with_the_package(trial: Trial, tmp_path: Path) -> None:
    """The library is hidden from the look-up that mss uses, as if its package were not installed."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import ctypes.util\n"
        "found = ctypes.util.find_library\n"
        "ctypes.util.find_library = lambda name: None if name == 'xcb-shm' else found(name)\n"
    )
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH", ""))))
    with x_server() as server:
        done = trial.run("--seconds", "5", PYTHONPATH=path, **server.environ)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if "libxcb-shm0" in line]
    assert len(told) == 1
    assert "apt" in told[0]
    assert "ship with hudd" in done.stdout


@pytest.mark.parametrize("words", [("--seconds", "0"), ("--seconds", "-3"), ("--pictures", "/nowhere/at/all")])
def test_wrong_words_start_nothing(trial: Trial, words: tuple[str, ...]) -> None:
    done = trial.run(*words)
    assert done.returncode == 2
    assert done.stdout == ""


def test_a_temporary_folder_with_a_long_path(trial: Trial, pages: Path, tmp_path: Path) -> None:
    """The path of a socket holds about a hundred bytes; the trial takes a shorter one."""
    long = tmp_path / ("long-" * 20)
    long.mkdir()
    trial.temporary = long
    trial.environ["TMPDIR"] = str(long)
    done = trial.run("--seconds", "5", "--pictures", str(pages))
    assert done.returncode == 0, done.stderr
