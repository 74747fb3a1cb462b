"""`hudctl.feed.Feed` for asyncio. The same machine and sockets; only the waiting differs."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

from hudctl.errors import StateError
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
        self._woken = asyncio.Event()
        self._watch = contextlib.ExitStack()

    @property
    def cursor(self) -> Cursor | None:
        """Everything up to here was returned; None before the daemon's first welcome."""
        return self._link.cursor

    @property
    def fresh(self) -> bool:
        """True once notes may have been missed for good: the journal was replaced, or the range was pruned."""
        return self._link.fresh

    @property
    def silent_s(self) -> float:
        """Seconds since anything was heard of the daemon, as far as the feed was read.

        A daemon that runs is heard every 15 s at least; one that stays away is looked for all the time.
        """
        return self._link.silent_s

    async def get(self) -> Note:
        """The next note. Put ``asyncio.timeout`` around it to wait for less than ever.

        Raises:
            StateError: The feed was closed, before or meanwhile.
            HudctlError: The daemon speaks another protocol, or refused for good, or the cursor cannot be kept.
        """
        note = await self._next()
        if note is None:
            raise StateError("The feed was closed.")
        return note

    async def _next(self) -> Note | None:
        """The next note; None once the feed is closed."""
        while not self._link.closed:
            note = self._link.step()
            if note is not None:
                return note
            await self._wait(self._link.wait_s())
        return None

    async def _wait(self, due_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._woken = woken = asyncio.Event()
        with contextlib.ExitStack() as self._watch:
            for descriptor in self._link.descriptors:
                loop.add_reader(descriptor, woken.set)
                self._watch.callback(loop.remove_reader, descriptor)
            if due_s is not None:
                # No asyncio.timeout: in a task that survived a cancellation it ends in CancelledError on Python 3.11.2.
                self._watch.callback(loop.call_later(due_s, woken.set).cancel)
            # The descriptors tell edges: what came before they were watched shows only when asked for.
            if not self._link.readable():
                await woken.wait()

    def close(self) -> None:
        """Close the sockets; iteration ends, also one that waits. Safe to call twice."""
        self._watch.close()  # before the sockets: the numbers of their descriptors may be another's at once
        self._woken.set()
        self._link.close()

    def __aiter__(self) -> AsyncIterator[Note]:
        return self

    async def __anext__(self) -> Note:
        note = await self._next()
        if note is None:
            raise StopAsyncIteration
        return note

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
