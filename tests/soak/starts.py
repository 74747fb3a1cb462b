"""Many daemons start in one runtime folder at once: one wins, the others say that it runs, and its socket stays its own.

Most starts are the part of a start that decides: lock, checks, sockets. Some are whole daemons.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hudd.bus.admission import listen
from hudd.errors import EXIT_UNAVAILABLE, HuddError
from hudd.service.runtime import RuntimeFolder

FULL = 500
"""Starts at once at dose 1."""

ROUNDS = 3
WHOLE = 3
"""Whole daemons beside them."""

START_S = 60.0

# Forks so many starters, which wait at a line, lets them go together, and tells what became of each. The winner holds
# on until the input ends.
_STARTERS = """
import os, sys
from pathlib import Path
from hudd.bus.admission import listen
from hudd.errors import HuddError
from hudd.service.runtime import RuntimeFolder

folder, count = Path(sys.argv[1]), int(sys.argv[2])
line_out, line_in = os.pipe()
told_out, told_in = os.pipe()

def start():
    os.close(line_in)
    os.read(line_out, 1)
    try:
        with RuntimeFolder.open(folder):
            held = [listen(folder / name) for name in ("ctl.sock", "notes.sock")]
            os.write(told_in, b"%d 0\\n" % os.getpid())
            sys.stdin.buffer.raw.read(1)
            os._exit(0)
    except HuddError as error:
        os.write(told_in, b"%d %d\\n" % (os.getpid(), error.exit_code))
        os._exit(error.exit_code)

for _ in range(count):
    if os.fork() == 0:
        try:
            start()
        finally:
            os._exit(99)
os.close(told_in)
print("ready", flush=True)
os.read(0, 1)
os.close(line_in)
with open(told_out) as told:
    for answer in told:
        print(answer, end="", flush=True)
