"""The client half on the machine's clock and a real socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from hudd.clock import SystemClock
from hudd.config.settings import SessionSettings
from hudd.flow.conversation import Conversation
from hudd.flow.conversation_ports import Link
from hudd.flow.mailbox import Mailbox
from hudd.model import Answer, Question, Trigger, UpstreamError
from hudd.realtime.link import endpoint_url, open_link
from hudd.realtime.prompt import WindowHistory
from tests.fakes.engine import png
from tests.fakes.questions import make_picture, make_question

PICTURE = png(640, 360)


class Client:
    """A conversation on the machine's clock."""

    def __init__(self, url: str, *, settings: SessionSettings | None = None, token: str = "key") -> None:
        self._url = endpoint_url(url, "gpt-realtime-1.5")
        self._token = token
        self.answers: list[Answer] = []
        self.errors: list[UpstreamError] = []
        self.states: list[str] = []
        self.text = ""
        self.changed = asyncio.Event()
        self.mailbox = Mailbox()
        self.conversation = Conversation(
            settings=settings or SessionSettings(),
            instructions="Keep notes.",
            clock=SystemClock(),
            open_link=self._open_link,
            mailbox=self.mailbox,
            history=WindowHistory(history_tokens=300, retention_ratio=0.5),
            guard=lambda _: (),
            reserve=self._reserve,
            on_sent=lambda _: None,
            on_delta=self._on_delta,
            on_answer=self._on(self.answers),
            on_error=self._on(self.errors),
            on_state=lambda: self._on(self.states)(self.conversation.status().connection),
        )

    async def _open_link(self) -> Link:
        return await open_link(self._url, {"Authorization": f"Bearer {self._token}"}, connect_s=5)

    async def _reserve(self, _: Question, __: str) -> None: ...

    def _on_delta(self, _: Question, n: int, text: str) -> None:
        self.text = text if n == 0 else self.text + text

    def _on(self, to: list[Any]) -> Callable[[Any], None]:
        def note(value: Any) -> None:
            to.append(value)
            self.changed.set()

        return note

    def ask(self, number: int = 1, trigger: Trigger = "manual") -> None:
        picture = replace(make_picture(), media_type="image/png", data=PICTURE)
        self.mailbox.put(replace(make_question(number, trigger, asked_at=time.monotonic()), pictures=(picture,)))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def client(url: str, **options: object) -> AsyncIterator[Client]:
    one = Client(url, **options)  # type: ignore[arg-type]
    task = asyncio.create_task(one.conversation.run())
    try:
        yield one
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
