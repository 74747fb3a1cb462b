"""Follows which windows must not be seen, and looks once more around every grab.

The loop is told by events. The capture thread asks by itself before and after each grab, so that a frame is right even
when an event is late.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

from hudd.clock import Clock
from hudd.config.settings import PrivacySettings
from hudd.errors import CaptureError, HuddError, NoDisplayError, WithheldError
from hudd.flow.damage import DamageReader
from hudd.flow.waiting import wait_for_any
from hudd.model import Shot, Source
from hudd.policy.facts import FACTS_CHANGED, Facts, Reason
from hudd.policy.knowledge import Knowledge, SourceState
from hudd.policy.windows import Finding, WindowRules, hidden_rects, place_of_focus, reasons_of
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
UNPLACED: Final = (
    "Where the picture lies on the desktop is not known (a program prints it, or the portal's screenshots): no window "
    "can be masked or kept alone."
)
_NOT_MASKED: Final[dict[Reason, str]] = {
    "excluded": "A window that [privacy] excludes is open, and where it is on the picture is not known, so that it "
    "cannot be masked; close or minimize it.",
    "private_window": "A private browsing window is open, and where it is on the picture is not known, so that it "
    "cannot be masked; close or minimize it.",
}


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


_Read = Literal[SourceState, "no_display"]
_State = Literal[_Read, "unread"]


@dataclass(frozen=True, slots=True)
class _View:
    """What the windows allow at one moment.

    Attributes:
        hidden: Is painted over.
        only: Is kept alone.
        over: Lies over what is kept, and is painted over, too.
    """

    hidden: tuple[Rect, ...] = ()
    only: Rect | None = None
    over: tuple[Rect, ...] = ()


@dataclass(frozen=True, slots=True)
class _Judged:
    """What windows mean by the rules.

    Attributes:
        findings: Those that must not be seen.
        focus: The place of the focused one and what lies over it, or why that cannot be told.
    """

    rules: WindowRules
    windows: tuple[Window, ...]
    placed: bool
    findings: tuple[Finding, ...]
    focus: tuple[Rect, tuple[Rect, ...]] | str


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
        self._judged: _Judged | None = None
        self._placed = True
        self._gone_at: dict[Reason, float] = {}
        self._recent: dict[Rect, float] = {}
        self._recent_lock = threading.Lock()
        self._wake = asyncio.Event()
        self._reader = DamageReader(self._wake.set)
        self._reopen = False
        self._outdated = False
        self._was_read = asyncio.Event()

    def change(self, settings: PrivacySettings, *, reopen: bool = False) -> None:
        """Judge by other settings from now on; where another screen is looked at, its windows are asked for."""
        self._settings, self._rules = settings, WindowRules(settings)
        self._reopen = self._reopen or reopen
        self._placed = self._placed or reopen
        self._facts.touch()
        self._read_again()

    async def settled(self) -> None:
        """Wait until the windows were read, or could not be, since the last change. Cancelling is safe."""
        await self._was_read.wait()

    def _read_again(self) -> None:
        self._state = "unread"
        self._was_read.clear()
        self._outdated = True
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
        self._outdated = False
        if self._reopen or self._state in _SILENT:
            self._reopen = False
            self._drop()
        if not (self._rules.any or self._settings.strict):
            self._drop()
            self._tell("not_available", NOTHING_TO_ASK)
            self._apply(None)
            return
        try:
            told = await self._ask()
        except CaptureError as error:
            told = error
        if self._outdated:
            return  # by a change meanwhile: it is asked once more, for which `_wake` is set
        if isinstance(told, CaptureError):
            self._trouble(told)
        elif isinstance(told, str):
            self._tell("not_available", told)
            self._apply(None)
        else:
            teller, found = told
            limits = " ".join(one for one in (teller.limits, "" if self._placed else UNPLACED) if one)
            self._tell("partly" if limits else "known", limits)
            if found is not None:
                self._apply(found)
            self._reader.read(teller.fileno())

    async def _ask(self) -> tuple[WindowTeller, _Judged | None] | str:
        """The teller and what it tells, or why nobody does.

        Raises:
            CaptureError: It fails.
        """
        loop = asyncio.get_running_loop()
        if self._teller is None:
            opened = await loop.run_in_executor(self._thread, self._open_teller)
            if isinstance(opened, str):
                return opened
            self._teller = opened
        return self._teller, await loop.run_in_executor(self._thread, self._read, self._teller)

    def _trouble(self, error: CaptureError) -> None:
        self._drop()
        if isinstance(error, NoDisplayError):
            # Nothing can be seen either. Should the eyes be faster when it is back, `_view` holds them.
            self._tell("no_display", error.message)
            return
        if self._state != "failing":
            log.warning("the windows are not told: %s", error)
        self._tell("failing", f"The windows are not told ({error.message}).")

    def _read(self, teller: WindowTeller) -> _Judged | None:
        """In the thread: what was told, and the windows as they are after that; None when nothing changed."""
        if not teller.take_changed() and self._state in ("known", "partly"):
            return None
        return self._judge(self._rules, teller.windows())

    def _judge(self, rules: WindowRules, windows: tuple[Window, ...]) -> _Judged:
        """Judge; the same windows, which a teller tells as long as nothing changed, are judged once. Any thread."""
        judged, placed = self._judged, self._placed
        if judged is None or (judged.rules, judged.placed) != (rules, placed) or judged.windows is not windows:
            shown = windows if placed else [replace(window, rect=None) for window in windows]
            judged = self._judged = _Judged(rules, windows, placed, rules.judge(shown), place_of_focus(shown))
        return judged

    def _drop(self) -> None:
        self._reader.stop()
        teller, self._teller = self._teller, None
        if teller is not None:
            teller.close()

    def _tell(self, state: _Read, sentence: str) -> None:
        silent_before, self._state = self._state in _SILENT, state
        self._was_read.set()
        self._knowledge.tell(SOURCE, "not_available" if state == "no_display" else state, sentence)
        if silent_before and state not in _SILENT:
            self._facts.touch()  # what was held back may be looked at

    def _apply(self, judged: _Judged | None) -> None:
        """Set the facts by what the windows mean; by None when nobody tells them."""
        mask, hides = self._settings.on_excluded == "mask", self._teller is not None and self._teller.hides
        before = self._findings
        self._lingering(hidden_rects(before))  # also where nothing was grabbed since they were seen first
        self._findings = () if judged is None else judged.findings
        self._knowledge.lack(SOURCE, judged.focus if hides and judged and isinstance(judged.focus, str) else "")
        now, held = self._clock.monotonic(), reasons_of(self._findings, mask=mask)
        for reason in WINDOW_REASONS:
            if reason in held:
                self._gone_at.pop(reason, None)
                self._facts.set(reason, True, _NOT_MASKED.get(reason, "") if mask else "")
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
        if shot.placed != self._placed:
            self._placed = shot.placed
            if self._teller is not None:  # where nobody tells, there is nothing to judge anew
                self._loop.call_soon_threadsafe(self._read_again)
        after = self._view()
        if before != after:
            raise WithheldError((FACTS_CHANGED,))
        if after.only is not None:
            shot = keep_only(shot, after.only, over=after.over)
        return paint_over(shot, after.hidden)

    def _view(self) -> _View:
        settings, rules, teller = self._settings, self._rules, self._teller
        if not (rules.any or settings.strict):
            return _View()
        if teller is None or self._reopen:
            if self._reopen or self._state in _SILENT or self._state == "unread":
                self._loop.call_soon_threadsafe(self._wake.set)
                raise WithheldError(("facts_unknown",))
            return _View()  # who does not tell at all is the facts' business
        try:
            windows = teller.windows()
        except HuddError as error:
            raise WithheldError(("facts_unknown",)) from error
        judged = self._judge(rules, windows)
        reasons = reasons_of(judged.findings, mask=settings.on_excluded == "mask")
        if reasons:
            raise WithheldError(tuple(sorted(reasons)))
        hidden = self._lingering((*hidden_rects(judged.findings), *hidden_rects(self._findings)))
        if not (settings.strict and teller.hides):
            return _View(hidden)
        if isinstance(judged.focus, str):
            raise WithheldError(("not_strict_enough",))
        return _View(hidden, *judged.focus)

    def _lingering(self, rects: tuple[Rect, ...]) -> tuple[Rect, ...]:
        """With those that were hidden a moment ago, because a closed window may still fade out. Any thread."""
        with self._recent_lock:
            now = self._clock.monotonic()
            self._recent = {rect: at for rect, at in self._recent.items() if now - at < LINGER_S}
            self._recent.update(dict.fromkeys(rects, now))
            return tuple(sorted(self._recent))
