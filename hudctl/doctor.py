"""``hudctl doctor``: what is wrong with this installation, this machine or the running hudd, and what to do about it.

The running daemon is asked here, within some seconds. The checks that need its libraries run after that as a child,
``python -m hudd.checks``, which is told how the daemon sees the screen and prints a line for each as it is known. The
whole ends in time.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, cast

from hudctl.console import colours, print_json, width
from hudctl.doctor_daemon import ask_daemon, ask_installation
from hudctl.doctor_words import Line, failure, verdict
from hudctl.words import Colour, Look, hang, line
from hudd.wire import table
from hudd.wire.installation import Installation

SCHEMA: Final = 1
LIMIT_S: Final = 14.0
CHECK_S: Final = 10.0
"""For each of the child's checks, which run side by side; less where asking the daemon took long."""
_CHILD_STARTS_S: Final = 3.0
_COLUMN: Final = 22
_COLOURS: Final[dict[str, Colour]] = {"ok": "green", "warning": "yellow", "failure": "red"}


def doctor(arguments: argparse.Namespace) -> int:
    """Print each line as it is known; exit 1 when there is a failure."""
    started = time.monotonic()
    look = Look(colours(), width())
    lines: list[Line] = []
    for found in examine(service=arguments.service, spend=arguments.spend):
        lines.append(found)
        if not arguments.json:
            print(render_line(found, look), flush=True)
    seconds = time.monotonic() - started
    if arguments.json:
        print_json(report_of(lines, seconds))
    else:
        print(f"\n{summary(lines)}")
    return table.EXIT_FAILED if verdict(lines) == "failure" else table.EXIT_OK


def report_of(lines: list[Line], seconds: float) -> dict[str, Any]:
    """The whole report as one object."""
    return {"schema": SCHEMA, "result": verdict(lines), "seconds": round(seconds, 1), "checks": lines}


def examine(*, service: bool = False, spend: bool = False, seconds: float = LIMIT_S) -> Iterator[Line]:
    """Everything that is found, in the order of the report.

    Args:
        service: Look at the service's endpoint although the local engine answers.
        spend: Make one small request that costs money.
        seconds: When the whole ends at the latest.
    """
    end = time.monotonic() + seconds
    daemon = list(ask_daemon())
    flags = [*(["--service"] if service or spend else []), *(["--spend"] if spend else []), *_seen_by(daemon)]
    within = min(CHECK_S, end - time.monotonic() - _CHILD_STARTS_S)
    with _child([*flags, f"--within={within:.1f}"]) as child:
        yield from ask_installation(os.environ)
        yield from daemon
        yield from _lines_of(child, end)


def _seen_by(daemon: Iterable[Line]) -> list[str]:
    """The daemon may well see a screen that this shell does not: the check of the display is told."""
    sees = (row["details"]["backend"] for row in daemon if row["name"] == "capture" and row["state"] == "ok")
    return [f"--seen-by={backend}" for backend in sees]


def own_checks(*flags: str, seconds: float = LIMIT_S) -> Iterator[Line]:
    """Only what needs the daemon's libraries; ``--engine`` shows the local engine a picture instead."""
    with _child(list(flags)) as child:
        yield from _lines_of(child, time.monotonic() + seconds)


def read_settings(seconds: float = LIMIT_S) -> dict[str, Any]:
    """``settings`` (rows as of hudctl config) or none of them, ``problems``, and ``file``, where they belong."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "hudd.checks", "--settings"],
            env=child_environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return cast("dict[str, Any]", json.loads(done.stdout))
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return {"problems": ["The settings could not be read; hudctl doctor tells why."], "file": ""}


@contextmanager
def _child(flags: list[str]) -> Generator[subprocess.Popen[str] | OSError]:
    """The checks that need the daemon's libraries, already running; or why they cannot be started."""
    try:
        process = _started(flags)
    except OSError as error:
        yield error
        return
    with process:
        try:
            yield process
        finally:
            _end_group(process.pid)  # with what it started: those hold its pipes open


def _started(flags: list[str]) -> subprocess.Popen[str]:
    # -P: a file json.py in the present folder must not be imported.
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "hudd.checks", *flags],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env=child_environment(),
        process_group=0,  # ctrl-C is ours to hear, and a program it started ends with it
    )


def child_environment() -> dict[str, str]:
    """The environment of a child of ours: hudd is found where hudctl was, also in a working copy."""
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - of two words, not worth a library
    path = [own, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(path))}


def _end_group(group: int) -> None:
    import signal  # noqa: PLC0415 - beside its only use

    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # all of it has ended


def _lines_of(child: subprocess.Popen[str] | OSError, end: float) -> Iterator[Line]:
    if isinstance(child, OSError):
        yield failure(
            "checks", f"hudd's own checks cannot be started: {child}.", "Install hudd again where you may run it"
        )
        return
    rows: queue.Queue[str] = queue.Queue()
    assert child.stdout is not None
    assert child.stderr is not None
    errors: list[str] = []
    threading.Thread(target=_read_all, args=(child.stderr, errors), daemon=True).start()
    threading.Thread(target=_hand_on, args=(child.stdout, rows), daemon=True).start()
    came = 0
    while True:
        try:
            row = rows.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            yield failure(
                "checks", "The checks did not end in time.", "Run: hudctl doctor again; if it stays, report it"
            )
            return
        if not row:
            break
        found = _line(row)
        if found is not None:
            came += 1
            yield found
    if not came or child.wait(1.0):
        words = line(" ".join(errors).strip().splitlines()[-1] if "".join(errors).strip() else "it gave no reason")
        yield failure(
            "checks",
            f"hudd's own checks cannot run: {words}.",
            f"Install hudd again: {Installation.find().reinstall()}",
        )


def _read_all(stream: IO[str], into: list[str]) -> None:
    try:
        into.append(stream.read())
    except ValueError:
        return  # closed meanwhile: the report is over


def _hand_on(stream: IO[str], rows: queue.Queue[str]) -> None:
    try:
        for row in stream:
            rows.put(row)
    except ValueError:
        return  # closed meanwhile: the report is over
    rows.put("")


def _line(row: str) -> Line | None:
    try:
        found = json.loads(row)
    except ValueError:
        return None  # what a library printed
    return cast("Line", found) if isinstance(found, dict) and "state" in found else None


def render_line(found: Line, look: Look) -> str:
    """``warning  disk       Space runs short: …``, and the remedy below it."""
    state = str(found["state"])
    head = f"{state:<9}{line(found['name']):<13}"
    block = hang(head, line(found["cause"]), look, indent=_COLUMN)
    text = look.paint(block[: len(state)], _COLOURS.get(state, "yellow")) + block[len(state) :]
    remedy = line(found.get("remedy"))
    if remedy and state != "ok":
        text += "\n" + look.paint(hang(" " * _COLUMN, f"-> {remedy}", look, indent=_COLUMN + 3), "bold")
    return text


def summary(lines: Iterable[Line]) -> str:
    """One sentence."""
    states = [str(found["state"]) for found in lines]
    failures, warnings = states.count("failure"), states.count("warning")
    if not failures and not warnings:
        return "All is well."
    told = [
        f"{count} {word}{'s' if count > 1 else ''}"
        for count, word in ((failures, "failure"), (warnings, "warning"))
        if count
    ]
    end = "" if failures else ": hudd can do its work"
    return f"{' and '.join(told)}{end}. hudctl bugreport packs this for a report."
