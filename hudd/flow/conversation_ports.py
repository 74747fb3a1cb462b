"""What the conversation needs of others, and what it tells about itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from hudd.model import Answer, Question, UpstreamError
from hudd.protocol.events import Malformed
from hudd.realtime.retry import ConnectionWord


class Link(Protocol):
    """One open WebSocket."""

    async def send(self, data: bytes, guard: Callable[[], tuple[str, ...]] | None = None) -> None:
        """Send one text frame; ``guard`` is the last statement before the write.

        Raises:
            WithheldError: When the guard gave reasons; nothing was sent.
            LinkClosedError: When the connection was gone before the guard was asked; nothing was sent.
        """
        ...

    def __aiter__(self) -> AsyncIterator[str | Malformed]:
        """Frames as they come; ends in ``LinkClosedError`` for every close."""
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close politely. Safe to call twice."""
        ...

    def abort(self) -> None:
        """Drop the connection at once."""
        ...

    def probe(self) -> None:
        """Find out soon whether the other side is still there; when it is not, the connection ends."""
        ...


class Mailbox(Protocol):
    """Where questions wait."""

    @property
    def wakeup(self) -> asyncio.Event:
        """Set by the mailbox when something is put; cleared by the conversation before it looks."""
        ...

    def take_nowait(self, *, allow_automatic: bool) -> Question | None:
        """The next question, those that a person asked first; None when there is none of the allowed kinds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Who is asked and who is told about questions. All run on the event loop; none of the plain ones may block.

    Attributes:
        guard: Reasons to withhold a question now; pure, asked as the last statement before its bytes leave.
        reserve: Commits the reservation of its money, before each send, at the price of the model that the question's
            session asks: during a rollover that may be another one. A question that is asked again after a drop is
            reserved again; when ``on_sent`` did not follow the earlier reservation, that one was for nothing. Raises
            ``WithheldError`` when a cap is reached; any other ``HuddError`` keeps the question from being sent too.
        on_sent: Its bytes are with the socket, so it may be billed from now on.
        on_delta: A piece of the answer; the number counts from 0, and starts again when the question is asked again.
        on_answer: The question ended; called exactly once for each question that was taken.
        on_error: The service, or the way to it, reported an error.
        on_state: ``Conversation.status()`` tells another connection state now.
        retake: The same question with a fresh picture, for a snap that is asked again after a drop; raises
            ``HuddError`` when there is none now. None asks with the picture that there is.
        shrink: Makes every picture from now on smaller, because one was too big for the endpoint; False when they are
            as small as is any use, and then the question ends with an error instead of being asked again.
    """

    guard: Callable[[Question], tuple[str, ...]]
    reserve: Callable[[Question, str], Awaitable[None]]
    on_sent: Callable[[Question], None]
    on_delta: Callable[[Question, int, str], None]
    on_answer: Callable[[Answer], None]
    on_error: Callable[[UpstreamError], None]
    on_state: Callable[[], None]
    retake: Callable[[Question], Awaitable[Question]] | None = None
    shrink: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Heard:
    """What came, in numbers.

    Attributes:
        last_event_at: Monotonic seconds of the last event, or None.
        unknown: Events of unknown types.
        malformed: Frames that were no events.
        repeated: Events that came twice; the second one was dropped.
        benign: Errors that only say that something was over already.
    """

    last_event_at: float | None = None
    unknown: int = 0
    malformed: int = 0
    repeated: int = 0
    benign: int = 0

    def plus(self, other: Heard) -> Heard:
        """Both together."""
        times = [at for at in (self.last_event_at, other.last_event_at) if at is not None]
        return Heard(
            max(times, default=None),
            self.unknown + other.unknown,
            self.malformed + other.malformed,
            self.repeated + other.repeated,
            self.benign + other.benign,
        )


RolloverWord = Literal["opening", "stopped", "draining"]
OpenLink: TypeAlias = Callable[[], Awaitable[Link]]
"""Opens a connection; raises ``LinkError``."""


@dataclass(frozen=True, slots=True)
class ConversationStatus:
    """Facts about the connection.

    Attributes:
        connection: One word.
        since: Wall clock at which it became that, seconds.
        sentence: Why it is not ready, for a person; '' when it is.
        session_id: ``sess_…``, or ''.
        expires_at: Wall clock at which the service ends the session, or None.
        responding: Questions being answered.
        last_event_at: Monotonic seconds of the last event of the service, or None.
        unknown_events: Events of unknown types since the start.
        malformed_events: Frames that were no events since the start.
        last_errors: The last three, newest first.
        next_try_s: Seconds until the next try to connect, or None.
        repeated_events: Events that came twice since the start; the second one was dropped.
        benign_errors: Errors since the start that only say that something was over already.
        failures: Tries that failed, and connections that ended, in this outage; 0 when there is none.
        unproven: Whether it is ready, and an earlier end of this outage did not last.
        connects: Tries to connect since the start.
        rollover: ``opening`` while the next session is being opened, ``stopped`` when it was refused and a person must
            act, ``draining`` while the one before finishes its answers; None else.
        model: The one that the open session asks, or the next one will, by the endpoint's name.
    """

    connection: ConnectionWord
    since: float
    sentence: str
    session_id: str
    expires_at: float | None
    responding: int
    last_event_at: float | None
    unknown_events: int
    malformed_events: int
    last_errors: tuple[UpstreamError, ...]
    next_try_s: float | None
    connects: int
    rollover: RolloverWord | None = None
    model: str = ""
    repeated_events: int = 0
    benign_errors: int = 0
    failures: int = 0
    unproven: bool = False

    @property
    def tries_again(self) -> bool:
        """Whether it is between two failures of one outage: a state that passes, and that nobody needs to be told."""
        return self.unproven or (self.failures > 0 and self.connection in ("connecting", "configuring"))

    def counters(self) -> dict[str, int]:
        """What the status tells beside the rest."""
        return {
            "connects": self.connects,
            "repeated_events": self.repeated_events,
            "benign_errors": self.benign_errors,
        }
