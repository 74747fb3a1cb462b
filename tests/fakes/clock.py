"""A clock that moves only when a test says so."""

from __future__ import annotations

import asyncio
import heapq
import itertools


class ManualClock:
    """Satisfies ``hudd.clock.Clock``. Time stands still between calls of ``advance``.

    Args:
        monotonic: First value of ``monotonic()``.
        wall: First value of ``wall()``.
    """

    def __init__(self, monotonic: float = 1000.0, wall: float = 1_795_343_466.0) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def monotonic(self) -> float:
        return self._monotonic

    def wall(self) -> float:
        return self._wall

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), future))
        await future

    @property
    def sleeping(self) -> int:
        """How many are asleep now."""
        return sum(not future.done() for _, _, future in self._sleepers)

    @property
    def next_due_s(self) -> float | None:
        """Seconds until the next sleeper wakes; None when nobody sleeps."""
        due = [when for when, _, future in self._sleepers if not future.done()]
        return min(due) - self._monotonic if due else None

    async def advance(self, seconds: float) -> None:
        """Let time pass. Sleepers wake in the order they are due, each sees its own time, and everything runs on."""
        await settle()
        end = self._monotonic + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            when, _, future = heapq.heappop(self._sleepers)
            if future.done():  # it was cancelled while it slept
                continue
            self._move(max(when, self._monotonic))
            future.set_result(None)
            await settle()
        self._move(end)
        await settle()

    def jump_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an administrator or a time server does."""
        self._wall += seconds

    def _move(self, to: float) -> None:
        self._wall += to - self._monotonic
        self._monotonic = to


async def settle(rounds: int = 30) -> None:
    """Let every task that can run, run; nothing that waits for a thread, a socket or a clock goes on."""
    for _ in range(rounds):
        await asyncio.sleep(0)
