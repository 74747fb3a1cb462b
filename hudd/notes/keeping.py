"""What is told about notes that are removed, emptied or to be so. Pure records."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What a prune removes, or did.

    Attributes:
        notes: How many notes.
        kept: How many marked ones among them stay.
        first: The lowest number; 0 when there is none.
        last: The highest number; 0 when there is none.
        oldest: Capture of the oldest, seconds since 1970, or None.
        newest: Capture of the newest, or None.
        bytes: About how much of the journal they take.
    """

    notes: int = 0
    kept: int = 0
    first: int = 0
    last: int = 0
    oldest: float | None = None
    newest: float | None = None
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """Which notes. Everything that is given must fit.

    Attributes:
        since: Captured at or after, seconds since 1970, or None.
        until: Captured before, or None.
        seq: This number only, or None.
    """

    since: float | None = None
    until: float | None = None
    seq: int | None = None

    def holds(self, time: float, seq: int | None = None) -> bool:
        """Whether a note belongs to it; one without a number yet belongs to no span of a number."""
        return (
            (self.since is None or time >= self.since)
            and (self.until is None or time < self.until)
            and (self.seq is None or seq == self.seq)
        )


@dataclass(frozen=True, slots=True)
class Emptied:
    """Which notes lost their text: how many, and the lowest and highest number (0 when none)."""

    notes: int = 0
    first: int = 0
    last: int = 0

    def __add__(self, other: Emptied) -> Emptied:
        if not self.notes or not other.notes:
            return self if self.notes else other
        return Emptied(self.notes + other.notes, min(self.first, other.first), max(self.last, other.last))
