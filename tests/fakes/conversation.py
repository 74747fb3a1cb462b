"""A conversation over links without sockets, with time that a test moves, and everything around it recorded."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from hudd.config.settings import SessionSettings
from hudd.flow.conversation import Conversation
from hudd.flow.conversation_ports import Link
from hudd.flow.mailbox import Mailbox
from hudd.model import Answer, Question, UpstreamError
from hudd.realtime.models import Models
from hudd.realtime.prompt import WindowHistory
from tests.fakes.clock import ManualClock, settle
from tests.fakes.link import FakeLink
from tests.fakes.questions import make_question
from tests.fakes.realtime_peer import RealtimePeer

SETTINGS = SessionSettings()


class House:
    """A conversation and everything around it, recorded in the order it happened.

    Everything that is sent is checked against the official types.

    Attributes:
        peer: The other end of every link, until ``peer_of`` says another.
        peer_of: Makes the peer of a link by its number, from 0.
        stamp: What ``retake`` puts into the fresh picture: counts up.
        awaited: Ids of the questions whose answers somebody waits for.
        reserved_for: The model of each reservation.
        shown: The states that the log shows: none that passes, and each until there is another one.
    """

    def __init__(
        self,
        settings: SessionSettings = SETTINGS,
        *,
        models: Models | None = None,
        effort: str = "",
        history_tokens: int = 300,
    ) -> None:
        self.clock = ManualClock()
        self.peer = RealtimePeer()
        self.peer_of: Callable[[int], RealtimePeer] = lambda _: self.peer
        self.opening: asyncio.Event | None = None
        self.dials = True
        self.retake_error: Exception | None = None
        self.on_retake: Callable[[], None] = lambda: None
        self.retaken: list[Question] = []
        self.shrinks: list[bool] = []
        self.awaited: set[str] = set()
        self.models_told: list[str] = []
        self.reserved_for: list[str] = []
        self.models = models or Models("gpt-realtime-1.5")
        self.mailbox = Mailbox()
        self.links: list[FakeLink] = []
        self.refusals: deque[Exception] = deque()
        self.greet = True
        self.log: list[str] = []
        self.answers: list[Answer] = []
        self.errors: list[UpstreamError] = []
        self.deltas: list[tuple[str, int, str]] = []
        self.states: list[str] = []
        self.shown: list[str] = []
        self.reasons: tuple[str, ...] = ()
        self.reserve_error: Exception | None = None
        self.reserving: asyncio.Event | None = None
        self.history = WindowHistory(history_tokens=history_tokens, retention_ratio=0.5)
        self.conversation = Conversation(
            settings=settings,
            instructions="Keep notes.",
            clock=self.clock,
            open_link=self.open_link,
            mailbox=self.mailbox,
            history=self.history,
            guard=self.guard,
            reserve=self.reserve,
            on_sent=lambda question: self.log.append(f"sent {question.id[-1]}"),
            on_delta=lambda question, n, text: self.deltas.append((question.id, n, text)),
            on_answer=self.on_answer,
            on_error=self.errors.append,
            on_state=self.on_state,
            retake=self.retake,
            shrink=lambda: self.shrinks.pop(0),
            awaited=self.awaited.__contains__,
            dials=lambda: self.dials,
            models=self.models,
            effort=effort,
            on_model=self.models_told.append,
            jitter=lambda: 1.0,
        )

    async def open_link(self) -> Link:
        if self.refusals:
            raise self.refusals.popleft()
        if self.opening is not None:
            await self.opening.wait()
        link = FakeLink(self.peer_of(len(self.links)), greet=self.greet)
        self.links.append(link)
        return link

    async def retake(self, question: Question) -> Question:
        self.on_retake()
        if self.retake_error is not None:
            raise self.retake_error
        picture = replace(question.pictures[0], data=b"fresh", hash=f"fresh{len(self.retaken)}")
        fresh = replace(question, pictures=(picture,))
        self.retaken.append(fresh)
        return fresh

    def guard(self, question: Question) -> tuple[str, ...]:
        self.log.append(f"guard {question.id[-1]}")
        return self.reasons

    async def reserve(self, question: Question, model: str) -> None:
        self.log.append(f"reserve {question.id[-1]}")
        self.reserved_for.append(model)
        if self.reserving is not None:
            await self.reserving.wait()
        if self.reserve_error is not None:
            raise self.reserve_error

    def on_answer(self, answer: Answer) -> None:
        self.log.append(f"answer {answer.question.id[-1]} {answer.status}")
        self.answers.append(answer)

    def on_state(self) -> None:
        status = self.conversation.status()
        self.states.append(status.connection)
        if not status.tries_again and self.shown[-1:] != [status.connection]:
            self.shown.append(status.connection)

    @property
    def link(self) -> FakeLink:
        return self.links[-1]

    def put(self, number: int = 1, trigger: str = "manual") -> Question:
        question = make_question(number, trigger, asked_at=self.clock.monotonic())  # type: ignore[arg-type]
        self.mailbox.put(question)
        return question

    def asked(self) -> int:
        return self.peer.received_types().count("response.create")

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for what a thread has a part in; a test never ends this way by luck, only by the condition."""
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - the conditions are others' facts, not events of ours
                await asyncio.sleep(0.001)
        await settle()


@asynccontextmanager
async def living(house: House) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(house.conversation.run())
    await settle()
    try:
        yield task
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert house.clock.sleeping == 0
