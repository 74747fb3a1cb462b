"""Runs a program that prints a picture: bounded in time and bytes, and nothing of it is left behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Final

from hudd.errors import CaptureError

MOST_BYTES: Final = 300_000_000
"""Two 8K screens as PPM still fit."""
_STDERR_BYTES: Final = 65536
_CHUNK: Final = 1 << 20
_LONGEST_WORDS: Final = 200


def picture_of(words: Sequence[str], environ: Mapping[str, str], *, timeout_s: float, what: str) -> bytes:
    """What a program prints. It runs in a process group of its own, which is killed when it takes too long.

    Args:
        words: The program and its arguments; no shell sees them.
        environ: Its environment.
        timeout_s: How long it may take, seconds.
        what: How errors name it.

    Raises:
        CaptureError: It is not there, failed, printed nothing or too much, or took too long; its last words are told.
    """
    try:
        # Read below as it comes, and waited for or killed in every case.
        process = subprocess.Popen(
            [*words],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CaptureError(
            f"{what} cannot be started ({why}).", hint="Install it, or correct [screen] source."
        ) from error
    with process:
        try:
            out, errors = _read(process, timeout_s, what)
        finally:
            # Also what the program itself started: nothing of it may live on and be started again at the next look.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode not in (0, -signal.SIGKILL):
        raise CaptureError(f"{what} failed with exit code {process.returncode}{_last_words(errors)}.")
    if not out:
        raise CaptureError(f"{what} printed no picture{_last_words(errors)}.")
    return out


def _read(process: subprocess.Popen[bytes], timeout_s: float, what: str) -> tuple[bytes, bytes]:
    assert process.stdout is not None
    assert process.stderr is not None
    deadline = time.monotonic() + timeout_s
    out, errors = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, out)
        selector.register(process.stderr, selectors.EVENT_READ, errors)
        while selector.get_map():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise CaptureError(f"{what} gave no picture within {timeout_s:g} s{_last_words(errors)}.")
            for key, _ in selector.select(left_s):
                data = os.read(key.fd, _CHUNK)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.data is out or len(errors) < _STDERR_BYTES:
                    key.data.extend(data)
            if len(out) > MOST_BYTES:
                raise CaptureError(f"{what} printed more than {MOST_BYTES:,} bytes, which is no screen.")
    try:
        # Both streams are closed, so it is about to end.
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise CaptureError(f"{what} did not end within {timeout_s:g} s.") from error
    return bytes(out), bytes(errors)


def _last_words(errors: bytes | bytearray) -> str:
    lines = [line.strip() for line in bytes(errors).decode("utf-8", "replace").splitlines() if line.strip()]
    words = "".join(letter for letter in lines[-1] if letter.isprintable()) if lines else ""
    return f": {words[:_LONGEST_WORDS].rstrip('.')}" if words else ""
