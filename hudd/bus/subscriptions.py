"""Who subscribed to what: a set of prefixes for each connection, as ZeroMQ itself keeps them, and how many hold each.

XPUB passes on whatever a peer sends: the cancellation of what it never had, and the same subscription twice. So a peer
is believed only what concerns its own set, and the end of its connection takes the whole of it back.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Final

MAX_PREFIXES_OF_PEER: Final = 256
MAX_PREFIX_BYTES: Final = 128 * 1024
"""Of all different prefixes together. ZeroMQ keeps about 50 bytes for each byte, and has no bound of its own: whoever
holds the most is disconnected."""


class Subscriptions:
    """The subscriptions of the connections that stand, each known by its descriptor."""

    def __init__(self) -> None:
        self._held: dict[int, set[bytes]] = {}
        self._bytes_of: dict[int, int] = {}
        self._counts: dict[bytes, int] = {}
        self._prefixes: list[bytes] = []  # those that are held, sorted: a flood of them is looked through quickly
        self._bytes = 0

    def came(self, connection: int) -> None:
        """A connection was made; the number may have been another's before."""
        self.left(connection)
        self._held[connection] = set()
        self._bytes_of[connection] = 0

    def left(self, connection: int) -> None:
        """A connection ended, or is being ended: what still comes of it counts no more. Safe for one not known."""
        for prefix in self._held.pop(connection, ()):
            self._free(prefix)
        self._bytes_of.pop(connection, None)

    def stands(self, connection: int) -> bool:
        """Whether it came and did not leave."""
        return connection in self._held

    def subscribe(self, connection: int, prefix: bytes) -> None:
        """A connection that stands subscribes; to what it holds already, too."""
        if prefix in self._held[connection]:
            return
        self._held[connection].add(prefix)
        self._bytes_of[connection] += len(prefix)
        if prefix not in self._counts:
            self._bytes += len(prefix)
            insort(self._prefixes, prefix)
        self._counts[prefix] = self._counts.get(prefix, 0) + 1

    def cancel(self, connection: int, prefix: bytes) -> None:
        """A connection cancels; what it does not hold is another's matter."""
        held = self._held.get(connection, set[bytes]())
        if prefix in held:
            held.remove(prefix)
            self._bytes_of[connection] -= len(prefix)
            self._free(prefix)

    def too_much(self, connection: int) -> int | None:
        """Which connection has to end after this one subscribed; None when all is within the bounds."""
        if len(self._held[connection]) > MAX_PREFIXES_OF_PEER:
            return connection
        if self._bytes > MAX_PREFIX_BYTES:
            return max(self._bytes_of, key=self._bytes_of.__getitem__)
        return None

    def of(self, connection: int) -> int:
        """How many prefixes a connection holds."""
        return len(self._held.get(connection, ()))

    def counts(self) -> dict[bytes, int]:
        """How many connections hold each prefix, in the order of the prefixes."""
        return {prefix: self._counts[prefix] for prefix in self._prefixes}

    def listening(self, wanted: bytes) -> bool:
        """Whether somebody holds a beginning of this, or something that begins so."""
        if any(wanted[:length] in self._counts for length in range(len(wanted))):
            return True
        at = bisect_left(self._prefixes, wanted)
        return at < len(self._prefixes) and self._prefixes[at].startswith(wanted)

    def _free(self, prefix: bytes) -> None:
        self._counts[prefix] -= 1
        if not self._counts[prefix]:
            del self._counts[prefix]
            self._bytes -= len(prefix)
            del self._prefixes[bisect_left(self._prefixes, prefix)]
