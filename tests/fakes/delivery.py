"""A delivery, and everything around it recorded in the order it happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from hudd.errors import CommandError, StorageError
from hudd.flow.counters import Counters
from hudd.flow.delivery import Delivery
from hudd.flow.waiters import Waiters
from hudd.ledger.records import Settlement
from hudd.model import Answer, Question, UpstreamError
from hudd.policy.facts import Facts
from hudd.wire.messages import Note
from tests.fakes.clock import ManualClock
from tests.fakes.journal import make_answer

FULL = StorageError("The journal is full.", hint="Free some space.")


class Limits:
    model = "gpt-realtime-1.5"
    engine = "service"


class FakeSpending:
    """Settles every question that was asked for 4100 micro-dollars."""

    limits = Limits()

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.reserved = True
        self.asked = Limits.model

    def explain(self, reasons: Sequence[str]) -> tuple[str, str]:
        return Facts().explain(reasons)

    def settlement(self, answer: Answer) -> Settlement | None:
        if not self.reserved:
            return None
        return Settlement(1, answer.status, answer.usage, 4100 if answer.sent else 0, model=self.asked)

    def committed(self) -> None:
        self.log.append("committed")


class FakeStore:
    """Numbers notes; takes its time when told to."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.notes: list[Note] = []
        self.settled: list[Settlement] = []
        self.error: StorageError | None = None
        self.said: dict[str, str] = {}
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def commit_note(self, note: Note, settlement: Settlement | None) -> Note:
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        numbered = replace(note, stream="s1", seq=len(self.notes) + 1)
        self.notes.append(numbered)
        self.log.append(f"commit {numbered.seq}")
        return numbered

    async def settle(self, settlement: Settlement) -> None:
        if self.error is not None:
            raise self.error
        self.settled.append(settlement)
        self.log.append("settle")

    async def last_texts(self) -> dict[str, str]:
        if self.error is not None:
            raise self.error
        return dict(self.said)


class House:
    """A delivery and everything around it, recorded in the order it happened."""

    def __init__(self, store: Any = None, clean: Callable[[Answer], Awaitable[Answer]] | None = None) -> None:
        self.log: list[str] = []
        self.clock = ManualClock()
        self.store = store or FakeStore(self.log)
        self.spending = FakeSpending(self.log)
        self.waiters = Waiters(self.clock)
        self.counters = Counters()
        self.bodies: list[dict[str, Any]] = []
        self.remembered: list[tuple[str, str]] = []
        self.errors: list[UpstreamError] = []
        self.unsent: list[Question] = []
        self.forgotten = False
        self.delivery = Delivery(
            store=self.store,
            publisher=self,
            spending=self.spending,  # pyright: ignore[reportArgumentType]
            waiters=self.waiters,
            counters=self.counters,
            clock=self.clock,
            remember=lambda source, text: self.remembered.append((source, text)),
            published=lambda key: self.log.append(f"published {key}"),
            on_error=self.errors.append,
            unsent=self.unsent.append,
            forgotten=lambda _: self.forgotten,
            clean=clean,
        )

    def publish(self, topic: str, body: dict[str, Any]) -> None:
        self.bodies.append(body)
        self.log.append(f"publish {topic} {body['seq']}")

    async def outcome(self, answer: Answer) -> dict[str, Any]:
        """What a person who waits for the question is told."""
        future, _ = self.waiters.begin(answer.question.id)
        self.delivery.put(answer)
        async with asyncio.timeout(10):
            told = await future
        if isinstance(told, CommandError):
            raise told
        return told


@asynccontextmanager
async def delivering(
    store: Any = None, clean: Callable[[Answer], Awaitable[Answer]] | None = None
) -> AsyncGenerator[House]:
    house = House(store, clean)
    task = asyncio.create_task(house.delivery.run())
    try:
        yield house
    finally:
        task.cancel()
        await asyncio.wait([task])


def failed(code: str = "server_error", **changes: Any) -> Answer:
    error = UpstreamError(sentence="The service failed; hudd goes on.", type="server_error", code=code, message="boom")
    return make_answer("", trigger="manual", status="failed", error=error, **changes)


def withheld(param: str = "paused", **changes: Any) -> Answer:
    error = UpstreamError(sentence="Nothing was sent (paused).", code="withheld", param=param)
    return make_answer("", trigger="manual", **({"status": "failed", "error": error, "sent": False} | changes))
