"""Who waits for the end of a snap. Keyed by the caller's ``snap_id``, which is also the idempotence key."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hudd.clock import Clock
from hudd.errors import CommandError

KEEP_S: Final = 600.0
"""Seconds for which the outcome of a snap is kept after its end."""
KEEP_MOST: Final = 1000

Outcome = dict[str, Any] | CommandError


@dataclass(slots=True)
class _Entry:
    future: asyncio.Future[Outcome]
    ended_at: float = 0.0
    waiting: int = 0
    sharing: list[str] = field(default_factory=list[str])


class Waiters:
    """Snaps under way and just ended: a repeated request waits for, or gets, the first one's outcome."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def begin(self, snap_id: str) -> tuple[asyncio.Future[Outcome], bool]:
        """The future of a snap, and whether it is new (the caller then starts it)."""
        self._forget_old()
        entry = self._entries.get(snap_id)
        if entry is not None:
            return entry.future, False
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._entries[snap_id] = _Entry(future)
        return future, True

    async def wait(self, snap_id: str) -> Outcome:
        """Wait for the end of a snap that was begun. Whoever stops waiting cancels nothing."""
        entry = self._entries[snap_id]
        entry.waiting += 1
        try:
            return await asyncio.shield(entry.future)
        finally:
            entry.waiting -= 1

    def awaited(self, snap_id: str) -> bool:
        """Whether somebody waits now for the end of a snap, or of one that shares its question."""
        entry = self._entries.get(snap_id)
        return entry is not None and (entry.waiting > 0 or any(map(self.awaited, entry.sharing)))

    def end(self, snap_id: str, outcome: Outcome) -> None:
        """Give every waiter of a snap its outcome: the note's JSON, or the error that took its place."""
        entry = self._entries.get(snap_id)
        if entry is not None and not entry.future.done():
            entry.ended_at = self._clock.monotonic()
            entry.future.set_result(outcome)

    def drop(self, snap_id: str) -> None:
        """Take back the beginning of a snap that nobody waits for: the same id begins a new one."""
        entry = self._entries.get(snap_id)
        if entry is not None and not entry.future.done() and not self.awaited(snap_id):
            del self._entries[snap_id]

    def join(self, snap_id: str, other: str) -> None:
        """Let a snap end as another one does, whose question it shares."""
        future, _ = self.begin(other)
        self._entries[other].sharing.append(snap_id)
        future.add_done_callback(lambda done: None if done.cancelled() else self.end(snap_id, done.result()))

    def forget(self, gone: Callable[[dict[str, Any]], bool]) -> None:
        """Put an error in the place of the notes that are gone, so that a repeated request does not bring them back."""
        for entry in self._entries.values():
            outcome = entry.future.result() if entry.future.done() and not entry.future.cancelled() else None
            if isinstance(outcome, dict) and gone(outcome):
                entry.future = asyncio.get_running_loop().create_future()
                entry.future.set_result(CommandError("E_STATE", "The note of this snap was forgotten."))

    def _forget_old(self) -> None:
        now = self._clock.monotonic()
        for snap_id in list(self._entries):
            entry = self._entries[snap_id]
            if not entry.future.done():
                continue
            if len(self._entries) > KEEP_MOST or now - entry.ended_at > KEEP_S:
                del self._entries[snap_id]
