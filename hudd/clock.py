"""Time, injected. Nothing else in hudd reads a clock or sleeps by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Protocol


class Clock(Protocol):
    """What the flow needs of time."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC; may jump."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait. Cancelling is safe."""
        ...


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


async def ends_within(work: Coroutine[Any, Any, object], seconds: float) -> bool:
    """Whether ``work`` ends in time; it is cancelled when it does not, or when the caller is cancelled.

    For clean-up: ``asyncio.timeout`` in a task that was cancelled before gives ``CancelledError`` instead of
    ``TimeoutError`` on Python up to 3.11.3, which Debian 12 has.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if task.done():
            task.result()
            return True
        return False
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=1.0)
