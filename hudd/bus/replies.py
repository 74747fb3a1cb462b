"""What goes back to the callers of the command socket: the frames of a reply, and another try where a queue is full."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import zmq

from hudd.bus.places import BUSY_RETRY_MS
from hudd.bus.sockets import LoopSocket
from hudd.bus.unread import LONG_BYTES, Unread, tracked
from hudd.clock import Clock
from hudd.errors import CommandError, HuddError, cause_and_remedy
from hudd.wire.codec import RequestId, encode_error, encode_result

RESEND_EVERY_S: Final = 0.005
RESEND_FOR_S: Final = 1.0
RESEND_BYTES: Final = 16 * 1024 * 1024
RESEND_BYTES_OF_PEER: Final = 4 * 1024 * 1024
"""Replies that find their peer's queue full are tried again so, as long as they fit; a peer that floods and reads gets
them all, one that never reads gets `E_BUSY` instead of the long ones, and then loses them."""

OVERHEAD_BYTES: Final = 500
"""What a short reply takes beside its own bytes while it waits."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Late:
    """A reply that is tried again.

    Attributes:
        until: When it is given up.
        envelope: Where it goes.
        body: The reply.
        request_id: What it answers.
    """

    until: float
    envelope: list[bytes]
    body: bytes
    request_id: RequestId | None

    @property
    def size(self) -> int:
        return len(self.body) + OVERHEAD_BYTES


class Replies:
    """Sends replies; never waits.

    Args:
        there: Returns the open socket.
        clock: For the pauses between tries.
        on_lost: Called for each reply that nobody gets.
        on_unread: Called with the name of a peer that has to be ended: it reads nothing, and all together left too much
            unread.
    """

    def __init__(
        self,
        there: Callable[[], LoopSocket],
        clock: Clock,
        on_lost: Callable[[], None],
        on_unread: Callable[[bytes], None],
    ) -> None:
        self._there = there
        self._clock = clock
        self._on_lost = on_lost
        self._on_unread = on_unread
        self._unread = Unread()
        self._late: dict[bytes, deque[_Late]] = {}  # by peer, so that one that reads nothing is tried once a round
        self._late_bytes: Counter[bytes] = Counter()  # by peer
        self._resending: asyncio.Task[None] | None = None

    @property
    def task(self) -> asyncio.Task[None] | None:
        """What tries late replies again, to be cancelled at the stop."""
        return self._resending

    def send(self, envelope: list[bytes], body: bytes, request_id: RequestId | None = None) -> None:
        """Send a reply, now or when its peer has read some others; `E_BUSY` in place of a long one that waits too long.

        Args:
            envelope: Where it goes.
            body: The reply.
            request_id: What it answers.
        """
        if self._try(envelope, body):
            return
        peer, late = envelope[0], _Late(self._clock.monotonic() + RESEND_FOR_S, envelope, body, request_id)
        fits = self._late_bytes[peer] + late.size <= RESEND_BYTES_OF_PEER
        if not fits or self._late_bytes.total() + late.size > RESEND_BYTES:
            self._give_up(late)
            return
        self._late.setdefault(peer, deque()).append(late)
        self._late_bytes[peer] += late.size
        if self._resending is None or self._resending.done():
            self._resending = asyncio.get_running_loop().create_task(self._resend(), name="late replies")

    def stuck(self, peer: bytes) -> bool:
        """Whether a peer does not read its replies, so that nothing should be done for it."""
        return self._unread.stuck(peer, self._clock.monotonic())

    def _try(self, envelope: list[bytes], body: bytes) -> bool:
        """False when it may be tried again: the peer's queue is full."""
        try:
            return self._send_long(envelope, body) if len(body) >= LONG_BYTES else self._there().send([*envelope, body])
        except zmq.ZMQError as error:
            # The peer left. Nobody waits for this reply; the effect of the command stands.
            self._on_lost()
            _log.debug("A reply found its peer gone: %s", error)
            return True

    def _send_long(self, envelope: list[bytes], body: bytes) -> bool:
        peer = envelope[0]
        if not self._unread.room(peer, len(body)):
            return False
        frame = tracked(body)
        if not self._there().send([*envelope, frame]):
            return False
        assert frame.tracker is not None
        self._unread.add(peer, frame.tracker, len(body), self._clock.monotonic())
        hoarder = self._unread.too_much()
        if hoarder is not None:
            self._on_unread(hoarder)
        return True

    def _give_up(self, late: _Late) -> None:
        if len(late.body) < LONG_BYTES or not self._try(late.envelope, not_read(late.request_id)):
            self._on_lost()

    async def _resend(self) -> None:
        """Try late replies again until each is sent or given up; ends when there are none."""
        while self._late:
            await self._clock.sleep(RESEND_EVERY_S)
            now = self._clock.monotonic()
            for peer, waiting in list(self._late.items()):
                while waiting and self._try(waiting[0].envelope, waiting[0].body):
                    self._taken(peer, waiting)
                while waiting and now >= waiting[0].until:
                    self._give_up(self._taken(peer, waiting))
                if not waiting:
                    del self._late[peer], self._late_bytes[peer]

    def _taken(self, peer: bytes, waiting: deque[_Late]) -> _Late:
        late = waiting.popleft()
        self._late_bytes[peer] -= late.size
        return late


def not_read(request_id: RequestId | None) -> bytes:
    """The reply to a peer that leaves long ones unread."""
    error = CommandError(
        "E_BUSY", "Earlier answers are not read yet.", hint="Read them, then ask again.", retry_after_ms=BUSY_RETRY_MS
    )
    return refusal(request_id, error)


def refusal(request_id: RequestId | None, error: CommandError) -> bytes:
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
