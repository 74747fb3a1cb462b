"""Frozen records that cross folders: what one stage hands to the next.

Source → Shot → Picture → Question → Answer → (wire) Note
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Trigger = Literal["change", "manual", "interval"]
SourceKind = Literal["monitor", "window", "region"]
NoticeTopic = Literal["money", "alarm", "attention"]
"""What a person is told about on the desktop: stages of money, money without a note, a connection that needs one."""
AnswerStatus = Literal["completed", "incomplete", "cancelled", "failed", "vanished"]


@dataclass(frozen=True, slots=True)
class Source:
    """One thing that can be looked at.

    Attributes:
        kind: What sort of thing it is.
        name: Stable name, for instance ``eDP-1`` or ``pictures``; unique among the sources of a daemon.
        rect: ``(left, top, width, height)`` in the pixels of the desktop.
    """

    kind: SourceKind
    name: str
    rect: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Target:
    """What a snap is to show, when it is no monitor. One of the two is set.

    Attributes:
        region: ``(left, top, width, height)`` in the pixels of the desktop.
        window: '' for the focused window; an id or a part of a title for another.
    """

    region: tuple[int, int, int, int] | None = None
    window: str | None = None

    @staticmethod
    def of(source: Source) -> Target | str:
        """How to ask for the same once more; of a window, for what stood in its place."""
        return source.name if source.kind == "monitor" else Target(region=source.rect)


@dataclass(frozen=True, slots=True)
class Shot:
    """One grabbed frame, as it came from the window system.

    Attributes:
        source: What was grabbed.
        pixels: ``height * width * 4`` bytes, B G R X per pixel, rows without padding. Never copied, never changed.
        width: Pixels in a row.
        height: Rows.
        captured_at: Wall clock at the grab, seconds.
        epoch: ``policy.epoch`` read before the grab; the same was read after it, or the shot was discarded.
        grab_ms: How long the grab took, in milliseconds.
        masked: Windows that were painted over because they must not be seen.
        placed: Whether ``source.rect`` is where the frame lies on the desktop; otherwise no window can be found on it.
        veiled: Whether only one window was kept, and the rest painted over.
    """

    source: Source
    pixels: bytes | bytearray | memoryview
    width: int
    height: int
    captured_at: float
    epoch: int
    grab_ms: float = 0.0
    masked: int = 0
    placed: bool = True
    veiled: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """One encoded picture, ready to send.

    Attributes:
        source: What it shows.
        media_type: ``image/jpeg`` or ``image/png``; the service takes nothing else (realtime-protocol 4.1).
        data: The encoded bytes. Kept in memory only; never written to disk or log.
        width: Pixels in a row after scaling.
        height: Rows after scaling.
        scale: Picture pixels per screen pixel, for instance 0.67.
        hash: Short fingerprint of the frame's pixels, hexadecimal.
        captured_at: Wall clock at the grab, seconds.
        epoch: ``policy.epoch`` at the grab.
        grab_ms: How long the grab took.
        encode_ms: How long scaling and encoding took.
        masked: Windows that were painted over because they must not be seen.
        redacted: Texts that were painted over because they have the shape of a secret.
    """

    source: Source
    media_type: Literal["image/jpeg", "image/png"]
    data: bytes = field(repr=False)
    width: int
    height: int
    scale: float
    hash: str
    captured_at: float
    epoch: int
    grab_ms: float = 0.0
    encode_ms: float = 0.0
    masked: int = 0
    redacted: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """What the model is asked: one or more pictures, and why.

    Attributes:
        id: A ULID; the ``snap_id`` of the caller when a person asked. At most 32 characters.
        trigger: ``manual`` is never dropped in silence; the others give way to newer ones.
        pictures: At least one.
        asked_at: ``clock.monotonic()`` when it was put in the mailbox, seconds.
    """

    id: str
    trigger: Trigger
    pictures: tuple[Picture, ...]
    asked_at: float

    @property
    def source(self) -> Source:
        """The source that names the note's topic: that of the first picture."""
        return self.pictures[0].source

    @property
    def epoch(self) -> int:
        """The oldest epoch among the pictures."""
        return min(p.epoch for p in self.pictures)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one response, as ``response.done`` tells them (realtime-protocol 3.5).

    ``cached_*`` are contained in the input figures, ``reasoning_tokens`` in ``output_tokens``.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    text_tokens: int = 0
    image_tokens: int = 0
    audio_tokens: int = 0
    cached_text_tokens: int = 0
    cached_image_tokens: int = 0
    cached_audio_tokens: int = 0
    output_text_tokens: int = 0
    output_audio_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def cached_tokens(self) -> int:
        """Input tokens that were served from the prompt cache."""
        return self.cached_text_tokens + self.cached_image_tokens + self.cached_audio_tokens


@dataclass(frozen=True, slots=True)
class UpstreamError:
    """An error of the service, kept raw, with our sentence for people.

    Attributes:
        sentence: One sentence with cause and remedy.
        type: ``error.type`` as sent, or ''.
        code: ``error.code`` as sent, or ''.
        message: ``error.message`` as sent, or ''.
        param: ``error.param`` as sent, or ''.
        event_id: Our event that the error names, or ''.
        close_code: WebSocket close code, or None.
        close_reason: WebSocket close reason, or ''.
        http_status: Status of a refused upgrade, or None.
        fatal: True when trying again cannot help until a person acts.
    """

    sentence: str
    type: str = ""
    code: str = ""
    message: str = ""
    param: str = ""
    event_id: str = ""
    close_code: int | None = None
    close_reason: str = ""
    http_status: int | None = None
    fatal: bool = False

    def wire(self) -> dict[str, object]:
        """The raw part, as ``data.upstream`` of a JSON-RPC error and as the body on ``error/``."""
        return {
            "type": self.type,
            "code": self.code,
            "message": self.message,
            "param": self.param,
            "event_id": self.event_id,
            "close_code": self.close_code,
            "close_reason": self.close_reason,
            "http_status": self.http_status,
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a question.

    Attributes:
        question: The question.
        status: The five ways an answer can end; ``vanished`` means that the connection ended first.
        text: The text as far as it came; all of it when completed.
        reason: ``status_details.reason`` (``max_output_tokens``, ``content_filter``, ``client_cancelled`` …), or ''.
        usage: Tokens, or None when the service told none.
        error: Set when the answer failed or vanished.
        session_id: ``sess_…`` of the session that answered, or ''.
        response_id: ``resp_…``, or '' when none was created.
        sent: True when the question's bytes were handed to the socket, so that it may be billed.
        queue_ms: From the mailbox to the socket.
        first_delta_ms: From the socket to the first text, or None.
        total_ms: From the mailbox to the end.
    """

    question: Question
    status: AnswerStatus
    text: str = ""
    reason: str = ""
    usage: Usage | None = None
    error: UpstreamError | None = None
    session_id: str = ""
    response_id: str = ""
    sent: bool = True
    queue_ms: float = 0.0
    first_delta_ms: float | None = None
    total_ms: float = 0.0
