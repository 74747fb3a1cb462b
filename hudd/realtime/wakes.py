"""Notices that the machine slept, or that its clock was set forward. Pure.

While a machine sleeps, wall time goes on and monotonic time stands still. A socket that was open then is dead more
often than not, and nobody tells: without this it would take a time-out to find out.
"""

from __future__ import annotations

from typing import Final

LEAST_JUMP_S: Final = 10.0
"""Shorter sleeps leave connections alive, and time servers correct clocks by less."""


class WakeDetector:
    """Compares the two clocks each time it is asked."""

    def __init__(self) -> None:
        self._offset: float | None = None

    def slept_s(self, monotonic: float, wall: float) -> float:
        """Seconds that wall time gained on monotonic time since the last call; 0 when that is nothing to act on.

        A clock that was set back is no sleep.

        Args:
            monotonic: Now, seconds.
            wall: Now, seconds since 1970.
        """
        offset, before = wall - monotonic, self._offset
        self._offset = offset
        gained = 0.0 if before is None else offset - before
        return gained if gained >= LEAST_JUMP_S else 0.0
