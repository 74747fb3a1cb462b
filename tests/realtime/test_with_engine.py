"""Our client half against the engine's server half over a real socket: the whole way, and every fault it can play."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from hudd.clock import SystemClock
from hudd.config.settings import SessionSettings
from hudd.flow.conversation import Conversation
from hudd.flow.conversation_ports import Link
from hudd.flow.mailbox import Mailbox
from hudd.model import Answer, Question, Trigger, UpstreamError
from hudd.realtime.link import endpoint_url, open_link
from hudd.realtime.prompt import WindowHistory
from tests.fakes.engine import png, running_engine
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

    async def _reserve(self, _: Question) -> None: ...

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


async def test_a_picture_becomes_an_answer() -> None:
    async with running_engine() as engine, client(engine.url) as one:
        one.ask()
        await one.until(lambda: one.answers)
        [answer] = one.answers
        assert (answer.status, answer.sent, answer.error) == ("completed", True, None)
        assert answer.text
        assert one.text == answer.text
        assert answer.usage is not None
        assert answer.usage.image_tokens == 323
        assert answer.session_id.startswith("sess_")
        assert answer.response_id.startswith("resp_")
        assert one.conversation.status().unknown_events == 0
        assert one.errors == []
    assert one.states == ["configuring", "ready"]


async def test_the_beginning_is_cached_from_the_second_question_on() -> None:
    async with running_engine() as engine, client(engine.url) as one:
        for number in (1, 2):
            one.ask(number)
            await one.until(lambda count=number: len(one.answers) == count)
        first, second = (answer.usage for answer in one.answers)
        assert first is not None
        assert second is not None
        assert second.cached_text_tokens > first.cached_text_tokens == 0


async def test_two_snaps_are_answered_side_by_side() -> None:
    async with running_engine(pace_s=0.01) as engine, client(engine.url) as one:
        one.ask(1)
        one.ask(2)
        await one.until(lambda: len(one.answers) == 2)
        assert {answer.status for answer in one.answers} == {"completed"}
        assert len({answer.response_id for answer in one.answers}) == 2


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("fail:rate_limit_exceeded", "failed", "rate_limit_exceeded"),
        ("incomplete", "incomplete", None),
        ("cancelled", "cancelled", None),
        ("error:invalid_value", "failed", "invalid_value"),
        ("garbage", "completed", None),
        ("unknown_events", "completed", None),
        ("missing_usage", "completed", None),
        ("echo_images", "completed", None),
    ],
)
async def test_how_answers_end(fault: str, status: str, code: str | None) -> None:
    async with running_engine(fault) as engine, client(engine.url) as one:
        one.ask()
        await one.until(lambda: one.answers)
        [answer] = one.answers
        assert answer.status == status
        assert (None if answer.error is None else answer.error.code) == code
        assert (answer.usage is None) == (fault == "missing_usage" or status == "failed")
        state = one.conversation.status()
        assert state.connection == "ready"
        assert (state.unknown_events > 0) == (fault == "unknown_events")
        assert (state.malformed_events > 0) == (fault == "garbage")


@pytest.mark.parametrize("fault", ["http:401", "http:403", "http:404", "fail:insufficient_quota"])
async def test_faults_that_stop(fault: str) -> None:
    async with running_engine(fault) as engine, client(engine.url) as one:
        one.ask()
        await one.until(lambda: one.answers and "needs_attention" in one.states)
        assert one.answers[0].status == "failed"
        assert one.conversation.status().sentence


async def test_a_wrong_token_stops() -> None:
    async with running_engine(token="right") as engine, client(engine.url, token="wrong") as one:
        await one.until(lambda: "needs_attention" in one.states)
        assert one.errors[0].code == "invalid_api_key"
        assert one.conversation.status().connects == 1


@pytest.mark.parametrize("fault", ["http:503", "http:429", "close:1011@session.created", "close:1006@session.updated"])
async def test_faults_that_are_tried_again(fault: str) -> None:
    async with running_engine(fault) as engine, client(engine.url) as one:
        await one.until(lambda: one.conversation.status().connects >= 2)
        assert "backing_off" in one.states
        assert "needs_attention" not in one.states


@pytest.mark.parametrize("event", ["response.created", "response.output_text.delta"])
async def test_a_snap_survives_a_drop_within_its_answer_once(event: str) -> None:
    async with running_engine(f"close:1006@{event}") as engine, client(engine.url) as one:
        one.ask()
        await one.until(lambda: one.answers)
        [answer] = one.answers
        assert answer.status == "vanished"
        assert answer.error is not None
        assert answer.error.close_code == 1006
        assert one.conversation.status().connects >= 2


async def test_an_expired_session_is_followed_by_a_new_one() -> None:
    async with running_engine(lifetime_s=0.3) as engine, client(engine.url) as one:
        await one.until(lambda: one.states.count("ready") == 2)
        assert one.errors[0].code == "session_expired"


@pytest.mark.parametrize(
    ("fault", "step"),
    [
        ("no_created", "session.created"),
        ("stall@session.created", "session.updated"),
        ("stall@session.updated", "response.created"),
        ("stall@response.created", "first text"),
        ("stall@response.output_text.delta", "response.done"),
    ],
)
async def test_each_step_has_its_timeout(fault: str, step: str) -> None:
    quick = SessionSettings(
        created_s=0.3, updated_s=0.3, response_created_s=0.3, first_delta_s=0.3, response_done_s=0.6
    )
    async with running_engine(fault) as engine, client(engine.url, settings=quick) as one:
        one.ask()
        await one.until(lambda: one.errors)
        assert (one.errors[0].code, one.errors[0].param) == ("timeout", step)
