"""Who may start a try to connect before its time, and how often. Pure; time is handed in.

A snap, a person (``resume``, ``reload``), a wake and a network that came up may each end a wait early, all of them
together at most once in ten seconds. A wish that comes sooner is kept for that moment, not forgotten. Only a person
lifts a stop.
"""

from __future__ import annotations

from typing import Final, Literal

from hudd.realtime.retry import LONGEST_DELAY_S

Wish = Literal["snap", "person", "wake", "network"]

WISH_S: Final = 10.0
"""Least seconds between tries that somebody asked for."""
HURRY_S: Final = 120.0
"""So long after a wake, or a network that came up, tries follow each other quickly: its return is near."""
HURRY_DELAY_S: Final = 4.0
"""Longest delay then, so that a session is ready within five seconds of the network."""


class Urgency:
    """The wishes that wait, and when the last one was granted.

    Attributes:
        stopped: True while trying again is useless until a person acts: other wishes are not even remembered.
    """

    def __init__(self) -> None:
        self._granted_at = float("-inf")
        self._hurry_at = float("-inf")
        self._woke_at = (float("-inf"), float("-inf"))
        self._wished = False
        self._lifts = False
        self._at_once = False
        self.stopped = False

    def wish(self, who: Wish, now: float) -> None:
        """Somebody wants a try now."""
        if who in {"wake", "network"}:
            self._hurry_at = now
        if who == "person":
            self._lifts = True
        if who == "person" or not self.stopped:
            self._wished = True

    def wish_at_once(self, *, lifts: bool = False) -> None:
        """A try that is no repetition: a session was ended on purpose, or the way there is another one now."""
        if lifts or not self.stopped:
            self._wished = self._at_once = True
            self._lifts = self._lifts or lifts

    def due(self, now: float) -> float | None:
        """When a try is to begin because somebody wants it, on the clock of ``now``; None when nobody does."""
        if not self._wished:
            return None
        return now if self._at_once else max(now, self._granted_at + WISH_S)

    def stop(self) -> None:
        """Trying again is useless now. A person's wish stays: it may have come after what is to be mended."""
        self.stopped = True
        self._wished = self._wished and self._lifts
        self._at_once = self._at_once and self._lifts

    def tried(self, now: float) -> bool:
        """A try begins, and serves whoever wanted one; a person who has to wait keeps the right to a fresh start.

        Returns:
            Whether it is that fresh start, so that what was learnt from failures is forgotten.
        """
        self.stopped = False
        due = self.due(now)
        if due is not None and due > now:  # the back-off was sooner
            self._wished = self._lifts
            return False
        lifts = self._lifts
        if due is not None and not self._at_once:
            self._granted_at = now
        self.ready()
        return lifts

    @property
    def lifted(self) -> bool:
        """Whether a person wants to begin anew, in spite of any stop."""
        return self._lifts

    def ready(self) -> None:
        """There is a session: nothing is left to wish for."""
        self._wished = self._lifts = self._at_once = False

    def woke(self, now: float, wall: float) -> bool:
        """Whether a wake is a new one, and not the same told twice.

        Args:
            now: Monotonic seconds, which stand still while the machine sleeps.
            wall: Seconds since 1970, which tell of another sleep soon after the first.
        """
        before, before_wall = self._woke_at
        if now - before < WISH_S and wall - before_wall < WISH_S:
            return False
        self._woke_at = (now, wall)
        return True

    def longest_delay_s(self, now: float) -> float:
        """The longest back-off now."""
        return HURRY_DELAY_S if now - self._hurry_at < HURRY_S else LONGEST_DELAY_S
