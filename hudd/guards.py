"""Everything that watches over privacy, hung together. Composition, like ``house``."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from hudd.clock import Clock, ends_within
from hudd.config.settings import Settings
from hudd.desktop.bus import Bus
from hudd.desktop.mac_session import MacSession
from hudd.desktop.screensaver import TELLER as BUS_SAVERS
from hudd.desktop.screensaver import ScreenSavers
from hudd.desktop.session import LoginSession
from hudd.flow.facts_saver import TELLER as X11_SAVER
from hudd.flow.facts_saver import SaverFacts
from hudd.flow.facts_windows import WindowFacts
from hudd.model import Shot, Source
from hudd.policy.facts import Facts
from hudd.policy.knowledge import AnyOf, AnyTells, Knowledge
from hudd.policy.windows import WindowRules
from hudd.screen.source import Screen
from hudd.screen.tellers import HIDDEN, MACOS, NO_DISPLAY, NO_XCFFIB, XWAYLAND, open_teller
from hudd.screen.x11_saver import open_saver

log = logging.getLogger("hudd")

OVERLOOKED: Final = (
    "[privacy] excludes windows, and {who} which are open, so they are not noticed; pause hudd while they are open "
    "(`hudctl pause`), {instead}, or set [privacy] strict = true to send nothing."
)
_HIDES: Final = ("this desktop does not tell", "use X11 or sway")
_UNTOLD: Final[Mapping[str, tuple[str, str]]] = {
    HIDDEN: _HIDES,
    MACOS: _HIDES,
    XWAYLAND: _HIDES,
    NO_XCFFIB: ("hudd cannot ask this desktop", "install the Python package xcffib again"),
    NO_DISPLAY: ("no desktop tells hudd", "start hudd inside the session whose windows are seen"),
}
"""Why windows are not told → who does not tell, and what would help."""
BEGIN_S: Final = 3.0
"""What did not answer within this time at the start counts as failing, and is asked on."""
SETTLE_S: Final = 3.0
"""So long a reload waits for what it made hudd ask anew."""


class Guards:
    """The sources of facts. Made inside a running event loop.

    Args:
        settings: All of them.
        environ: Where the session, its bus and its display are.
        facts: Told.
        session_bus: The session's bus.
        system_bus: The system's bus.
        clock: Time.
        on_state: Called when a source tells better or worse than before.
        platform: ``sys.platform``.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        environ: Mapping[str, str],
        facts: Facts,
        session_bus: Bus,
        system_bus: Bus,
        clock: Clock,
        on_state: Callable[[], None],
        platform: str = sys.platform,
    ) -> None:
        self.settings = settings.privacy
        self._source = settings.screen.source
        self._on_state = on_state
        self._warned = ""
        self.knowledge = Knowledge(facts, self._changed)
        self.knowledge.strict = settings.privacy.strict
        saved, self._savers = AnyOf(facts, "screensaver"), AnyTells(self.knowledge, "screensaver")
        self._saver = SaverFacts(
            open_saver=lambda idle_s: open_saver(self._source, environ, idle_s),
            idle_s=settings.privacy.idle_s,
            saved=saved,
            away=AnyOf(facts, "away"),
            savers=self._savers,
            knowledge=self.knowledge,
            clock=clock,
        )
        self.windows = WindowFacts(
            open_teller=lambda: open_teller(self._source, environ),
            settings=settings.privacy,
            facts=facts,
            knowledge=self.knowledge,
            clock=clock,
        )
        self._mac = MacSession(facts, self.knowledge, clock=clock) if platform == "darwin" else None
        self._session = self._mac or LoginSession(
            system_bus, facts, self.knowledge, clock=clock, environ=environ, on_idle=self._saver.idle_hint
        )
        self._screensavers = ScreenSavers(session_bus, saved, self._savers, clock=clock)

    def change(self, settings: Settings) -> None:
        """Other settings hold from now on."""
        reopen, self._source = settings.screen.source != self._source, settings.screen.source
        if settings.privacy == self.settings and not reopen:
            return
        self.settings = settings.privacy
        self.knowledge.strict = settings.privacy.strict
        self._changed()
        self._saver.change(settings.privacy.idle_s)
        self.windows.change(settings.privacy, reopen=reopen)

    async def settled(self) -> None:
        """Wait until the windows are known anew after a change; who does not answer in time is asked on."""
        await ends_within(self.windows.settled(), SETTLE_S)

    @property
    def overlooked(self) -> str:
        """One sentence where the person excluded windows that nobody tells of; '' where there is nothing to say."""
        known = self.knowledge.of("windows")
        if known is None or self.settings.strict or not WindowRules(self.settings).named:
            return ""
        for sentence, (who, instead) in _UNTOLD.items():
            # Without a display only a program can still show something.
            if sentence in known.sentence and (sentence != NO_DISPLAY or self._source.startswith("command:")):
                return OVERLOOKED.format(who=who, instead=instead)
        return ""

    def _changed(self) -> None:
        overlooked = self.overlooked
        if overlooked and not self._warned:
            log.warning("%s", overlooked)
        self._warned = overlooked
        self._on_state()

    def grab(self, screen: Screen, source: Source, *, epoch: int, captured_at: float) -> Shot:
        """Take a frame, with what must not be seen painted over. Blocks; for the capture thread.

        Raises:
            WithheldError: Something that can only be asked for, and does not tell by itself, forbids it now.
            CaptureError: The frame could not be taken.
        """
        if self._mac is not None:
            self._mac.check()
        shot = self.windows.grab(screen, source, epoch=epoch, captured_at=captured_at)
        if self._mac is not None:
            self._mac.check()
        return shot

    async def begin(self) -> None:
        """Read everything once, before anything may be asked of hudd."""
        sources = {
            "lock": self._session.begin(),
            BUS_SAVERS: self._screensavers.begin(),
            X11_SAVER: self._saver.begin(),
            "windows": self.windows.begin(),
        }
        tasks = {asyncio.create_task(work, name=name) for name, work in sources.items()}
        done, late = await asyncio.wait(tasks, timeout=BEGIN_S)
        for task in late:
            task.cancel()
            name = task.get_name()
            of = "screensaver" if name in (BUS_SAVERS, X11_SAVER) else name
            sentence = f"What tells of the {of} did not answer within {BEGIN_S:g} s."
            if of == "screensaver":
                self._savers.tell(name, "failing", sentence)
            else:
                self.knowledge.tell(of, "failing", sentence)
        if late:
            await asyncio.wait(late)
        for task in done:
            task.result()

    async def run(self) -> None:
        """Follow everything until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._session.run())
            tasks.create_task(self._screensavers.run())
            tasks.create_task(self._saver.run())
            tasks.create_task(self.windows.run())

    def status(self) -> Mapping[str, Any]:
        """``privacy`` of the status."""
        return self.knowledge.status()
