"""What time it is for the daemon: it may be on another machine, and that one's clock tells another time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from hudd.wire.messages import parse_time


class DaemonClock:
    """How far the daemon's clock is ahead of ours, as far as it told.

    What is kept is rather too much than too little: a ``sent_at`` in the future counts as now, one in the past makes
    requests too old to be run.
    """

    def __init__(self) -> None:
        self._ahead_s: float | None = None

    def told(self, at: object, now: float) -> None:
        """The daemon told its time.

        Args:
            at: What it told; an older daemon tells nothing.
            now: Our time then, or a little before: seconds since 1970.
        """
        try:
            ahead_s = parse_time(at) - now
        except ValueError:
            return
        # What came late makes the clock seem behind; what is most ahead came at once.
        self._ahead_s = ahead_s if self._ahead_s is None else max(self._ahead_s, ahead_s)

    def forget(self) -> None:
        """Nothing is known any more: another daemon, or a clock was set."""
        self._ahead_s = None

    def stamp(self, params: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Leave out parameters that are None; add ``deadline_ms``, and ``sent_at`` once the daemon's time is known."""
        given = {name: value for name, value in params.items() if value is not None}
        if self._ahead_s is not None:
            given["sent_at"] = int((time.time() + self._ahead_s) * 1000)
        return {**given, "deadline_ms": max(1, int(timeout_s * 1000))}
