"""A link without a socket, with the scripted peer at its other end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from hudd.errors import LinkClosedError, WithheldError
from hudd.protocol.events import Malformed
from tests.fakes.official_types import check_client_event
from tests.fakes.realtime_peer import RealtimePeer


class FakeLink:
    """Satisfies the conversation's ``Link``.

    Attributes:
        peer: The other end.
        closed: Set once it is closed, with the code.
        stall_close: When True, ``close`` never ends by itself.
        probes: How often it was asked whether the other end is there.
    """

    def __init__(self, peer: RealtimePeer, *, greet: bool = True) -> None:
        self.peer = peer
        self.closed: int | None = None
        self.ours = False
        self.aborted = False
        self.stall_close = False
        self.probes = 0
        self._frames: asyncio.Queue[str | Malformed | LinkClosedError] = asyncio.Queue()
        if greet:
            self.feed(*peer.greeting())

    def feed(self, *frames: str | Malformed) -> None:
        """Let frames come from the other end."""
        for frame in frames:
            self._frames.put_nowait(frame)

    def drop(self, code: int = 1006, reason: str = "", *, ours: bool = False) -> None:
        """Let the connection end."""
        if self.closed is None:
            self.closed, self.ours = code, ours
            self._frames.put_nowait(LinkClosedError("gone", code=code, reason=reason, ours=ours))

    async def send(self, data: bytes, guard: Callable[[], tuple[str, ...]] | None = None) -> None:
        if self.closed is not None:
            raise LinkClosedError("gone", code=self.closed, ours=self.ours)
        if guard is not None and (reasons := guard()):
            raise WithheldError(reasons)
        check_client_event(data)
        self.feed(*self.peer.receive(data))

    async def __aiter__(self) -> AsyncIterator[str | Malformed]:
        while True:
            frame = await self._frames.get()
            if isinstance(frame, LinkClosedError):
                raise frame
            yield frame

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if self.stall_close:
            await asyncio.Event().wait()
        self.drop(code, reason, ours=True)

    def abort(self) -> None:
        self.aborted = True
        self.drop(1006, ours=True)

    def probe(self) -> None:
        self.probes += 1
