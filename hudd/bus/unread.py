"""Long replies that ZeroMQ holds for peers which do not read them: it bounds their number, and we their bytes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import zmq

LONG_BYTES: Final = 8 * 1024
"""From this length on a reply is counted; what is shorter is bounded by its number."""
UNREAD_BYTES_OF_PEER: Final = 512 * 1024
"""More is not given to one that has not read what it got; one reply of any length always is."""
UNREAD_BYTES: Final = 16 * 1024 * 1024
"""Of all peers together; beyond that the one that holds the most is ended."""
STUCK_AFTER_S: Final = 0.5
"""A peer that takes longer to read a long reply is given no new work meanwhile; nor would it read the answer."""


@dataclass(frozen=True, slots=True)
class _Given:
    """A long reply that ZeroMQ was given at a time, in seconds."""

    tracker: zmq.MessageTracker
    size: int
    at: float


def prepare() -> None:
    """Start pyzmq's thread that learns what ZeroMQ has done with, while there are descriptors for it."""
    tracked(b"")


def tracked(body: bytes) -> zmq.Frame:
    """A frame whose tracker tells when ZeroMQ does not need it any more."""
    return zmq.Frame(body, track=True, copy=False, copy_threshold=0)


class Unread:
    """What is under way, by peer."""

    def __init__(self) -> None:
        self._held: dict[bytes, deque[_Given]] = {}

    def room(self, peer: bytes, size: int) -> bool:
        """Whether this peer may be given so many bytes more."""
        held = self._bytes_of(peer)
        return not held or held + size <= UNREAD_BYTES_OF_PEER

    def stuck(self, peer: bytes, now: float) -> bool:
        """Whether this peer does not read what it got."""
        return self._bytes_of(peer) > 0 and now - self._held[peer][0].at > STUCK_AFTER_S

    def add(self, peer: bytes, tracker: zmq.MessageTracker, size: int, now: float) -> None:
        """ZeroMQ was given a long reply; the tracker tells when it does not need it any more."""
        self._held.setdefault(peer, deque()).append(_Given(tracker, size, now))

    def too_much(self) -> bytes | None:
        """The peer that holds the most when all together hold too much; it is forgotten here, and is to be ended."""
        held = {peer: self._bytes_of(peer) for peer in list(self._held)}
        if sum(held.values()) <= UNREAD_BYTES:
            return None
        most = max(held, key=held.__getitem__)
        del self._held[most]
        return most

    def _bytes_of(self, peer: bytes) -> int:
        held = self._held.get(peer)
        if held is None:
            return 0
        while held and held[0].tracker.done:
            held.popleft()
        if not held:
            del self._held[peer]
        return sum(given.size for given in held)
