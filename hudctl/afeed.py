"""`hudctl.feed.Feed` for asyncio. The same machine and sockets; only the waiting differs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

from hudctl.feed_core import Cursor
from hudctl.feed_link import FeedLink, OnDelta, OnOther
from hudd.wire.messages import Note


class AsyncFeed:
    """Iterates over notes with ``async for``. Arguments, properties and errors are those of `hudctl.Feed`.

    Cancelling ``get`` or ``__anext__`` is safe, and the way to stop: a note is taken in the same step in which it is
    returned, so none is lost and none comes twice. One task at a time.
    """

    def __init__(
        self,
        topics: Sequence[str] = ("note/",),
        after: int | None = None,
        stream: str | None = None,
        *,
        cursor_file: str | os.PathLike[str] | None = None,
        runtime_dir: str | os.PathLike[str] | None = None,
        window: int | None = None,
        streaming: bool = False,
        wait: bool = False,
        on_delta: OnDelta | None = None,
        also: Sequence[str] = (),
        on_other: OnOther | None = None,
    ) -> None:
        self._link = FeedLink(
            topics,
            after,
            stream,
            cursor_file=cursor_file,
            runtime_dir=runtime_dir,
            window=window,
            streaming=streaming,
            wait=wait,
            on_delta=on_delta,
            also=also,
            on_other=on_other,
        )

    @property
    def cursor(self) -> Cursor | None:
        """Everything up to here was returned; None before the daemon's first welcome."""
        return self._link.cursor

    @property
    def fresh(self) -> bool:
        """True once notes may have been missed for good: the journal was replaced, or the range was pruned."""
        return self._link.fresh

    async def get(self) -> Note:
        """The next note. Put ``asyncio.timeout`` around it to wait for less than ever.

        Raises:
            HudctlError: The daemon speaks another protocol, or refused for good, or the cursor cannot be kept.
        """
        while True:
            note = self._link.step()
            if note is not None:
                return note
            await self._wait(self._link.wait_s())

    async def _wait(self, due_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        descriptors = self._link.descriptors
        for descriptor in descriptors:
            loop.add_reader(descriptor, woken.set)
        # No asyncio.timeout: in a task that survived a cancellation it ends in CancelledError on Python 3.11.2.
        due = None if due_s is None else loop.call_later(due_s, woken.set)
        try:
            # The descriptors tell edges: what came before they were watched shows only when asked for.
            if not self._link.readable():
                await woken.wait()
        finally:
            if due is not None:
                due.cancel()
            for descriptor in descriptors:
                loop.remove_reader(descriptor)

    def close(self) -> None:
        """Close the sockets; iteration ends. Safe to call twice."""
        self._link.close()

    def __aiter__(self) -> AsyncIterator[Note]:
        return self

    async def __anext__(self) -> Note:
        if self._link.closed:
            raise StopAsyncIteration
        return await self.get()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._link.keep()
        finally:
            self.close()
