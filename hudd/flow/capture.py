"""The loop of the eyes: look, compare, ask the gate, encode, put into the mailbox.

With damage events nothing is polled: a still screen costs nothing. Without them the interval grows on a still screen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from hudd.clock import Clock
from hudd.config.settings import ScreenSettings
from hudd.errors import CaptureError, HuddError, NoDisplayError, PictureError, WithheldError
from hudd.flow.counters import Counters
from hudd.flow.eyes import Eyes
from hudd.flow.mailbox import Mailbox
from hudd.flow.status import CaptureFacts, SourceFacts
from hudd.flow.watcher import Look
from hudd.model import Picture, Question, Source, Trigger
from hudd.policy.facts import Facts
from hudd.screen.source import Rect

log = logging.getLogger("hudd.screen")

REOPEN_S: Final = (1.0, 2.0, 5.0, 5.0, 10.0)
"""Waits between tries to open a display that is not there; the last one repeats."""
GROWTH: Final = 1.3  # a polled interval grows by so much per look at a still screen
BURST_S: Final = 0.05  # changes come in bursts: the first one after a still time is looked at so much later


@dataclass(slots=True)
class _Grab:
    """A snap that was asked for and whose grab has not begun; others of the same source share it."""

    question_id: str
    future: asyncio.Future[Question] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Capture:
    """Watches all sources.

    Args:
        eyes: The capture thread.
        settings: Intervals.
        facts: Why nothing may be looked at now.
        mailbox: Where questions go.
        counters: Filled.
        new_id: Makes an id for a question.
        alive: Whether a process still runs.
        on_state: Called when the state of the eyes changes.
        on_trouble: Called with each new error that keeps the eyes shut.
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
        self._new_id = new_id
        self._alive = alive
        self._on_state = on_state
        self._on_trouble = on_trouble
        self._clock = clock
        self._wake = asyncio.Event()
        self._dirty = True
        self._lost: NoDisplayError | None = None
        self._grabs: dict[str, _Grab] = {}
        self._clients: dict[int, int] = {}
        self._state = CaptureFacts(state="starting")
        self._last_frame_at: float | None = None
        self._looked_at = float("-inf")
        facts.on_change(self._wake.set)

    def facts(self) -> CaptureFacts:
        """How the eyes are, for the status."""
        state = self._state
        return CaptureFacts(
            state=state.state,
            backend=state.backend,
            degraded=state.degraded,
            damage=state.damage,
            sentence=state.sentence,
            sources=tuple(SourceFacts(w.source, w.reason, w.looked_at) for w in self._eyes.watchers),
            last_frame_at=self._last_frame_at,
        )

    def published(self, key: str) -> None:
        """Words went out: the gates must not take them for news when they appear on the screen."""
        for watcher in self._eyes.watchers:
            watcher.published(key, self._clock.monotonic())

    def watch_client(self, pid: int, window: int) -> None:
        """A process prints notes into an X11 window: changes inside it are ignored while the process lives."""
        self._clients[pid] = window

    # Asked for by a person

    async def snap(self, monitor: str | None, snap_id: str) -> Question:
        """Grab and encode now, whatever the gate thinks.

        Two snaps of one source before its grab share one question: the second gets the first one's, whose id differs.

        Args:
            monitor: Name of a source; None for the first.
            snap_id: Becomes the question's id.

        Raises:
            NoDisplayError: There is no display now.
            CaptureError: There is no such source, or the grab failed.
            WithheldError: A fact changed during the grab.
        """
        if not self._eyes.is_open:
            raise NoDisplayError(self._state.sentence or "The screen is not open yet; try again in a second.")
        source = await self._eyes.find(monitor)
        waiting = self._grabs.get(source.name)
        if waiting is not None:
            return await asyncio.shield(waiting.future)
        grab = self._grabs[source.name] = _Grab(snap_id)
        try:
            question = await self._take(source, grab)
        except HuddError as error:
            grab.future.set_exception(error)
            grab.future.exception()  # seen: it is raised here as well
            raise
        except BaseException:
            grab.future.cancel()
            raise
        finally:
            self._grabs.pop(source.name, None)
        grab.future.set_result(question)
        return question

    async def _take(self, source: Source, grab: _Grab) -> Question:
        epoch = self._facts.epoch
        # From the grab on, a later snap wants a later picture.
        look = await self._eyes.look(
            source, epoch=epoch, ignored=(), before_grab=lambda: self._grabs.pop(source.name, None)
        )
        picture = await self._eyes.encode(look)
        self._counted()
        reasons = self._facts.withheld(epoch)
        if reasons:
            self._counters.discarded += 1
            raise WithheldError(reasons)
        self._eyes.watcher(source).sent(look, self._clock.monotonic())
        return self._question(grab.question_id, "manual", picture)

    # The loop

    async def run(self) -> None:
        """Watch until cancelled. A display that is not there, or goes away, is waited for and said once."""
        tries = 0
        try:
            while True:
                try:
                    await self._open()
                    tries = 0
                    await self._watch()
                except CaptureError as error:
                    await self._shut()
                    self._trouble(error)
                    wait_s = REOPEN_S[min(tries, len(REOPEN_S) - 1)]
                    tries += 1
                    await self._clock.sleep(wait_s)
        finally:
            await asyncio.shield(self._shut())
            self._eyes.end()

    async def _open(self) -> None:
        self._lost = None
        status, sources = await self._eyes.open()
        self._state = CaptureFacts(
            state="watching", backend=status.backend, degraded=status.degraded, damage=status.damage
        )
        for source in sources:
            self._eyes.watcher(source)
        names = ", ".join(source.name for source in sources)
        log.info("watching %s by %s%s", names, status.backend, ", told of changes" if status.damage else "")
        if status.degraded:
            log.warning("%s", status.degraded)
        self._on_state()

    async def _shut(self) -> None:
        self._stop_reading_damage()
        await self._eyes.close()

    def _stop_reading_damage(self) -> None:
        descriptor = self._eyes.damage_fd()
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)

    def _trouble(self, error: CaptureError) -> None:
        state = "no_display" if isinstance(error, NoDisplayError) else "failed"
        if (state, str(error)) == (self._state.state, self._state.sentence):
            return
        self._state = CaptureFacts(state=state, sentence=str(error))
        log.warning("%s hudd waits for it.", error)
        self._counters.capture_errors += 1
        self._on_trouble(error)
        self._on_state()

    async def _watch(self) -> None:
        descriptor = self._eyes.damage_fd()
        if descriptor is not None:
            asyncio.get_running_loop().add_reader(descriptor, self._damaged)
        interval_s = self._settings.interval_s
        again_s: float | None = 0.0
        while True:
            await self._until(again_s)
            if self._lost is not None:
                raise self._lost
            if self._facts.reasons:
                again_s, self._dirty = None, True  # nothing may be looked at: sleep until a fact changes
                continue
            self._dirty = False
            self._looked_at = self._clock.monotonic()
            moved, again_s = await self._look_at_all()
            if descriptor is not None:
                continue
            interval_s = self._settings.interval_s if moved else interval_s * GROWTH
            interval_s = min(interval_s, self._settings.max_interval_s)
            again_s = interval_s if again_s is None else min(interval_s, again_s)

    def _damaged(self) -> None:
        """Something changed on the display; called by the event loop."""
        try:
            self._eyes.take_damage()
        except NoDisplayError as error:
            self._lost = error
            self._stop_reading_damage()
        self._dirty = True
        self._wake.set()

    async def _until(self, seconds: float | None) -> None:
        """Sleep so long; when None, until something changes. A change of facts or the loss of the display ends it."""
        deadline = None if seconds is None else self._clock.monotonic() + max(seconds, BURST_S)
        while self._lost is None:
            self._wake.clear()
            if deadline is None and self._dirty and not self._facts.reasons:
                # What never rests (a spinner, a video) is looked at once an interval.
                next_s = self._looked_at + self._settings.interval_s - self._clock.monotonic()
                await self._clock.sleep(max(BURST_S, next_s))
                return
            left_s = None if deadline is None else deadline - self._clock.monotonic()
            if left_s is not None and left_s <= 0:
                return
            try:
                async with asyncio.timeout(left_s):
                    await self._wake.wait()
            except TimeoutError:
                return
            if self._facts.reasons and deadline is not None:
                return

    async def _look_at_all(self) -> tuple[bool, float | None]:
        """Look at every source. Returns whether anything moved, and when the gates want another look, in seconds."""
        sources = await self._eyes.sources()
        ignored = await self._ignored()
        moved = False
        again_s: float | None = None
        for source in sources:
            if self._facts.reasons:
                break
            try:
                source_moved, wanted_s = await self._look(source, ignored)
            except NoDisplayError:
                raise
            except (CaptureError, PictureError) as error:
                self._counters.capture_errors += 1
                log.warning("%s", error)
                source_moved, wanted_s = False, self._settings.max_interval_s
            moved = moved or source_moved
            if wanted_s is not None:
                again_s = wanted_s if again_s is None else min(again_s, wanted_s)
        return moved, again_s

    async def _look(self, source: Source, ignored: tuple[Rect, ...]) -> tuple[bool, float | None]:
        epoch = self._facts.epoch
        look = await self._eyes.look(source, epoch=epoch, ignored=ignored)
        if self._facts.withheld(epoch):
            self._counters.discarded += 1
            return True, self._settings.interval_s
        self._counted()
        decision = self._eyes.watcher(source).judge(look, self._clock.monotonic())
        if decision.action == "send":
            await self._send(source, look, "interval" if decision.reason == "heartbeat" else "change")
        elif decision.action == "same":
            self._counters.same += 1
            self._counters.echo += decision.reason == "echo"
        moved = look.since_look is None or bool(look.since_look.tiles)
        return moved, decision.look_again_in_s

    async def _send(self, source: Source, look: Look, trigger: Trigger) -> None:
        picture = await self._eyes.encode(look)
        if self._facts.withheld(picture.epoch):
            self._counters.discarded += 1
            return
        self._mailbox.put(self._question(self._new_id(), trigger, picture))
        self._eyes.watcher(source).sent(look, self._clock.monotonic())

    def _question(self, question_id: str, trigger: Trigger, picture: Picture) -> Question:
        return Question(id=question_id, trigger=trigger, pictures=(picture,), asked_at=self._clock.monotonic())

    def _counted(self) -> None:
        self._counters.frames += 1
        self._last_frame_at = self._clock.monotonic()

    async def _ignored(self) -> tuple[Rect, ...]:
        """Where clients print notes. A process that has ended is forgotten."""
        for pid in [pid for pid in self._clients if not self._alive(pid)]:
            del self._clients[pid]
        if not self._clients:
            return ()
        return await self._eyes.window_rects(sorted(set(self._clients.values())))
