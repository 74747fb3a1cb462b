"""Follows which windows must not be seen, and looks once more around every grab.

The loop is told by events. The capture thread asks by itself before and after each grab, so that a frame is right even
when an event is late.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from hudd.clock import Clock
from hudd.config.settings import PrivacySettings
from hudd.errors import CaptureError, HuddError, NoDisplayError, WithheldError
from hudd.flow.damage import DamageReader
from hudd.flow.waiting import wait_for_any
from hudd.model import Shot, Source
from hudd.policy.facts import FACTS_CHANGED, Facts, Reason
from hudd.policy.knowledge import Knowledge, SourceState
from hudd.policy.windows import Finding, WindowRules, hidden_rects, reasons_of
from hudd.screen.mask import keep_only, paint_over
from hudd.screen.source import Rect, Screen, Window

log = logging.getLogger("hudd.screen")

SOURCE: Final = "windows"
WINDOW_REASONS: Final[tuple[Reason, ...]] = ("excluded", "private_window", "sharing")
LINGER_S: Final = 0.5
"""A closed window may still fade out: it counts as there for so long."""
_SILENT: Final = ("failing", "no_display")
RETRY_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
NOTHING_TO_ASK: Final = "No setting of [privacy] needs to know the windows."


class WindowTeller(Protocol):
    """Tells windows (``screen.tellers``)."""

    @property
    def limits(self) -> str: ...
    @property
    def hides(self) -> bool: ...
    def fileno(self) -> int: ...
    def take_changed(self) -> bool: ...
    def windows(self) -> tuple[Window, ...]: ...
    def close(self) -> None: ...


_State = Literal[SourceState, "unread", "no_display"]


@dataclass(frozen=True, slots=True)
class _View:
    """What the windows allow at one moment."""

    hidden: tuple[Rect, ...] = ()
    only: Rect | None = None


class WindowFacts:
    """Turns windows into facts, and veils frames.

    Args:
        open_teller: Opens whoever tells windows, or says in a sentence why nobody does; blocks.
        settings: The patterns, and what happens to a window that they name.
        facts: Told.
        knowledge: Told how well windows are known.
        clock: Time.
    """

    def __init__(
        self,
        *,
        open_teller: Callable[[], WindowTeller | str],
        settings: PrivacySettings,
        facts: Facts,
        knowledge: Knowledge,
        clock: Clock,
    ) -> None:
        self._open_teller = open_teller
        self._settings = settings
        self._rules = WindowRules(settings)
        self._facts = facts
        self._knowledge = knowledge
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hudd-windows")
        self._teller: WindowTeller | None = None
        self._state: _State = "unread"
        self._findings: tuple[Finding, ...] = ()
        self._judged: tuple[WindowRules, tuple[Window, ...], tuple[Finding, ...]] | None = None
        self._gone_at: dict[Reason, float] = {}
        self._recent: dict[Rect, float] = {}
        self._wake = asyncio.Event()
        self._reader = DamageReader(self._wake.set)
        self._reopen = False

    def change(self, settings: PrivacySettings, *, reopen: bool = False) -> None:
        """Judge by other settings from now on; where another screen is looked at, its windows are asked for."""
        self._settings, self._rules = settings, WindowRules(settings)
        self._reopen = self._reopen or reopen
        self._facts.touch()
        self._state = "unread"
        self._wake.set()

    async def begin(self) -> None:
        """Open the teller and judge once. What fails withholds until it does not."""
        await self._look()

    async def run(self) -> None:
        """Follow until cancelled."""
        tries = 0
        try:
            while True:
                wait_s = self._linger()
                if self._state in _SILENT or self._state == "unread":
                    wait_s = RETRY_S[min(tries, len(RETRY_S) - 1)]
                    tries += 1
                else:
                    tries = 0
                await wait_for_any(self._clock, wait_s, self._wake)
                self._wake.clear()
                await self._look()
        finally:
            self._reader.stop()
            if self._teller is not None:
                self._teller.close()
            self._thread.shutdown(wait=False)

    async def _look(self) -> None:
        if self._reopen or self._state in _SILENT:
            self._reopen = False
            self._drop()
        if not (self._rules.any or self._settings.strict):
            self._drop()
            self._tell("not_available", NOTHING_TO_ASK)
            self._apply(())
            return
        loop = asyncio.get_running_loop()
        try:
            if self._teller is None:
                opened = await loop.run_in_executor(self._thread, self._open_teller)
                if isinstance(opened, str):
                    self._tell("not_available", opened)
                    self._apply(())
                    return
                self._teller = opened
            found = await loop.run_in_executor(self._thread, self._read, self._teller)
        except NoDisplayError as error:
            # Nothing can be seen either. Should the eyes be faster when it is back, `_view` holds them.
            self._drop()
            self._tell("no_display", error.message)
            return
        except CaptureError as error:
            if self._state != "failing":
                log.warning("the windows are not told: %s", error)
            self._drop()
            self._tell("failing", f"The windows are not told ({error.message}).")
            return
        self._tell("partly" if self._teller.limits else "known", self._teller.limits)
        if found is not None:
            self._apply(found)
        self._reader.read(self._teller.fileno())

    def _read(self, teller: WindowTeller) -> tuple[Finding, ...] | None:
        """In the thread: what was told, and the windows as they are after that; None when nothing changed."""
        if not teller.take_changed() and self._state in ("known", "partly"):
            return None
        return self._judge(self._rules, teller.windows())

    def _judge(self, rules: WindowRules, windows: tuple[Window, ...]) -> tuple[Finding, ...]:
        """Judge; the same windows, which a teller tells as long as nothing changed, are judged once. Any thread."""
        judged = self._judged
        if judged is None or judged[0] is not rules or judged[1] is not windows:
            judged = self._judged = (rules, windows, rules.judge(windows))
        return judged[2]

    def _drop(self) -> None:
        self._reader.stop()
        teller, self._teller = self._teller, None
        if teller is not None:
            teller.close()

    def _tell(self, state: _State, sentence: str) -> None:
        silent_before, self._state = self._state in _SILENT, state
        if state != "unread":
            self._knowledge.tell(SOURCE, "not_available" if state == "no_display" else state, sentence)
        if silent_before and state not in _SILENT:
            self._facts.touch()  # what was held back may be looked at

    def _apply(self, findings: Sequence[Finding]) -> None:
        mask = self._settings.on_excluded == "mask"
        before, self._findings = self._findings, tuple(findings)
        now, held = self._clock.monotonic(), reasons_of(findings, mask=mask)
        for reason in WINDOW_REASONS:
            if reason in held:
                self._gone_at.pop(reason, None)
                self._facts.set(reason, True)
            elif reason in self._facts.reasons:
                self._gone_at.setdefault(reason, now)
        if mask and before != self._findings:
            self._facts.touch()

    def _linger(self) -> float | None:
        """End reasons whose windows went long enough ago; the seconds until the next one, or None."""
        now = self._clock.monotonic()
        for reason, gone_at in list(self._gone_at.items()):
            if now - gone_at >= LINGER_S:
                del self._gone_at[reason]
                self._facts.set(reason, False)
        return min((gone_at + LINGER_S - now for gone_at in self._gone_at.values()), default=None)

    # In the capture thread

    def grab(self, screen: Screen, source: Source, *, epoch: int, captured_at: float) -> Shot:
        """Take a frame with the windows that must not be seen painted over. Blocks.

        Raises:
            WithheldError: Such a window is open, or the windows changed meanwhile, or could not be read.
            CaptureError: The frame could not be taken.
        """
        before = self._view()
        shot = screen.grab(source, epoch=epoch, captured_at=captured_at)
        after = self._view()
        if before != after:
            raise WithheldError((FACTS_CHANGED,))
        if after.only is not None:
            shot = keep_only(shot, after.only)
        return paint_over(shot, after.hidden)

    def _view(self) -> _View:
        settings, rules, teller = self._settings, self._rules, self._teller
        if not (rules.any or settings.strict):
            return _View()
        if teller is None:
            if self._state in _SILENT or self._state == "unread":
                self._loop.call_soon_threadsafe(self._wake.set)
                raise WithheldError(("facts_unknown",))
            return _View()  # who does not tell at all is the facts' business
        try:
            windows = teller.windows()
        except HuddError as error:
            raise WithheldError(("facts_unknown",)) from error
        findings = self._judge(rules, windows)
        reasons = reasons_of(findings, mask=settings.on_excluded == "mask")
        if reasons:
            raise WithheldError(tuple(sorted(reasons)))
        only: Rect | None = None
        if settings.strict and teller.hides:
            only = next((window.rect for window in windows if window.focused), None)
            if only is None:
                raise WithheldError(("not_strict_enough",))
        return _View(self._lingering(hidden_rects(findings)), only)

    def _lingering(self, rects: tuple[Rect, ...]) -> tuple[Rect, ...]:
        """With those that were hidden a moment ago, because a closed window may still fade out."""
        now = self._clock.monotonic()
        self._recent = {rect: at for rect, at in self._recent.items() if now - at < LINGER_S}
        self._recent.update(dict.fromkeys(rects, now))
        return tuple(sorted(self._recent))
