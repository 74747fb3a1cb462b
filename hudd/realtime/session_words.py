"""What the session machine takes and gives: its inputs and its commands, as frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from hudd.model import AnswerStatus, UpstreamError, Usage
from hudd.protocol.events import ClientEvent, ItemCreate, ResponseCreate, ServerEvent

# ---------------------------------------------------------------------------------------------------- inputs


@dataclass(frozen=True, slots=True)
class Opened:
    """The WebSocket is open.

    Attributes:
        wall: Seconds since 1970, against which ``expires_at`` is read; None leaves the expiry out.
    """

    wall: float | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a question. Only where ``Session.has_room``; its metadata ``snap`` is the question's id.

    Attributes:
        question_id: Ours.
        event: The request.
        ahead: Items that it leans on, to be created right before it.
    """

    question_id: str
    event: ResponseCreate
    ahead: tuple[ItemCreate, ...] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    """The bytes of an item that a question leans on were handed to the socket."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The question's bytes were handed to the socket; its time-outs start."""

    question_id: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The question was not sent after all: withheld, or over a cap."""

    question_id: str


@dataclass(frozen=True, slots=True)
class Learn:
    """A note was written on another connection; the model of this one is told of it with the next question."""

    text: str


@dataclass(frozen=True, slots=True)
class Reinstruct:
    """Tell the model something else from now on. Not empty."""

    instructions: str


@dataclass(frozen=True, slots=True)
class Retire:
    """Another connection takes the work: finish the answers in flight, then close."""


@dataclass(frozen=True, slots=True)
class Tick:
    """``Session.deadline`` is reached."""


@dataclass(frozen=True, slots=True)
class Shut:
    """Somebody wants the connection closed."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The WebSocket is gone.

    Attributes:
        code: Close code; 1006 when none came.
        reason: As sent.
    """

    code: int
    reason: str = ""


OURS: Final = (Opened, Ask, Placed, Sent, Withdrawn, Learn, Reinstruct, Retire, Tick, Shut, Closed)
"""The inputs that the service did not say."""
Input: TypeAlias = (
    Opened | Ask | Placed | Sent | Withdrawn | Learn | Reinstruct | Retire | Tick | Shut | Closed | ServerEvent
)

# ---------------------------------------------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class Send:
    """Send an event.

    Attributes:
        event: What.
        question_id: Set when it carries a question: money is reserved and the guard asked before it leaves.
        ahead: Items to be created right before it, each guarded too, because a picture is among them.
    """

    event: ClientEvent
    question_id: str = ""
    ahead: tuple[ItemCreate, ...] = ()


@dataclass(frozen=True, slots=True)
class BecameReady:
    """Questions may be asked from now on."""

    session_id: str


@dataclass(frozen=True, slots=True)
class RolloverDue:
    """The session is near its end: another one should be opened before. Said once."""


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of text to show."""

    question_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A question ended; each one that was asked and not withdrawn ends in exactly one of these."""

    question_id: str
    status: AnswerStatus
    text: str = ""
    reason: str = ""
    usage: Usage | None = None
    error: UpstreamError | None = None
    response_id: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Tell people about an error."""

    error: UpstreamError


@dataclass(frozen=True, slots=True)
class Close:
    """Close the WebSocket; ``Closed`` follows.

    Attributes:
        code: Close code.
        reason: Close reason.
        linger_s: Seconds that the other side is given to close first, because its code and reason say more.
    """

    code: int
    reason: str
    linger_s: float = 0.0


Command: TypeAlias = Send | BecameReady | RolloverDue | Delta | Finished | Report | Close
