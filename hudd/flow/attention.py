"""Says to the person when the connection needs them, and when it no longer does. Once each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

NEEDS: Final = "needs_attention"
OVER: Final = "hudd is connected again."


class ConnectionFacts(Protocol):
    """What the conversation tells of its connection."""

    @property
    def connection(self) -> str: ...
    @property
    def sentence(self) -> str: ...


class Tell(Protocol):
    """Shows a sentence to the person; an urgent one stays until it was seen."""

    def __call__(self, sentence: str, *, urgent: bool) -> None: ...


class Attention:
    """Watches one word of the status.

    Args:
        status: Tells the connection's state.
        tell: Shows a sentence to the person.
    """

    def __init__(self, status: Callable[[], ConnectionFacts], tell: Tell) -> None:
        self._status = status
        self._tell = tell
        self._told = ""

    def look(self) -> None:
        """The connection's state may have changed; cheap."""
        now = self._status()
        if now.connection == NEEDS:
            if now.sentence != self._told:
                self._told = now.sentence
                self._tell(now.sentence, urgent=True)
        elif self._told and now.connection == "ready":
            # A try that is under way is not the end: it may fail as the ones before.
            self._told = ""
            self._tell(OVER, urgent=False)
