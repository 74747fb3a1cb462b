"""Requests that must have their effect once, however often they come: the caller's ``idem`` key tells repeats.

A key belongs to the request, not to the connection: after a reconnect the same client has another routing id. So a
repeat is told by the key alone, and a key that comes with another request is a mistake of the caller.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hudd.clock import Clock
from hudd.errors import CommandError
from hudd.wire.table import COMMON_PARAMS

KEEP_S: Final = 600.0
"""How long an outcome is kept after its end."""
KEEP_MOST: Final = 1000
"""Outcomes that are kept; the oldest go first. Those still under way are bounded by the server."""

Work = asyncio.Task[Mapping[str, Any]]
_COMMON: Final = frozenset(param.name for param in COMMON_PARAMS)


@dataclass(slots=True)
class _Entry:
    asked: bytes
    work: Work
    ended_at: float | None = None


class Repeats:
    """The work of requests with a key: under way, or ended within the last ten minutes.

    Args:
        clock: Tells how old an outcome is.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}  # in the order of their beginning

    def __len__(self) -> int:
        return len(self._entries)

    def under_way(self) -> set[Work]:
        """The work that has not ended yet."""
        return {entry.work for entry in self._entries.values() if entry.ended_at is None}

    def find(self, key: str, method: str, params: Mapping[str, Any]) -> Work | None:
        """The work that was begun with this key; None when it is new, or too long ago.

        Raises:
            CommandError: ``E_ARGS``, the key was used for something else.
        """
        self._forget_old()
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.asked != _digest(method, params):
            raise CommandError(
                "E_ARGS",
                "The idem key was used for another request within the last ten minutes.",
                hint="Choose a new key for each request; keep it only to repeat the same one.",
            )
        return entry.work

    def add(self, key: str, method: str, params: Mapping[str, Any], work: Work) -> None:
        """Remember work that begins. What is cancelled had no outcome and is forgotten."""
        entry = self._entries[key] = _Entry(_digest(method, params), work)

        def ended(_: Work) -> None:
            entry.ended_at = self._clock.monotonic()
            if work.cancelled() and self._entries.get(key) is entry:
                del self._entries[key]

        work.add_done_callback(ended)

    def _forget_old(self) -> None:
        now, too_many = self._clock.monotonic(), len(self._entries) - KEEP_MOST + 1
        for key, entry in list(self._entries.items()):
            if entry.ended_at is not None and (too_many > 0 or now - entry.ended_at > KEEP_S):
                del self._entries[key]
                too_many -= 1


def _digest(method: str, params: Mapping[str, Any]) -> bytes:
    """What was asked, in few bytes; when it was sent and how long it is wanted may differ."""
    own = {name: value for name, value in params.items() if name not in _COMMON}
    return hashlib.sha256(json.dumps([method, own], sort_keys=True).encode()).digest()
