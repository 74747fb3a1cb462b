"""Months of life: opens connections one after the other and keeps the questions through them.

One connection's life is in ``flow.connection``, what to say in ``realtime.session``, who owns a question in
``realtime.router``, when to try again in ``realtime.retry``. Here they are put together.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final

from hudd.clock import Clock
from hudd.config.settings import SessionSettings
from hudd.errors import LinkError, LinkRefusedError
from hudd.flow.conversation_ports import ConversationStatus, Mailbox, OpenLink, Ports
from hudd.flow.lives import Life, Lives
from hudd.flow.voice import Voice
from hudd.flow.waiting import wait_and_clear, wait_for_any
from hudd.model import Answer, Question, UpstreamError
from hudd.realtime.models import Models
from hudd.realtime.prompt import WindowHistory
from hudd.realtime.retry import Backoff, Verdict, is_model_gone
from hudd.realtime.router import Answered, Router, RouterCommand, Written
from hudd.realtime.sentences import RENEWED, SLEPT, explain_fallback, explain_lost, explain_refusal
from hudd.realtime.session_words import BecameReady, Report, RolloverDue
from hudd.realtime.urgency import Urgency
from hudd.realtime.wakes import WakeDetector

_log = logging.getLogger(__name__)

CLOCK_LOOK_S: Final = 15.0
"""Seconds between looks at the clocks, while nothing else happens."""
ROLLOVER_RETRY_S: Final = 5.0
"""Least seconds between tries to open the next session while the present one still serves."""
_STOPPING: Final = "hudd stopped before the answer came; ask again when it runs."

Outcome = tuple[Verdict, UpstreamError]


class Conversation:
    """Takes questions from the mailbox and ends each in exactly one answer.

    Args:
        settings: Limits and time-outs of a session.
        instructions: What the model is told; not empty.
        clock: For everything that waits.
        open_link: Opens a connection.
        mailbox: Where questions come from.
        history: Recent notes, fed by whoever writes them.
        guard: The following eight as in ``Ports``.
        models: The model in use and those after it; whoever opens the link asks it too.
        effort: ``[realtime] reasoning``.
        on_model: Told the name of the model when another one is taken.
        jitter: Numbers in [0, 1) for the back-off.
    """

    def __init__(
        self,
        *,
        settings: SessionSettings,
        instructions: str,
        clock: Clock,
        open_link: OpenLink,
        mailbox: Mailbox,
        history: WindowHistory,
        guard: Callable[[Question], tuple[str, ...]],
        reserve: Callable[[Question], Awaitable[None]],
        on_sent: Callable[[Question], None],
        on_delta: Callable[[Question, int, str], None],
        on_answer: Callable[[Answer], None],
        on_error: Callable[[UpstreamError], None],
        on_state: Callable[[], None],
        retake: Callable[[Question], Awaitable[Question]] | None = None,
        models: Models | None = None,
        effort: str = "",
        on_model: Callable[[str], None] = lambda _: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._mailbox = mailbox
        self._models = models or Models("")
        self._on_model = on_model
        self._jitter = jitter
        self._ports = Ports(
            guard=guard,
            reserve=reserve,
            on_sent=on_sent,
            on_delta=on_delta,
            on_answer=on_answer,
            on_error=on_error,
            on_state=on_state,
            retake=retake,
        )
        self._voice = Voice(self._ports, clock)
        self._router = Router(jitter)
        self._backoff = Backoff(jitter)
        self._wakes = WakeDetector()
        self._lives = Lives(
            settings=settings,
            instructions=instructions,
            effort=effort,
            models=self._models,
            clock=clock,
            open_link=open_link,
            mailbox=mailbox,
            ports=self._ports,
            router=self._router,
            history=history,
            emit=self._emit_of,
            ended=self._ended,
            accepting=self._accepting,
        )
        self._urgency = Urgency()
        self._rearm = asyncio.Event()
        self._resume = asyncio.Event()
        self._changed = asyncio.Event()
        self._draining = False
        self._life: Life | None = None
        self._next_try_at: float | None = None

    async def run(self) -> None:
        """Live until cancelled. Then the links are closed within a second and every question taken ends as vanished."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._look_at_the_clock(), name="realtime-clock")
                while True:
                    verdict, failure = await self._live_once(tasks)
                    await self._wait_to_try(verdict, failure)
        finally:
            self._emit_all(self._router.end_all(explain_lost(_STOPPING), self._clock.monotonic()))

    def rearm(self) -> None:
        """The way there has changed (an engine started): try at once, also after a stop. Nothing on an open one."""
        self._forgive()
        if self._life is None:
            self._rearm.set()

    def resume(self) -> None:
        """A person acted (resume, reload): as ``rearm``; when that was done just before, it is done a little later."""
        if self._life is None:
            self._resume.set()

    def nudge(self) -> None:
        """A person waits (a snap): try at once, not while the connection flaps and never after a stop."""
        if self._urgency.snap(self._clock.monotonic(), self._voice.word, self._lives.tried_at):
            self._rearm.set()

    def network_up(self) -> None:
        """The network came up: try at once, never after a stop; the tries after it follow quickly."""
        if self._urgency.network(self._clock.monotonic(), self._voice.word):
            self._backoff.reset()
            self._rearm.set()

    def woke(self) -> None:
        """The machine slept: every socket is dead, whether it knows or not; connect anew at once."""
        if not self._urgency.woke(self._clock.monotonic()):
            return
        _log.info("the machine slept or its clock was set forward: connecting anew")
        self._start_over(SLEPT)

    def renew(self) -> None:
        """End every session, which knows what was said in it, and connect anew at once; not after a stop."""
        self._start_over(RENEWED)

    def _start_over(self, why: str) -> None:
        self._backoff.reset()
        self._lives.drop_all(why)
        if self._voice.word != "needs_attention":
            self._rearm.set()

    async def drain(self, timeout_s: float) -> bool:
        """Take nothing new and wait for the answers in flight.

        Args:
            timeout_s: How long at most.

        Returns:
            True when everything ended. Questions that waited to be asked again end as vanished.
        """
        self._draining = True
        until = self._clock.monotonic() + timeout_s
        while True:
            self._changed.clear()
            self._emit_all(self._router.end_again(explain_lost(_STOPPING), self._clock.monotonic()))
            if not self._router.owes:
                return True
            left = until - self._clock.monotonic()
            if left <= 0:
                return False
            await wait_for_any(self._clock, left, self._changed)

    def status(self) -> ConversationStatus:
        """Facts, now."""
        machine = self._life.machine if self._life else None
        last, unknown, malformed = self._lives.heard()
        next_try_s = None if self._next_try_at is None else max(0.0, self._next_try_at - self._clock.monotonic())
        voice = self._voice
        return ConversationStatus(
            connection=voice.word,
            since=voice.since,
            sentence=voice.sentence,
            session_id=machine.session_id if machine else "",
            expires_at=machine.expires_at if machine else None,
            responding=self._router.in_flight,
            last_event_at=last,
            unknown_events=unknown,
            malformed_events=malformed,
            last_errors=tuple(voice.errors),
            next_try_s=next_try_s,
            connects=self._lives.connects,
            rollover=voice.rollover,
            model=self._models.current,
        )

    async def _live_once(self, group: asyncio.TaskGroup) -> Outcome:
        """Open a connection, live in it and in those that take over, until one ends; says what to do then, and why."""
        self._rearm.clear()
        self._voice.become("connecting")
        try:
            life = await self._lives.open(group)
        except LinkError as error:
            failure = explain_refusal(error)
            self._voice.outage(failure)
            return self._judge(self._verdict(self._backoff, failure, error), failure)
        self._voice.become("configuring")
        while True:
            self._life = life
            await life.changed.wait()
            life.changed.clear()
            if life.closed is not None:
                self._life = None
                failure = life.failure()
                self._voice.outage(failure)
                return self._judge(self._verdict(self._backoff, failure, life), failure)
            if life.due:
                life = await self._roll_over(life, group)

    async def _roll_over(self, old: Life, group: asyncio.TaskGroup) -> Life:
        """Open the next session while the old one serves, and let it take over once it is ready.

        Returns:
            The one to live in from now on: the new one, or the old one when that ended before there was another.
        """
        old.due = False
        backoff = Backoff(self._jitter)
        while old.closed is None:
            self._voice.roll("opening")
            verdict, new = await self._open_next(old, backoff, group)
            if new is not None:
                if old.closed is None:
                    self._lives.retire(old)
                else:  # it did not live to see it; the new one is on its way, which is as good as a reconnect
                    self._voice.outage(old.failure())
                    self._voice.become("ready" if new.ready else "configuring")
                self._voice.roll("draining" if self._lives.retiring() else None)
                return new
            wait_s = None if verdict.action == "stop" else max(verdict.after_s, ROLLOVER_RETRY_S)
            if old.closed is None:
                await wait_and_clear(self._clock, wait_s, old.changed)
        self._voice.roll(None)
        old.changed.set()
        return old

    async def _open_next(self, old: Life, backoff: Backoff, group: asyncio.TaskGroup) -> tuple[Verdict, Life | None]:
        """One try to open the next session; it is given when it is ready, or when the old one ended meanwhile."""
        try:
            new = await self._lives.open(group)
        except LinkError as error:
            failure = explain_refusal(error)
            verdict = self._verdict(backoff, failure, error)
        else:
            while new.closed is None:
                if new.ready or old.closed is not None:
                    return _GO_ON, new
                await wait_and_clear(self._clock, None, new.changed, old.changed)
            failure = new.failure()
            verdict = self._verdict(backoff, failure, new)
        self._voice.outage(failure)
        if verdict.action == "stop" and self._fall_back(failure):
            return _GO_ON, None
        return verdict, None

    def _verdict(self, backoff: Backoff, failure: UpstreamError, ended: Life | LinkError) -> Verdict:
        """What follows from a life, or from a try that did not become one."""
        now = self._clock.monotonic()
        longest_s = self._urgency.longest_delay_s(now)
        if isinstance(ended, Life):
            return ended.judge(backoff, failure, now, longest_s)
        asked_s = ended.retry_after_s if isinstance(ended, LinkRefusedError) else None
        return backoff.after(failure, opened_s=None, retry_after_s=asked_s, longest_s=longest_s)

    def _judge(self, verdict: Verdict, failure: UpstreamError) -> Outcome:
        if verdict.action == "stop" and self._fall_back(failure):
            verdict = _GO_ON
        self._voice.sentence = failure.sentence
        self._changed.set()
        if verdict.action == "stop":
            # Whoever waits learns why, instead of waiting for a person who may not come.
            self._emit_all(self._router.end_again(failure, self._clock.monotonic()))
        self._voice.become(verdict.word)
        return verdict, failure

    def _fall_back(self, failure: UpstreamError) -> bool:
        """When the model is gone, go on to the next of the settings, and say so."""
        gone = self._models.current
        instead = self._models.give_up() if is_model_gone(failure) else ""
        if not instead:
            return False
        _log.warning("the model %s is not offered any more; %s is asked instead", gone, instead)
        self._voice.error(explain_fallback(failure, gone, instead))
        self._on_model(instead)
        return True

    async def _wait_to_try(self, verdict: Verdict, failure: UpstreamError) -> None:
        if verdict.action == "retry":
            self._next_try_at = self._clock.monotonic() + verdict.after_s
            _log.debug("= %s, next try in %.1f s", verdict.word, verdict.after_s)
            await wait_for_any(self._clock, verdict.after_s, self._rearm, self._resume)
            self._next_try_at = None
        else:
            while not (self._rearm.is_set() or self._resume.is_set()):
                self._mailbox.wakeup.clear()
                self._refuse_waiting(failure)
                await wait_for_any(self._clock, None, self._rearm, self._resume, self._mailbox.wakeup)
        if self._resume.is_set():
            await wait_for_any(self._clock, self._urgency.resume_wait_s(self._clock.monotonic()), self._rearm)
            self._resume.clear()
            self._urgency.resumed(self._clock.monotonic())
            self._forgive()

    def _forgive(self) -> None:
        """Begin anew: no failures, and the first model."""
        self._backoff.reset()
        before = self._models.current
        self._models.reset()
        if self._models.current != before:
            self._on_model(self._models.current)

    def _refuse_waiting(self, failure: UpstreamError) -> None:
        """End the questions that people ask while nothing can answer them; automatic ones keep giving way."""
        while not self._draining:
            question = self._mailbox.take_nowait(allow_automatic=False)
            if question is None:
                return
            self._emit(self._router.refused(question, failure, self._clock.monotonic()))

    async def _look_at_the_clock(self) -> None:
        while True:
            self._notice_sleep()
            await self._clock.sleep(CLOCK_LOOK_S)

    def _notice_sleep(self) -> bool:
        slept_s = self._wakes.slept_s(self._clock.monotonic(), self._clock.wall())
        if slept_s:
            self.woke()
        return slept_s > 0

    def _accepting(self) -> bool:
        """Whether a question may be taken now. Asked before each, so that a wake is noticed with the first."""
        return not self._notice_sleep() and not self._draining

    def _emit_of(self, life: Life, command: RouterCommand) -> None:
        """What a connection says beyond its link."""
        match command:
            case BecameReady():
                self._router.use(life.machine)
                life.mark_ready()
                self._resume.clear()
                self._voice.ready()
            case RolloverDue():
                life.mark_due()
            case _:
                self._emit(command)

    def _ended(self, life: Life) -> None:
        if life.retired:
            self._voice.roll(None)

    def _emit_all(self, commands: list[RouterCommand]) -> None:
        for command in commands:
            self._emit(command)

    def _emit(self, command: RouterCommand) -> None:
        match command:
            case Written():
                self._ports.on_delta(command.question, command.n, command.text)
            case Answered():
                self._changed.set()
                self._ports.on_answer(command.answer)
            case Report():
                self._voice.error(command.error)
            case _:  # sends and closes are the connection's; none come from between connections
                raise AssertionError(f"nobody carries out {type(command).__name__}")


_GO_ON: Final = Verdict("retry", 0.0, "backing_off")
