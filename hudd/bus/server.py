"""The command socket: a ROUTER that answers JSON-RPC 2.0, for DEALER and REQ alike.

What a peer sends decides nothing but its own reply: frames that cannot be read are counted, every request with a
readable id gets exactly one reply, at most ``REPLY_GRACE_MS`` after its deadline, and handlers run beside each other.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import zmq

from hudd.bus.sockets import MAX_REQUEST_BYTES, REPLY_LINGER_MS, REPLY_QUEUE, REQUEST_QUEUE, Context, LoopSocket
from hudd.bus.sockets import new_context as _new_context
from hudd.clock import Clock
from hudd.errors import CommandError, HuddError, cause_and_remedy
from hudd.wire.codec import Refusal, RequestFrame, RequestId, encode_error, encode_result, parse_request, split_envelope
from hudd.wire.params import ParamError, check_params
from hudd.wire.table import DEFAULT_DEADLINE_MS, METHOD_BY_NAME, Method

MAX_IN_FLIGHT: Final = 64
MAX_IN_FLIGHT_PER_PEER: Final = 8
BUSY_RETRY_MS: Final = 200

CANCEL_S: Final = 2.0
"""How long ``close`` waits for handlers that were cancelled; the daemon has 5 s to stop."""

LOG_EVERY_S: Final = 60.0
"""Bad frames are logged once in so long, with the number of those in between."""

RESEND_EVERY_S: Final = 0.005
RESEND_FOR_S: Final = 1.0
RESEND_BYTES: Final = 4 * 1024 * 1024
"""Replies that find their peer's queue full are tried again so, as long as they fit; a peer that floods and reads gets
them all, one that never reads loses them."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What a handler is given.

    Attributes:
        method: Name, as in the table.
        params: Checked parameters; times are seconds since 1970, unknown ones are left out.
        deadline: ``clock.monotonic()`` at which the answer is no longer wanted, seconds.
        peer: Name of the connection, hexadecimal; the same for all requests of a connection.
    """

    method: str
    params: Mapping[str, Any]
    deadline: float
    peer: str


Handler = Callable[[Request], Awaitable[Mapping[str, Any]]]


@dataclass(slots=True)
class _BadFrames:
    """Logs the first bad frame, then at most one line in ``LOG_EVERY_S``."""

    clock: Clock
    quiet_until: float = field(default=float("-inf"))
    held_back: int = 0

    def log(self, sentence: str) -> None:
        now = self.clock.monotonic()
        if now < self.quiet_until:
            self.held_back += 1
            return
        _log.warning("A frame on the command socket was refused (%d others since): %s", self.held_back, sentence)
        self.quiet_until = now + LOG_EVERY_S
        self.held_back = 0


class CommandServer:
    """Answers commands.

    Args:
        path: Where the socket listens.
        handlers: One coroutine function per method of the table. It returns the result, or raises ``CommandError`` or
            another ``HuddError``; anything else is ``E_INTERNAL`` and logged with its traceback. At the deadline the
            caller is answered ``E_DEADLINE`` and the handler is cancelled: work that others share must be shielded.
        clock: For deadlines.
        context: Shared with the note socket; None for one of its own.
        overdue: Says of a request whose deadline passed what it waited for; None where there is nothing to say.
    """

    def __init__(
        self,
        path: Path,
        handlers: Mapping[str, Handler],
        *,
        clock: Clock,
        context: Context | None = None,
        overdue: Callable[[Request], CommandError | None] = lambda _: None,
    ) -> None:
        unknown = sorted(set(handlers) - set(METHOD_BY_NAME))
        if unknown:
            raise ValueError(f"not in the table of methods: {', '.join(unknown)}")
        self._path = path
        self._handlers = dict(handlers)
        self._clock = clock
        self._overdue = overdue
        self._context = context
        self._own_context: Context | None = None
        self._socket: LoopSocket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._late: deque[tuple[float, list[bytes]]] = deque()
        self._late_bytes = 0
        self._resending: asyncio.Task[None] | None = None
        self._per_peer: Counter[bytes] = Counter()  # whose handlers run; empty when none do
        self._counters: Counter[str] = Counter(
            requests=0, ignored_requests=0, bad_frames=0, busy=0, expired=0, lost_replies=0
        )
        self._bad_frames = _BadFrames(clock)
        self._stopping = False
        self._ended: asyncio.Future[None] | None = None

    def open(self) -> None:
        """Bind and listen. Call it in the running loop, while the daemon's lock is held.

        Raises:
            HuddError: See ``hudd.bus.sockets.listen``.
        """
        if self._context is None:
            self._own_context = _new_context()
        self._ended = asyncio.get_running_loop().create_future()
        self._socket = LoopSocket(
            self._context or self._own_context or _new_context(),
            zmq.ROUTER,
            self._path,
            on_message=self._on_message,
            on_failure=self._on_failure,
            options={
                zmq.ROUTER_MANDATORY: 1,  # a reply that cannot be delivered is counted, not lost unseen
                zmq.ROUTER_HANDOVER: 1,  # a client with a fixed routing id may reconnect before we saw it leave
                zmq.MAXMSGSIZE: MAX_REQUEST_BYTES,
                zmq.RCVHWM: REQUEST_QUEUE,
                zmq.SNDHWM: REPLY_QUEUE,
            },
        )

    async def run(self) -> None:
        """Serve until ``close``; opens the socket first if that was not done.

        Cancelling closes the socket. An unforeseen failure of the socket itself is raised from here.
        """
        if self._socket is None:
            self.open()
        assert self._ended is not None
        try:
            await self._ended
        finally:
            await self.close()

    async def close(self, drain_s: float = 0.0) -> None:
        """Stop. Requests in flight may end within ``drain_s``; the others are answered ``E_STATE``.

        New requests are refused from the first moment on. Safe to call twice.
        """
        self._stopping = True
        if self._tasks and drain_s > 0:
            await asyncio.wait(self._tasks, timeout=drain_s)
        await asyncio.sleep(0)  # a request that came in this very moment starts, so that it can answer
        left: set[asyncio.Task[None]] = {*self._tasks, *([self._resending] if self._resending else [])}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=CANCEL_S)
        if self._socket is not None:
            self._socket.close(REPLY_LINGER_MS)
        if self._own_context is not None:
            self._own_context.term()
            self._own_context = None
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def counters(self) -> dict[str, int]:
        """Counts since the start: ``requests, ignored_requests, bad_frames, busy, expired, lost_replies``."""
        return dict(self._counters)

    def in_flight(self) -> int:
        """Requests whose handlers run now."""
        return self._per_peer.total()

    # Reading -----------------------------------------------------------------------------------------------------

    def _on_failure(self, error: BaseException) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)

    def _on_message(self, frames: list[bytes]) -> None:
        parts = split_envelope(frames)
        if parts is None or not parts[1]:
            self._bad("The message has no JSON frame after an empty one.")
            return
        envelope, bodies = parts
        found = parse_request(bodies[0])
        if len(bodies) > 1 and isinstance(found, RequestFrame):
            found = Refusal("bad", True, found.id, "E_PROTO", "There is more than one frame after the empty one.")
        if isinstance(found, Refusal):
            self._refuse(envelope, found)
        else:
            self._counters["requests"] += 1
            self._start(envelope, found)

    def _bad(self, sentence: str) -> None:
        self._counters["bad_frames"] += 1
        self._bad_frames.log(sentence)

    def _refuse(self, envelope: list[bytes], refusal: Refusal) -> None:
        if refusal.kind == "ignored":
            self._counters["ignored_requests"] += 1
        else:
            self._bad(refusal.message)
        if refusal.answer:
            self._reply(envelope, encode_error(refusal.id, refusal.code, refusal.message))

    def _start(self, envelope: list[bytes], frame: RequestFrame) -> None:
        """Check a request and start its handler, or answer at once why not."""
        handler = self._handlers.get(frame.method)
        if handler is None:
            known = ", ".join(sorted(self._handlers))
            message = f"There is no method {frame.method[:100]!r}."
            hint = f"This hudd knows: {known}."
            self._reply(envelope, encode_error(frame.id, "E_UNKNOWN_METHOD", message, hint=hint))
            return
        try:
            params = check_params(METHOD_BY_NAME[frame.method], frame.params)
        except ParamError as error:
            hint = _takes(METHOD_BY_NAME[frame.method])
            self._reply(envelope, encode_error(frame.id, "E_ARGS", str(error), hint=hint))
            return
        remaining_s = self._remaining_s(params)
        if remaining_s <= 0:
            self._counters["expired"] += 1
            message = "The deadline had passed when the request came; it was not run."
            hint = "Send it again with a new sent_at."
            self._reply(envelope, encode_error(frame.id, "E_DEADLINE", message, hint=hint))
            return
        if self._stopping:
            self._reply(envelope, _stopping(frame.id))
            return
        peer = envelope[0]
        if self.in_flight() >= MAX_IN_FLIGHT or self._per_peer[peer] >= MAX_IN_FLIGHT_PER_PEER:
            self._counters["busy"] += 1
            refused = CommandError(
                "E_BUSY",
                "Too many requests are in flight.",
                hint="Await a reply before you send another request.",
                retry_after_ms=BUSY_RETRY_MS,
            )
            self._reply(envelope, _refusal(frame.id, refused))
            return
        request = Request(frame.method, params, self._clock.monotonic() + remaining_s, peer.hex())
        self._per_peer[peer] += 1
        task = asyncio.get_running_loop().create_task(
            self._serve(envelope, frame.id, handler, request, remaining_s), name=f"command {frame.method}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _remaining_s(self, params: Mapping[str, Any]) -> float:
        """Seconds until the answer is no longer wanted; a ``sent_at`` in the future counts as now."""
        deadline_s = params.get("deadline_ms", DEFAULT_DEADLINE_MS) / 1000
        sent_at = params.get("sent_at")
        if sent_at is None:
            return deadline_s
        return min(deadline_s, sent_at / 1000 + deadline_s - self._clock.wall())

    def _free_place(self, peer: bytes) -> None:
        self._per_peer[peer] -= 1
        if self._per_peer[peer] <= 0:
            del self._per_peer[peer]

    # Answering ---------------------------------------------------------------------------------------------------

    async def _serve(
        self, envelope: list[bytes], request_id: RequestId, handler: Handler, request: Request, remaining_s: float
    ) -> None:
        """Run one handler and send exactly one reply, whatever happens."""
        work = asyncio.ensure_future(_call(handler, request))
        # The place is taken until the handler really ended, however late; and free before the caller can ask again.
        work.add_done_callback(lambda _: self._free_place(envelope[0]))
        alarm = asyncio.ensure_future(self._clock.sleep(remaining_s))
        answered_early = True
        try:
            await asyncio.wait((work, alarm), return_when=asyncio.FIRST_COMPLETED)
            answered_early = not work.done()
            if work.done():
                self._reply(envelope, _outcome(request, request_id, work))
            else:
                self._counters["expired"] += 1
                late = self._overdue(request) or CommandError(
                    "E_DEADLINE", "The deadline passed first.", hint="Ask again with a longer deadline_ms."
                )
                self._reply(envelope, _refusal(request_id, late))
        except asyncio.CancelledError:
            self._reply(envelope, _stopping(request_id))
            raise
        finally:
            alarm.cancel()
            work.cancel()
            await asyncio.gather(work, alarm, return_exceptions=True)
            failure = None if work.cancelled() else work.exception()
            if answered_early and failure is not None and not isinstance(failure, HuddError):
                _log.error("The command %s failed after its deadline.", request.method, exc_info=failure)

    def _reply(self, envelope: list[bytes], body: bytes) -> None:
        frames = [*envelope, body]
        if self._try_reply(frames):
            return
        if self._late_bytes + len(body) > RESEND_BYTES:
            self._counters["lost_replies"] += 1
            return
        self._late.append((self._clock.monotonic() + RESEND_FOR_S, frames))
        self._late_bytes += len(body)
        if self._resending is None or self._resending.done():
            self._resending = asyncio.get_running_loop().create_task(self._resend(), name="late replies")

    def _try_reply(self, frames: list[bytes]) -> bool:
        """False when it may be tried again: the peer's queue is full."""
        assert self._socket is not None
        try:
            return self._socket.send(frames)
        except zmq.ZMQError as error:
            # The peer left. Nobody waits for this reply; the effect of the command stands.
            self._counters["lost_replies"] += 1
            _log.debug("A reply found its peer gone: %s", error)
            return True

    async def _resend(self) -> None:
        """Try late replies again until each is sent or given up; ends when there are none."""
        while self._late:
            await self._clock.sleep(RESEND_EVERY_S)
            now, full = self._clock.monotonic(), set[bytes]()
            for _ in range(len(self._late)):
                until, frames = self._late.popleft()
                if frames[0] not in full and self._try_reply(frames):
                    self._late_bytes -= len(frames[-1])
                elif now < until:
                    full.add(frames[0])
                    self._late.append((until, frames))
                else:
                    self._late_bytes -= len(frames[-1])
                    self._counters["lost_replies"] += 1


