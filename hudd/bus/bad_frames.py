"""Says in the log, at a limited rate, that frames were refused."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Final

from hudd.clock import Clock

LOG_EVERY_S: Final = 60.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class BadFrames:
    """Logs the first bad frame, then at most one line in ``LOG_EVERY_S`` with the number of those in between."""

    clock: Clock
    quiet_until: float = field(default=float("-inf"))
    held_back: int = 0

    def log(self, sentence: str) -> None:
        """Tell of one."""
        now = self.clock.monotonic()
        if now < self.quiet_until:
            self.held_back += 1
            return
        _log.warning("A frame on the command socket was refused (%d others since): %s", self.held_back, sentence)
        self.quiet_until = now + LOG_EVERY_S
        self.held_back = 0
