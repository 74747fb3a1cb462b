"""Weeks of life: opens connections one after the other and keeps the questions through them.

One connection's life is in ``flow.connection``, what to say in ``realtime.session``, who owns a question in
``realtime.router``, when to try again in ``realtime.retry``. Here they are put together.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from hudd.clock import Clock
from hudd.config.settings import SessionSettings
from hudd.errors import LinkError, LinkRefusedError
from hudd.flow.connection import Connection, hang_up
from hudd.flow.conversation_ports import ConversationStatus, Link, Mailbox, OpenLink, Ports
from hudd.flow.waiting import wait_for_any
from hudd.model import Answer, Question, UpstreamError
from hudd.protocol.events import ResponseCreate
from hudd.realtime.prompt import WindowHistory, build
from hudd.realtime.retry import Backoff, ConnectionWord, Verdict
from hudd.realtime.router import Answered, Router, RouterCommand, Written
from hudd.realtime.sentences import explain_close, explain_lost, explain_refusal
from hudd.realtime.session import Session
from hudd.realtime.session_words import BecameReady, Report

_log = logging.getLogger(__name__)

NUDGE_S: Final = 10.0
"""A snap or a network that came up starts a try at once, but not more often than this."""
LAST_ERRORS: Final = 3
_STOPPING: Final = "hudd stopped before the answer came; ask again when it runs."


class Conversation:
    """Takes questions from the mailbox and ends each in exactly one answer.

    Args:
        settings: Limits and time-outs of a session.
        instructions: What the model is told; not empty.
        clock: For everything that waits.
        open_link: Opens a connection.
        mailbox: Where questions come from.
        history: Recent notes, fed by whoever writes them.
        guard: The following seven as in ``Ports``.
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
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._instructions = instructions
        self._clock = clock
        self._open_link = open_link
        self._mailbox = mailbox
        self._ports = Ports(
            guard=guard,
            reserve=reserve,
            on_sent=on_sent,
            on_delta=on_delta,
            on_answer=on_answer,
            on_error=on_error,
            on_state=on_state,
        )
        self._history = history
        self._router = Router()
        self._backoff = Backoff(jitter)
        self._rearm = asyncio.Event()
        self._changed = asyncio.Event()
        self._draining = False
        self._word: ConnectionWord = "connecting"
        self._since = clock.wall()
        self._sentence = ""
        self._errors: deque[UpstreamError] = deque(maxlen=LAST_ERRORS)
        self._outage: tuple[object, ...] | None = None
        self._machine: Session | None = None
        self._connection: Connection | None = None
        self._last_event_at: float | None = None
        self._unknown = 0
        self._malformed = 0
        self._next_try_at: float | None = None
        self._tried_at: float | None = None
        self._connects = 0

    # ------------------------------------------------------------------------------------------- verbs

    async def run(self) -> None:
        """Live until cancelled. Then the link is closed within a second and every question taken ends as vanished."""
        try:
            while True:
                verdict, failure = await self._live_once()
                await self._wait_to_try(verdict, failure)
        finally:
            self._emit_all(self._router.end_all(explain_lost(_STOPPING), self._clock.monotonic()))

    def rearm(self) -> None:
        """A person acted (resume, reload): try at once, also after a stop. Without effect on an open connection."""
        self._backoff.reset()
        if self._connection is None:
            self._rearm.set()

    def nudge(self) -> None:
        """Something hints that a try may succeed now (a snap, a network): try at once, never after a stop."""
        waited = NUDGE_S if self._tried_at is None else self._clock.monotonic() - self._tried_at
        if self._word in {"backing_off", "flapping"} and waited >= NUDGE_S:
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
        machine, connection = self._machine, self._connection
        last, unknown, malformed = self._last_event_at, self._unknown, self._malformed
        if connection is not None:
            last = connection.last_event_at or last
            unknown += connection.unknown_events
            malformed += connection.malformed_events
        next_try_s = None if self._next_try_at is None else max(0.0, self._next_try_at - self._clock.monotonic())
        return ConversationStatus(
            connection=self._word,
            since=self._since,
            sentence=self._sentence,
            session_id=machine.session_id if machine else "",
            expires_at=machine.expires_at if machine else None,
            responding=self._router.in_flight,
            last_event_at=last,
            unknown_events=unknown,
            malformed_events=malformed,
            last_errors=tuple(self._errors),
            next_try_s=next_try_s,
            connects=self._connects,
        )

    # ------------------------------------------------------------------------------------------- one life

    async def _live_once(self) -> tuple[Verdict, UpstreamError]:
        """Open a connection and live in it until it ends; says what to do then, and why it ended."""
        self._rearm.clear()
        self._connects += 1
        self._tried_at = self._clock.monotonic()
        self._become("connecting")
        try:
            link = await self._open_link()
        except LinkError as error:
            failure = explain_refusal(error)
            self._outage_report(failure)
            retry_after_s = error.retry_after_s if isinstance(error, LinkRefusedError) else None
            return self._judge(self._backoff.after(failure, opened_s=None, retry_after_s=retry_after_s), failure)
        return await self._converse(link)

    async def _converse(self, link: Link) -> tuple[Verdict, UpstreamError]:
        machine = Session(self._settings, self._instructions)
        connection = Connection(
            link,
            machine,
            router=self._router,
            clock=self._clock,
            mailbox=self._mailbox,
            ports=self._ports,
            build=self._build,
            emit=self._emit,
            accepting=lambda: not self._draining,
        )
        opened_at = self._clock.monotonic()
        self._router.use(machine)
        self._machine, self._connection = machine, connection
        self._become("configuring")
        try:
            closed = await connection.run()
        finally:
            self._last_event_at = connection.last_event_at or self._last_event_at
            self._unknown += connection.unknown_events
            self._malformed += connection.malformed_events
            self._machine = self._connection = None
            await hang_up(link)
        now = self._clock.monotonic()
        failure = explain_close(closed.code, closed.reason, machine.failure)
        self._outage_report(failure)
        verdict = self._backoff.after(
            failure,
            opened_s=now - opened_at,
            ready_s=0.0 if machine.ready_since is None else now - machine.ready_since,
            answered=machine.answered,
        )
        return self._judge(verdict, failure)

    def _judge(self, verdict: Verdict, failure: UpstreamError) -> tuple[Verdict, UpstreamError]:
        self._sentence = failure.sentence
        self._changed.set()
        if verdict.action == "stop":
            # Whoever waits learns why, instead of waiting for a person who may not come.
            self._emit_all(self._router.end_again(failure, self._clock.monotonic()))
        self._become(verdict.word)
        return verdict, failure

    # ------------------------------------------------------------------------------------------- between lives

    async def _wait_to_try(self, verdict: Verdict, failure: UpstreamError) -> None:
        if verdict.action == "retry":
            self._next_try_at = self._clock.monotonic() + verdict.after_s
            _log.debug("= %s, next try in %.1f s", verdict.word, verdict.after_s)
            await wait_for_any(self._clock, verdict.after_s, self._rearm)
            self._next_try_at = None
            return
        while not self._rearm.is_set():
            self._mailbox.wakeup.clear()
            self._refuse_waiting(failure)
            await wait_for_any(self._clock, None, self._rearm, self._mailbox.wakeup)

    def _refuse_waiting(self, failure: UpstreamError) -> None:
        """End the questions that people ask while nothing can answer them; automatic ones keep giving way."""
        while not self._draining:
            question = self._mailbox.take_nowait(allow_automatic=False)
            if question is None:
                return
            self._emit(self._router.refused(question, failure, self._clock.monotonic()))

    # ------------------------------------------------------------------------------------------- telling

    def _build(self, question: Question, event_id: str) -> ResponseCreate:
        return build(question, self._history, event_id=event_id, max_output_tokens=self._settings.max_output_tokens)

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
                self._tell(command.error)
            case BecameReady():
                self._sentence = ""
                self._outage = None
                self._become("ready")
            case _:  # sends and closes are the connection's; none come from between connections
                raise AssertionError(f"nobody carries out {type(command).__name__}")

    def _tell(self, error: UpstreamError) -> None:
        self._errors.appendleft(error)
        self._ports.on_error(error)

    def _outage_report(self, failure: UpstreamError) -> None:
        """Tell the end of a connection, but the same cause only once until the next ready."""
        cause = (failure.code, failure.http_status, failure.close_code, failure.sentence)
        if cause != self._outage:
            self._outage = cause
            self._tell(failure)

    def _become(self, word: ConnectionWord) -> None:
        if word == self._word:
            return
        _log.debug("= %s", word)
        self._word = word
        self._since = self._clock.wall()
        self._ports.on_state()
