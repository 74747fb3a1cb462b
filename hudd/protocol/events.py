"""The Realtime events that hudd speaks and hears, as frozen records. The JSON is made and read in ``protocol.codec``.

Only what hudd uses has a class; everything else the service may send becomes ``Ignored`` (a known type that says
nothing to us) or ``Unknown`` (a type nobody told us about), and what is no event at all becomes ``Malformed``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from hudd.model import AnswerStatus, Usage

Role = Literal["user", "assistant", "system"]
Effort = Literal["minimal", "low", "medium", "high", "xhigh"]
Phase = Literal["", "commentary", "final_answer"]

# ---------------------------------------------------------------------------------------------------- what we send


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text of a message."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture of a user message; it is sent as a data URI (realtime-protocol 4.1).

    Attributes:
        media_type: The service takes PNG and JPEG, nothing else.
        data: The encoded picture.
        detail: ``auto`` counts as ``high``.
    """

    media_type: Literal["image/jpeg", "image/png"]
    data: bytes = field(repr=False)
    detail: Literal["auto", "low", "high"] = "auto"


@dataclass(frozen=True, slots=True)
class Message:
    """A message item.

    Attributes:
        role: Who speaks; only a user may show pictures.
        parts: In order.
        id: Our own item id, at most 32 characters, or '' to let the service choose.
    """

    role: Role
    parts: tuple[TextPart | ImagePart, ...]
    id: str = ""


@dataclass(frozen=True, slots=True)
class SessionUpdate:
    """The one ``session.update`` of a connection (realtime-protocol 2.3): text only, turn detection off, no tools.

    Attributes:
        event_id: Ours; an error names it.
        instructions: Never empty: an empty text brings back the service's own, which is billed (2.1).
        max_output_tokens: 1..4096.
        retention_ratio: Share of ``post_instructions_tokens`` that a truncation keeps, 0..1.
        post_instructions_tokens: Tokens after the instructions that start a truncation.
        reasoning_effort: Sent only when set; models without reasoning reject the whole update over it (2.4).
    """

    event_id: str
    instructions: str
    max_output_tokens: int
    retention_ratio: float
    post_instructions_tokens: int
    reasoning_effort: Effort | str = ""


@dataclass(frozen=True, slots=True)
class ResponseCreate:
    """Asks for an answer; this is what costs money.

    Attributes:
        event_id: Ours; a refusal names it (3.8).
        input: Replaces the conversation as context (3.7). Empty means no context at all; None means the whole
            conversation that the service keeps.
        max_output_tokens: 1..4096.
        metadata: At most 16 pairs; echoed by ``response.created`` and ``response.done``.
        conversation: ``none`` writes nothing to the service's conversation, so such responses may overlap.
    """

    event_id: str
    input: tuple[Message, ...] | None
    max_output_tokens: int
    metadata: tuple[tuple[str, str], ...] = ()
    conversation: Literal["none", "auto"] = "none"


@dataclass(frozen=True, slots=True)
class ItemCreate:
    """Adds an item to the service's conversation; costs nothing by itself."""

    event_id: str
    item: Message
    previous_item_id: str = ""


@dataclass(frozen=True, slots=True)
class ItemDelete:
    """Takes an item out of the service's conversation."""

    event_id: str
    item_id: str


@dataclass(frozen=True, slots=True)
class ResponseCancel:
    """Ends a response. Without the id only one in the default conversation would be meant (3.8)."""

    event_id: str
    response_id: str


ClientEvent: TypeAlias = SessionUpdate | ResponseCreate | ItemCreate | ItemDelete | ResponseCancel

