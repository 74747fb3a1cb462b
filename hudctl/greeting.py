"""Which daemon a feed is still to say hello to. Pure.

The hello goes by the other socket than the welcome that asks for it, and that one may not be connected yet.
"""

from __future__ import annotations

from typing import Final

AGAIN_S: Final = 0.05
GIVE_UP_S: Final = 5.0
"""A daemon that took no hello for so long has gone, and the next welcome begins anew."""


class Greeting:
    """Each daemon, told by its instance, is greeted once."""

    def __init__(self) -> None:
        self._said_to = ""
        self._meant = ""
        self._until = 0.0

    def met(self, instance: str, now: float) -> None:
        """A welcome came from a daemon."""
        if instance != self._said_to:
            self._meant, self._until = instance, now + GIVE_UP_S

    def due(self, now: float) -> bool:
        """Whether a hello is to be tried now."""
        return bool(self._meant) and now < self._until

    def said(self) -> None:
        """It was sent."""
        self._said_to, self._meant = self._meant, ""
