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
from hudd.errors import LinkError
from hudd.flow.attempts import Attempts
from hudd.flow.conversation_ports import ConversationStatus, Mailbox, OpenLink, Ports
from hudd.flow.fallback import Fallback
from hudd.flow.lives import Life, Lives
from hudd.flow.rollover import GO_ON, STOP, Rollover
from hudd.flow.voice import Voice
from hudd.flow.waiting import wait_for_any
from hudd.model import Answer, Question, UpstreamError
from hudd.protocol.vocabulary import CLOSE_TOO_BIG
from hudd.realtime.models import Models
from hudd.realtime.prompt import WindowHistory
from hudd.realtime.retry import Verdict
from hudd.realtime.router import Answered, Router, RouterCommand, Written
from hudd.realtime.sentences import (
    NETWORK_UP,
    RENEWED,
    SLEPT,
    explain_last,
    explain_lost,
    explain_refusal,
    explain_renewed,
)
from hudd.realtime.session_words import BecameReady, Report, RolloverDue
from hudd.realtime.urgency import Wish
from hudd.realtime.wakes import WakeDetector

_log = logging.getLogger(__name__)

CLOCK_LOOK_S: Final = 15.0
"""Seconds between looks at the clocks where nobody tells that they jumped, while nothing else happens."""
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
        guard: The following nine as in ``Ports``.
        awaited: Whether somebody waits for the answer to a question now, by its id.
        dials: Whether the link that is being opened waits for the network, and not for a person's key.
        models: The model in use and those after it; whoever opens the link asks it too.
        effort: ``[realtime] reasoning``.
        on_model: Told the name of the model of each session that takes over.
        jitter: Numbers in [0, 1) for the back-off.
        clock_look_s: Seconds between looks at the clocks; None where somebody calls ``clock_jumped``.
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
        reserve: Callable[[Question, str], Awaitable[None]],
        on_sent: Callable[[Question], None],
        on_delta: Callable[[Question, int, str], None],
        on_answer: Callable[[Answer], None],
        on_error: Callable[[UpstreamError], None],
        on_state: Callable[[], None],
        retake: Callable[[Question], Awaitable[Question]] | None = None,
        shrink: Callable[[], bool] = lambda: False,
        awaited: Callable[[str], bool] = lambda _: False,
        dials: Callable[[], bool] = lambda: True,
        models: Models | None = None,
        effort: str = "",
        on_model: Callable[[str], None] = lambda _: None,
        jitter: Callable[[], float] = random.random,
        clock_look_s: float | None = CLOCK_LOOK_S,
    ) -> None:
        self._clock = clock
        self._clock_look_s = clock_look_s
        self._wakes = WakeDetector()
        self._wakes.slept_s(clock.monotonic(), clock.wall())
        self._mailbox = mailbox
        self._dials = dials
        self._models = models or Models("")
        self._on_model = on_model
        self._ports = Ports(
            guard=guard,
            reserve=reserve,
            on_sent=on_sent,
            on_delta=on_delta,
            on_answer=on_answer,
            on_error=on_error,
            on_state=on_state,
            retake=retake,
            shrink=shrink,
        )
        self._voice = Voice(self._ports, clock)
        self._fallback = Fallback(self._models, self._voice)
        self._router = Router(jitter, awaited)
        self._attempts = Attempts(clock, jitter, self._forgive)
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
        self._rollover = Rollover(
            clock=clock,
            jitter=jitter,
            lives=self._lives,
            voice=self._voice,
            attempts=self._attempts,
            fallback=self._fallback,
        )
        self._changed = asyncio.Event()
        self._draining = False
        self._life: Life | None = None

    async def run(self) -> None:
        """Live until cancelled. Then the links are closed within a second and every question taken ends as vanished."""
        try:
            async with asyncio.TaskGroup() as tasks:
                if self._clock_look_s is not None:
                    tasks.create_task(self._look_at_the_clock(self._clock_look_s), name="realtime-clock")
                while True:
                    verdict, failure = await self._live_once(tasks)
                    await self._wait_to_try(verdict, failure)
        finally:
            self._emit_all(self._router.end_all(explain_lost(_STOPPING), self._clock.monotonic()))

    # ------------------------------------------------------------------------------------------- wishes

    def rearm(self) -> None:
        """The way there has changed (an engine started): try at once, also after a stop. Nothing on an open one."""
        if self._life is None:
            self._attempts.wish_at_once(lifts=True)

    def resume(self) -> None:
        """A person acted (resume, reload): try, also after a stop; on an open connection only what a rollover needs."""
        if self._life is None or self._voice.rollover == "stopped":
            self._attempts.wish("person")

    def nudge(self) -> None:
        """A person waits (a snap): try, never after a stop."""
        self._hint("snap")

    def network_up(self) -> None:
        """The network came up: try, never after a stop; the tries after it follow quickly.

        An open connection may have died in silence with the network before: it is asked for a sign of life. One that
        is being opened may hang since then: it is begun anew.
        """
        self._lives.probe_all()
        if self._dials():
            self._lives.drop_slow_opening(explain_renewed(NETWORK_UP))
        self._hint("network")

    def _hint(self, who: Wish) -> None:
        if self._life is None:
            self._attempts.wish(who)

    def woke(self) -> None:
        """The machine slept: every socket is dead, whether it knows or not; connect anew at once."""
        if not self._attempts.woke():
            return
        _log.info("the machine slept or its clock was set forward: connecting anew")
        self._lives.drop_all(explain_lost(SLEPT))
        self._attempts.wish("wake")

    def renew(self) -> None:
        """End every session, which knows what was said in it, and connect anew at once; not after a stop."""
        self._lives.drop_all(explain_renewed(RENEWED))
        self._attempts.wish_at_once()

    def reconnect(self, why: str) -> None:
        """End every session, because what it was opened with has changed, and connect anew, also after a stop.

        Snaps in flight are asked again. Nothing of it is an error; whoever calls it often gets a try each time.

        Args:
            why: A full sentence for the log.
        """
        self._lives.drop_all(explain_renewed(why))
        self._attempts.wish_at_once(lifts=True)

    def change_instructions(self, instructions: str) -> None:
        """Tell the model something else: the open session by an update, those after it from their start.

        Args:
            instructions: Not empty. A service that refuses them goes on with those before, and says so.
        """
        self._lives.change_instructions(instructions)

    def change_settings(self, settings: SessionSettings, effort: str) -> None:
        """Limits and time-outs of the sessions that are opened from now on; ``reconnect`` makes that now.

        Args:
            settings: ``[session]``.
            effort: ``[realtime] reasoning``, or '' for the model's own.
        """
        self._lives.change_settings(settings, effort)

    # ------------------------------------------------------------------------------------------- facts, end

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
        heard = self._lives.heard()
        next_at = self._attempts.next_at
        next_try_s = None if next_at is None else max(0.0, next_at - self._clock.monotonic())
        voice = self._voice
        return ConversationStatus(
            connection=voice.word,
            since=voice.since,
            sentence=voice.sentence,
            session_id=machine.session_id if machine else "",
            expires_at=machine.expires_at if machine else None,
            responding=self._router.in_flight,
            last_event_at=heard.last_event_at,
            unknown_events=heard.unknown,
            malformed_events=heard.malformed,
            repeated_events=heard.repeated,
            benign_errors=heard.benign,
            last_errors=tuple(voice.errors),
            next_try_s=next_try_s,
            connects=self._lives.connects,
            rollover=voice.rollover,
            failures=voice.failures,
            unproven=voice.unproven,
            model=machine.model if machine else self._models.current,
        )

    async def _live_once(self, group: asyncio.TaskGroup) -> Outcome:
        """Open a connection, live in it and in those that take over, until one ends; says what to do then, and why."""
        self._attempts.begin()
        self._voice.become("connecting")
        try:
            life = await self._lives.open(group)
        except LinkError as error:
            failure = explain_refusal(error)
            return self._judge(self._attempts.verdict(failure, error), failure, self._models.current)
        self._voice.become("configuring")
        while True:
            self._life = life
            await self._voice.watch(life.changed)
            life.changed.clear()
            if life.closed is not None:
                self._life = None
                return self._judge_end(life)
            if life.due:
                life = await self._rollover.run(life, group)

    def _judge_end(self, life: Life) -> Outcome:
        failure, refused = life.failure(), life.next_refused
        if refused is None or self._attempts.lifted:
            return self._judge(self._attempts.verdict(failure, life), failure, life.machine.model)
        # What refused the next session for good at the rollover would refuse it again.
        self._voice.outage(explain_last(failure, refused))
        return self._judge(STOP, refused, self._models.current)

    def _judge(self, verdict: Verdict, failure: UpstreamError, model: str) -> Outcome:
        if verdict.action == "stop" and self._fallback.step(failure, model):
            verdict = GO_ON
        else:
            self._voice.outage(failure)
            self._voice.sentence = failure.sentence
        self._changed.set()
        if verdict.action == "stop":
            # Whoever waits learns why, instead of waiting for a person who may not come.
            self._emit_all(self._router.end_again(failure, self._clock.monotonic()))
        self._voice.become(verdict.word)
        return verdict, failure

    async def _wait_to_try(self, verdict: Verdict, failure: UpstreamError) -> None:
        if verdict.action == "retry":
            _log.debug("= %s, next try in %.1f s", verdict.word, verdict.after_s)
            await self._attempts.wait(verdict.after_s)
        else:
            await self._attempts.wait_for_a_person(self._mailbox.wakeup, lambda: self._refuse_waiting(failure))

    def _forgive(self) -> None:
        """Begin anew: no failures, and the first model."""
        self._attempts.backoff.reset()
        self._models.reset()

    def _refuse_waiting(self, failure: UpstreamError) -> None:
        """End the questions that people ask while nothing can answer them; automatic ones keep giving way."""
        while not self._draining:
            question = self._mailbox.take_nowait(allow_automatic=False)
            if question is None:
                return
            self._emit(self._router.refused(question, failure, self._clock.monotonic()))

    async def _look_at_the_clock(self, every_s: float) -> None:
        while True:
            self.clock_jumped()
            await self._clock.sleep(every_s)

    def clock_jumped(self) -> bool:
        """The wall clock may have jumped: do as after a wake when it gained much, and tell whether it did."""
        slept_s = self._wakes.slept_s(self._clock.monotonic(), self._clock.wall())
        if slept_s:
            self.woke()
        return slept_s > 0

    def _accepting(self) -> bool:
        """Whether a question may be taken now. Asked before each, so that a wake is noticed with the first."""
        return not self.clock_jumped() and not self._draining

    def _emit_of(self, life: Life, command: RouterCommand) -> None:
        """What a connection says beyond its link."""
        match command:
            case BecameReady():
                self._router.use(life.machine)
                self._on_model(life.machine.model)
                life.mark_ready()
                self._attempts.ready()
                self._voice.ready()
            case RolloverDue():
                life.mark_due()
            case _:
                self._emit(command)

    def _ended(self, life: Life) -> None:
        """A connection is over: one that was replaced has nobody else who tells why."""
        if life.retired:
            self._voice.roll(None)
            if life.machine.failure is not None and life.closed is not None:
                self._voice.error(life.failure())
        if life.closed is not None and life.closed.code == CLOSE_TOO_BIG and not self._ports.shrink():
            self._emit_all(self._router.end_again(life.failure(), self._clock.monotonic()))

    def _emit_all(self, commands: list[RouterCommand]) -> None:
        for command in commands:
            self._emit(command)

    def _emit(self, command: RouterCommand) -> None:
        match command:
            case Written():
                self._ports.on_delta(command.question, command.n, command.text)
            case Answered():
                self._changed.set()
                self._voice.answered(command.answer)
                self._ports.on_answer(command.answer)
            case Report():
                self._voice.error(command.error)
            case _:  # sends and closes are the connection's; none come from between connections
                raise AssertionError(f"nobody carries out {type(command).__name__}")
