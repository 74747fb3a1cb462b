"""A plain WebSocket client of the engine, for tests of what comes over the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.fakes.engine import FIRST_UPDATE, MODEL


def open_session(url: str, *, key: str = "any", model: str = MODEL, **options: Any) -> connect:
    """Connect; for ``await`` or ``async with``."""
    settings: dict[str, Any] = {
        "additional_headers": {"Authorization": f"Bearer {key}"},
        "compression": None,
        "proxy": None,
        "max_size": None,
        **options,
    }
    return connect(f"{url}?model={model}" if model else url, **settings)


async def events_until(socket: ClientConnection, last: str) -> list[dict[str, Any]]:
    """Events up to the first of a type."""
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] != last:
        events.append(json.loads(await asyncio.wait_for(socket.recv(), 5)))
    return events


async def say(socket: ClientConnection, event: dict[str, Any]) -> None:
    """Send an event."""
    await socket.send(json.dumps(event))


async def ready(socket: ClientConnection) -> None:
    """Configure the session."""
    await say(socket, FIRST_UPDATE)
    await events_until(socket, "session.updated")


def question(*parts: dict[str, Any], **response: Any) -> dict[str, Any]:
    """A response out of band with one user message."""
    message = {"type": "message", "role": "user", "content": list(parts)}
    return {"type": "response.create", "response": {"conversation": "none", "input": [message], **response}}


async def closing(socket: ClientConnection) -> tuple[int, str]:
    """Close code and reason, once the connection has ended."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await asyncio.wait_for(socket.recv(), 5)
    assert socket.close_code is not None
    return socket.close_code, socket.close_reason or ""
