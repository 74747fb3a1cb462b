"""Who may start a try to connect at once, and how often. Pure; time is handed in.

A snap, a person, a wake or a network that came up may end a wait early, each kind at most once in ten seconds; none of
them but a person lifts a stop.
"""

from __future__ import annotations

from typing import Final

from hudd.realtime.retry import LONGEST_DELAY_S, ConnectionWord

NUDGE_S: Final = 10.0
"""Least seconds between tries that somebody asked for."""
HURRY_S: Final = 120.0
"""So long after a wake, or a network that came up, tries follow each other quickly: its return is near."""
HURRY_DELAY_S: Final = 4.0
"""Longest delay then, so that a session is ready within five seconds of the network."""


class Urgency:
    """Remembers when who asked."""

    def __init__(self) -> None:
        self._resumed_at = float("-inf")
        self._network_at = float("-inf")
        self._woke_at = float("-inf")

    def snap(self, now: float, word: ConnectionWord, tried_at: float) -> bool:
        """Whether a snap starts a try: not while the connection flaps, where each try is a handshake for nothing.

        Args:
            now: Monotonic seconds.
            word: How the connection is called.
            tried_at: When the last try began.
        """
        return word == "backing_off" and now - tried_at >= NUDGE_S

    def network(self, now: float, word: ConnectionWord) -> bool:
        """Whether a network that came up starts a try."""
        if word not in {"backing_off", "flapping"} or now - self._network_at < NUDGE_S:
            return False
        self._network_at = now
        return True

    def woke(self, now: float) -> bool:
        """Whether a wake is a new one, and not the same told twice."""
        if now - self._woke_at < NUDGE_S:
            return False
        self._woke_at = now
        return True

    def resume_wait_s(self, now: float) -> float:
        """Seconds that a person's wish must wait; never forgotten, because it may follow a changed key."""
        return max(0.0, self._resumed_at + NUDGE_S - now)

    def resumed(self, now: float) -> None:
        """A person's wish was done."""
        self._resumed_at = now

    def longest_delay_s(self, now: float) -> float:
        """The longest back-off now."""
        return HURRY_DELAY_S if now - max(self._network_at, self._woke_at) < HURRY_S else LONGEST_DELAY_S
