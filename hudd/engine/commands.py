"""What the server half of a connection wants done, and how it behaves. Records only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hudd.engine.faults import Faults
from hudd.engine.objects import DEFAULT_LIFETIME_S, JsonObject
from hudd.engine.validation import SentPicture


@dataclass(frozen=True, slots=True)
class Send:
    """Send an event, as a text frame."""

    event: JsonObject


@dataclass(frozen=True, slots=True)
class SendRaw:
    """Send a frame that is no event (a fault).

    Attributes:
        frame: What is in it.
        text: Whether it is a text frame, even if its bytes are no text.
    """

    frame: bytes
    text: bool = True


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection; 1006 means without a close frame, 1005 means a close frame without a code."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the TCP connection (a fault)."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """Neither read nor write any more, and keep the connection (a fault)."""


End = Close | Reset | Freeze
"""What no other command follows."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the answerer; its text comes back by ``add_text`` and ``end_text``, its failure by ``fail``.

    Attributes:
        response_id: The response that waits for it.
        stream: Names the series of pictures this one belongs to: ``metadata.source``, or else the session.
        instructions: What the session or the response tells the model.
        text: What the user's newest messages say.
        pictures: The pictures of the user's newest messages, in order.
        most_tokens: Where the answer will be cut; None for no limit.
        metadata: What the client attached to the response.
    """

    response_id: str
    stream: str
    instructions: str
    text: str
    pictures: tuple[SentPicture, ...]
    most_tokens: int | None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Forget:
    """Stop asking for a response that has ended."""

    response_id: str


Command = Send | SendRaw | Ask | Forget | End


@dataclass(frozen=True, slots=True)
class DialogueOptions:
    """How the server half behaves.

    Attributes:
        lifetime_s: Seconds until the session expires.
        pace_s: Seconds between two words of an answer.
        reasoning_tokens: Reasoning tokens of every answer of a 2.x model; None goes by the effort asked for.
        faults: What goes wrong on purpose.
    """

    lifetime_s: float = DEFAULT_LIFETIME_S
    pace_s: float = 0.0
    reasoning_tokens: int | None = None
    faults: Faults = field(default_factory=Faults)