# ---------------------------------------------------------------------------------------------------- what we read


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """The first event of a connection.

    Attributes:
        session_id: ``sess_…``.
        model: As the service names it.
        expires_at: Wall clock seconds at which the service ends the session, or None.
    """

    session_id: str = ""
    model: str = ""
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    """Our update is in force. It does not say which event caused it (2.1)."""

    session_id: str = ""
    model: str = ""
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """The ``error`` object of an error event or of a failed response.

    Attributes:
        type: ``invalid_request_error``, ``server_error`` …
        code: What to decide by (2.6).
        message: For people; nothing is decided by it.
        param: What of our event it is about.
        event_id: Our event.
        status: HTTP status that a gateway put beside it, or 0 (1.6).
    """

    type: str = ""
    code: str = ""
    message: str = ""
    param: str = ""
    event_id: str = ""
    status: int = 0


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """An ``error`` event. Most leave the session usable (2.5)."""

    error: ErrorDetails


@dataclass(frozen=True, slots=True)
class ResponseCreated:
    """Proves that a request arrived."""

    response_id: str
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class OutputItem:
    """One item of an answer.

    Attributes:
        id: ``item_…``.
        type: ``message`` for text.
        phase: 2.x models mark a preamble as ``commentary`` (3.6).
        texts: The text of each content part, in order.
    """

    id: str = ""
    type: str = ""
    phase: str = ""
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputItemAdded:
    """An answer got an item."""

    response_id: str
    item: OutputItem


@dataclass(frozen=True, slots=True)
class OutputItemDone:
    """An item of an answer is complete."""

    response_id: str
    item: OutputItem


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of text as it is written."""

    response_id: str
    item_id: str
    content_index: int
    delta: str


@dataclass(frozen=True, slots=True)
class TextDone:
    """A content part is complete; ``text`` is all of it."""

    response_id: str
    item_id: str
    content_index: int
    text: str


@dataclass(frozen=True, slots=True)
class ResponseDone:
    """An answer ended, in one of four ways (3.5).

    Attributes:
        response_id: ``resp_…``.
        status: A status nobody knows is read as ``failed``.
        reason: ``status_details.reason``, or ''.
        error: Set for failed ones that say why.
        output: Its items with their complete text.
        usage: Tokens, or None when the service told none.
        metadata: Ours, echoed.
    """

    response_id: str
    status: AnswerStatus
    reason: str = ""
    error: ErrorDetails | None = None
    output: tuple[OutputItem, ...] = ()
    usage: Usage | None = None
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ItemAdded:
    """An item is in the service's conversation."""

    item_id: str


@dataclass(frozen=True, slots=True)
class ItemDone:
    """An item of the service's conversation is complete."""

    item_id: str


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    """An item left the service's conversation."""

    item_id: str


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One limit of the account."""

    name: str
    limit: float = 0.0
    remaining: float = 0.0
    reset_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RateLimitsUpdated:
    """What is left of the account's limits; may come before or after an answer, or never (3.4)."""

    limits: tuple[RateLimit, ...] = ()


IGNORED_TYPES: Final = frozenset(
    {
        "conversation.created",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.failed",
        "conversation.item.input_audio_transcription.segment",
        "conversation.item.retrieved",
        "conversation.item.truncated",
        "input_audio_buffer.cleared",
        "input_audio_buffer.committed",
        "input_audio_buffer.dtmf_event_received",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.timeout_triggered",
        "mcp_list_tools.completed",
        "mcp_list_tools.failed",
        "mcp_list_tools.in_progress",
        "output_audio_buffer.cleared",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "response.content_part.added",
        "response.content_part.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
    }
)
"""Types of the GA vocabulary (realtime-protocol 3.2) that a text-only client has no use for."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A known event that says nothing to hudd, for instance ``response.content_part.added``."""

    type: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """An event of a type that hudd does not know; counted, never fatal."""

    type: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """What came is no event: no JSON object, no type, or a part is missing that nothing works without."""

    reason: str


ServerEvent: TypeAlias = (
    SessionCreated
    | SessionUpdated
    | ErrorEvent
    | ResponseCreated
    | OutputItemAdded
    | OutputItemDone
    | TextDelta
    | TextDone
    | ResponseDone
    | ItemAdded
    | ItemDone
    | ItemDeleted
    | RateLimitsUpdated
    | Ignored
    | Unknown
    | Malformed
)
