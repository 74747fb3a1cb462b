"""Processes that print notes on the screen: what changes inside their windows is no news."""

from __future__ import annotations

from collections.abc import Callable


class Printers:
    """Remembers who prints where, for as long as the process lives.

    Args:
        alive: Whether a process still runs.
    """

    def __init__(self, alive: Callable[[int], bool]) -> None:
        self._alive = alive
        self._windows: dict[int, int] = {}

    def add(self, pid: int, window: int) -> None:
        """A process prints into an X11 window."""
        self._windows[pid] = window

    def windows(self) -> list[int]:
        """The windows of those that still run; the others are forgotten."""
        for pid in [pid for pid in self._windows if not self._alive(pid)]:
            del self._windows[pid]
        return sorted(set(self._windows.values()))
