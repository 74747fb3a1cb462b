"""What a request waited for when its deadline passed: cause and remedy, from the facts of the moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from hudd.errors import CommandError
from hudd.flow.status import CaptureFacts, ConversationFacts
from hudd.policy.facts import Facts

_MS: Final = 1000
_GOALS: Final[Mapping[str, str]] = {
    "snap": "the note was written",
    "ready": "hudd was ready",
    "connected": "hudd was connected",
    "note": "another note was written",
}
_CONNECTION: Final[Mapping[str, str]] = {
    "connecting": "hudd is still connecting",
    "configuring": "hudd is still connecting",
    "backing_off": "hudd is not connected and tries again",
    "flapping": "hudd's connections end at once",
    "needs_attention": "hudd is not connected, and a person must act",
}
_EYES: Final[Mapping[str, str]] = {
    "starting": "hudd is still opening the screen",
    "no_display": "hudd waits for a display",
    "failed": "hudd cannot see the screen",
    "unwatched": "nobody subscribes to notes",
}
_UPSTREAM: Final = ("type", "code", "message", "event_id")


class Request(Protocol):
    """The request whose deadline passed."""

    @property
    def method(self) -> str: ...
    @property
    def params(self) -> Mapping[str, Any]: ...


class Overdue:
    """Tells what a snap or a wait waited for in vain.

    Args:
        connection: Facts of the connection.
        capture: Facts of the eyes.
        facts: What withholds pictures.
        last_errors: The newest errors, as the status tells them.
    """

    def __init__(
        self,
        connection: Callable[[], ConversationFacts],
        capture: Callable[[], CaptureFacts],
        facts: Facts,
        last_errors: Callable[[], Sequence[Mapping[str, Any]]],
    ) -> None:
        self._connection = connection
        self._capture = capture
        self._facts = facts
        self._last_errors = last_errors

    def __call__(self, request: Request) -> CommandError | None:
        """The answer at the deadline; None for a method that waits for nothing but its own work."""
        if request.method not in ("snap", "wait"):
            return None
        goal = "snap" if request.method == "snap" else str(request.params.get("for") or "ready")
        late = f"The deadline passed before {_GOALS[goal]}"
        reasons = () if goal == "connected" else self._reasons(goal)
        if reasons:
            cause, remedy = self._facts.explain(reasons)
            return CommandError("E_DEADLINE", f"{late}: {cause[0].lower()}{cause[1:]}", hint=remedy)
        if self._connection().connection != "ready":
            return self._not_connected(late)
        eyes = self._capture()
        ill = eyes.state != "watching" and not (goal == "snap" and eyes.state == "unwatched")
        if goal in ("snap", "note") and ill:
            return CommandError("E_DEADLINE", f"{late}: {_EYES[eyes.state]}.", hint=eyes.sentence)
        hint = "Give it more time."
        if goal == "snap":
            hint = "Ask again with the same snap_id, and give it more time."
        return CommandError("E_DEADLINE", f"{late}.", hint=hint)

    def _reasons(self, goal: str) -> tuple[str, ...]:
        return self._facts.automatic_reasons if goal == "note" else self._facts.reasons

    def _not_connected(self, late: str) -> CommandError:
        now = self._connection()
        said = next((error for error in self._last_errors() if error.get("sentence") == now.sentence), None)
        upstream: dict[str, object] | None = {name: said.get(name) for name in _UPSTREAM} if said else None
        again = "" if now.next_try_s is None else f" The next try is in {now.next_try_s:.0f} s."
        return CommandError(
            "E_DEADLINE",
            f"{late}: {_CONNECTION[now.connection]}.",
            hint=f"{now.sentence}{again}".strip() or "Give it more time.",
            retry_after_ms=None if now.next_try_s is None else round(now.next_try_s * _MS),
            upstream=upstream,
        )
