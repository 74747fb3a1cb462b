"""One connection from open to close: moves bytes, questions and time between link, router and mailbox.

What to say next is decided by the router and its session machine; here is only the moving.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from hudd.clock import Clock
from hudd.errors import HuddError, LinkClosedError, WithheldError
from hudd.flow.conversation_ports import Link, Mailbox, Ports
from hudd.flow.waiting import wait_for_any
from hudd.model import Question, UpstreamError
from hudd.protocol.codec import decode, encode
from hudd.protocol.events import ImagePart, Malformed, ResponseCreate, ServerEvent, Unknown
from hudd.realtime.router import Answered, Router, RouterCommand
from hudd.realtime.sentences import explain_withheld
from hudd.realtime.session import Session
from hudd.realtime.session_words import BecameReady, Close, Closed, Opened, Send, Tick

_log = logging.getLogger(__name__)

BIG_FRAME: Final = 256 * 1024
"""Characters above which a frame is read in a thread: a picture that is echoed takes milliseconds."""
HANG_UP_S: Final = 1.0
"""Seconds that a polite close may take before the socket is dropped."""


class Connection:
    """Carries one open link until it ends.

    Args:
        link: Open.
        machine: New; it is the one that the router uses.
        router: Owns the questions.
        clock: For deadlines.
        mailbox: Where questions come from.
        ports: Guard, reservation, and who is told.
        build: Makes the request for a question; its second argument is our event id.
        emit: Takes what is neither for the link nor for the clock.
        accepting: Whether new questions may be taken.
    """

    def __init__(
        self,
        link: Link,
        machine: Session,
        *,
        router: Router,
        clock: Clock,
        mailbox: Mailbox,
        ports: Ports,
        build: Callable[[Question, str], ResponseCreate],
        emit: Callable[[RouterCommand], None],
        accepting: Callable[[], bool],
    ) -> None:
        self._link = link
        self._machine = machine
        self._router = router
        self._clock = clock
        self._mailbox = mailbox
        self._ports = ports
        self._build = build
        self._emit = emit
        self._accepting = accepting
        self._outbox: asyncio.Queue[Send] = asyncio.Queue()
        self._questions: dict[str, Question] = {}
        self._deadline_moved = asyncio.Event()
        self._closing = asyncio.Event()
        self._asked = 0
        self.last_event_at: float | None = None
        self.unknown_events = 0
        self.malformed_events = 0

    async def run(self) -> LinkClosedError:
        """Carry the link until it ends; returns how. Cancelling leaves the link open, and the caller closes it."""
        self._do(self._router.step(self._machine, Opened(), self._clock.monotonic()))
        async with asyncio.TaskGroup() as group:
            helpers = [
                group.create_task(work, name=name)
                for work, name in (
                    (self._write(), "realtime-write"),
                    (self._take(), "realtime-take"),
                    (self._tick(), "realtime-tick"),
                    (self._hang_up_when_told(), "realtime-hang-up"),
                )
            ]
            try:
                return await self._read()
            finally:
                for helper in helpers:
                    helper.cancel()

    # ------------------------------------------------------------------------------------------- tasks

    async def _read(self) -> LinkClosedError:
        try:
            async for frame in self._link:
                if isinstance(frame, Malformed):
                    event: ServerEvent = frame
                else:
                    event = decode(frame) if len(frame) < BIG_FRAME else await asyncio.to_thread(decode, frame)
                self._heard(event)
        except LinkClosedError as closed:
            _log.debug("x closed with %d %s", closed.code, closed.reason)
            now = self._clock.monotonic()
            self._do(self._router.step(self._machine, Closed(closed.code, closed.reason), now))
            return closed
        # A link that ends without saying how broke its contract; to the machine it is a lost connection all the same.
        return LinkClosedError("The connection ended without a word.", code=1006)

    async def _write(self) -> None:
        while True:
            command = await self._outbox.get()
            with suppress(LinkClosedError):  # the reader learns it too, and acts
                if command.question_id:
                    await self._send_question(command)
                else:
                    _log.debug("> %s", type(command.event).__name__)
                    await self._link.send(encode(command.event))

    async def _take(self) -> None:
        while True:
            self._mailbox.wakeup.clear()
            self._take_all()
            await self._mailbox.wakeup.wait()

    async def _tick(self) -> None:
        while True:
            self._deadline_moved.clear()
            deadline = self._machine.deadline
            seconds = None if deadline is None else deadline - self._clock.monotonic()
            if await wait_for_any(self._clock, seconds, self._deadline_moved):
                continue
            self._do(self._router.step(self._machine, Tick(), self._clock.monotonic()))

    async def _hang_up_when_told(self) -> None:
        await self._closing.wait()
        await hang_up(self._link)

    # ------------------------------------------------------------------------------------------- steps

    def _heard(self, event: ServerEvent) -> None:
        now = self._clock.monotonic()
        self.last_event_at = now
        if isinstance(event, Unknown):
            self.unknown_events += 1
            _log.debug("< unknown event %s", event.type)
        elif isinstance(event, Malformed):
            self.malformed_events += 1
            _log.debug("< malformed: %s", event.reason)
        else:
            _log.debug("< %s", type(event).__name__)
            self._do(self._router.step(self._machine, event, now))

    def _take_all(self) -> None:
        """Ask whatever may be asked now."""
        while self._accepting() and self._router.has_room:
            now = self._clock.monotonic()
            question, ended = self._router.next_again(now)
            for command in ended:  # not by _do, which would come back here
                self._emit(command)
            if question is None:
                question = self._mailbox.take_nowait(allow_automatic=self._router.allows_automatic)
            if question is None:
                return
            self._asked += 1
            request = self._build(question, f"rc_{self._asked}_{question.id}")
            self._questions[question.id] = question
            self._do(self._router.ask(question, request, now))

    async def _send_question(self, command: Send) -> None:
        question = self._questions.pop(command.question_id)
        has_picture = isinstance(command.event, ResponseCreate) and any(
            isinstance(part, ImagePart) for item in command.event.input for part in item.parts
        )
        data = await asyncio.to_thread(encode, command.event) if has_picture else encode(command.event)

        def guard() -> tuple[str, ...]:
            reasons = self._ports.guard(question)
            if not reasons:  # nothing runs between this and the write, so it is as good as sent
                self._router.sent(question.id, self._clock.monotonic())
                self._ports.on_sent(question)
            return reasons

        try:
            await self._ports.reserve(question)
            await self._link.send(data, guard)
            _log.debug("> %s for %s, %d bytes", type(command.event).__name__, question.id, len(data))
        except WithheldError as error:
            self._withheld(question, explain_withheld(error.reasons))
        except LinkClosedError:
            raise
        except HuddError as error:  # the reservation could not be committed: nothing may be spent
            self._withheld(question, UpstreamError(sentence=str(error), code="withheld", param=error.wire_code))
        finally:
            self._deadline_moved.set()

    def _withheld(self, question: Question, error: UpstreamError) -> None:
        self._do(self._router.withheld(question.id, error, self._clock.monotonic()))

    def _do(self, commands: list[RouterCommand]) -> None:
        """Carry out commands; what became possible by them is asked at once."""
        room_changed = False
        for command in commands:
            match command:
                case Send():
                    self._outbox.put_nowait(command)
                case Close():
                    self._closing.set()
                case _:
                    self._emit(command)
                    room_changed = room_changed or isinstance(command, Answered | BecameReady)
        self._deadline_moved.set()
        if room_changed:
            self._take_all()


async def hang_up(link: Link) -> None:
    """Close politely, and if that takes too long, drop the socket. Safe for a link that is closed already."""
    try:
        async with asyncio.timeout(HANG_UP_S):
            await link.close(1000, "")
    except TimeoutError:
        link.abort()
