"""Notes as an iterator: gapless, in order, without repeats, over restarts of the daemon and of the reader."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import zmq

from hudctl.feed_core import Cursor
from hudctl.feed_link import FeedLink, OnDelta, OnOther
from hudd.wire.messages import Note


class Feed:
    """Iterates over notes, waiting for the next one for ever.

    With ``cursor_file`` a reader goes on after its own restart where it was, and gets what it missed meanwhile. A note
    counts as read when the next one is asked for, or when a ``with`` ends without an error; so one whose handling was
    cut off comes again. Who keeps ``cursor`` himself goes on with ``Feed(after=cursor.seq, stream=cursor.stream)``.

    Not for use by two threads at once.

    Args:
        topics: Prefixes of note topics, for instance ``("note/eDP-1/",)``.
        after: Begin after this number (0 for everything); None for what comes from now on.
        stream: The stream that ``after`` belongs to. If the journal was replaced since, the feed begins at the new
            one's first note, and ``fresh`` is True.
        cursor_file: A file of this reader's alone, in which the feed keeps its place; ``after`` and ``stream`` count
            only while it is not there. It is always whole; after a power cut notes of half a minute may come again.
        runtime_dir: The daemon's runtime folder; None for the usual one.
        window: X11 window that the notes are printed into (``$WINDOWID`` on a terminal), or None.
        streaming: Tell the daemon that this process prints notes, so that changes of that window are ignored.
        wait: Wait for a daemon that is not running yet, instead of raising.
        on_delta: Called with the snap's id and a piece of its text while that is written, before its note comes. A slow
            reader loses pieces; the note has the whole text.
        also: Prefixes of other topics to subscribe to, for instance ``("state/", "error/")``.
        on_other: Called with topic and body of each frame of those, in order with the notes. They can be lost.

    Raises:
        NotRunningError: There is no daemon, and ``wait`` is False.
        StorageError: The cursor file cannot be read, or holds something else.
        UsageError: A topic is no note topic, ``after`` is negative, or there is a cursor file with a key of another
            machine's that may only listen.
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
        self._stopped = False
        self._bell, self._ring = socket.socketpair()
        self._poller = zmq.Poller()
        self._poller.register(self._bell, zmq.POLLIN)
        for found in self._link.sockets:
            self._poller.register(found, zmq.POLLIN)

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

    def get(self, timeout_s: float | None = None) -> Note | None:
        """The next note, or None when none came in time or the feed was stopped. With 0 it only looks.

        Raises:
            HudctlError: The daemon speaks another protocol, or refused for good, or the cursor cannot be kept.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._stopped:
            note = self._link.step()
            if note is not None:
                return note
            due_s = self._link.wait_s()
            if deadline is not None:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return None
                due_s = left_s if due_s is None else min(due_s, left_s)
            self._poller.poll(None if due_s is None else int(due_s * 1000) + 1)
        return None

    def stop(self) -> None:
        """End the iteration, from a signal handler or another thread; the feed must still be closed by its owner."""
        self._stopped = True
        self._ring.send(b".")

    def close(self) -> None:
        """Close the sockets; iteration ends. Safe to call twice. In another thread than the reader's use ``stop``."""
        self._stopped = True
        self._link.close()
        self._bell.close()
        self._ring.close()

    def __iter__(self) -> Iterator[Note]:
        return self

    def __next__(self) -> Note:
        note = self.get()
        if note is None:
            raise StopIteration
        return note

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._link.keep()
        finally:
            self.close()
