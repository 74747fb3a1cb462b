"""One question on one connection: how far it came and until when the next step must follow. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from hudd.model import UpstreamError
from hudd.realtime.answer_text import AnswerText


class Step(Enum):
    """How far a question came."""

    UNSENT = "unsent"
    SENT = "sent"
    CREATED = "created"
    WRITING = "writing"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class Exchange:
    """A question and its response.

    Attributes:
        question_id: Ours.
        event_ids: Of the ``response.create`` and of the items that it leans on; a refusal names one of them.
        response_id: ``resp_…`` once it was created, or ''.
        step: How far it came.
        deadline: When the next step must have come, monotonic seconds; None while nothing is waited for.
        done_by: When the answer must be complete.
        timeout: Why we cancelled it, or None.
        sent_at: When its bytes were handed to the socket.
        text: What was written so far.
    """

    question_id: str
    event_ids: tuple[str, ...]
    response_id: str = ""
    step: Step = Step.UNSENT
    deadline: float | None = None
    done_by: float = 0.0
    sent_at: float = 0.0
    timeout: UpstreamError | None = None
    text: AnswerText = field(default_factory=AnswerText)

    def wait(self, step: Step, deadline: float) -> None:
        """Go on to a step whose successor must come by ``deadline``."""
        self.step = step
        self.deadline = deadline
