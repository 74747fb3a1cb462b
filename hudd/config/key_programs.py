"""Runs a program for the one line that it prints, the key: bounded in time and bytes, and nothing of it stays behind.

What it printed is in no sentence and in no error; of what it said on stderr the last line is told when it failed.
"""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hudd import child

LIMIT_S: Final = 10.0
"""Seconds; long enough for a program that asks a token or the network, too short for one that waits for a person."""
MOST_BYTES: Final = 65536
_LONGEST_WORDS: Final = 200
_OF_THE_SERVICE: Final = frozenset(
    {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}
)
"""What systemd told hudd and nobody else."""
_KEY_SHAPE: Final = re.compile(r"\b(?:sk|ek)[-_][\w\-]{8,}")


class ProgramError(Exception):
    """Raised when a program printed nothing that could be used; the message is what follows its name in a sentence."""


class EndedError(ProgramError):
    """Raised when the program was ended from outside, because hudd stops or nobody waits for the key any more."""


@dataclass(frozen=True, slots=True)
class Printed:
    """What a program did.

    Attributes:
        code: Its exit code; negative for the signal that ended it.
        line: The first line of its output; left out of the repr.
        words: The last line of its stderr, without what could be the key.
    """

    code: int
    line: bytes = field(repr=False)
    words: str


class KeyPrograms:
    """Runs such programs, in any thread; what runs can be ended from another one.

    Args:
        limit_s: How long a program may take, seconds.
    """

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self.limit_s = limit_s
        self._lock = threading.Lock()
        self._running: dict[int, bool] = {}
        self._closed = False

    def run(self, words: Sequence[str], environ: Mapping[str, str]) -> Printed:
        """Run a program without a shell, in a session of its own, and wait for its end. Blocks.

        Args:
            words: The program and its arguments.
            environ: Its environment, but for what concerns hudd's own unit.

        Raises:
            ProgramError: It cannot be started, printed too much, or took too long.
            EndedError: `end` or `close` was called meanwhile.
        """
        process = self._start(words, {k: v for k, v in environ.items() if k not in _OF_THE_SERVICE})
        with process:
            try:
                out, errors = child.read(process, limit_s=self.limit_s, most_bytes=MOST_BYTES)
            except child.ChildError as error:
                raise ProgramError(_sentence(error, self.limit_s)) from error
            finally:
                ended = self._kill(process.pid)
        if ended:
            raise EndedError("was ended, because hudd no longer waits for it")
        line = out.partition(b"\n")[0].strip()
        return Printed(process.returncode, line, _last_words(errors, line))

    def end(self) -> None:
        """Kill what runs now; whoever waits for it gets `EndedError`."""
        with self._lock:
            for pid in self._running:
                self._running[pid] = True
                child.kill_group(pid)

    def close(self) -> None:
        """As `end`, and nothing is started any more."""
        self._closed = True
        self.end()

    def _start(self, words: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise EndedError("was not started, because hudd stops")
            try:
                process = child.start(words, environ)
            except child.StartError as error:
                raise ProgramError(f"cannot be started ({error})") from error
            self._running[process.pid] = False
            return process

    def _kill(self, pid: int) -> bool:
        """Also what the program itself started; whether somebody had ended it before."""
        with self._lock:
            child.kill_group(pid)
            return self._running.pop(pid)


def _sentence(error: child.ChildError, limit_s: float) -> str:
    match error.trouble:
        case "late":
            return f"gave no key within {limit_s:g} s, as if it waited for a person"
        case "flood":
            return f"printed more than {MOST_BYTES:,} bytes, which is no key"
        case "lasts":
            return f"did not end within {limit_s:g} s"


def _last_words(errors: bytes, line: bytes) -> str:
    """A careless program may repeat the key on stderr."""
    words = child.last_words(errors)
    printed = line.decode("utf-8", "replace")
    if len(printed) >= 4:
        words = words.replace(printed, "(hidden)")
    return _KEY_SHAPE.sub("(hidden)", words)[:_LONGEST_WORDS].rstrip(".")
