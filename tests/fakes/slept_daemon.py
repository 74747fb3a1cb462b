"""A real daemon in a network of its own that "sleeps": ``unshare -n python slept_daemon.py FOLDER`` prints what happened.

The machine is not put to sleep and its clock is not set. Only two things of the daemon are not real: the kernel's timer,
whose word a FIFO gives instead, and the comparison of the clocks, which finds that hour once with that word.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.fakes.daemon import DaemonProcess, draw_page

SLEPT_S = 3600.0
RUN = "from tests.fakes.slept_daemon import run_hudd; run_hudd()"


class SleptDaemon(DaemonProcess):
    """A daemon that believes whom it is told that it slept."""

    def start(self, *flags: str) -> SleptDaemon:
        self.fifo = self.folder / "wakes"
        os.mkfifo(self.fifo)
        self.environ["SLEPT_FIFO"] = str(self.fifo)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.interpreter_flags, "-c", RUN, *flags],
                env=self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        return self

    def wake(self) -> None:
        """Tell it that it slept."""
        self.fifo.write_bytes(b"x")


def run_hudd() -> None:
    """In the daemon's process: the timer and the clock of the description above, then hudd itself."""
    from hudd import app, house
    from hudd.cli import main
    from hudd.realtime.wakes import WakeDetector
    from hudd.service import wakes

    gained_s: list[float] = []

    class Timer:
        def __init__(self) -> None:
            self._fd = os.open(os.environ["SLEPT_FIFO"], os.O_RDWR | os.O_NONBLOCK)

        def fileno(self) -> int:
            return self._fd

        def jumped(self) -> bool:
            gained_s.append(SLEPT_S * len(os.read(self._fd, 100)))
            return True

        def close(self) -> None:
            os.close(self._fd)

    real = wakes.watch_wakes
    app.watch_wakes = lambda **told: real(**told, open_timer=Timer)  # type: ignore[assignment,arg-type]
    WakeDetector.slept_s = lambda *_: gained_s.pop() if gained_s else 0.0  # type: ignore[method-assign]
    house.tells_of_jumps = lambda: True  # so that nothing but the word of the kernel can have woken it
    sys.exit(main())


def loopback(state: str) -> None:
    """Take the network away, or bring it back."""
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


def drive(folder: Path, offline_s: float) -> dict[str, object]:
    """Sleep without a network, wake, and get the network back some time later."""
    (folder / "pictures").mkdir()
    draw_page(folder / "pictures" / "1.png", ["One page"])
    loopback("up")
    with SleptDaemon(folder, screen_source=f"pictures:{folder}/pictures", engine_answers="canned") as daemon:
        daemon.start().ready()
        before = daemon.status()
        loopback("down")
        daemon.wake()
        asleep = daemon.until("no session", lambda status: status["connection"] != "ready", 2)
        time.sleep(offline_s)
        loopback("up")
        back = time.monotonic()
        after = daemon.until("ready again", lambda status: status["connection"] == "ready", 20)
        back_s = time.monotonic() - back
        snapped = daemon.hudctl("snap", "--timeout", "20")
        return {
            "back_s": back_s,
            "sentence": asleep["sentence"],
            "other_session": before["session"]["id"] != after["session"]["id"],
            "snap": snapped.returncode,
            "stopped": daemon.stop(),
            "log": daemon.log(),
        }


if __name__ == "__main__":
    print(json.dumps(drive(Path(sys.argv[1]), float(sys.argv[2]))))
