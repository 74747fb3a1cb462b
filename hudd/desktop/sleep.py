"""Hears from logind that the machine woke: ``PrepareForSleep(false)`` on the system's bus (org.freedesktop.login1(5)).

The kernel tells the same by its clock (``service.wakes``); this comes where the clock was not set by the resume. Told
twice, a wake is one. A bus that is not there yet, as at boot, is looked for again for some minutes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol

from hudd.clock import Clock
from hudd.desktop.bus import Body, BusError, SignalHandler

log = logging.getLogger("hudd.desktop")

NAME: Final = "org.freedesktop.login1"
PATH: Final = "/org/freedesktop/login1"
INTERFACE: Final = "org.freedesktop.login1.Manager"
RETRIES_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 0.0)
"""Seconds after each try; none after the last, because a machine without a bus is to be left in peace."""


class SignalBus(Protocol):
    """What is needed of the system's bus."""

    async def on_signal(
        self, handler: SignalHandler, *, interface: str, member: str, path: str = "", sender: str = ""
    ) -> Callable[[], None]: ...


async def follow_sleep(bus: SignalBus, woke: Callable[[], object], *, clock: Clock) -> None:
    """Call ``woke`` after each sleep; returns once logind was asked for it, or is not there. Cancelling is safe.

    Args:
        bus: The system's.
        woke: Called on the event loop.
        clock: For the pauses between two tries.
    """

    def heard(_: str, body: Body) -> None:
        if body and body[0] is False:  # true is said before the sleep
            woke()

    for delay_s in RETRIES_S:
        try:
            await bus.on_signal(heard, interface=INTERFACE, member="PrepareForSleep", path=PATH, sender=NAME)
        except BusError as error:
            log.debug("no word of logind after a sleep: %s", error)
            if error.hint or not delay_s:  # a hint: the library is missing
                return
        else:
            return
        await clock.sleep(delay_s)
