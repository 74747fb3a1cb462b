"""The engine for tests: ids that count up, a client in memory, pictures without a library, a server on a free port."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import struct
import zlib
from collections.abc import AsyncIterator
from typing import Any

from hudd.engine.accounting import CacheMode, PromptCache
from hudd.engine.answers import Answerer
from hudd.engine.commands import Ask, Command, DialogueOptions, End, Forget, Send, SendRaw
from hudd.engine.dialogue import Dialogue
from hudd.engine.faults import Faults, parse_fault
from hudd.engine.options import EngineOptions
from hudd.engine.server import EngineServer

MODEL = "gpt-realtime-1.5"
FIRST_UPDATE: dict[str, Any] = {
    "type": "session.update",
    "event_id": "su_1",
    "session": {
        "type": "realtime",
        "output_modalities": ["text"],
        "instructions": "Say what is on the screen.",
        "max_output_tokens": 300,
        "audio": {"input": {"turn_detection": None}},
        "truncation": {
            "type": "retention_ratio",
            "retention_ratio": 0.5,
            "token_limits": {"post_instructions": 6000},
        },
        "tools": [],
        "tool_choice": "auto",
    },
}


class CountingNames:
    """Ids that count up: ``item_1``, ``item_2`` …"""

    def __init__(self) -> None:
        self._counts: dict[str, itertools.count[int]] = {}

    def id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._counts.setdefault(prefix, itertools.count(1)))}"

    def padding(self) -> str:
        return "pad"


class Talk:
    """A client in memory that talks with one dialogue at a time that the test sets."""

    def __init__(
        self,
        *faults: str,
        model: str = MODEL,
        cache: CacheMode | PromptCache = "ideal",
        update: bool = True,
        **options: Any,
    ) -> None:
        self.now = 1000.0
        self.asked: list[Ask] = []
        self.forgotten: list[str] = []
        self.closed: End | None = None
        self.raw: list[bytes] = []
        self.seen: list[dict[str, Any]] = []
        self.dialogue = Dialogue(
            model,
            DialogueOptions(faults=Faults(tuple(parse_fault(f) for f in faults)), **options),
            cache if isinstance(cache, PromptCache) else PromptCache(cache),
            CountingNames(),
        )
        self.first = self._take(self.dialogue.start(self.now, 1_795_343_466.0))
        if update:
            self.say(FIRST_UPDATE)

    def say(self, event: dict[str, Any] | str) -> list[dict[str, Any]]:
        """Send a client event (or a raw frame) and return what comes back."""
        frame = event if isinstance(event, str) else json.dumps(event)
        return self._take(self.dialogue.receive(frame, self.now))

    def item(self, text: str, **fields: Any) -> list[dict[str, Any]]:
        """Create a user message."""
        previous = {"previous_item_id": fields.pop("previous_item_id")} if "previous_item_id" in fields else {}
        return self.say({"type": "conversation.item.create", "item": user(text, **fields), **previous})

    def respond(self, **response: Any) -> list[dict[str, Any]]:
        """Create a response."""
        return self.say({"type": "response.create", "event_id": "rc_1", "response": response})

    def out_of_band(self, *parts: dict[str, Any], **response: Any) -> list[dict[str, Any]]:
        """Create a response out of band, with one user message as its input."""
        message = {"type": "message", "role": "user", "content": list(parts)}
        return self.respond(conversation="none", input=[message], **response)

    def answer(self, text: str, index: int = -1) -> list[dict[str, Any]]:
        """Answer a question that was asked, the newest by default."""
        response_id = self.asked[index].response_id
        events = self._take(self.dialogue.add_text(response_id, text, self.now))
        return events + self._take(self.dialogue.end_text(response_id, self.now))

    def wait(self, seconds: float) -> list[dict[str, Any]]:
        """Let time pass, and tick whenever the dialogue wants it."""
        end, events = self.now + seconds, []
        while self.dialogue.wake_at <= end:
            self.now = max(self.now, self.dialogue.wake_at)
            events += self._take(self.dialogue.tick(self.now))
        self.now = end
        return events

    def take(self, commands: list[Command]) -> list[dict[str, Any]]:
        """Note what a direct call of the dialogue returned."""
        return self._take(commands)

    def _take(self, commands: list[Command]) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        for command in commands:
            if isinstance(command, Send):
                assert self.closed is None, "an event after the close"
                events.append(json.loads(json.dumps(command.event)))
            elif isinstance(command, SendRaw):
                self.raw.append(command.frame)
            elif isinstance(command, Ask):
                self.asked.append(command)
            elif isinstance(command, Forget):
                self.forgotten.append(command.response_id)
            else:
                assert self.closed is None
                self.closed = command
        self.seen += events
        return events


def types(events: list[dict[str, Any]]) -> list[str]:
    """The types of events."""
    return [event["type"] for event in events]


def error_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The error of the only event."""
    assert types(events) == ["error"], events
    return events[0]["error"]


def user(text: str, **fields: Any) -> dict[str, Any]:
    """A user message."""
    return {"type": "message", "role": "user", "content": [words(text)], **fields}


def words(text: str) -> dict[str, Any]:
    """A text part of a user message."""
    return {"type": "input_text", "text": text}


def image(url: str, **fields: Any) -> dict[str, Any]:
    """A picture part of a user message."""
    return {"type": "input_image", "image_url": url, **fields}


def png(width: int, height: int, grey: int = 200) -> bytes:
    """A real PNG of one grey."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = (b"\0" + bytes([grey]) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def jpeg_head(width: int, height: int) -> bytes:
    """The beginning of a JPEG, with its size and without its picture."""
    app0 = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0" + bytes(9)
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8" + app0 + frame + b"\xff\xda"


def data_url(data: bytes, media_type: str = "image/png") -> str:
    """A picture as a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


@contextlib.asynccontextmanager
async def running_engine(*faults: str, answerer: Answerer | None = None, **options: Any) -> AsyncIterator[EngineServer]:
    """A canned engine on a free port of 127.0.0.1; ``.url`` says where. Any key is admitted unless ``token`` is given."""
    chosen: dict[str, Any] = {"answers": "canned", **options}
    settings = EngineOptions(faults=tuple(parse_fault(f) for f in faults), **chosen)
    async with EngineServer(settings, answerer=answerer) as server:
        yield server
