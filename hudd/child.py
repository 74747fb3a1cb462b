"""A child process that prints something and ends: read with a deadline and a bound, and nothing of it stays behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Final, Literal

_CHUNK: Final = 1 << 20
_ERROR_BYTES: Final = 65536
"""So much of stderr is kept; what follows is read and dropped."""

Trouble = Literal["late", "flood", "lasts"]
"""Its streams were open longer than it had time; it printed too much; it closed them and did not end."""


class StartError(Exception):
    """Raised when a child cannot be started; the message is why."""


class ChildError(Exception):
    """Raised when a child did not print and end as it should.

    Attributes:
        trouble: What it did.
        errors: Its stderr so far; not part of the message.
    """

    def __init__(self, trouble: Trouble, errors: bytes) -> None:
        super().__init__(trouble)
        self.trouble: Trouble = trouble
        self.errors = errors


def start(words: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a program without a shell, in a session and process group of its own; ``read`` it, then ``kill_group``.

    Args:
        words: The program and its arguments.
        environ: Its environment.

    Raises:
        StartError: It is not there, or may not be run.
    """
    try:
        return subprocess.Popen(
            [*words],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise StartError(error.strerror if isinstance(error, OSError) and error.strerror else str(error)) from error


def read(process: subprocess.Popen[bytes], *, limit_s: float, most_bytes: int) -> tuple[bytes, bytes]:
    """What a child prints on stdout and stderr until it ends. Blocks.

    Args:
        process: From ``start``.
        limit_s: How long it may take, seconds.
        most_bytes: How much it may print on stdout.

    Raises:
        ChildError: It took longer, printed more, or did not end; it still runs then.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    deadline = time.monotonic() + limit_s
    out, errors = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, out)
        selector.register(process.stderr, selectors.EVENT_READ, errors)
        while selector.get_map():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise ChildError("late", bytes(errors))
            for key, _ in selector.select(left_s):
                data = os.read(key.fd, min(_CHUNK, most_bytes))
                if not data:
                    selector.unregister(key.fileobj)
                elif key.data is out:
                    out.extend(data)
                else:
                    errors.extend(data[: _ERROR_BYTES - len(errors)])
            if len(out) > most_bytes:
                raise ChildError("flood", bytes(errors))
    try:
        process.wait(max(0.0, deadline - time.monotonic()))  # both streams are closed, so it is about to end
    except subprocess.TimeoutExpired as error:
        raise ChildError("lasts", bytes(errors)) from error
    return bytes(out), bytes(errors)


def kill_group(pid: int) -> None:
    """Kill a child and all that it started; nothing happens when it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def last_words(errors: bytes) -> str:
    """The last line that a child wrote to stderr, as far as it can be printed; ''."""
    lines = [line.strip() for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
    return "".join(letter for letter in lines[-1] if letter.isprintable()) if lines else ""
