"""The loop of the eyes: look, compare, ask the gate, encode, put into the mailbox.

With damage events nothing is polled: a still screen costs nothing. Without them the interval grows on a still screen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from hudd.clock import Clock
from hudd.config.settings import ScreenSettings
from hudd.errors import CaptureError, HuddError, NoDisplayError, PictureError, WithheldError
from hudd.flow.counters import Counters
from hudd.flow.damage import DamageReader
from hudd.flow.demand import UNWATCHED, Demand
from hudd.flow.eyes import Eyes
from hudd.flow.grabs import Grab, Grabs
from hudd.flow.mailbox import Mailbox
from hudd.flow.printers import Printers
from hudd.flow.status import CaptureFacts, SourceFacts
from hudd.flow.waiting import wait_for_any
from hudd.flow.watcher import Look
from hudd.model import Picture, Question, Source, Target, Trigger
from hudd.policy.facts import FACTS_CHANGED, Facts
from hudd.screen.source import Rect

log = logging.getLogger("hudd.screen")

REOPEN_S: Final = (1.0, 2.0, 5.0, 5.0, 10.0)
"""Waits between tries to open a display that is not there; the last one repeats."""
PACE: Final = ("interval_s", "max_interval_s", "only_when_watched")
"""Settings of the screen that another screen need not be opened for."""
GROWTH: Final = 1.3  # a polled interval grows by so much per look at a still screen
BURST_S: Final = 0.05  # changes come in bursts: the first one after a still time is looked at so much later


class Capture:
    """Watches all sources.

    Args:
        eyes: The capture thread.
        settings: Intervals.
        facts: Why nothing may be looked at now.
        mailbox: Where questions go.
        counters: Filled.
        demand: What somebody wants to hear of.
        new_id: Makes an id for a question.
        alive: Whether a process still runs.
        on_state: Called when the state of the eyes changes.
        on_trouble: Called with each new error that keeps the eyes, or one of the sources, shut; it logs.
        clock: Time.
    """

    def __init__(
        self,
        *,
        eyes: Eyes,
        settings: ScreenSettings,
        facts: Facts,
        mailbox: Mailbox,
        counters: Counters,
        demand: Demand,
        new_id: Callable[[], str],
        alive: Callable[[int], bool],
        on_state: Callable[[], None],
        on_trouble: Callable[[HuddError], None],
        clock: Clock,
    ) -> None:
        self._eyes = eyes
        self._settings = settings
        self._facts = facts
        self._mailbox = mailbox
        self._counters = counters
        self._demand = demand
        self._new_id = new_id
        self._printers = Printers(alive)
        self._on_state = on_state
        self._on_trouble = on_trouble
        self._clock = clock
        self._wake = asyncio.Event()
        self._dirty_at: float | None = None
        self._grabs = Grabs()
        self._state = CaptureFacts(state="starting")
        self._tries = 0
        self._told: CaptureFacts | None = None
        self._tried = asyncio.Event()
        self._ailing: dict[str, str] = {}
        self._last_frame_at: float | None = None
        self._looked_at = float("-inf")
        self._damage = DamageReader(self._soil)
        self._reopen = asyncio.Event()
        self._renewed = False
        self._wanted: frozenset[str] = frozenset()
        facts.on_change(self._facts_changed)

    def facts(self) -> CaptureFacts:
        """How the eyes are, for the status."""
        state, sentence = self._state.state, self._state.sentence
        if state == "watching" and not any(self._demand.wants(w.source) for w in self._eyes.watchers):
            state, sentence = "unwatched", UNWATCHED
        missing = self._eyes.missing(self._settings.monitors)
        return replace(
            self._state,
            state=state,
            sentence=sentence,
            degraded=" ".join(part for part in (self._state.degraded, missing) if part),
            sources=tuple(SourceFacts(w.source, w.reason, w.looked_at, w.whole_only) for w in self._eyes.watchers),
            last_frame_at=self._last_frame_at,
        )

    def published(self, key: str) -> None:
        """Words went out: the gates must not take them for news when they appear on the screen."""
        for watcher in self._eyes.watchers:
            watcher.published(key, self._clock.monotonic())

    def watch_client(self, pid: int, window: int) -> None:
        """A process prints notes into an X11 window: changes inside it are ignored while the process lives."""
        self._printers.add(pid, window)

    def demand_changed(self) -> None:
        """Somebody began or ceased to listen. What is wanted anew is looked at at once."""
        if not self._demand.only_when_watched:
            return
        wanted = frozenset(w.source.name for w in self._eyes.watchers if self._demand.wants(w.source))
        before, self._wanted = self._wanted, wanted
        if wanted - before:
            self._looked_at = float("-inf")
            self._soil()
            self._wake.set()
        if wanted != before:
            self._on_state()

    def change(self, settings: ScreenSettings) -> None:
        """Other settings, also of the gate: look at once; where another screen is meant, open it first."""
        pace = {name: getattr(settings, name) for name in PACE}
        if replace(self._settings, **pace) != settings:
            self._reopen.set()
        self._settings = settings
        self._demand.only_when_watched = settings.only_when_watched
        self.demand_changed()
        self._renewed = True
        self._wake.set()

    def unsent(self, question: Question) -> None:
        """A question did not leave the machine: what it shows is still news, and is looked at again a little later."""
        hashes = {picture.source.name: picture.hash for picture in question.pictures}
        for watcher in self._eyes.watchers:
            if watcher.source.name in hashes:
                watcher.unsent(hashes[watcher.source.name], self._clock.monotonic())
        self._soil()

    def _facts_changed(self) -> None:
        """Pictures of an older epoch may not be sent any more, whatever comes."""
        for question in self._mailbox.drop_automatic():
            self._counters.withheld += 1
            self.unsent(question)
        self._soil()
        self._wake.set()

    # Asked for by a person

    async def snap(self, monitor: str | Target | None, snap_id: str, begun: Callable[[], object] = bool) -> Question:
        """Grab and encode now, whatever the gate thinks.

        Two snaps of one source before its grab share one question: the second gets the first one's, whose id differs.
        Cancelling drops a grab that has not begun, unless others wait for it.

        Args:
            monitor: Name of a source, or a region or window; None for the first.
            snap_id: Becomes the question's id.
            begun: Called, in the capture thread, when the picture is about to be taken.

        Raises:
            NoDisplayError: There is no display now.
            CaptureError: There is no such source, or the grab failed.
            WithheldError: Something forbids it, or facts changed during each of several grabs.
        """
        await self._tried.wait()  # right after the start the screen is just being opened
        if not self._eyes.is_open and self._state.sentence:
            raise NoDisplayError(self._state.sentence)
        opened = self._eyes.opened
        source = await self._eyes.find(monitor)
        if self._eyes.take_damage():
            self._soil()  # to find the source, events were read that the loop waits for
        try:
            place = f"{source.name} {source.rect}"
            return await self._grabs.share(place, snap_id, lambda grab: self._take(source, grab), begun)
        except CaptureError:
            if self._eyes.opened == opened:
                raise
        return await self.snap(monitor, snap_id, begun)  # another screen was opened meanwhile

    async def retake(self, question: Question) -> Question:
        """The same question with fresh pictures of its sources, for a snap whose answer was lost on the way.

        Raises:
            CaptureError: A source is gone, or the grab failed.
            WithheldError: A fact forbids it now.
        """
        if reasons := self._facts.withheld():
            raise WithheldError(reasons)
        # Parts of the picture are chosen anew.
        return replace(question, pictures=(await self.snap(Target.of(question.source), question.id)).pictures)

    async def _take(self, source: Source, grab: Grab) -> Question:
        look = await self._grab(source, (), grab)
        pictures = await self._eyes.encode(look, automatic=False)
        self._check(look.shot.epoch, automatic=False)
        self._eyes.watcher(source).sent(look, self._clock.monotonic())
        return self._question(grab.question_id, "manual", pictures)

    async def _grab(self, source: Source, ignored: tuple[Rect, ...], grab: Grab | None = None) -> Look:
        """Look at a source, unless something forbids it or a fact changes before the grab is over."""
        automatic, epoch = grab is None, self._facts.epoch
        if reasons := self._facts.withheld(automatic=automatic):
            raise WithheldError(reasons)

        def begin() -> None:
            if self._facts.epoch != epoch:  # it waited its turn in the capture thread
                raise WithheldError((FACTS_CHANGED,))
            if grab is not None:
                grab.begin()

        try:
            look = await self._eyes.look(source, epoch=epoch, ignored=ignored, before_grab=begin)
        except WithheldError as error:
            raise WithheldError(self._facts.withheld(epoch, automatic=automatic) or error.reasons) from error
        self._counters.frames += 1
        self._last_frame_at = self._clock.monotonic()
        self._check(epoch, automatic=automatic)
        return look

    def _check(self, epoch: int, *, automatic: bool) -> None:
        if reasons := self._facts.withheld(epoch, automatic=automatic):
            self._counters.discarded += 1
            raise WithheldError(reasons)

    # The loop

    async def run(self) -> None:
        """Watch until cancelled. A display that is not there, or goes away, is waited for and said once."""
        try:
            while True:
                self._renewed = False
                try:
                    if self._reopen.is_set() or not self._eyes.is_open:
                        await self._open()
                    await self._watch()
                except CaptureError as error:
                    await self._shut()
                    self._trouble(error)
                    wait_s = REOPEN_S[min(self._tries, len(REOPEN_S) - 1)]
                    self._tries += 1
                    await wait_for_any(self._clock, wait_s, self._reopen)
        finally:
            self._tried.set()  # whoever still asks is told that there is no screen
            try:
                await self._shut()
            finally:
                self._eyes.end()

    async def _open(self) -> None:
        self._reopen.clear()
        self._damage.stop()
        status, sources = await self._eyes.open()
        self._state = CaptureFacts(
            state="watching", backend=status.backend, degraded=status.degraded, damage=status.damage
        )
        self._tried.set()
        for source in sources:
            self._eyes.watcher(source)
        names = ", ".join(source.name for source in sources)
        log.info("watching %s by %s%s", names, status.backend, ", told of changes" if status.damage else "")
        if lacks := self.facts().degraded:
            log.warning("%s", lacks)
        self._on_state()

    async def _shut(self) -> None:
        self._damage.stop()
        await self._eyes.close()

    def _trouble(self, error: CaptureError) -> None:
        self._tried.set()
        if self._state.state == "no_display" and isinstance(error, NoDisplayError):
            return  # still gone: the first sentence says it best
        self._state = CaptureFacts(
            state="no_display" if isinstance(error, NoDisplayError) else "failed", sentence=str(error)
        )
        # A display that opens and is gone at the first look is told once, not at every try.
        if self._state != self._told:
            self._told = self._state
            self._counters.capture_errors += 1
            self._on_trouble(error)
        self._on_state()

    async def _watch(self) -> None:
        """Look again and again, until the settings change."""
        descriptor = self._eyes.damage_fd()  # kept: a connection that died can no longer tell it
        interval_s = self._settings.interval_s
        self._dirty_at = None
        again_s: float | None = 0.0
        while True:
            await self._until(again_s)
            if self._renewed:
                return
            self._dirty_at = None
            self._looked_at = self._clock.monotonic()
            if descriptor is not None:
                self._eyes.take_damage()
                self._damage.read(descriptor)
            moved, again_s = await self._look_at_all()
            self._tries, self._told = 0, None
            if descriptor is None:
                interval_s = self._settings.interval_s if moved else interval_s * GROWTH
                interval_s = min(interval_s, self._settings.max_interval_s)
                again_s = interval_s if again_s is None else min(interval_s, again_s)

    def _soil(self) -> None:
        """Something may have changed: look soon."""
        if self._dirty_at is None:
            self._dirty_at = self._clock.monotonic()
            self._wake.set()

    async def _until(self, seconds: float | None) -> None:
        """Sleep so long, or until something changes; while nothing may be looked at, until that is over."""
        deadline = None if seconds is None else self._clock.monotonic() + max(seconds, BURST_S)
        while True:
            self._wake.clear()
            if self._renewed:
                return
            now, at = self._clock.monotonic(), deadline
            if self._facts.automatic_reasons or not self._demand.anybody():
                at = None  # every change of facts or demand soils, so the end of the last reason is a cause to look
            elif self._dirty_at is not None:
                at = max(self._dirty_at + BURST_S, self._looked_at + self._settings.interval_s)
            if at is not None and at <= now:
                return
            await wait_for_any(self._clock, None if at is None else at - now, self._wake)

    async def _look_at_all(self) -> tuple[bool, float | None]:
        """Look at every source. Returns whether anything moved, and when the gates want another look, in seconds."""
        sources = [source for source in await self._eyes.sources() if self._demand.wants(source)]
        self._wanted = frozenset(source.name for source in sources)
        ignored = await self._ignored()
        moved = False
        again_s: float | None = None
        for source in sources:
            try:
                source_moved, wanted_s = await self._look(source, ignored)
            except NoDisplayError:
                raise
            except WithheldError:
                source_moved, wanted_s = True, self._settings.interval_s
            except (CaptureError, PictureError) as error:
                self._ail(source, error)
                source_moved, wanted_s = False, self._settings.max_interval_s
            else:
                self._ailing.pop(source.name, None)
            moved = moved or source_moved
            if wanted_s is not None:
                again_s = wanted_s if again_s is None else min(again_s, wanted_s)
        return moved, again_s

    def _ail(self, source: Source, error: CaptureError | PictureError) -> None:
        """One source cannot be looked at now; told once until it can be again."""
        self._counters.capture_errors += 1
        if self._ailing.get(source.name) != str(error):
            self._ailing[source.name] = str(error)
            self._on_trouble(error)

    async def _look(self, source: Source, ignored: tuple[Rect, ...]) -> tuple[bool, float | None]:
        look = await self._grab(source, ignored)
        decision = self._eyes.watcher(source).judge(look, self._clock.monotonic(), polled=not self._state.damage)
        if decision.action == "send":
            await self._send(source, look, "interval" if decision.reason == "heartbeat" else "change")
        elif decision.action == "same":
            self._counters.same += 1
            self._counters.echo += decision.reason == "echo"
            self._counters.uniform += decision.reason == "uniform"
        moved = look.since_look is None or bool(look.since_look.tiles)
        return moved, decision.look_again_in_s

    async def _send(self, source: Source, look: Look, trigger: Trigger) -> None:
        pictures = await self._eyes.encode(look)
        self._check(look.shot.epoch, automatic=True)
        self._mailbox.put(self._question(self._new_id(), trigger, pictures))
        self._eyes.watcher(source).sent(look, self._clock.monotonic())

    def _question(self, question_id: str, trigger: Trigger, pictures: tuple[Picture, ...]) -> Question:
        return Question(id=question_id, trigger=trigger, pictures=pictures, asked_at=self._clock.monotonic())

    async def _ignored(self) -> tuple[Rect, ...]:
        """Where clients print notes."""
        windows = self._printers.windows()
        return await self._eyes.window_rects(windows) if windows else ()
