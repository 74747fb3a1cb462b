"""How an engine is started: one record for the command line, the parent process and the tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from hudd.engine.accounting import CacheMode
from hudd.engine.faults import Fault
from hudd.engine.objects import DEFAULT_LIFETIME_S

AnswersMode = Literal["read", "canned"]
ANSWERS_MODES: Final[tuple[AnswersMode, ...]] = ("read", "canned")
READERS: Final = ("auto", "tesserocr", "rapidocr", "none")
READ_PACE_S: Final = 0.012


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How an engine behaves.

    Attributes:
        port: TCP port on 127.0.0.1; 0 lets the system choose.
        token: The only key that is admitted; None admits any.
        answers: ``read`` describes pictures; ``canned`` answers at once, always the same.
        answer_text: What ``canned`` says; '' for the usual sentence.
        pace_s: Seconds between two words; None means 12 ms for ``read`` and none for ``canned``.
        cache: How the prompt cache behaves.
        reader: Which text recognition reads pictures.
        budget_s: Seconds that reading one picture may take.
        idle_s: Seconds after which the idle reading process ends.
        lifetime_s: Seconds until a session expires.
        reasoning_tokens: Reasoning tokens of every answer of a 2.x model; None goes by the effort asked for.
        faults: What goes wrong on purpose.
    """

    port: int = 0
    token: str | None = field(default=None, repr=False)
    answers: AnswersMode = "read"
    answer_text: str = ""
    pace_s: float | None = None
    cache: CacheMode = "ideal"
    reader: str = "auto"
    budget_s: float = 3.0
    idle_s: float = 300.0
    lifetime_s: float = DEFAULT_LIFETIME_S
    reasoning_tokens: int | None = None
    faults: tuple[Fault, ...] = ()

    @property
    def forgets(self) -> bool:
        """Whether nothing of what was said outlives the last session: the engine of a daemon, which alone has a token.

        An engine for anybody's tests keeps its prompt cache from one session to the next, as the service does.
        """
        return self.token is not None

    @property
    def word_pace_s(self) -> float:
        """Seconds between two words."""
        if self.pace_s is not None:
            return self.pace_s
        return READ_PACE_S if self.answers == "read" else 0.0
