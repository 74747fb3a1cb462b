"""The engine's WebSocket server on 127.0.0.1: the door between websockets and the dialogues."""

from __future__ import annotations

import asyncio
import http
import json
import logging
import secrets
import socket
import string
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, Protocol, Self
from weakref import WeakKeyDictionary

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as listen
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from hudd.clock import Clock, SystemClock
from hudd.engine.accounting import PromptCache
from hudd.engine.admission import SUBPROTOCOL, Admission, Admitted, Refused, Rejected, admit
from hudd.engine.answers import Answerer, CannedAnswerer, ReadingAnswerer
from hudd.engine.commands import DialogueOptions, SendRaw
from hudd.engine.dialogue import Dialogue
from hudd.engine.faults import Faults
from hudd.engine.objects import Names
from hudd.engine.options import EngineOptions
from hudd.engine.reader_process import ReaderProcess
from hudd.engine.runner import PeerGoneError, Runner

HOST: Final = "127.0.0.1"
MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
PING_INTERVAL_S: Final = 20.0
PING_TIMEOUT_S: Final = 60.0
CLOSE_TIMEOUT_S: Final = 1.0  # below the time that a parent waits for the whole engine to end
HALF_OPEN_S: Final = 300.0
"""So long a half-open connection is kept; by then every client has given it up."""
_DROPPED: Final = 1006
_NO_CODE: Final = 1005
_UNSENDABLE: Final = frozenset({1004, 1015, *range(1016, 3000)})
"""Codes that no peer may put into a close frame; the library refuses to, so the frame is written by hand."""
_CLOSE_FRAME: Final = b"\x88"
_LETTERS: Final = string.ascii_letters + string.digits

log = logging.getLogger(__name__)


class RandomNames:
    """Ids as the service makes them."""

    def id(self, prefix: str) -> str:
        return f"{prefix}_{''.join(secrets.choice(_LETTERS) for _ in range(21))}"

    def padding(self) -> str:
        return "".join(secrets.choice(_LETTERS) for _ in range(8 + secrets.randbelow(9)))


class Watch(Protocol):
    """Told what happens on the wire, for tests and records. Called on the event loop; must not block or raise."""

    def opened(self, index: int) -> None:
        """A client asked for an upgrade; connections are counted from 0."""
        ...

    def received(self, index: int, frame: str | bytes) -> None:
        """A client's frame came."""
        ...

    def sent(self, index: int, frame: str | bytes) -> None:
        """A frame was handed to the socket."""
        ...

    def ended(self, index: int) -> None:
        """A session's connection is over."""
        ...


class _Peer:
    """A client behind a WebSocket."""

    def __init__(self, connection: ServerConnection, index: int, watch: Watch | None) -> None:
        self._connection = connection
        self._index = index
        self._watch = watch

    async def send(self, frame: str | SendRaw) -> None:
        try:
            if isinstance(frame, SendRaw):
                await self._connection.send(frame.frame, text=frame.text)
            else:
                await self._connection.send(frame)
        except ConnectionClosed as error:
            raise PeerGoneError from error
        if self._watch is not None:
            self._watch.sent(self._index, frame.frame if isinstance(frame, SendRaw) else frame)

    async def close(self, code: int, reason: str) -> None:
        transport = self._connection.transport
        if code == _DROPPED:
            transport.abort()
        elif code == _NO_CODE or code in _UNSENDABLE:
            body = b"" if code == _NO_CODE else struct.pack(">H", code)
            transport.write(_CLOSE_FRAME + bytes([len(body)]) + body)
            transport.close()
            await self._connection.wait_closed()
        else:
            await self._connection.close(code, reason)

    async def reset(self) -> None:
        # Closing a socket that must not linger makes the kernel send RST instead of FIN.
        raw = self._connection.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.transport.abort()

    async def freeze(self) -> None:
        if self._connection.keepalive_task is not None:
            self._connection.keepalive_task.cancel()
        self._connection.transport.pause_reading()
        try:
            await asyncio.sleep(HALF_OPEN_S)
        finally:
            # Reading is paused, so a client that left was not noticed, and a closing handshake cannot end.
            self._connection.transport.abort()

    async def frames(self) -> AsyncIterator[str | bytes]:
        """What the client sends, until the connection ends in whatever way."""
        while True:
            try:
                frame = await self._connection.recv()
            except ConnectionClosed:
                return
            if self._watch is not None:
                self._watch.received(self._index, frame)
            yield frame


