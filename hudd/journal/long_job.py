"""The one job that may hold the writing thread for longer than a moment: for how long, and how it is ended early."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from hudd.clock import Clock

LEAST_S: Final = 60.0
SLOWEST_BYTES_PER_S: Final = 1 << 20
"""Of a journal that is written anew, which takes three times as many bytes: a card that writes 3 MB a second."""


class LongJob:
    """Knows whether the job is under way and still within the time that a slow disk needs.

    Begun and ended on the writing thread; asked from the event loop.

    Args:
        clock: For the time it takes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: float | None = None
        self._stopped = threading.Event()

    @contextmanager
    def over(self, size: int) -> Generator[None]:
        """The job is under way for as long as this is entered; it is over a file of so many bytes."""
        self._until = self._clock.monotonic() + max(LEAST_S, size / SLOWEST_BYTES_PER_S)
        try:
            yield
        finally:
            self._until = None

    def in_time(self) -> bool:
        """Whether it is under way, and no longer than it may take."""
        until = self._until
        return until is not None and self._clock.monotonic() < until

    def stop(self) -> None:
        """Let it end as soon as it can, and none begin any more."""
        self._stopped.set()

    def stopped(self) -> bool:
        """Whether it shall end."""
        return self._stopped.is_set()
