"""Subscribers as processes of their own, which can be stopped, killed, and begun again where they were.

What each prints goes to a file, a note a line, and that line is its stored cursor: a note is handled once its line is
there. ``python -m tests.soak.subscribers sync|async RUNTIME_FOLDER COUNT [AFTER]`` is the one in Python.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hudctl import AsyncFeed, Feed, Note

MANY = 10**9

Handled = tuple[int, str]
"""Number and text of a note."""


class Subscriber:
    """One subscriber: its command, its process, what it has handled so far.

    Args:
        name: For sentences.
        command: The number to begin after goes to its end.
        out: The file that it prints to.
        environ: Its environment.
        folder: Its working folder; None for ours.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        out: Path,
        *,
        environ: Mapping[str, str],
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self._command = list(command)
        self._out = out
        self._environ = dict(environ)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        out.touch()

    def start(self) -> None:
        """Begin after the last note that was handled."""
        handled = self.handled()
        after = handled[-1][0] if handled else 0
        with self._out.open("ab") as out, self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [*self._command, str(after)], stdout=out, stderr=errors, env=self._environ, cwd=self._folder
            )

    def keep_running(self) -> None:
        """Begin again if it ended by itself, as a service manager would."""
        if self._process is not None and self._process.poll() is not None:
            self.start()

    def stall(self) -> None:
        """It stands still and reads nothing."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of a stall."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9. Nothing but its file is left of it."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def wait(self, timeout_s: float) -> int:
        """Wait for its end."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def handled(self) -> list[Handled]:
        """What it printed so far; a line that is not whole yet was not handled."""
        whole = self._out.read_bytes().rpartition(b"\n")[0]
        lines = [json.loads(line) for line in whole.splitlines()]
        # hudctl says there, too, that no daemon runs.
        return [_handled(line) for line in lines if "error" not in line]

    def said(self) -> str:
        """What it said on stderr."""
        return self._errors.read_text(encoding="utf-8", errors="replace") if self._errors.exists() else ""

    @property
    def _errors(self) -> Path:
        return self._out.with_suffix(".err")

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


def _handled(line: Mapping[str, Any]) -> Handled:
    note = line.get("note", line)  # hudctl prints an object around it
    return int(note["seq"]), str(note["text"])


def in_python(kind: str, runtime_dir: str, count: int = MANY) -> list[str]:
    """The command of the Python subscriber, ``sync`` or ``async``."""
    return [sys.executable, "-m", "tests.soak.subscribers", kind, runtime_dir, str(count)]


def by_hudctl() -> list[str]:
    """The command of ``hudctl follow``; its environment names the folder."""
    return [sys.executable, "-m", "hudctl", "follow", "--json", "--all", "--after"]


def until_handled(subscribers: Sequence[Subscriber], seq: int, timeout_s: float) -> None:
    """Wait until everybody handled a note.

    Raises:
        AssertionError: Somebody did not in time.
    """
    end = time.monotonic() + timeout_s
    for subscriber in subscribers:
        while not (handled := subscriber.handled()) or handled[-1][0] < seq:
            subscriber.keep_running()
            last = handled[-1][0] if handled else 0
            assert time.monotonic() < end, f"{subscriber.name} has come to {last} of {seq}: {subscriber.said()[-500:]}"
            time.sleep(0.05)


def _print(note: Note) -> None:
    # One write, so that a kill leaves a whole line or none.
    os.write(1, json.dumps({"seq": note.seq, "text": note.text}, ensure_ascii=False).encode() + b"\n")


def _sync(runtime_dir: str, count: int, after: int) -> None:
    with Feed(after=after, runtime_dir=runtime_dir, wait=True) as feed:
        for _ in range(count):
            _print(next(feed))


async def _async(runtime_dir: str, count: int, after: int) -> None:
    async with AsyncFeed(after=after, runtime_dir=runtime_dir, wait=True) as feed:
        for _ in range(count):
            _print(await anext(feed))


def main(words: Sequence[str]) -> None:
    """Subscribe and print."""
    kind, runtime_dir, count, after = words[0], words[1], int(words[2]), int(words[3])
    if kind == "sync":
        _sync(runtime_dir, count, after)
    else:
        asyncio.run(_async(runtime_dir, count, after))


if __name__ == "__main__":
    main(sys.argv[1:])
