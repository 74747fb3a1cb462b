"""Turns at a thread that does one thing after the other: whoever took the least of its time comes next.

So who asks for much at once waits behind itself. This is start-time fair queueing (Goyal, Vin and Cheng, 1996), with
one share per peer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from hudd.clock import Clock

LEAST_S: Final = 1e-6
"""A job takes at least so long, however coarse the clock is."""
MOST: Final = 256
"""Of so many peers is remembered what they took."""


class Turns:
    """The jobs that wait, and what each peer has taken.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._taken: dict[str, float] = {}  # by peer, in seconds of the thread
        self._now = 0.0  # what the peer has taken whose job began last
        self._busy = False

    @asynccontextmanager
    async def of(self, peer: str) -> AsyncGenerator[None]:
        """Wait for a turn of this peer, and hold it."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((peer, turn))
        self._go_on()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it came in this very moment
                self._end()
            raise
        begun = self._clock.monotonic()
        try:
            yield
        finally:
            spent = max(self._clock.monotonic() - begun, LEAST_S)
            self._taken[peer] = self._of(peer) + spent
            self._end()

    def _of(self, peer: str) -> float:
        """Who was idle saves nothing up."""
        return max(self._taken.get(peer, 0.0), self._now)

    def _end(self) -> None:
        self._busy = False
        self._go_on()
        if not self._busy or len(self._taken) > MOST:
            self._taken.clear()

    def _go_on(self) -> None:
        self._waiting = [(peer, turn) for peer, turn in self._waiting if not turn.cancelled()]
        if self._busy or not self._waiting:
            return
        chosen = min(range(len(self._waiting)), key=lambda at: self._of(self._waiting[at][0]))
        peer, turn = self._waiting.pop(chosen)
        self._now = self._of(peer)
        self._busy = True
        turn.set_result(None)
