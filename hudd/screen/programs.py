"""Runs a program that prints a picture: bounded in time and bytes, and nothing of it is left behind."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import Final

from hudd import child
from hudd.errors import CaptureError

MOST_BYTES: Final = 300_000_000
"""Two 8K screens as PPM still fit."""
TRY_IT: Final = "Run it in a terminal of this session to see what it prints, then correct it or [screen] source."
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
        process = child.start(words, environ)
    except child.StartError as error:
        raise CaptureError(
            f"{what} cannot be started ({error}).", hint="Install it, or correct [screen] source."
        ) from error
    with process:
        try:
            out, errors = child.read(process, limit_s=timeout_s, most_bytes=MOST_BYTES)
        except child.ChildError as error:
            raise CaptureError(_sentence(error, what, timeout_s), hint=TRY_IT) from error
        finally:
            # Also what the program itself started: nothing of it may live on and be started again at the next look.
            child.kill_group(process.pid)
    if process.returncode not in (0, -signal.SIGKILL):
        raise CaptureError(f"{what} failed with exit code {process.returncode}{_last_words(errors)}.", hint=TRY_IT)
    if not out:
        raise CaptureError(f"{what} printed no picture{_last_words(errors)}.", hint=TRY_IT)
    return out


def _sentence(error: child.ChildError, what: str, timeout_s: float) -> str:
    match error.trouble:
        case "late":
            return f"{what} gave no picture within {timeout_s:g} s{_last_words(error.errors)}."
        case "flood":
            return f"{what} printed more than {MOST_BYTES:,} bytes, which is no screen."
        case "lasts":
            return f"{what} did not end within {timeout_s:g} s."


def _last_words(errors: bytes) -> str:
    words = child.last_words(errors)
    return f": {words[:_LONGEST_WORDS].rstrip('.')}" if words else ""
