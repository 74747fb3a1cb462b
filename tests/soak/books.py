"""What was asked, written, heard and sent in a run, and the rules by which these must agree."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hudctl import Note
from tests.soak.service import Life

SETTLED_S = 0.2
"""An answer that was sent so long before its connection ended has arrived."""
MANUAL_SENDS = 2


@dataclass(frozen=True)
class Row:
    """One note of the journal."""

    seq: int
    kind: str
    text: str
    snap_id: str


@dataclass
class Snap:
    """One snap that was asked for, and how it ended: with a note, or with an error."""

    id: str
    asked: float
    note: Note | None = None
    error: str = ""
    ended: float = 0.0


@dataclass(frozen=True)
class State:
    """What ``state/`` said about the connection.

    Attributes:
        at: When it was heard, monotonic seconds.
        word: The connection's.
        next_try_s: Seconds until the next try, or None.
    """

    at: float
    word: str
    next_try_s: float | None = None


@dataclass
class Books:
    """What was asked, heard and measured, and what is wrong with it.

    Attributes:
        snaps: By id.
        heard: Notes in the order in which a subscriber got them.
        deltas: Snap → the pieces of its text as they were streamed the last time that it was asked.
        states: What was said about the connection.
        memory_kb: Resident memory of the daemon at each rest, in order.
        descriptors: Its open descriptors at each rest.
    """

    snaps: dict[str, Snap] = field(default_factory=dict)
    heard: list[Note] = field(default_factory=list)
    deltas: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    states: list[State] = field(default_factory=list)
    memory_kb: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)


def check_feed(rows: Sequence[Row], heard: Sequence[Note]) -> None:
    """A subscriber got every note once and in order.

    Raises:
        AssertionError: It did not.
    """
    numbers, got = [row.seq for row in rows], [note.seq for note in heard]
    doubled = [seq for seq, count in Counter(got).items() if count > 1]
    assert got == numbers, f"lost {set(numbers) - set(got)}, doubled {doubled}, never written {set(got) - set(numbers)}"
    assert numbers == list(range(1, len(numbers) + 1)), "a number was skipped"
    texts = {row.seq: row.text for row in rows}
    wrong = [note.seq for note in heard if note.text != texts[note.seq]]
    assert not wrong, f"published otherwise than written: {wrong}"


def check_deltas(
    rows: Sequence[Row], deltas: Mapping[str, Sequence[tuple[int, str]]], lives: Sequence[Life] = ()
) -> None:
    """What was streamed is what was written, for each snap that was watched from its first piece on.

    Pieces carry no number of the service's: where it sent them in another order, they are the same but for it.

    Raises:
        AssertionError: It is not.
    """
    for row in rows:
        pieces = deltas.get(row.snap_id)
        if not pieces or row.kind != "note":
            continue
        numbers = [number for number, _ in pieces]
        assert numbers == list(range(len(pieces))), f"the pieces of {row.snap_id} are numbered {numbers}"
        joined = "".join(text for _, text in pieces).strip()
        mixed = any("reorder" in " ".join(life.script) and row.snap_id in life.requests for life in lives)
        same = sorted(joined.replace(" ", "")) == sorted(row.text.replace(" ", "")) if mixed else joined == row.text
        assert same, f"{row.snap_id} was streamed as {joined!r} and written as {row.text!r}"


def check_snaps(rows: Sequence[Row], snaps: Mapping[str, Snap]) -> None:
    """Every snap ended in one note or one stated error, and every note answers its own question.

    Raises:
        AssertionError: One did not.
    """
    doubled = [snap for snap, count in Counter(row.snap_id for row in rows).items() if count > 1]
    assert not doubled, f"written twice: {doubled}"
    written = {row.snap_id: row for row in rows}
    for snap in snaps.values():
        assert snap.ended, f"{snap} has not ended"
        assert (snap.note is None) == bool(snap.error), f"{snap} ended in nothing, or in both"
        assert not snap.error.startswith(("E_DEADLINE", "E_INTERNAL", "Deadline")), f"{snap} was left without an end"
        row = written.get(snap.id)
        if snap.note is not None:
            # Two that are asked for before the same look at the screen share a question, and its note.
            assert snap.note.snap_id in snaps, f"{snap} was answered with a note that nobody asked for"
            row = written.get(snap.note.snap_id)
            assert row is not None, f"{snap} was answered with a note that is not in the journal"
            assert (row.kind, row.text) == (snap.note.kind, snap.note.text), f"{snap} is written otherwise: {row}"
            assert row.kind in ("note", "unchanged"), f"{snap} was answered with {row}"
        else:
            assert row is None or row.kind == "failed", f"{snap} was answered with an error, and has the note {row}"
    for row in rows:
        if row.kind == "note":
            begins = f"Answer to {row.snap_id}:"
            assert row.text.startswith(begins[: len(row.text)]), f"the note of {row.snap_id} says {row.text!r}"


def check_service(rows: Sequence[Row], snaps: Mapping[str, Snap], lives: Sequence[Life]) -> None:
    """Nothing was paid for too often, and every answer that arrived was written.

    Raises:
        AssertionError: Something was.
    """
    asked = Counter(snap for life in lives for snap in life.requests)
    often = {snap: count for snap, count in asked.items() if count > (MANUAL_SENDS if snap in snaps else 1)}
    assert not often, f"paid for too often: {often}"
    written = {row.snap_id for row in rows}
    for life in lives:
        # What was sent before a reset may be lost on the way, as on any network.
        if any(fault.startswith(("reset", "half_open", "close:1006")) for fault in life.script):
            continue
        for snap, status, when in life.done:
            if status == "completed" and snap in life.requests and (not life.ended or life.ended - when > SETTLED_S):
                assert snap in written, f"the answer to {snap} on connection {life.index} is in no note"


def memory_slope_kb(samples: list[int]) -> float:
    """Kilobytes that a sample weighs more than the one before it, without the first fifth: caches fill in it."""
    steady = samples[len(samples) // 5 :]
    if len(steady) < 3:
        return 0.0
    slope, _ = statistics.linear_regression(range(len(steady)), steady)
    return slope
