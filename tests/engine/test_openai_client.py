"""The official client talks with the engine over a real socket; every event must pass its own types."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai import AsyncOpenAI, BaseModel
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types import realtime as sdk
from openai.types.realtime import RealtimeServerEvent
from openai.types.realtime.realtime_server_event import ConversationItemRetrieved
from pydantic import TypeAdapter

from tests.fakes.engine import MODEL, data_url, png, running_engine

CLASSES: dict[str, type[BaseModel]] = {
    "session.created": sdk.SessionCreatedEvent,
    "session.updated": sdk.SessionUpdatedEvent,
    "error": sdk.RealtimeErrorEvent,
    "rate_limits.updated": sdk.RateLimitsUpdatedEvent,
    "conversation.item.added": sdk.ConversationItemAdded,
    "conversation.item.done": sdk.ConversationItemDone,
    "conversation.item.deleted": sdk.ConversationItemDeletedEvent,
    "conversation.item.retrieved": ConversationItemRetrieved,
    "input_audio_buffer.committed": sdk.InputAudioBufferCommittedEvent,
    "input_audio_buffer.cleared": sdk.InputAudioBufferClearedEvent,
    "response.created": sdk.ResponseCreatedEvent,
    "response.done": sdk.ResponseDoneEvent,
    "response.output_item.added": sdk.ResponseOutputItemAddedEvent,
    "response.output_item.done": sdk.ResponseOutputItemDoneEvent,
    "response.content_part.added": sdk.ResponseContentPartAddedEvent,
    "response.content_part.done": sdk.ResponseContentPartDoneEvent,
    "response.output_text.delta": sdk.ResponseTextDeltaEvent,
    "response.output_text.done": sdk.ResponseTextDoneEvent,
}
# Fields that the service sends although the package's types do not have them (realtime-protocol 2.2, 3.2, 3.5, 3.6).
WIRE_ONLY = {"id", "object", "expires_at", "obfuscation", "phase", "reasoning_tokens"}
ADAPTER: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
SHOT = data_url(png(1280, 720))


def extras(value: object) -> set[str]:
    """Names of fields that the package's types do not know, anywhere below."""
    found: set[str] = set()
    if isinstance(value, BaseModel):
        found |= set(value.model_extra or {})
        for name in type(value).model_fields:
            found |= extras(getattr(value, name))
    elif isinstance(value, list | tuple):
        for member in value:
            found |= extras(member)
    return found


