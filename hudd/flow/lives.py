"""The connections of the conversation: opens them, keeps them, counts what they heard.

A ``Life`` is one link, its machine and its connection, running as a task. During a rollover there are two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from hudd.clock import Clock
from hudd.config.settings import SessionSettings
from hudd.errors import LinkClosedError, LinkRefusedError
from hudd.flow.connection import Connection, hang_up
from hudd.flow.conversation_ports import Heard, Link, Mailbox, OpenLink, Ports
from hudd.model import Question, UpstreamError
from hudd.realtime.memory import ConversationMemory
from hudd.realtime.models import Models
from hudd.realtime.prompt import WindowHistory, build, build_in_conversation
from hudd.realtime.retry import Backoff, Verdict
from hudd.realtime.router import Router, RouterCommand
from hudd.realtime.sentences import SLEPT, explain_close, explain_lost
from hudd.realtime.session import Session
from hudd.realtime.session_words import Ask, Reinstruct, Retire

SLOW_OPENING_S: Final = 1.0
"""An opening that takes longer, when the network comes up, most likely began without it."""


class Life:
    """One connection from its opening to its end.

    Args:
        link: Open.
        machine: Of this connection.
        opened_at: Monotonic seconds.

    Attributes:
        ready: True once questions may be asked.
        due: True once another session should take over.
        retired: True once another one took over.
        changed: Set whenever one of these changes, or the connection ended; whoever waits clears it.
        closed: How it ended, or None while it lasts.
        next_refused: Why the next session was refused for good, or None: what stops hudd once this one has ended.
    """

    def __init__(self, link: Link, machine: Session, opened_at: float) -> None:
        self.machine = machine
        self.opened_at = opened_at
        self.ready = False
        self.due = False
        self.retired = False
        self.changed = asyncio.Event()
        self.closed: LinkClosedError | None = None
        self.next_refused: UpstreamError | None = None
        self._link = link
        self._dropped: UpstreamError | None = None

    async def carry(self, connection: Connection) -> None:
        """Run to the end. Cancelling closes the link within a second."""
        try:
            self.closed = await connection.run()
        finally:
            await hang_up(self._link)
            self.changed.set()

    def mark_ready(self) -> None:
        """The session is configured."""
        self.ready = True
        self.changed.set()

    def mark_due(self) -> None:
        """The session is near its end."""
        self.due = True
        self.changed.set()

    def drop(self, why: UpstreamError) -> None:
        """Give it up at once, for a reason of ours."""
        self._dropped = why
        self._link.abort()

    def probe(self) -> None:
        """Find out soon whether the other side is still there."""
        self._link.probe()

    def judge(self, backoff: Backoff, failure: UpstreamError, now: float, longest_s: float) -> Verdict:
        """What follows from its end."""
        ready_since = self.machine.ready_since
        return backoff.after(
            failure,
            opened_s=now - self.opened_at,
            ready_s=0.0 if ready_since is None else now - ready_since,
            answered=self.machine.answered,
            longest_s=longest_s,
        )

    def failure(self) -> UpstreamError:
        """Why it ended."""
        if self._dropped is not None:
            return self._dropped
        if self.closed is None:
            return explain_lost(SLEPT)
        if self.closed.ours and self.machine.failure is not None:
            return self.machine.failure  # the code of our own close says nothing
        return explain_close(self.closed.code, self.closed.reason, self.machine.failure)


class Lives:
    """All connections there are, and what those before them counted.

    Args:
        settings: Of a session.
        instructions: What the model is told.
        effort: ``[realtime] reasoning``.
        models: Which model is asked.
        clock: Time.
        open_link: Opens a link.
        mailbox: Where questions come from.
        ports: Guard, reservation, and who is told.
        router: Owns the questions.
        history: Recent notes.
        emit: Takes what a connection says beyond its link.
        ended: Told of each that ended.
        accepting: Whether new questions may be taken.

    Attributes:
        connects: Tries to connect.
        tried_at: Monotonic seconds of the last try.
    """

    def __init__(
        self,
        *,
        settings: SessionSettings,
        instructions: str,
        effort: str,
        models: Models,
        clock: Clock,
        open_link: OpenLink,
        mailbox: Mailbox,
        ports: Ports,
        router: Router,
        history: WindowHistory,
        emit: Callable[[Life, RouterCommand], None],
        ended: Callable[[Life], None],
        accepting: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._instructions = instructions
        self._effort = effort
        self._models = models
        self._clock = clock
        self._open_link = open_link
        self._mailbox = mailbox
        self._ports = ports
        self._router = router
        self._history = history
        self._emit = emit
        self._on_ended = ended
        self._accepting = accepting
        self._living: dict[Life, Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening: asyncio.Future[Link] | None = None
        self._why = explain_lost(SLEPT)
        self._before = Heard()
        self.connects = 0
        self.tried_at = float("-inf")

    @property
    def next_model(self) -> str:
        """The model that the next one asks."""
        return self._models.current

    async def open(self, group: asyncio.TaskGroup) -> Life:
        """Open a connection, and let it run in the group.

        Raises:
            LinkError: It could not be opened, or the machine slept meanwhile.
        """
        self.connects += 1
        self.tried_at = self._clock.monotonic()
        model = self.next_model
        link = await self._link()
        memory = ConversationMemory(self._settings, self._history) if self._settings.memory == "conversation" else None
        machine = Session(self._settings, self._instructions, model=model, effort=self._effort, memory=memory)
        life = Life(link, machine, self._clock.monotonic())
        connection = self._living[life] = Connection(
            link,
            machine,
            router=self._router,
            clock=self._clock,
            mailbox=self._mailbox,
            ports=self._ports,
            build=partial(self._request, memory),
            emit=partial(self._emit, life),
            accepting=self._accepting,
        )
        task = group.create_task(life.carry(connection), name="realtime-life")
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(life, done))
        return life

    def retire(self, life: Life) -> None:
        """Another one took over: let it finish its answers."""
        life.retired = True
        connection = self._living.get(life)
        if connection is not None:
            connection.give(Retire())

    def change_instructions(self, instructions: str) -> None:
        """Tell the open sessions and those after them something else."""
        self._instructions = instructions
        for connection in self._living.values():
            connection.give(Reinstruct(instructions))

    def change_settings(self, settings: SessionSettings, effort: str) -> None:
        """Limits and time-outs of the sessions after those that are open."""
        self._settings = settings
        self._effort = effort

    def drop_all(self, why: UpstreamError) -> None:
        """Give up every connection, and the one that is being opened."""
        self._why = why
        for life in self._living:
            life.drop(why)
        if self._opening is not None:
            self._opening.cancel()

    def drop_slow_opening(self, why: UpstreamError) -> None:
        """Give up a connection that has been in the opening for long: its first packets may have gone nowhere."""
        if self._opening is not None and self._clock.monotonic() - self.tried_at >= SLOW_OPENING_S:
            self._why = why
            self._opening.cancel()

    def probe_all(self) -> None:
        """Find out soon which connections died in silence."""
        for life in self._living:
            life.probe()

    def retiring(self) -> bool:
        """Whether one still finishes its answers."""
        return any(life.retired for life in self._living)

    def heard(self) -> Heard:
        """What all connections since the start heard."""
        total = self._before
        for connection in self._living.values():
            total = total.plus(connection.heard)
        return total

    async def _link(self) -> Link:
        opening = self._opening = asyncio.ensure_future(self._open_link())
        try:
            await asyncio.wait({opening})
        except asyncio.CancelledError:
            opening.cancel()
            for opened in await asyncio.gather(opening, return_exceptions=True):
                if not isinstance(opened, BaseException):
                    opened.abort()
            raise
        finally:
            self._opening = None
        if opening.cancelled():
            raise LinkRefusedError(self._why.sentence, code=self._why.code)
        return opening.result()

    def _ended(self, life: Life, task: asyncio.Task[None]) -> None:
        """Keep what it counted."""
        self._tasks.discard(task)
        self._before = self._before.plus(self._living.pop(life).heard)
        life.changed.set()
        self._on_ended(life)

    def _request(self, memory: ConversationMemory | None, question: Question, event_id: str) -> Ask:
        longest = self._settings.max_output_tokens
        if memory is None:
            event = build(question, self._history, event_id=event_id, max_output_tokens=longest)
            return Ask(question.id, event)
        event = build_in_conversation(question, event_id=event_id, max_output_tokens=longest)
        return Ask(question.id, event, memory.plan(question))
