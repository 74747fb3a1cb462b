"""A whole daemon as a process of its own, in folders of its own, and hudctl beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from PIL import Image, ImageDraw, ImageFont

START_S = 20.0


class DaemonProcess:
    """One daemon: its folders, its environment, its process.

    Args:
        folder: Where everything of it lives.
        display: ``DISPLAY``; None for none.
        settings: ``section.key`` → value, given by environment.
    """

    interpreter_flags: tuple[str, ...] = ("-X", "dev", "-W", "error")

    def __init__(self, folder: Path, *, display: str | None = None, **settings: object) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        if not self.config.exists():
            self.config.write_text("", encoding="utf-8")
        self.log_path = folder / "log"
        drop = ("DISPLAY", "WAYLAND_DISPLAY", "OPENAI_API_KEY", "WINDOWID", "NOTIFY_SOCKET", "JOURNAL_STREAM")
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("HUDD_") and k not in drop} | {
            "HUDD_RUNTIME_DIR": str(folder / "run"),
            "HUDD_STATE_DIR": str(folder / "state"),
            "HUDD_CONFIG": str(self.config),
        }
        if display is not None:
            self.environ["DISPLAY"] = display
        for name, value in settings.items():
            text = value if isinstance(value, str) else json.dumps(value)
            self.environ[f"HUDD_{name.upper()}"] = text
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *flags: str) -> Self:
        """Start it; does not wait."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.interpreter_flags, "-m", "hudd", *flags],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def ready(self, goal: str = "ready", timeout_s: float = START_S) -> float:
        """Wait until it reached a state; returns the seconds that it took."""
        started = time.monotonic()
        while True:
            left = timeout_s - (time.monotonic() - started)
            assert left > 0, f"not {goal} in time:\n{self.log()}"
            done = self.hudctl("wait", "--for", goal, "--timeout", f"{left:.1f}")
            if done.returncode == 0:
                return time.monotonic() - started
            assert self.process is None or self.process.poll() is None, f"it ended:\n{self.log()}"
            time.sleep(0.02)

    def until_up(self, timeout_s: float = START_S) -> None:
        """Wait until it answers commands, whatever its connection."""
        end = time.monotonic() + timeout_s
        while self.hudctl("status").returncode != 0:
            assert time.monotonic() < end, f"not up in time:\n{self.log()}"
            assert self.process is None or self.process.poll() is None, f"it ended:\n{self.log()}"
            time.sleep(0.05)

    def hudctl(self, *words: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run hudctl and wait for it."""
        return subprocess.run(
            [sys.executable, "-m", "hudctl", *words],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def asked(self, *words: str) -> dict[str, Any]:
        """``hudctl … --json`` as an object; fails the test when hudctl failed."""
        done = self.hudctl(*words, "--json")
        assert done.returncode == 0, f"{words}: {done.returncode} {done.stderr}\n{self.log()}"
        return json.loads(done.stdout)

    def status(self) -> dict[str, Any]:
        """The status."""
        return self.asked("status")

    def until(self, what: str, true: Any, timeout_s: float = 15.0) -> dict[str, Any]:
        """Wait until the status is as wanted, and return it."""
        end = time.monotonic() + timeout_s
        while True:
            status = self.status()
            if true(status):
                return status
            assert time.monotonic() < end, f"{what}: never\n{json.dumps(status, indent=1)}\n{self.log()}"
            time.sleep(0.1)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, timeout_s: float = 10.0) -> int:
        """SIGTERM; returns the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def log(self) -> str:
        """What it logged so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def draw_page(path: Path, lines: list[str], *, dark: bool = False) -> Path:
    """A picture of a page with lines of text; written beside and moved, as programs do that drop pictures."""
    image = Image.new("RGB", (1000, 600), "black" if dark else "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(22)
    for number, line in enumerate(lines):
        draw.text((40, 30 + 36 * number), line, fill="white" if dark else "black", font=font)
    beside = path.with_suffix(".part")
    image.save(beside, format="PNG")
    beside.rename(path)
    return path
