"""One connection from open to close: moves bytes, questions and time between link, router and mailbox.

What to say next is decided by the router and its session machine; here is only the moving.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from hudd.clock import Clock, ends_within
from hudd.errors import HuddError, LinkClosedError, WithheldError
from hudd.flow.conversation_ports import Heard, Link, Mailbox, Ports
from hudd.flow.waiting import wait_for_any
from hudd.model import Question, UpstreamError
from hudd.policy.facts import FACTS_CHANGED
from hudd.protocol.codec import encode, read_frame
from hudd.protocol.events import (
    ClientEvent,
    ErrorEvent,
    ImagePart,
    ItemCreate,
    Malformed,
    ResponseCreate,
    ServerEvent,
    Unknown,
)
from hudd.protocol.vocabulary import BENIGN_CODES
from hudd.realtime.repeats import Repeats
from hudd.realtime.router import Answered, Router, RouterCommand
from hudd.realtime.sentences import explain_withheld
from hudd.realtime.session import Session
from hudd.realtime.session_words import Ask, BecameReady, Close, Closed, Input, Opened, Placed, Send, Tick

_log = logging.getLogger(__name__)

BIG_FRAME: Final = 256 * 1024
"""Characters above which a frame is read in a thread: a picture that is echoed takes milliseconds."""
HANG_UP_S: Final = 1.0
"""Seconds that a polite close may take before the socket is dropped."""
RETAKE_S: Final = 10.0
"""Seconds that a fresh picture may take."""
STALE_S: Final = 15.0
"""A snap that waited longer than this, as through an outage, gets a fresh picture: people ask for what is there now."""


class Connection:
    """Carries one open link until it ends.

    Args:
        link: Open.
        machine: New.
        router: Owns the questions; those of this connection are taken while it uses ``machine``.
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
        build: Callable[[Question, str], Ask],
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
        self._ready = asyncio.Event()
        self._linger_s = 0.0
        self._asked = 0
        self._repeats = Repeats()
        self.heard = Heard()

    async def run(self) -> LinkClosedError:
        """Carry the link until it ends; returns how. Cancelling leaves the link open, and the caller closes it."""
        self.give(Opened(self._clock.wall()))
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

    def give(self, given: Input) -> None:
        """Let the machine take an input, and carry out what follows."""
        had_room = self._router.has_room
        self._do(self._router.step(self._machine, given, self._clock.monotonic()))
        if self._router.has_room and not had_room:
            self._mailbox.wakeup.set()

    # ------------------------------------------------------------------------------------------- tasks

    async def _read(self) -> LinkClosedError:
        try:
            async for frame in self._link:
                if isinstance(frame, Malformed):
                    self._hear(frame)
                    continue
                read = read_frame(frame) if len(frame) < BIG_FRAME else await asyncio.to_thread(read_frame, frame)
                if self._repeats.is_new(read.event_id, frame):
                    self._hear(read.event)
                else:
                    self._count(Heard(self._clock.monotonic(), repeated=1))
                    _log.debug("< %s once more", type(read.event).__name__)
        except LinkClosedError as closed:
            _log.debug("%s%s", closed, f" {closed.reason}" if closed.reason else "")
            return self._ended(closed)
        # A link that ends without saying how broke its contract; to the machine it is a lost connection all the same.
        return self._ended(LinkClosedError("The connection ended without a word.", code=1006))

    def _ended(self, closed: LinkClosedError) -> LinkClosedError:
        self.give(Closed(closed.code, closed.reason))
        self._mailbox.wakeup.set()  # what was asked here may wait to be asked again, on the connection after this
        return closed

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
        """Take questions from ready on, until another connection does; only one listens to the mailbox at a time."""
        await self._ready.wait()
        while self._router.uses(self._machine):
            self._mailbox.wakeup.clear()
            await self._ask_again()
            if self._take_all():
                continue
            wait_s = self._router.automatic_wait_s(self._clock.monotonic())
            await wait_for_any(self._clock, wait_s or None, self._mailbox.wakeup)

    async def _tick(self) -> None:
        while True:
            self._deadline_moved.clear()
            deadline = self._machine.deadline
            seconds = None if deadline is None else deadline - self._clock.monotonic()
            if await wait_for_any(self._clock, seconds, self._deadline_moved):
                continue
            self.give(Tick())

    async def _hang_up_when_told(self) -> None:
        await self._closing.wait()
        if self._linger_s:
            await self._clock.sleep(self._linger_s)
        await hang_up(self._link)

    # ------------------------------------------------------------------------------------------- steps

    def _count(self, heard: Heard) -> None:
        self.heard = self.heard.plus(heard)

    def _hear(self, event: ServerEvent) -> None:
        now = self._clock.monotonic()
        if isinstance(event, Unknown):
            self._count(Heard(now, unknown=1))
            _log.debug("< unknown event %s", event.type)
        elif isinstance(event, Malformed):
            self._count(Heard(now, malformed=1))
            _log.debug("< malformed: %s", event.reason)
        elif isinstance(event, ErrorEvent) and event.error.code in BENIGN_CODES:
            self._count(Heard(now, benign=1))
            _log.debug("< %s, which is no trouble", event.error.code)
            self.give(event)
        else:
            self._count(Heard(now))
            _log.debug("< %s", type(event).__name__)
            self.give(event)

    @property
    def _may_ask(self) -> bool:
        return self._router.uses(self._machine) and self._router.has_room and self._accepting()

    async def _ask_again(self) -> None:
        """Ask again what a drop interrupted, each with a fresh picture: the old one shows a past that is over."""
        while self._may_ask:
            question, ended = self._router.next_again(self._clock.monotonic())
            self._do(ended)
            if question is None:
                return
            try:
                fresh = await self._fresh(question)
            except HuddError as error:
                reasons = error.reasons if isinstance(error, WithheldError) else None
                why = UpstreamError(sentence=str(error), code=error.wire_code)
                why = why if reasons is None else explain_withheld(reasons)
                self._do(self._router.drop_again(question.id, why, self._clock.monotonic()))
                continue
            still, ended = self._router.next_again(self._clock.monotonic())
            self._do(ended)
            if self._may_ask and still is not None and still.id == question.id:
                self._ask(fresh)

    async def _fresh(self, question: Question) -> Question:
        """The question with a fresh picture.

        Raises:
            HuddError: There is none.
        """
        if self._ports.retake is None:
            return question
        try:
            async with asyncio.timeout(RETAKE_S):
                return await self._ports.retake(question)
        except TimeoutError:
            raise HuddError(f"No fresh picture came within {RETAKE_S:g} s; ask again.") from None

    def _take_all(self) -> bool:
        """Ask whatever may be asked now; whether a snap was met on the way that needs a fresh picture first."""
        while self._may_ask:
            automatic = self._router.allows_automatic and not self._router.automatic_wait_s(self._clock.monotonic())
            question = self._mailbox.take_nowait(allow_automatic=automatic)
            if question is None:
                return False
            if question.trigger == "manual" and self._is_stale(question):
                self._router.put_off(question)
                return True
            self._ask(question)
        return False

    def _is_stale(self, question: Question) -> bool:
        """Whether nothing forbids a picture, but this one may not be sent any more, or shows a past that is over."""
        return self._ports.guard(question) == (FACTS_CHANGED,) or self._clock.monotonic() - question.asked_at > STALE_S

    def _ask(self, question: Question) -> None:
        self._asked += 1
        request = self._build(question, f"rc_{self._asked}_{question.id}")
        self._questions[question.id] = question
        now = self._clock.monotonic()
        self._do(self._router.ask(question, request.event, now, ahead=request.ahead))

    async def _send_question(self, command: Send) -> None:
        question = self._questions.pop(command.question_id)
        events = (*command.ahead, command.event)
        frames = await asyncio.to_thread(_encode_all, events) if has_picture(events) else _encode_all(events)

        def may_leave() -> tuple[str, ...]:
            return self._ports.guard(question)

        def leaves() -> tuple[str, ...]:
            reasons = self._ports.guard(question)
            if not reasons:  # nothing runs between this and the write, so it is as good as sent
                self._router.sent(question.id, self._clock.monotonic())
                self._ports.on_sent(question)
            return reasons

        try:
            await self._ports.reserve(question, self._machine.model)
            for item, data in zip(command.ahead, frames, strict=False):
                await self._link.send(data, may_leave)
                self.give(Placed(item.item.id))
            await self._link.send(frames[-1], leaves)
            _log.debug("> %s for %s, %d bytes", type(command.event).__name__, question.id, sum(map(len, frames)))
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
        """Carry out commands; whoever takes questions is woken when something became possible by them."""
        for command in commands:
            match command:
                case Send():
                    self._outbox.put_nowait(command)
                case Close():
                    self._linger_s = command.linger_s
                    self._closing.set()
                case _:
                    self._emit(command)
                    if isinstance(command, BecameReady):
                        self._ready.set()
                    if isinstance(command, Answered | BecameReady):
                        self._mailbox.wakeup.set()
        self._deadline_moved.set()


def has_picture(events: tuple[ClientEvent, ...]) -> bool:
    """Whether encoding the events takes milliseconds."""
    for event in events:
        items = (event.item,) if isinstance(event, ItemCreate) else ()
        if isinstance(event, ResponseCreate):
            items = event.input or ()
        if any(isinstance(part, ImagePart) for item in items for part in item.parts):
            return True
    return False


def _encode_all(events: tuple[ClientEvent, ...]) -> list[bytes]:
    return [encode(event) for event in events]


async def hang_up(link: Link) -> None:
    """Close politely, and if that takes too long, drop the socket. Safe for a link that is closed already."""
    if not await ends_within(link.close(1000, ""), HANG_UP_S):
        link.abort()
