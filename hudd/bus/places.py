"""How many requests run at once: those of one connection, and those of all; what only waits is counted apart."""

from __future__ import annotations

from collections import Counter
from typing import Final

from hudd.bus.repeats import Work
from hudd.errors import CommandError

MAX_IN_FLIGHT: Final = 64
MAX_IN_FLIGHT_PER_PEER: Final = 8
SHARE: Final = 4
"""One connection may have a fourth of the places that are free, and always one if there is any: a few that flood leave
room for those that come with a single request."""
MAX_WAITS: Final = 256
"""A wait does nothing and may last a day, so it takes no place of those that work."""

BUSY_RETRY_MS: Final = 200


class Places:
    """The places that are taken."""

    def __init__(self) -> None:
        self._of_peer: Counter[bytes] = Counter()  # empty when nothing runs
        self._waits: dict[Work, int] = {}  # and by which connection each came

    def taken(self, peer: bytes | None = None) -> int:
        """Requests that run now: those of one peer, or all."""
        return self._of_peer.total() if peer is None else self._of_peer[peer]

    def refusal(self, peer: bytes, *, waits: bool) -> CommandError | None:
        """Why a request of this peer may not begin now; None when it may."""
        waiting = len(self._waits)
        free = MAX_WAITS - waiting if waits else MAX_IN_FLIGHT - (self._of_peer.total() - waiting)
        if free > 0 and self._of_peer[peer] < min(MAX_IN_FLIGHT_PER_PEER, max(1, free // SHARE)):
            return None
        return CommandError(
            "E_BUSY",
            "Too many requests are in flight.",
            hint="Await a reply before you send another request.",
            retry_after_ms=BUSY_RETRY_MS,
        )

    def take(self, peer: bytes) -> None:
        """A request begins."""
        self._of_peer[peer] += 1

    def free(self, peer: bytes) -> None:
        """One has ended."""
        self._of_peer[peer] -= 1
        if self._of_peer[peer] <= 0:
            del self._of_peer[peer]

    def waits(self, work: Work, connection: int) -> None:
        """What began only waits, for whoever is at the other end of this connection."""
        self._waits[work] = connection
        work.add_done_callback(self._waits.pop)

    def left(self, connection: int) -> None:
        """A connection ended: nobody waits for its waits any more."""
        for work in [work for work, at in self._waits.items() if at == connection]:
            work.cancel()