class EngineServer:
    """A running engine; an asynchronous context manager.

    Args:
        options: How it behaves.
        answerer: Who answers; None goes by the options. Closed at the end.
        clock: Time; None is the machine's.
        names: Where ids come from; None makes random ones.
        faults: Chooses the faults of a connection by its index; None goes by the options.
        watch: Told what happens on the wire.
    """

    def __init__(
        self,
        options: EngineOptions,
        *,
        answerer: Answerer | None = None,
        clock: Clock | None = None,
        names: Names | None = None,
        faults: Callable[[int], Faults] | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._options = options
        self._faults = faults or self._faults_of_options
        self._watch = watch
        self._clock = clock or SystemClock()
        self._names = names or RandomNames()
        self._answerer = answerer or make_answerer(options)
        self._cache = PromptCache(options.cache)
        # Weak, for a handshake may end after it was decided and before the session begins.
        self._decided: WeakKeyDictionary[ServerConnection, tuple[int, Admission, Faults]] = WeakKeyDictionary()
        self._opened = 0
        self._sessions = 0
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """The TCP port; 0 before it listens."""
        return 0 if self._server is None else int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """``ws://127.0.0.1:PORT/v1/realtime``, without a query."""
        return f"ws://{HOST}:{self.port}/v1/realtime"

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        self._server = await listen(
            self._handle,
            HOST,
            self._options.port,
            process_request=self._process_request,
            select_subprotocol=_select_subprotocol,
            compression=None,
            server_header=None,
            max_size=MAX_MESSAGE_BYTES,
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PING_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            logger=log,
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close every session with 1001, and let the answerer go."""
        try:
            if self._server is not None:
                self._server.close()
                await self._server.wait_closed()
        finally:
            await self._answerer.close()

    def _faults_of_options(self, index: int) -> Faults:
        return Faults.for_connection(self._options.faults, index)

    async def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        index = self._opened
        self._opened += 1
        if self._watch is not None:
            self._watch.opened(index)
        faults = self._faults(index)
        if hang := faults.get("hang"):
            await asyncio.sleep(hang.number)
            connection.transport.abort()
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "")  # nobody is there to read it
        if refused := faults.get("http"):
            return _refusal(connection, int(refused.number), refused.retry_after_s)

        def header(name: str) -> str | None:
            return ", ".join(request.headers.get_all(name)) or None

        admission = admit(request.path, header, token=self._options.token)
        if isinstance(admission, Refused):
            return connection.respond(http.HTTPStatus(admission.status), admission.body)
        self._decided[connection] = (index, admission, faults)
        return None

    async def _handle(self, connection: ServerConnection) -> None:
        index, admission, faults = self._decided.pop(connection)
        peer = _Peer(connection, index, self._watch)
        try:
            await self._talk(peer, admission, faults)
        finally:
            if self._watch is not None:
                self._watch.ended(index)

    async def _talk(self, peer: _Peer, admission: Admission, faults: Faults) -> None:
        if isinstance(admission, Rejected):
            event = {"type": "error", "event_id": self._names.id("event"), **admission.event}
            try:
                await peer.send(json.dumps(event))
            except PeerGoneError:
                return
            await peer.close(admission.close_code, admission.close_reason)
        elif isinstance(admission, Admitted):
            dialogue = Dialogue(admission.model, self._dialogue_options(faults), self._cache, self._names)
            self._sessions += 1
            try:
                await Runner(dialogue, self._answerer, self._clock, peer).run(peer.frames())
            finally:
                self._sessions -= 1
                if self._options.forgets and not self._sessions:
                    # A daemon that forgets ends its session. One that moves to another opens that first.
                    self._cache.forget()
                    await self._answerer.forget()

    def _dialogue_options(self, faults: Faults) -> DialogueOptions:
        return DialogueOptions(
            lifetime_s=self._options.lifetime_s,
            pace_s=self._options.word_pace_s,
            reasoning_tokens=self._options.reasoning_tokens,
            faults=faults,
        )


def make_answerer(options: EngineOptions) -> Answerer:
    """The answerer that the options name; a reading process is started by the first picture only."""
    if options.answers == "canned":
        return CannedAnswerer(options.answer_text)
    return ReadingAnswerer(ReaderProcess(reader=options.reader, budget_s=options.budget_s, idle_s=options.idle_s))


def _refusal(connection: ServerConnection, status: int, retry_after_s: int | None) -> Response:
    response = connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "Refused on purpose.\n")
    response.status_code = status  # any number, also one that HTTPStatus does not know
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def _select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    del connection
    return next((word for word in offered if word == SUBPROTOCOL), None)


async def serve(
    options: EngineOptions,
    *,
    listening: Callable[[str], None] | None = None,
    answerer: Answerer | None = None,
    clock: Clock | None = None,
) -> None:
    """Serve until cancelled.

    Args:
        options: How the engine behaves.
        listening: Called with the URL once clients can connect.
        answerer: Who answers; None goes by the options.
        clock: Time; None is the machine's.

    Raises:
        OSError: The port is taken.
    """
    async with EngineServer(options, answerer=answerer, clock=clock) as server:
        if listening is not None:
            listening(server.url)
        await asyncio.get_running_loop().create_future()
