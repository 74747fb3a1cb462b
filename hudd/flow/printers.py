"""Processes that print notes on the screen: what changes inside their windows is no news."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

MOST: Final = 256


class Printers:
    """Remembers who prints where, for as long as the process lives; of ``MOST`` at most.

    Args:
        alive: Whether a process still runs.
    """

    def __init__(self, alive: Callable[[int], bool]) -> None:
        self._alive = alive
        self._windows: dict[int, int] = {}

    def add(self, pid: int, window: int) -> None:
        """A process prints into an X11 window. One that does not run, or is one too many, is not remembered."""
        if pid <= 0 or not self._alive(pid):
            return
        if pid not in self._windows and len(self._windows) >= MOST:
            self._forget_ended()
        if pid in self._windows or len(self._windows) < MOST:
            self._windows[pid] = window

    def windows(self) -> list[int]:
        """The windows of those that still run; the others are forgotten."""
        self._forget_ended()
        return sorted(set(self._windows.values()))

    def _forget_ended(self) -> None:
        for pid in [pid for pid in self._windows if not self._alive(pid)]:
            del self._windows[pid]
