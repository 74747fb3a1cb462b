"""Runs one dialogue: frames in, frames out, the answers it asks for, and its one timer. No socket is known here."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, Final, Protocol

from hudd.clock import Clock
from hudd.engine.answers import Answerer, AnswerError
from hudd.engine.commands import Ask, Command, End, Forget, Freeze, Reset, Send, SendRaw
from hudd.engine.dialogue import Dialogue

MAX_WAITING: Final = 1000
"""So many frames may wait for a slow client until nothing more is read from it."""

log = logging.getLogger(__name__)


class PeerGoneError(Exception):
    """Raised by a peer whose connection is closed."""


class Peer(Protocol):
    """The client, as far as the runner needs it."""

    async def send(self, frame: str | SendRaw) -> None:
        """Send a text frame, or what is no event.

        Raises:
            PeerGoneError: The connection is closed.
        """
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close the connection with any code; 1006 means without a close frame, 1005 with one that has no code."""
        ...

    async def reset(self) -> None:
        """Reset the TCP connection."""
        ...

    async def freeze(self) -> None:
        """Neither read nor write any more; returns when the connection is given up."""
        ...


class Runner:
    """One connection's life.

    Args:
        dialogue: Decides.
        answerer: Answers; shared by all connections.
        clock: The dialogue's time.
        peer: The client.
    """

    def __init__(self, dialogue: Dialogue, answerer: Answerer, clock: Clock, peer: Peer) -> None:
        self._dialogue = dialogue
        self._answerer = answerer
        self._clock = clock
        self._peer = peer
        self._outgoing: asyncio.Queue[str | SendRaw | End] = asyncio.Queue()
        self._answers: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.Task[None] | None = None
        self._timer_at = math.inf
        self._mistake: asyncio.Future[None] | None = None

    async def run(self, frames: AsyncIterator[str | bytes]) -> None:
        """Serve until the frames end or the dialogue closes. Cancelling ends it; nothing is left running."""
        self._mistake = asyncio.get_running_loop().create_future()
        self._do(self._dialogue.start(self._clock.monotonic(), self._clock.wall()))
        reader = asyncio.create_task(self._read(frames))
        writer = asyncio.create_task(self._write())
        try:
            ends = (reader, writer, self._mistake)
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in ends:
                if task.done():
                    task.result()
        finally:
            running = [reader, writer, self._mistake, *self._answers.values(), *([self._timer] if self._timer else [])]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _read(self, frames: AsyncIterator[str | bytes]) -> None:
        async for frame in frames:
            if isinstance(frame, str):
                self._do(self._dialogue.receive(frame, self._clock.monotonic()))
            else:
                self._do(self._dialogue.receive_binary())
            if self._outgoing.qsize() > MAX_WAITING:
                await self._outgoing.join()

    async def _write(self) -> None:
        with contextlib.suppress(PeerGoneError):
            while True:
                frame = await self._outgoing.get()
                if isinstance(frame, End):
                    await self._end(frame)
                    return
                await self._peer.send(frame)
                self._outgoing.task_done()

    async def _end(self, end: End) -> None:
        if isinstance(end, Reset):
            await self._peer.reset()
        elif isinstance(end, Freeze):
            await self._peer.freeze()
        else:
            await self._peer.close(end.code, end.reason)

    def _do(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, Send):
                self._outgoing.put_nowait(json.dumps(command.event, separators=(",", ":")))
            elif isinstance(command, Ask):
                self._answers[command.response_id] = self._spawn(self._answer(command))
            elif isinstance(command, Forget):
                task = self._answers.pop(command.response_id, None)
                if task is not None and task is not asyncio.current_task():
                    task.cancel()
            else:
                self._outgoing.put_nowait(command)
        self._set_timer()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task whose mistake ends the connection, so that it cannot go unseen."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        mistake = None if task.cancelled() else task.exception()
        if mistake is not None and self._mistake is not None and not self._mistake.done():
            self._mistake.set_exception(mistake)

    async def _answer(self, ask: Ask) -> None:
        now = self._clock.monotonic
        try:
            async with contextlib.aclosing(self._answerer.answer(ask)) as pieces:
                async for piece in pieces:
                    self._do(self._dialogue.add_text(ask.response_id, piece, now()))
            self._do(self._dialogue.end_text(ask.response_id, now()))
        except AnswerError as error:
            failure = self._dialogue.fail(
                ask.response_id, kind=error.kind, code=error.code, message=str(error), now=now()
            )
            self._do(failure)
        except Exception:  # a mistake of an answerer must end this one response, and no other
            log.exception("the answerer failed")
            failure = self._dialogue.fail(
                ask.response_id,
                kind="server_error",
                code="server_error",
                message="The local engine could not answer; its log has the reason.",
                now=now(),
            )
            self._do(failure)

    def _set_timer(self) -> None:
        at = self._dialogue.wake_at
        if at == self._timer_at:
            return
        if self._timer is not None and self._timer is not asyncio.current_task():
            self._timer.cancel()
        self._timer_at = at
        self._timer = None if at == math.inf else self._spawn(self._wake(at))

    async def _wake(self, at: float) -> None:
        await self._clock.sleep(at - self._clock.monotonic())
        # Too early by a rounding: ticking anyway costs nothing and the timer is set again.
        self._timer_at = math.nan
        self._do(self._dialogue.tick(self._clock.monotonic()))
