"""The command socket: a ROUTER that answers JSON-RPC 2.0, for DEALER and REQ alike.

What a peer sends decides nothing but its own reply: frames that cannot be read are counted, every request with a
readable id gets exactly one reply, at most ``REPLY_GRACE_MS`` after its deadline, and handlers run beside each other.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import zmq

from hudd.bus.activation import InheritedListener
from hudd.bus.bad_frames import BadFrames
from hudd.bus.places import Places
from hudd.bus.repeats import Repeats, Work
from hudd.bus.replies import Replies, not_read, outcome, refusal, stopping
from hudd.bus.sockets import MAX_REQUEST_BYTES, REPLY_LINGER_MS, REPLY_QUEUE, REQUEST_QUEUE, Context, LoopSocket
from hudd.bus.sockets import new_context as _new_context
from hudd.bus.unread import prepare
from hudd.clock import Clock
from hudd.errors import CommandError, HuddError
from hudd.wire.codec import Refusal, RequestFrame, RequestId, encode_error, parse_request, split_envelope
from hudd.wire.params import ParamError, check_params
from hudd.wire.table import DEFAULT_DEADLINE_MS, METHOD_BY_NAME, Method

CANCEL_S: Final = 2.0
"""How long ``close`` waits for handlers that were cancelled; the daemon has 5 s to stop."""

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


class CommandServer:
    """Answers commands.

    Args:
        place: Where the socket listens: a path, or a ``tcp://`` address.
        handlers: One coroutine function per method of the table. It returns the result, or raises ``CommandError`` or
            another ``HuddError``; anything else is ``E_INTERNAL`` and logged with its traceback. At the deadline the
            caller is answered ``E_DEADLINE`` and the handler is cancelled: work that others share must be shielded.
        clock: For deadlines.
        context: Shared with the note socket; None for one of its own.
        access: Who may come in, see ``hudd.bus.authenticator``; None for whoever reaches the socket.
        repeats: The keys of requests; shared with the server of another socket, so that a repeat may come over either.
        overdue: Says of a request whose deadline passed what it waited for; None where there is nothing to say.
        inherited: The listener, when systemd made it.
    """

    def __init__(
        self,
        place: Path | str,
        handlers: Mapping[str, Handler],
        *,
        clock: Clock,
        context: Context | None = None,
        access: Mapping[int, int | bytes] | None = None,
        repeats: Repeats | None = None,
        overdue: Callable[[Request], CommandError | None] = lambda _: None,
        inherited: InheritedListener | None = None,
    ) -> None:
        unknown = sorted(set(handlers) - set(METHOD_BY_NAME))
        if unknown:
            raise ValueError(f"not in the table of methods: {', '.join(unknown)}")
        self._place, self._access, self._inherited = place, access, inherited
        self._handlers = dict(handlers)
        self._clock = clock
        self._overdue = overdue
        self._context = context
        self._own_context: Context | None = None
        self._socket: LoopSocket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._work: set[Work] = set()
        self._repeats = Repeats(clock) if repeats is None else repeats
        self._replies = Replies(
            self._open_socket, clock, lambda: self._counters.update(lost_replies=1), self._end_unread
        )
        self._places = Places()
        self._peer_at: dict[int, bytes] = {}  # by descriptor of a connection that stands; empty until it says something
        self._counters: Counter[str] = Counter(
            requests=0, ignored_requests=0, bad_frames=0, busy=0, expired=0, repeated=0, lost_replies=0, unread_ended=0
        )
        self._bad_frames = BadFrames(clock)
        self._stopping = self._closed = False
        self._ended: asyncio.Future[None] | None = None

    def open(self) -> None:
        """Bind and listen. Call it in the running loop, while the daemon's lock is held.

        Raises:
            HuddError: See ``hudd.bus.admission.listen``.
        """
        prepare()
        if self._context is None:
            self._own_context = _new_context()
        self._ended = asyncio.get_running_loop().create_future()
        self._socket = LoopSocket(
            self._context or self._own_context or _new_context(),
            zmq.ROUTER,
            self._place,
            on_message=self._on_message,
            on_failure=self._on_failure,
            options={
                zmq.ROUTER_MANDATORY: 1,  # a reply that cannot be delivered is counted, not lost unseen
                zmq.ROUTER_HANDOVER: 1,  # a client with a fixed routing id may reconnect before we saw it leave
                zmq.MAXMSGSIZE: MAX_REQUEST_BYTES,
                zmq.RCVHWM: REQUEST_QUEUE,
                zmq.SNDHWM: REPLY_QUEUE,
            },
            access=self._access,
            inherited=self._inherited,
            on_new=lambda connection: self._peer_at.update({connection: b""}),
            on_gone=self._on_gone,
            may_leave=lambda connection: not self._places.taken(self._peer_at.get(connection, b"")),
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

    async def close(self, drain_s: float = 0.0, *, for_good: bool = True) -> None:
        """Stop. Requests in flight may end within ``drain_s``; the others are answered ``E_STATE``.

        New requests are refused from the first moment on. Safe to call twice.

        Args:
            drain_s: Seconds.
            for_good: Whether the daemon stops. If not, work with a key goes on, so that its repeat finds the outcome.
        """
        self._stopping = True
        if self._closed:
            return
        if self._tasks and drain_s > 0:
            await asyncio.wait(self._tasks, timeout=drain_s)
        await asyncio.sleep(0)  # a request that came in this very moment starts, so that it can answer
        keyed = self._repeats.under_way()  # that of a server which was closed before, too
        left: set[asyncio.Task[Any]] = self._tasks | (self._work | keyed if for_good else self._work - keyed)
        if self._replies.task is not None:
            left.add(self._replies.task)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=CANCEL_S)
        if self._socket is not None:
            self._socket.close(REPLY_LINGER_MS)
        if self._own_context is not None:
            self._own_context.term()
            self._own_context = None
        self._closed = True
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def counters(self) -> dict[str, int]:
        """Counts since the start.

        ``requests, ignored_requests, bad_frames, busy, expired, repeated, lost_replies``, ``unread_ended`` (connections
        ended because they read nothing); and those of the socket.
        """
        return {**self._counters, **({} if self._socket is None else self._socket.counters())}

    def in_flight(self) -> int:
        """Requests whose handlers run now."""
        return self._places.taken()

    @property
    def peers(self) -> int:
        """Local connections that are open now."""
        return 0 if self._socket is None else self._socket.peers

    @property
    def full(self) -> bool:
        """Whether more callers wait to be let in."""
        return self._socket is not None and self._socket.full

    def _open_socket(self) -> LoopSocket:
        assert self._socket is not None
        return self._socket

    # Reading -----------------------------------------------------------------------------------------------------

    def _on_failure(self, error: BaseException) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)

    def _on_gone(self, connection: int) -> None:
        self._peer_at.pop(connection, None)
        self._places.left(connection)

    def _end_unread(self, peer: bytes) -> None:
        for connection in [connection for connection, at in self._peer_at.items() if at == peer]:
            self._counters["unread_ended"] += self._open_socket().drop(connection)

    def _on_message(self, frames: list[bytes], connection: int) -> None:
        if connection in self._peer_at:
            self._peer_at[connection] = frames[0]
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
            try:
                self._start(envelope, found, connection)
            except Exception:  # noqa: BLE001 - a mistake of ours that one peer's request brought out must not end all others
                _log.exception("A request for %s could not be begun.", found.method[:100])
                sentence = "The request could not be begun by a mistake in hudd; its log has more."
                self._replies.send(envelope, encode_error(found.id, "E_INTERNAL", sentence))

    def _bad(self, sentence: str) -> None:
        self._counters["bad_frames"] += 1
        self._bad_frames.log(sentence)

    def _refuse(self, envelope: list[bytes], refusal: Refusal) -> None:
        if refusal.kind == "ignored":
            self._counters["ignored_requests"] += 1
        else:
            self._bad(refusal.message)
        if refusal.answer:
            self._replies.send(envelope, encode_error(refusal.id, refusal.code, refusal.message))

    def _start(self, envelope: list[bytes], frame: RequestFrame, connection: int) -> None:
        """Check a request and start its handler, or answer at once why not."""
        handler = self._handlers.get(frame.method)
        if handler is None:
            known = ", ".join(sorted(self._handlers))
            message = f"There is no method {frame.method[:100]!r}."
            hint = f"This hudd knows: {known}."
            self._replies.send(envelope, encode_error(frame.id, "E_UNKNOWN_METHOD", message, hint=hint))
            return
        try:
            params = check_params(METHOD_BY_NAME[frame.method], frame.params)
        except ParamError as error:
            hint = _takes(METHOD_BY_NAME[frame.method])
            self._replies.send(envelope, encode_error(frame.id, "E_ARGS", str(error), hint=hint))
            return
        remaining_s = self._remaining_s(params)
        if remaining_s <= 0:
            self._counters["expired"] += 1
            message = "The deadline had passed when the request came; it was not run."
            hint = "Send it again with the present sent_at, by hudd's clock (hello tells its time), or without one."
            self._replies.send(envelope, encode_error(frame.id, "E_DEADLINE", message, hint=hint))
            return
        if self._stopping:
            self._replies.send(envelope, stopping(frame.id))
            return
        peer, method = envelope[0], METHOD_BY_NAME[frame.method]
        if method.waits and connection not in self._peer_at:
            return  # its caller has left already
        busy = self._places.refusal(peer, waits=method.waits)
        if busy is not None or self._replies.stuck(peer):
            self._counters["busy"] += 1
            self._replies.send(envelope, not_read(frame.id) if busy is None else refusal(frame.id, busy))
            return
        request = Request(frame.method, params, self._clock.monotonic() + remaining_s, peer.hex())
        key = params.get("idem") if self._may_repeat(method) else None
        try:
            found = None if key is None else self._repeats.find(key, frame.method, params)
        except CommandError as error:
            self._replies.send(envelope, refusal(frame.id, error))
            return
        self._places.take(peer)
        work = self._begin(handler, request, peer, key) if found is None else found
        if method.waits:
            self._places.waits(work, connection)
        self._counters["repeated"] += found is not None
        task = asyncio.get_running_loop().create_task(
            self._serve(
                envelope, frame.id, request, work, remaining_s, keyed=key is not None, joined=found is not None
            ),
            name=f"command {frame.method}",
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _may_repeat(self, method: Method) -> bool:
        """Whether a key counts. What is refused here and done at the local socket is no repeat of either."""
        return method.effect and not (method.local_only and isinstance(self._place, str))

    def _begin(self, handler: Handler, request: Request, peer: bytes, key: str | None) -> Work:
        """Start a handler."""
        work: Work = asyncio.get_running_loop().create_task(_call(handler, request))
        # The place is taken until the handler really ended, however late; and free before the caller can ask again.
        work.add_done_callback(lambda _: self._places.free(peer))
        self._work.add(work)
        work.add_done_callback(self._work.discard)
        if key is not None:
            self._repeats.add(key, request.method, request.params, work)
        return work

    def _remaining_s(self, params: Mapping[str, Any]) -> float:
        """Seconds until the answer is no longer wanted; a ``sent_at`` in the future counts as now."""
        deadline_s = params.get("deadline_ms", DEFAULT_DEADLINE_MS) / 1000
        sent_at = params.get("sent_at")
        if sent_at is None:
            return deadline_s
        return min(deadline_s, sent_at / 1000 + deadline_s - self._clock.wall())

    # Answering ---------------------------------------------------------------------------------------------------

    async def _serve(
        self,
        envelope: list[bytes],
        request_id: RequestId,
        request: Request,
        work: Work,
        remaining_s: float,
        *,
        keyed: bool,
        joined: bool,
    ) -> None:
        """Wait for one handler and send exactly one reply, whatever happens.

        With a key the work goes on to its end when nobody waits any more, so that a repeat learns what came of it.
        """

        def answer(body: bytes) -> None:
            if joined:  # the place of a repeat; that of the first is free when the work has ended
                self._places.free(envelope[0])
            self._replies.send(envelope, body, request_id)

        alarm = asyncio.ensure_future(self._clock.sleep(remaining_s))
        answered_early = True
        try:
            await asyncio.wait((work, alarm), return_when=asyncio.FIRST_COMPLETED)
            answered_early = not work.done()
            if work.done():
                answer(outcome(request.method, request_id, work))
            else:
                self._counters["expired"] += 1
                late = self._overdue(request) or CommandError(
                    "E_DEADLINE", "The deadline passed first.", hint="Ask again with a longer deadline_ms."
                )
                answer(refusal(request_id, late))
        except asyncio.CancelledError:
            answer(stopping(request_id))
            joined = joined or keyed  # its work may go on for a repeat, and is not waited for here
            raise
        finally:
            alarm.cancel()
            if not keyed:
                work.cancel()
            await asyncio.wait([alarm] if joined else [alarm, work])
            failure = None if joined or work.cancelled() else work.exception()
            if answered_early and failure is not None and not isinstance(failure, HuddError):
                _log.error("The command %s failed after its deadline.", request.method, exc_info=failure)


async def _call(handler: Handler, request: Request) -> Mapping[str, Any]:
    return await handler(request)


def _takes(method: Method) -> str:
    """The parameters of a method, for a caller that got one wrong."""
    names = ", ".join(f"{param.name} (required)" if param.required else param.name for param in method.params)
    return f"{method.name} takes {names or 'no parameters of its own'}."
