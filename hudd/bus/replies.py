"""What goes back to the callers of the command socket: the frames of a reply, and another try where a queue is full."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import zmq

from hudd.bus.sockets import LoopSocket
from hudd.clock import Clock
from hudd.errors import CommandError, HuddError, cause_and_remedy
from hudd.wire.codec import RequestId, encode_error, encode_result

RESEND_EVERY_S: Final = 0.005
RESEND_FOR_S: Final = 1.0
RESEND_BYTES: Final = 4 * 1024 * 1024
"""Replies that find their peer's queue full are tried again so, as long as they fit; a peer that floods and reads gets
them all, one that never reads loses them."""

_log = logging.getLogger(__name__)


class Replies:
    """Sends replies; never waits.

    Args:
        there: Returns the open socket.
        clock: For the pauses between tries.
        on_lost: Called for each reply that nobody gets.
    """

    def __init__(self, there: Callable[[], LoopSocket], clock: Clock, on_lost: Callable[[], None]) -> None:
        self._there = there
        self._clock = clock
        self._on_lost = on_lost
        self._late: deque[tuple[float, list[bytes]]] = deque()
        self._late_bytes = 0
        self._resending: asyncio.Task[None] | None = None

    @property
    def task(self) -> asyncio.Task[None] | None:
        """What tries late replies again, to be cancelled at the stop."""
        return self._resending

    def send(self, envelope: list[bytes], body: bytes) -> None:
        """Send a reply, now or when its peer has read some others."""
        frames = [*envelope, body]
        if self._try(frames):
            return
        if self._late_bytes + len(body) > RESEND_BYTES:
            self._on_lost()
            return
        self._late.append((self._clock.monotonic() + RESEND_FOR_S, frames))
        self._late_bytes += len(body)
        if self._resending is None or self._resending.done():
            self._resending = asyncio.get_running_loop().create_task(self._resend(), name="late replies")

    def _try(self, frames: list[bytes]) -> bool:
        """False when it may be tried again: the peer's queue is full."""
        try:
            return self._there().send(frames)
        except zmq.ZMQError as error:
            # The peer left. Nobody waits for this reply; the effect of the command stands.
            self._on_lost()
            _log.debug("A reply found its peer gone: %s", error)
            return True

    async def _resend(self) -> None:
        """Try late replies again until each is sent or given up; ends when there are none."""
        while self._late:
            await self._clock.sleep(RESEND_EVERY_S)
            now, full = self._clock.monotonic(), set[bytes]()
            for _ in range(len(self._late)):
                until, frames = self._late.popleft()
                if frames[0] not in full and self._try(frames):
                    self._late_bytes -= len(frames[-1])
                elif now < until:
                    full.add(frames[0])
                    self._late.append((until, frames))
                else:
                    self._late_bytes -= len(frames[-1])
                    self._on_lost()


def refusal(request_id: RequestId, error: CommandError) -> bytes:
    """An error as it is sent: a remedy that stands in the sentence becomes the hint."""
    message, hint = (error.message, error.hint) if error.hint else cause_and_remedy(error.message)
    return encode_error(
        request_id, error.code, message, hint=hint, retry_after_ms=error.retry_after_ms, upstream=error.upstream
    )


def stopping(request_id: RequestId) -> bytes:
    """The reply while the daemon stops."""
    return refusal(request_id, CommandError("E_STATE", "hudd is stopping.", hint="Ask again when it runs."))


def outcome(method: str, request_id: RequestId, work: asyncio.Future[Mapping[str, Any]]) -> bytes:
    """The reply for a handler that ended."""
    if work.cancelled():
        return encode_error(request_id, "E_STATE", f"{method} was stopped before it ended.")
    error = work.exception()
    if error is None:
        try:
            return encode_result(request_id, work.result())
        except (TypeError, ValueError, RecursionError) as unfit:
            error = unfit
    if isinstance(error, CommandError):
        return refusal(request_id, error)
    if isinstance(error, HuddError):
        return refusal(request_id, CommandError(error.wire_code, error.message, hint=error.hint))
    _log.error("The command %s failed.", method, exc_info=error)
    return encode_error(request_id, "E_INTERNAL", f"{method} failed by a mistake in hudd; its log has more.")