class Client:
    """The official client's connection, with every event checked against its types."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.seen: list[Any] = []

    async def until(self, last: str) -> list[Any]:
        events: list[Any] = []
        while not events or events[-1].type != last:
            raw = await self.connection.recv_bytes()
            event = ADAPTER.validate_json(raw, strict=True)
            assert type(event) is CLASSES[json.loads(raw)["type"]]
            assert type(self.connection.parse_event(raw)) is type(event)
            assert extras(event) <= WIRE_ONLY
            events.append(event)
        self.seen += events
        return events


@asynccontextmanager
async def client(*faults: str, model: str = MODEL, **options: Any) -> AsyncIterator[Client]:
    async with running_engine(*faults, token="sk-local", **options) as engine:
        base = engine.url.replace("ws://", "http://").removesuffix("/realtime")
        async with (
            AsyncOpenAI(api_key="sk-local", base_url=base) as openai,
            openai.realtime.connect(model=model, websocket_connection_options={"proxy": None}) as connection,
        ):
            talk = Client(connection)
            await talk.until("session.created")
            await connection.session.update(
                session={
                    "type": "realtime",
                    "output_modalities": ["text"],
                    "instructions": "Say what is on the screen.",
                    "max_output_tokens": 200,
                    "audio": {"input": {"turn_detection": None}},
                    "truncation": {
                        "type": "retention_ratio",
                        "retention_ratio": 0.5,
                        "token_limits": {"post_instructions": 600},
                    },
                    "tools": [],
                    "tool_choice": "auto",
                }
            )
            await talk.until("session.updated")
            yield talk


@pytest.mark.parametrize("model", [MODEL, "gpt-realtime-2.1-mini"])
async def test_a_text_conversation(model: str) -> None:
    async with client(model=model) as talk:
        for turn in range(2):
            await talk.connection.conversation.item.create(
                item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": f"Hello {turn}"}]}
            )
            await talk.connection.response.create()
            events = await talk.until("rate_limits.updated")
            done = events[-2]
            assert done.response.status == "completed"
            assert done.response.output[0].content[0].text.startswith("I am hudd's local engine")
            text = "".join(e.delta for e in events if isinstance(e, sdk.ResponseTextDeltaEvent))
            assert text == done.response.output[0].content[0].text
            assert (
                done.response.usage.total_tokens == done.response.usage.input_tokens + done.response.usage.output_tokens
            )


async def test_an_image_conversation() -> None:
    async with client() as talk:
        await talk.connection.conversation.item.create(
            item={
                "id": "shot_1",
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is on the screen?"},
                    {"type": "input_image", "image_url": SHOT, "detail": "high"},
                ],
            }
        )
        await talk.connection.response.create(response={"metadata": {"shot": "1"}})
        done = (await talk.until("rate_limits.updated"))[-2]
        assert done.response.usage.input_token_details.image_tokens == 323
        assert done.response.metadata == {"shot": "1"}
        await talk.connection.conversation.item.retrieve(item_id="shot_1")
        await talk.until("conversation.item.retrieved")
        await talk.connection.conversation.item.delete(item_id="shot_1")
        await talk.until("conversation.item.deleted")
        await talk.connection.conversation.item.delete(item_id="shot_1", event_id="again")
        (error,) = await talk.until("error")
        assert (error.error.code, error.error.event_id) == ("item_delete_invalid_item_id", "again")


async def test_an_out_of_band_conversation() -> None:
    async with client(pace_s=0.02) as talk:
        for shot in ("1", "2"):
            await talk.connection.response.create(
                event_id=f"rc_{shot}",
                response={
                    "conversation": "none",
                    "output_modalities": ["text"],
                    "max_output_tokens": 100,
                    "metadata": {"snap": shot, "source": "eDP-1"},
                    "input": [
                        {
                            "type": "message",
                            "role": "assistant",
                            "content": [{"type": "output_text", "text": "An editor with larkspur.py."}],
                        },
                        {
                            "type": "message",
                            "role": "user",
                            "content": [
                                {"type": "input_text", "text": "10:31"},
                                {"type": "input_image", "image_url": SHOT},
                            ],
                        },
                    ],
                },
            )
        events = await talk.until("response.done") + await talk.until("response.done")
        done = [e for e in events if e.type == "response.done"]
        assert [d.response.metadata["snap"] for d in done] == ["1", "2"]
        assert all(d.response.conversation_id is None for d in done)
        assert not [e for e in events if e.type.startswith("conversation.item")]
        started = [i for i, e in enumerate(events) if e.type == "response.created"]
        ended = [i for i, e in enumerate(events) if e.type == "response.done"]
        assert started[1] < ended[0], "they run in parallel"


async def test_cancelled_cut_and_failed_responses() -> None:
    async with client(pace_s=5.0) as talk:
        await talk.connection.response.create()
        created = (await talk.until("response.created"))[-1]
        await talk.connection.response.cancel(response_id=created.response.id)
        assert (await talk.until("response.done"))[-1].response.status_details.reason == "client_cancelled"
    async with client() as talk:
        await talk.connection.response.create(response={"max_output_tokens": 2})
        assert (await talk.until("response.done"))[-1].response.status_details.reason == "max_output_tokens"
    async with client("fail:insufficient_quota") as talk:
        await talk.connection.response.create()
        assert (await talk.until("response.done"))[-1].response.status_details.error.code == "insufficient_quota"


async def test_audio_bytes_are_counted() -> None:
    async with client() as talk:
        await talk.connection.input_audio_buffer.append(audio="A" * 8000)
        await talk.connection.input_audio_buffer.commit()
        await talk.until("conversation.item.done")
        await talk.connection.input_audio_buffer.clear()
        await talk.until("input_audio_buffer.cleared")


async def test_an_expired_session_is_an_error_of_the_types() -> None:
    async with client("expire:0.3") as talk:
        (error,) = await talk.until("error")
        assert error.error.code == "session_expired"
