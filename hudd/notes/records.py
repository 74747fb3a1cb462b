"""What is read back about notes and pauses. Pure records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hudd.wire.codec import WrittenJson
from hudd.wire.messages import Note

SHORT_PAGE: Final = 50
"""A page of no more notes waits for no longer one."""


@dataclass(frozen=True, slots=True)
class NotesPage:
    """One page of a replay, oldest first.

    Attributes:
        notes: The notes after the number that was asked for.
        head: The newest number among the topics that were asked for; 0 when there is none.
        oldest: The oldest number that the journal still holds, of any topic; 0 when it is empty. Notes at or above it
            have not been removed, so a consumer below it starts afresh.
        more: True when another page follows.
    """

    notes: tuple[Note, ...]
    head: int
    oldest: int
    more: bool


@dataclass(frozen=True, slots=True)
class WrittenPage:
    """A page as it is sent: nobody in the daemon reads its notes.

    Attributes:
        notes: As a JSON array.
        head: See `NotesPage`, as the others.
        oldest: The oldest number.
        more: Whether another page follows.
    """

    notes: WrittenJson
    head: int
    oldest: int
    more: bool


@dataclass(frozen=True, slots=True)
class PauseState:
    """A pause that holds.

    Attributes:
        since: Wall clock of its start, seconds since 1970.
        until: Wall clock of its end, or None when it holds until resumed.
        why: A word for the status.
    """

    since: float
    until: float | None
    why: str
