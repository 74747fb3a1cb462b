"""When each peer of a local socket spoke last, and who has to leave when others wait at a full door. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

SILENT_S: Final = 5.0
"""While others wait, whoever was let in and said nothing for so long has to leave; ZeroMQ's clients come again."""

IDLE_S: Final = 10.0
"""While others wait, whoever spoke, wants nothing any more and was quiet for so long gives way, if need be."""


class LastWords:
    """The connections that are in, by descriptor."""

    def __init__(self) -> None:
        # In the order of their last words, or of their coming when they said nothing.
        self._mute: dict[int, float] = {}
        self._spoke: dict[int, float] = {}

    def __contains__(self, descriptor: int) -> bool:
        return descriptor in self._spoke or descriptor in self._mute

    def came(self, descriptor: int, now: float) -> None:
        """A connection was made; the number may have been another's before."""
        self.left(descriptor)
        self._mute[descriptor] = now

    def spoke(self, descriptor: int, now: float) -> None:
        """A message came by a connection that is known."""
        self.left(descriptor)
        self._spoke[descriptor] = now

    def left(self, descriptor: int) -> None:
        """A connection ended. Safe for one that is not known."""
        self._mute.pop(descriptor, None)
        self._spoke.pop(descriptor, None)

    def to_end(self, now: float, places: int, may_leave: Callable[[int], bool]) -> list[int]:
        """Who has to leave now.

        Args:
            now: Seconds, of the clock of the other calls.
            places: How many are needed. All who are mute for long go, whatever their number; of the others no more than
                that, those first who are quiet the longest.
            may_leave: Says of one that spoke whether nothing is under way for it.
        """
        chosen = [descriptor for descriptor, since in self._mute.items() if since <= now - SILENT_S]
        for descriptor, since in self._spoke.items():
            if len(chosen) >= places or since > now - IDLE_S:
                break
            if may_leave(descriptor):
                chosen.append(descriptor)
        return chosen
