"""What the session machine takes and gives: its inputs and its commands, as frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from hudd.model import AnswerStatus, UpstreamError, Usage
from hudd.protocol.events import ClientEvent, ResponseCreate, ServerEvent

# ---------------------------------------------------------------------------------------------------- inputs


@dataclass(frozen=True, slots=True)
class Opened:
    """The WebSocket is open."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a question. Only where ``Session.has_room``; its metadata ``snap`` is the question's id."""

    question_id: str
    event: ResponseCreate


@dataclass(frozen=True, slots=True)
class Sent:
    """The question's bytes were handed to the socket; its time-outs start."""

    question_id: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The question was not sent after all: withheld, or over a cap."""

    question_id: str


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


Input: TypeAlias = Opened | Ask | Sent | Withdrawn | Tick | Shut | Closed | ServerEvent

# ---------------------------------------------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class Send:
    """Send an event.

    Attributes:
        event: What.
        question_id: Set when it carries a question: money is reserved and the guard asked before it leaves.
    """

    event: ClientEvent
    question_id: str = ""


@dataclass(frozen=True, slots=True)
class BecameReady:
    """Questions may be asked from now on."""

    session_id: str


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
    """Close the WebSocket; ``Closed`` follows."""

    code: int
    reason: str


Command: TypeAlias = Send | BecameReady | Delta | Finished | Report | Close
