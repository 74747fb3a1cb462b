"""A real WebSocket server on the loopback, for the link."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from hudd.errors import LinkClosedError
from hudd.protocol.events import Malformed
from hudd.realtime.link import Link

KEY = "sk-very-secret-key"
HEADERS = {"Authorization": f"Bearer {KEY}"}


@asynccontextmanager
async def server(
    handler: Callable[[ServerConnection], Awaitable[None]],
    *,
    process_request: Callable[[ServerConnection, Request], Response | None] | None = None,
) -> AsyncIterator[str]:
    """A server that does ``handler`` with each connection; its address."""
    async with serve(
        handler, "127.0.0.1", 0, max_size=None, process_request=process_request, close_timeout=1
    ) as running:
        port = next(iter(running.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/realtime"


async def echo(connection: ServerConnection) -> None:
    """Say what is said."""
    with suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(message)


async def frames_until_closed(link: Link) -> tuple[list[str | Malformed], LinkClosedError]:
    """All frames, and how it ended."""
    frames: list[str | Malformed] = []
    try:
        async for frame in link:
            frames.append(frame)  # noqa: PERF401 - a comprehension would lose them at the error
    except LinkClosedError as closed:
        return frames, closed
    raise AssertionError("the iteration ended without a word")
