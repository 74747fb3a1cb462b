"""Follows the X server's own screensaver, and whether the person has been away for too long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from hudd.clock import Clock
from hudd.errors import CaptureError
from hudd.flow.damage import DamageReader
from hudd.flow.waiting import wait_for_any
from hudd.policy.knowledge import AnyOf, AnyTells, Knowledge

log = logging.getLogger("hudd.screen")

IDLE: Final = "idle"
TELLER: Final = "x11"
ONLY_X11: Final = "Only the X server's own screensaver is heard; no desktop's is on the session's bus."
NO_IDLE: Final = (
    "How long nobody used keyboard and mouse is not known here; only the desktop's own word for idle counts."
)
REOPEN_S: Final = 5.0


class Saver(Protocol):
    """A display that tells (``screen.x11_saver``)."""

    @property
    def saves(self) -> bool: ...
    @property
    def tells_idle(self) -> bool: ...
    def fileno(self) -> int: ...
    def read(self) -> tuple[bool, bool]: ...
    def close(self) -> None: ...


class SaverFacts:
    """Turns a display's screensaver and idle time into facts.

    A display that is gone shows nothing that could leave, so its silence withholds nothing; it is looked for again.

    Args:
        open_saver: Opens the display for so many idle seconds, or says why not; blocks.
        idle_s: After so long the person is away; 0 means never.
        saved: Told whether the screensaver runs.
        away: Told whether the person is away.
        savers: Told, as ``x11``, whether the display tells of its screensaver.
        knowledge: Told whether idle time is known.
        clock: Time.
    """

    def __init__(
        self,
        *,
        open_saver: Callable[[float], Saver | str],
        idle_s: float,
        saved: AnyOf,
        away: AnyOf,
        savers: AnyTells,
        knowledge: Knowledge,
        clock: Clock,
    ) -> None:
        self._open_saver = open_saver
        self._idle_s = idle_s
        self._saved = saved
        self._away = away
        self._savers = savers
        self._knowledge = knowledge
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hudd-saver")
        self._saver: Saver | None = None
        self._gone = False
        self._idle_hint = False
        self._wake = asyncio.Event()
        self._reader = DamageReader(self._wake.set)

    def change(self, idle_s: float) -> None:
        """Another time after which the person is away."""
        if idle_s != self._idle_s:
            self._idle_s = idle_s
            self._drop()
            self.idle_hint(self._idle_hint)
            self._wake.set()

    def idle_hint(self, idle: bool) -> None:  # noqa: FBT001 - a listener of one word
        """What the desktop itself says; it counts where idle time counts at all."""
        self._idle_hint = idle
        self._away.set("desktop", held=idle and self._idle_s > 0)

    async def begin(self) -> None:
        """Open the display and read once."""
        await self._look()

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            while True:
                await wait_for_any(self._clock, REOPEN_S if self._gone else None, self._wake)
                self._wake.clear()
                await self._look()
        finally:
            self._drop()
            self._thread.shutdown(wait=False)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            if self._saver is None:
                opened = await loop.run_in_executor(self._thread, self._open_saver, self._idle_s)
                self._saver = None if isinstance(opened, str) else opened
            saver = self._saver
            saved, away = (False, False) if saver is None else await loop.run_in_executor(self._thread, saver.read)
        except CaptureError as error:
            log.debug("%s", error)
            self._drop()
            self._gone, saved, away = True, False, False
        else:
            self._gone = False
        self._saved.set(TELLER, held=saved)
        self._away.set(TELLER, held=away)
        if self._saver is not None and self._saver.saves:
            self._savers.tell(TELLER, "partly", ONLY_X11)
        else:
            self._savers.tell(TELLER, "not_available")
        if self._idle_s == 0:
            self._knowledge.drop(IDLE)
        elif self._saver is not None and self._saver.tells_idle:
            self._knowledge.tell(IDLE, "known")
        else:
            self._knowledge.tell(IDLE, "not_available", NO_IDLE)
        if self._saver is not None:
            self._reader.read(self._saver.fileno())

    def _drop(self) -> None:
        self._reader.stop()
        saver, self._saver = self._saver, None
        if saver is not None:
            saver.close()