async def _call(handler: Handler, request: Request) -> Mapping[str, Any]:
    return await handler(request)


def _refusal(request_id: RequestId, error: CommandError) -> bytes:
    """An error as it is sent: a remedy that stands in the sentence becomes the hint."""
    message, hint = (error.message, error.hint) if error.hint else cause_and_remedy(error.message)
    return encode_error(
        request_id, error.code, message, hint=hint, retry_after_ms=error.retry_after_ms, upstream=error.upstream
    )


def _stopping(request_id: RequestId) -> bytes:
    return _refusal(request_id, CommandError("E_STATE", "hudd is stopping.", hint="Ask again when it runs."))


def _takes(method: Method) -> str:
    """The parameters of a method, for a caller that got one wrong."""
    names = ", ".join(f"{param.name} (required)" if param.required else param.name for param in method.params)
    return f"{method.name} takes {names or 'no parameters of its own'}."


def _outcome(request: Request, request_id: RequestId, work: asyncio.Future[Mapping[str, Any]]) -> bytes:
    """The reply for a handler that ended."""
    if work.cancelled():
        return encode_error(request_id, "E_STATE", f"{request.method} was stopped before it ended.")
    error = work.exception()
    if error is None:
        try:
            return encode_result(request_id, work.result())
        except (TypeError, ValueError, RecursionError) as unfit:
            error = unfit
    if isinstance(error, CommandError):
        return _refusal(request_id, error)
    if isinstance(error, HuddError):
        return _refusal(request_id, CommandError(error.wire_code, error.message, hint=error.hint))
    _log.error("The command %s failed.", request.method, exc_info=error)
    return encode_error(request_id, "E_INTERNAL", f"{request.method} failed by a mistake in hudd; its log has more.")