"""


@dataclass(slots=True)
class StartsReport:
    """What came of it.

    Attributes:
        seed: Of the order.
        starts: All starts.
        rounds: Starts at once of each round.
        winners: How many won, of each round.
        stolen: How often the winner's socket was not the winner's any more.
        destroyed: Files that were planted and are not as they were.
        others: Exit codes of those that did not win.
        problems: What should not have been said.
    """

    seed: int
    starts: int = 0
    rounds: list[int] = field(default_factory=list[int])
    winners: list[int] = field(default_factory=list[int])
    stolen: int = 0
    destroyed: int = 0
    others: Counter[int] = field(default_factory=Counter[int])
    problems: list[str] = field(default_factory=list[str])


def run_starts(folder: Path, *, seed: int, count: int) -> StartsReport:
    """``count`` starts at the same moment, several times over."""
    report = StartsReport(seed)
    rng = random.Random(seed)
    for number in range(ROUNDS):
        _run_round(folder / f"r{number}", count, rng, report)
    return report


def _run_round(folder: Path, count: int, rng: random.Random, report: StartsReport) -> None:
    run = folder / "run"
    run.mkdir(parents=True, mode=0o700)
    precious = run / "precious"
    precious.write_text("precious")
    if rng.random() < 0.5:  # left behind by a daemon that was killed
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(os.fspath(run / "ctl.sock"))
    starters = subprocess.Popen(
        [sys.executable, "-c", _STARTERS, str(run), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starters.stdin is not None
    assert starters.stdout is not None
    whole: list[subprocess.Popen[bytes]] = []
    try:
        assert starters.stdout.readline() == "ready\n"
        whole += [_whole_daemon(folder, run) for _ in range(WHOLE)]
        time.sleep(rng.uniform(0.0, 0.5))  # a whole daemon may come first or last
        starters.stdin.write("!")
        starters.stdin.flush()
        codes = {int(pid): int(code) for pid, code in (starters.stdout.readline().split() for _ in range(count))}
        _judge_round(run, codes, whole, report)
        report.destroyed += precious.read_text() != "precious"
    finally:
        for process in whole:
            process.terminate()
        for process in whole:
            process.wait(20)
        starters.stdin.close()
        starters.stdout.close()
        starters.wait(20)
    report.starts += count + WHOLE
    report.rounds.append(count + WHOLE)


def _whole_daemon(folder: Path, run: Path) -> subprocess.Popen[bytes]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("HUDD_")} | {
        "HUDD_RUNTIME_DIR": str(run),
        "HUDD_STATE_DIR": str(folder / "state"),
        "HUDD_CONFIG": str(folder / "config.toml"),
        "HUDD_SCREEN_SOURCE": f"pictures:{folder}",
        "HUDD_ENGINE_ANSWERS": "canned",
    }
    (folder / "config.toml").touch()
    silent = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-m", "hudd"], env=environ, stdin=silent, stdout=silent, stderr=silent)


def _judge_round(run: Path, codes: dict[int, int], whole: list[subprocess.Popen[bytes]], report: StartsReport) -> None:
    """``codes``: process id → 0 for a winner among the starters, else what it exits with."""
    winners = [pid for pid, code in codes.items() if code == 0]
    end = time.monotonic() + START_S
    while sum(process.poll() is None for process in whole) > 1 - len(winners):
        assert time.monotonic() < end, f"several hold the folder (seed {report.seed})"
        time.sleep(0.02)
    winners += [process.pid for process in whole if process.poll() is None]
    report.winners.append(len(winners))
    report.others.update(code for code in codes.values() if code)
    report.others.update(process.returncode for process in whole if process.poll() is not None)
    if len(winners) != 1:
        return
    holder = int((run / "lock").read_text())
    if holder != winners[0]:
        report.problems.append(f"the lock names {holder}, and {winners[0]} won")
    for name in ("ctl.sock", "notes.sock"):
        if _owner(run / name) != winners[0]:
            report.stolen += 1


def _owner(path: Path) -> int | None:
    """The process that listens there, as the kernel tells it."""
    end = time.monotonic() + 10
    while True:
        with socket.socket(socket.AF_UNIX) as peer:
            try:
                peer.connect(os.fspath(path))
            except OSError:
                if time.monotonic() > end:
                    return None
                time.sleep(0.02)  # the winner is still on its way from the lock to the socket
                continue
            return struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def judge(report: StartsReport) -> None:
    """Raise if not exactly one won each time, or something was stolen or destroyed.

    Raises:
        AssertionError: With the report.
    """
    told = json.dumps({"winners": report.winners, "others": dict(report.others), "problems": report.problems})
    assert set(report.winners) == {1}, f"seed {report.seed}: {told}"
    assert set(report.others) == {EXIT_UNAVAILABLE}, f"seed {report.seed}: {told}"
    assert (report.stolen, report.destroyed, report.problems) == (0, 0, []), f"seed {report.seed}: {told}"


def row(report: StartsReport) -> str:
    """The figure and the bar, for people."""
    return (
        f"{report.starts} starts, {len(report.rounds)} times {max(report.rounds)} at once: winners {report.winners} "
        f"(bar: 1 each), stolen {report.stolen} (0), destroyed {report.destroyed} (0), others exited {dict(report.others)}"
    )


PLANTED = (
    "folder is a link",
    "folder is a file",
    "folder is open",
    "folder is another user's",
    "lock is a link",
    "lock is a folder",
    "lock has two names",
    "socket is a file",
    "socket is a link",
    "socket is a folder",
    "socket is a pipe",
    "socket is another's",
)
PLANTS = 100
"""Of each kind at dose 1."""


def run_plants(folder: Path, *, count: int) -> str:
    """Start where something was planted, ``count`` times for each kind; returns the row.

    Raises:
        AssertionError: It started, or what was planted or stood behind it was changed.
    """
    refused = 0
    for kind in PLANTED:
        if kind == "folder is another user's" and os.getuid() != 0:
            continue
        for number in range(count):
            place = folder / f"{kind.replace(' ', '-')}-{number}"
            place.mkdir(mode=0o700)
            other = _plant(kind, place)
            before = _picture(place)
            with contextlib.closing(other):
                try:
                    with RuntimeFolder.open(place / "run"), listen(place / "run" / "ctl.sock"):
                        raise AssertionError(f"it started although the {kind}")
                except HuddError:
                    refused += 1
                after = _picture(place)
            assert {name: after.get(name) for name in before} == before, f"{kind}: {before} became {after}"
    return f"{refused} starts where something was planted ({len(PLANTED)} kinds): 0 started (bar: 0), 0 destroyed (0)"


def _plant(kind: str, place: Path) -> socket.socket:
    run, precious = place / "run", place / "precious"
    other = socket.socket(socket.AF_UNIX)
    precious.write_text("precious")
    what, _, how = kind.partition(" is " if " is " in kind else " has ")
    if what == "folder" and how in ("a link", "a file"):
        (place / "real").mkdir(mode=0o700)
        if how == "a link":
            run.symlink_to(place / "real")
        else:
            run.write_text("precious")
        return other
    run.mkdir(mode=0o700)
    at = run / ("lock" if what == "lock" else "ctl.sock")
    if how == "open":
        run.chmod(0o755)
    elif how == "another user's":
        os.chown(run, 65534, 65534)
    elif how == "two names":
        at.hardlink_to(precious)
    elif how == "a link":
        at.symlink_to(precious)
    elif how == "a folder":
        at.mkdir()
    elif how == "a file":
        at.write_text("precious")
    elif how == "a pipe":
        os.mkfifo(at)
    else:
        # By a short name: the folder of a test may be too deep for a socket's path.
        handle = os.open(run, os.O_DIRECTORY)
        other.bind(f"/proc/self/fd/{handle}/ctl.sock")
        os.close(handle)
        other.listen()
    return other


def _picture(place: Path) -> dict[str, tuple[int, int, str]]:
    """Every name below, what it is, and what is in it; the lock of a start that got so far is not counted."""
    found: dict[str, tuple[int, int, str]] = {}
    for path in sorted(place.rglob("*")):
        is_file = path.is_file() and not path.is_symlink()
        status = path.lstat()
        found[str(path.relative_to(place))] = (status.st_ino, status.st_mode, path.read_text() if is_file else "")
    return found
