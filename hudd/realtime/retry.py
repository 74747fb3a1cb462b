"""What an error means for the connection: try again, when, or stop. Pure; outlives connections.

Decided by the error's code first, then by the HTTP status, then by the close code, never by the words of a message
(realtime-protocol 2.6). The sentences for people are in ``realtime.sentences``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from hudd.model import UpstreamError
from hudd.protocol.vocabulary import CLOSE_BAD_KEY, CLOSE_BAD_REQUEST, CLOSE_NO_MODEL, FATAL_CODES

ConnectionWord = Literal["connecting", "configuring", "ready", "backing_off", "flapping", "needs_attention"]

FIRST_DELAY_S: Final = 0.5
LONGEST_DELAY_S: Final = 30.0
STEADY_S: Final = 60.0
"""So long in ready, or one completed answer, and the next failure counts as the first."""
SHORT_LIFE_S: Final = 5.0
SHORT_LIVES: Final = 3
FLAPPING_DELAY_S: Final = 60.0
"""A server that accepts and closes at once costs it and us a handshake each time; a minute is kind to both."""
LONGEST_ASKED_S: Final = 3600.0
"""A server's Retry-After is honoured up to an hour."""

# The service answers these when waiting helps; a gateway may put them behind a status that says otherwise.
RETRY_CODES: Final = frozenset({"rate_limit_exceeded", "inference_rate_limit_exceeded", "session_expired"})
MODEL_CODES: Final = frozenset({"model_not_found", "invalid_model", "DeploymentNotFound", "OpperationNotSupported"})
"""The model is the trouble; another one may be there. The last is spelt so on the wire (1.6)."""
DECIDING_CODES: Final = FATAL_CODES | MODEL_CODES | RETRY_CODES
"""Whichever of these is told decides; any other code leaves it to the status, and that to the close code."""
PASSING_HTTP: Final = frozenset({408, 409, 425, 429})
"""Of the statuses that say that the fault is ours, those that pass: too slow, in conflict, too early, too often."""
FATAL_CLOSES: Final = frozenset({CLOSE_BAD_KEY, CLOSE_BAD_REQUEST, CLOSE_NO_MODEL})


def is_fatal(*, code: str = "", http_status: int | None = None, close_code: int | None = None) -> bool:
    """Tell whether trying again is useless until a person acts.

    Args:
        code: ``error.code``, also when it was read from a close reason.
        http_status: Status of a refused upgrade.
        close_code: Code of the close frame.
    """
    if code in FATAL_CODES or code in MODEL_CODES:
        return True
    if code in RETRY_CODES:
        return False
    if http_status:
        # By class: the same request gets the same 4xx again. A redirect is not followed: the key must not go to an
        # address that nobody named.
        return 300 <= http_status < 500 and http_status not in PASSING_HTTP
    return close_code in FATAL_CLOSES


def is_model_gone(error: UpstreamError) -> bool:
    """Tell whether another model may help: this one is retired, unknown, or not for this key."""
    if error.code in FATAL_CODES or error.code in MODEL_CODES:
        return error.code in MODEL_CODES
    return error.fatal and not error.http_status and error.close_code == CLOSE_NO_MODEL


def is_refused_request(error: UpstreamError) -> bool:
    """Tell whether an error before the session exists is about what we asked for: it would be refused for ever.

    For endpoints that give no code and neither close nor open the session. A status that is no refusal says more.
    """
    return error.type == "invalid_request_error" and error.code not in RETRY_CODES and not error.http_status


def code_of_close_reason(reason: str) -> str:
    """The code in a close reason of the form ``<error.type>.<error.code>`` (realtime-protocol 2.6), or ''."""
    kind, dot, code = reason.strip().partition(".")
    is_word = code.replace("_", "").isalnum() and code.isascii()
    return code if dot and kind.endswith("_error") and is_word else ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do after a connection failed.

    Attributes:
        action: ``retry`` after ``after_s`` seconds, or ``stop`` until a person acts.
        after_s: Seconds to wait.
        word: How the connection is called meanwhile.
    """

    action: Literal["retry", "stop"]
    after_s: float
    word: ConnectionWord


class Backoff:
    """Counts failures and says how long to wait: full jitter over 0.5 s * 2^n, at most 30 s.

    Args:
        random: Gives numbers in [0, 1); injected so that tests know the delays.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._failures = 0
        self._short_lives = 0

    def reset(self) -> None:
        """Forget the failures: a person changed something."""
        self._failures = 0
        self._short_lives = 0

    def after(
        self,
        error: UpstreamError,
        *,
        opened_s: float | None,
        ready_s: float = 0.0,
        answered: bool = False,
        retry_after_s: float | None = None,
        longest_s: float = LONGEST_DELAY_S,
    ) -> Verdict:
        """Judge the end of a connection, or a try that never opened one.

        Args:
            error: Why it ended.
            opened_s: How long the socket was open; None when it never was.
            ready_s: How long the session was ready.
            answered: Whether an answer was completed in it.
            retry_after_s: What the server asked for.
            longest_s: Longest delay of our own, for times when a quick return is likely.
        """
        if answered or ready_s >= STEADY_S:
            self.reset()
        if opened_s is not None:
            short = opened_s < SHORT_LIFE_S and not answered
            self._short_lives = self._short_lives + 1 if short else 0
        if error.fatal:
            return Verdict("stop", 0.0, "needs_attention")
        ceiling = min(longest_s, FIRST_DELAY_S * 2.0 ** min(self._failures, 10))
        self._failures += 1
        delay = self._random() * ceiling
        if retry_after_s is not None:
            delay = max(delay, min(retry_after_s, LONGEST_ASKED_S))
        if self._short_lives >= SHORT_LIVES:
            return Verdict("retry", max(delay, FLAPPING_DELAY_S), "flapping")
        return Verdict("retry", delay, "backing_off")
