"""What the kernel tells of a running daemon, and what its screen shows while that is read."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import xcffib
import xcffib.xproto

from tests.bench.screen import text_frame
from tests.fakes.daemon import DaemonProcess
from tests.fakes.screen import XServer, x_server

FULL_HD = (1920, 1080)
ULTRA_HD = (3840, 2160)
STRIP_BYTES = 200_000
"""A request of X11 holds 262,140 bytes without an extension."""


class BenchDaemon(DaemonProcess):
    """A daemon as people run it: compiled, as an installation is, and without the developer mode.

    Both would cost time and memory of their own.
    """

    interpreter_flags = ()

    def __init__(self, folder: Path, *, display: str | None = None, **settings: object) -> None:
        super().__init__(folder, display=display, **settings)
        self.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        self.environ["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")

    def compile(self) -> None:
        """Load the daemon once, as an installation does: a process that compiles keeps 3 MB of what that took."""
        command = [sys.executable, "-c", "import hudd.app, hudd.screen.mss_source, xcffib.damage, xcffib.randr"]
        subprocess.run(command, env=self.environ, check=True, timeout=60)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid


@contextmanager
def daemon_on_x(
    size: tuple[int, int], *, damage: bool = True, **settings: object
) -> Iterator[tuple[BenchDaemon, XServer]]:
    """A ready daemon with the canned engine on a display of its own that shows a screen full of text."""
    extra = () if damage else ("-extension", "DAMAGE")
    with TemporaryDirectory(prefix="hb") as name, x_server(size, extra) as server:
        # A painter that leaves takes nothing with it: the root window keeps its pixels until the server ends.
        Painter(server.number, size).close()
        chosen: dict[str, object] = {"engine_answers": "canned"} | settings
        with BenchDaemon(Path(name), display=server.environ["DISPLAY"], **chosen) as daemon:
            daemon.compile()
            daemon.start().ready()
            daemon.until("the first note", lambda status: status["counters"]["notes"] > 0)
            assert daemon.status()["capture"]["damage"] == damage
            yield daemon, server


def cpu_s(pid: int) -> float:
    """CPU time of all threads of a process, in seconds; finer than the ticks of ``/proc/PID/stat``."""
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3), which Python does not have


def switches(pid: int) -> int:
    """Voluntary context switches of all threads since each began: how often the process woke up."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        total += _field(status, "voluntary_ctxt_switches")
    return total


def resident_kb(pid: int) -> int:
    """Resident memory now, shared pages included."""
    return _field(Path(f"/proc/{pid}/status"), "VmRSS")


def most_resident_kb(pid: int) -> int:
    """The most that was ever resident."""
    return _field(Path(f"/proc/{pid}/status"), "VmHWM")


def _field(path: Path, name: str) -> int:
    for line in path.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(f"{path} has no {name}")


@dataclass(frozen=True, slots=True)
class Use:
    """What a process used in some time: a share of one core in percent, and wake-ups a second."""

    cpu_percent: float
    switches_per_s: float


def use_of(pid: int, seconds: float, step: Any = None, *, every_s: float = 1.0) -> Use:
    """Watch a process for a while. ``step(number)`` is called every ``every_s`` when given."""
    cpu, woken, start = cpu_s(pid), switches(pid), time.monotonic()
    number = 0
    while (now := time.monotonic() - start) < seconds:
        if step is not None:
            step(number)
        number += 1
        time.sleep(max(0.0, min(seconds, number * every_s) - now) if step is not None else seconds - now)
    took = time.monotonic() - start
    return Use((cpu_s(pid) - cpu) / took * 100, (switches(pid) - woken) / took)


class Painter:
    """Fills the root window of a display with text, straight by the X protocol.

    A step repaints all but a tenth of the screen at its right or left edge by turns, so that no change lies inside
    the one before it: what changes again and again in one place right after a note counts as the note's echo.
    """

    def __init__(self, number: int, size: tuple[int, int], seeds: tuple[int, ...] = (1, 2, 3)) -> None:
        self._width, self._height = size
        frames = [bytes(text_frame(self._width, self._height, seed)) for seed in seeds]
        self._margin = self._width // 10
        self._halves = [[self._cut(frame, left) for left in (0, self._margin)] for frame in frames]
        self._connection = xcffib.connect(f":{number}")
        screen = self._connection.get_setup().roots[0]
        self._root, self._depth = screen.root, screen.root_depth
        self._context = self._connection.generate_id()
        self._connection.core.CreateGC(self._context, self._root, 0, [])
        for left in (0, 1):
            self._paint(self._halves[0][left], left)

    def step(self, number: int) -> None:
        """Show another frame."""
        left = number % 2
        self._paint(self._halves[(number + 1) % len(self._halves)][left], left)

    def close(self) -> None:
        self._connection.disconnect()

    def _cut(self, frame: bytes, left: int) -> list[bytes]:
        """The frame without one edge, in strips that fit a request."""
        row, start, width = self._width * 4, left * 4, (self._width - self._margin) * 4
        rows = [frame[y * row + start : y * row + start + width] for y in range(self._height)]
        return [b"".join(rows[top : top + self._strip]) for top in range(0, self._height, self._strip)]

    @property
    def _strip(self) -> int:
        return STRIP_BYTES // (self._width * 4)

    def _paint(self, strips: list[bytes], left: int) -> None:
        width = self._width - self._margin
        for index, data in enumerate(strips):
            self._connection.core.PutImage(
                xcffib.xproto.ImageFormat.ZPixmap,
                self._root,
                self._context,
                width,
                len(data) // (width * 4),
                left * self._margin,
                index * self._strip,
                0,
                self._depth,
                len(data),
                data,
            )
        self._connection.core.GetInputFocus().reply()  # the server has done it all
