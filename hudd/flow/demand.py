"""Who listens to notes, as far as it decides what is looked at (``[screen] only_when_watched``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hudd.model import Source
from hudd.wire.messages import note_topic

UNWATCHED: Final = (
    "Nobody subscribes to notes, so the screen is looked at only for hudctl snap ([screen] only_when_watched)."
)


class Demand:
    """Says what somebody wants to hear of. Subscriptions match by prefix, as ZeroMQ's do.

    Args:
        only_when_watched: Whether it matters; without it everything is always wanted.
        listening: Whether somebody would receive a frame whose topic starts with a prefix, or is a beginning of it.

    Attributes:
        only_when_watched: As given; may be changed.
    """

    def __init__(self, *, only_when_watched: bool, listening: Callable[[str], bool]) -> None:
        self.only_when_watched = only_when_watched
        self._listening = listening

    def anybody(self) -> bool:
        """Whether automatic looks are wanted at all."""
        return not self.only_when_watched or self._listening("note/")

    def wants(self, source: Source) -> bool:
        """Whether automatic looks at this source are wanted."""
        return not self.only_when_watched or self._listening(note_topic(source.name))
