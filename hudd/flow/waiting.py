"""Waiting for whichever comes first, with an injected clock."""

from __future__ import annotations

import asyncio

from hudd.clock import Clock


async def wait_for_any(clock: Clock, seconds: float | None, *events: asyncio.Event) -> bool:
    """Wait until one of the events is set or the time is over.

    Args:
        clock: Measures the time.
        seconds: How long at most; None for ever, so that nothing wakes up without cause.
        events: Which; none is cleared.

    Returns:
        True when an event is set, False when the time is over. Cancelling leaves nothing behind.
    """
    if any(event.is_set() for event in events):
        return True
    if seconds is not None and seconds <= 0:
        return False
    if seconds is None and len(events) == 1:
        return await events[0].wait()
    waits: list[asyncio.Task[object]] = [asyncio.create_task(event.wait()) for event in events]
    if seconds is not None:
        waits.append(asyncio.create_task(clock.sleep(seconds)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    return any(event.is_set() for event in events)


async def wait_and_clear(clock: Clock, seconds: float | None, *events: asyncio.Event) -> None:
    """Wait as ``wait_for_any`` does, then clear the events: whoever waits looks at the facts behind all of them."""
    await wait_for_any(clock, seconds, *events)
    for event in events:
        event.clear()
