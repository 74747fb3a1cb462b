"""What `hudctl doctor` asks the running daemon, and whether hudctl and hudd are of one installation."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from shutil import which
from typing import Any, Final

from hudctl.doctor_words import Line, failure, ok, warning
from hudctl.errors import DeadlineError, HudctlError, NotRunningError, VersionError
from hudctl.release import client_version
from hudctl.words import line, lines_of, mapping
from hudd.wire.endpoints import LOCK, EndpointError, how_to_start, runtime_dir
from hudd.wire.installation import Installation

ASK_S: Final = 3.0
VERSION_S: Final = 5.0
RESTART: Final = "Restart hudd: hudctl service restart, or end it and start it again"


def ask_installation(environ: Mapping[str, str], *, run: Callable[[str], str] | None = None) -> Iterator[Line]:
    """Whether ``hudd`` on the path, if any, is the one that this hudctl belongs to.

    Args:
        environ: For PATH.
        run: Gives what ``hudd --version`` prints for a path; tests have their own.
    """
    own = client_version()
    found = which("hudd", path=environ.get("PATH"))
    beside = Path(sys.executable).parent / "hudd"
    if found is None or Path(found).resolve() == beside.resolve():
        yield ok("install", f"This is hudctl {own}, run by {sys.executable}.", hudctl=own)
        return
    other = (run or _version_of)(found)
    if other == own:
        yield ok("install", f"hudctl and {found} are both version {own}.", hudctl=own, hudd=other, path=found)
        return
    cause = f"There are two installations: this hudctl is {own} ({sys.executable}), and {found} is {other or 'broken'}."
    remedy = f"Keep one: remove the other, or call {beside} by its full path"
    yield warning("install", cause, remedy, hudctl=own, hudd=other, path=found)


def _version_of(program: str) -> str:
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().removeprefix("hudd ") if done.returncode == 0 else ""


def ask_daemon() -> Iterator[Line]:
    """Whether it runs and answers, whether it fits this hudctl, and what it says of itself."""
    try:
        from hudctl.client import Client  # noqa: PLC0415 - zmq may be missing, which is to be told
        from hudctl.connection import Endpoints  # noqa: PLC0415 - beside it
    except ImportError as error:
        cause = f"hudctl cannot talk to hudd: {error}."
        yield failure("daemon", cause, f"Install hudd again: {Installation.find().reinstall()}")
        return
    try:
        with Client(timeout_s=ASK_S) as client:
            hello = client.hello()
            status = client.status()
    except NotRunningError as error:
        if Endpoints().on_demand:
            yield ok("daemon", "hudd is not running; systemd starts it with the first snap.")
        else:
            yield warning("daemon", error.message, error.hint or f"Start it with: {how_to_start(os.environ)}")
    except VersionError as error:
        yield failure("daemon", error.message, error.hint)
    except DeadlineError as error:
        yield _hung(error)
    except HudctlError as error:
        yield failure("daemon", error.message, error.hint or RESTART)
    else:
        yield from judge(hello, status, client_version())


def _hung(error: HudctlError) -> Line:
    pid = lock_pid()
    if not pid:
        return failure("daemon", f"hudd does not answer: {error.message}", RESTART)
    state = process_state(pid)
    if state in ("T", "t"):
        cause = f"hudd (pid {pid}) is stopped, by ctrl-Z or a SIGSTOP."
        return failure("daemon", cause, f"Let it go on: kill -CONT {pid}", pid=pid, process=state)
    cause = f"hudd (pid {pid}) runs and does not answer within {ASK_S:g} s."
    return failure("daemon", cause, f"{RESTART}; if it stays: kill -9 {pid}", pid=pid, process=state)


def lock_pid() -> int:
    """The pid that the holder of the lock wrote; 0 when there is none."""
    try:
        return int((runtime_dir(os.environ) / LOCK).read_text(encoding="ascii").strip() or 0)
    except (OSError, ValueError, EndpointError):
        return 0


def process_state(pid: int) -> str:
    """The letter that ``ps`` shows; '' where it cannot be told."""
    try:
        # The name of the process stands before it, in parentheses, and may hold anything.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def judge(hello: Mapping[str, Any], status: Mapping[str, Any], own: str) -> Iterator[Line]:
    """What a daemon that answers tells of itself."""
    version, pid = line(hello.get("version")), status.get("pid")
    told = f"hudd {version} (pid {line(pid)}) answers."
    if version != own:
        cause = f"The running hudd is {version}, and this hudctl is {own}; they understand each other."
        yield warning("daemon", cause, RESTART, pid=pid, hudd=version, hudctl=own)
    else:
        yield ok("daemon", told, pid=pid, hudd=version)
    connection = line(status.get("connection"))
    sentence = line(status.get("sentence"))
    if connection in ("needs_attention", "flapping"):
        cause, _, remedy = sentence.partition("; ")
        remedy = f"{remedy[:1].upper()}{remedy[1:]}".rstrip(".") or "Mend it, then run: hudctl resume"
        yield failure("connection", cause or "The connection needs your attention.", remedy)
    elif connection == "backing_off":
        yield warning("connection", sentence or "hudd waits to try again.", "Look at the line endpoint below")
    else:
        yield ok("connection", f"The connection is {connection.replace('_', ' ')}.", connection=connection)
    yield from _judge_work(status)


def _judge_work(status: Mapping[str, Any]) -> Iterator[Line]:
    sending, capture, journal = (mapping(status.get(name)) for name in ("sending", "capture", "journal"))
    reasons = [reason.replace("_", " ") for reason in lines_of(sending.get("reasons"))]
    if reasons:
        yield warning(
            "sending",
            f"Nothing is sent now: {', '.join(reasons)}.",
            "See hudctl status; a pause ends by: hudctl resume",
        )
    if line(capture.get("state")) == "watching" and (backend := line(capture.get("backend"))):
        yield ok("capture", f"hudd sees the screen by {backend}.", backend=backend)
    for name in ("sentence", "degraded"):
        if words := line(capture.get(name)):
            yield warning("capture", words, "See the line display below; the daemon's own session may be another one")
    if journal.get("degraded"):
        yield failure(
            "storage",
            line(journal.get("sentence")) or "The journal cannot be written.",
            "Free some space, see the line disk",
        )
