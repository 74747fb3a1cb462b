"""A journal's upkeep that only remembers what was asked, and the keeping stage over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hudd.errors import StorageError
from hudd.flow.keeping import Keeping, Rules
from hudd.model import UpstreamError
from hudd.notes.keeping import Emptied, PrunePlan, Span
from hudd.policy.facts import Facts
from hudd.wire.messages import Note
from tests.fakes.clock import ManualClock


class FakeUpkeep:
    """Satisfies the stage's port.

    Attributes:
        calls: What was asked, in order.
        trouble: Set it with ``fail``.
        space: Whether a probe succeeds.
    """

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.trouble: StorageError | None = None
        self.space = False
        self.sound = True
        self.held_by_reader = False
        self.cleaning_fails: StorageError | None = None
        self.notes: list[Note] = []
        self.on_empty: Callable[[], None] = lambda: None
        self._listener: Callable[[], None] = lambda: None

    def fail(self, sentence: str = "The journal cannot grow: the disk is full.") -> None:
        self.trouble = StorageError(sentence, hint="Free some space.")
        self._listener()

    def watch(self, listener: Callable[[], None]) -> None:
        self._listener = listener

    async def prepare(self) -> None:
        self.calls.append("prepare")
        if not self.space:
            raise StorageError("There is no room.")

    async def probe(self) -> None:
        self.calls.append("probe")
        if not self.space:
            raise StorageError("There is no room.")
        self.trouble = None

    async def check(self) -> bool:
        return self.sound

    async def mark(self, seq: int, *, keep: bool) -> bool:
        self.calls.append(("mark", seq, keep))
        return seq == 7

    async def plan(self, *, before: float | None, max_bytes: int | None) -> PrunePlan:
        self.calls.append(("plan", before, max_bytes))
        return PrunePlan(3, 1, 1, 4, 100.0, 200.0, 3000)

    async def prune(self, *, before: float | None, max_bytes: int | None) -> PrunePlan:
        self.calls.append(("prune", before, max_bytes))
        return PrunePlan(3, 1, 1, 4, 100.0, 200.0, 3000)

    async def empty(self, span: Span) -> Emptied:
        self.calls.append(span)
        self.on_empty()
        return Emptied(2, 5, 9)

    async def finish_forgetting(self) -> bool:
        self.calls.append("finish")
        if self.cleaning_fails is not None:
            raise self.cleaning_fails
        return not self.held_by_reader

    def copies(self) -> list[str]:
        return ["/state/journal.db.corrupt-1"]

    async def export(
        self, *, since: float | None, until: float | None, after: int, limit: int
    ) -> tuple[list[Note], bool]:
        self.calls.append(("export", since, until, after, limit))
        return self.notes, False

    async def back_up(self, target: Path) -> int:
        self.calls.append(("back_up", target))
        return 4096


class KeepingRoom:
    """The stage, its upkeep, and what it told."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.upkeep = FakeUpkeep()
        self.clock = ManualClock()
        self.facts = Facts()
        self.dropped: list[Span] = []
        self.renewed = 0
        self.told = 0
        self.errors: list[UpstreamError] = []
        self.keeping = Keeping(
            store=self.upkeep,
            stream="s1",
            rules=rules or Rules(),
            facts=self.facts,
            drop_words=self.dropped.append,
            renew=self._renew,
            on_state=self._state,
            on_error=self.errors.append,
            runtime=Path("/run/user/1000/hudd"),
            clock=self.clock,
        )

    def _renew(self) -> None:
        self.renewed += 1

    def _state(self) -> None:
        self.told += 1
