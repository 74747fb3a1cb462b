"""Keeps the event loop quick beside the threads that grab, read and write."""

from __future__ import annotations

import sys
from typing import Final

SWITCH_S: Final = 0.001
"""How long a thread that computes may keep the interpreter while the loop waits for it.

Python's own 5 ms are paid after each call that lets go of it, so for each message read or sent: while threads worked
for other requests, turns of the loop took 10 ms of which it worked for 2."""


def yield_often() -> None:
    """Let threads of this process hand the interpreter on sooner than by default."""
    sys.setswitchinterval(SWITCH_S)
