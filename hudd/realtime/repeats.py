"""Knows an event of the service that comes twice on one connection. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

KEPT: Final = 2048
"""So many events back a repetition is known: many answers' worth."""


class Repeats:
    """The newest events of a connection.

    The id alone does not tell: an endpoint that gives every event the same one would fall silent. The same id with the
    same content is the same event.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, int], None] = OrderedDict()

    def is_new(self, event_id: str, frame: str) -> bool:
        """Whether an event has not come before; one without an id is always new.

        Args:
            event_id: Of the service, or ''.
            frame: The whole event as it came.
        """
        if not event_id:
            return True
        key = (event_id, hash(frame))
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > KEPT:
            self._seen.popitem(last=False)
        return True
