"""What others ask the house for: the status, the cost, the settings. Composition, like ``house``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from hudd.config.loader import describe
from hudd.flow.costs import Money, cost_body, estimate_body
from hudd.flow.status import Day, build_status, headline
from hudd.ledger.caps import local_day
from hudd.ledger.estimate import Shape, habits_of, times_of
from hudd.realtime.models import takes_reasoning
from hudd.realtime.prompt import FRAME, estimate_tokens

if TYPE_CHECKING:
    from hudd.house import House  # the house hands itself over; at run time this module does not know it

COMPARED_MODELS: Final = ("gpt-realtime-1.5", "gpt-realtime-2.1-mini")
HABITS_S: Final = 7 * 86_400.0
"""The estimate looks at what changed within the last week."""
NOTE_TOKENS: Final = 60
"""A note, until usage told better."""
QUESTION_TOKENS: Final = 30
"""Time, source and what is asked."""


class Reports:
    """Asks the parts of a house and puts together what they say.

    Args:
        house: All parts; they need not be built before the first question.
    """

    def __init__(self, house: House) -> None:
        self._house = house

    def headline(self) -> str:
        """The state in one line, for the log and the service manager."""
        return headline(
            self._house.conversation.status().connection, self._house.capture.facts().state, self._house.facts.reasons
        )

    async def status(self) -> dict[str, Any]:
        """The object of ``status`` and ``state/``."""
        day = local_day(self._house.clock.wall())
        return build_status(
            daemon=self._house.about,
            conversation=self._house.conversation.status(),
            capture=self._house.capture.facts(),
            facts=self._house.facts,
            counters=self._house.counters,
            more_counters={
                **self._house.server.counters(),
                "handshakes_failed": self._house.server.counters()["handshakes_failed"]
                + self._house.notes.counters()["handshakes_failed"],
                "dropped_peers": self._house.notes.counters()["dropped_peers"],
                **self._house.gate.counters(),
                **({} if self._house.remote is None else self._house.remote.counters()),
                **self._house.conversation.status().counters(),
                "replaced": self._house.mailbox.replaced,
            },
            day=replace(
                Day.of(day, await self._house.journal.totals(day), self._house.limits.cap_day_microusd),
                more=self._house.spending.meter.status(),
            ),
            subscribers=self._house.publisher.subscribers(),
            pause=self._house.pauses.facts(),
            advice=self._house.advice,
            last_note_at=self._house.delivery.last_note_at,
            last_errors=list(self._house.announcer.last_errors),
            clock=self._house.clock,
            journal=self._house.keeping.status(),
            more={
                "privacy": self._house.guards.status(),
                "peers": self._peers(),
                "pending": self._house.reload.pending,
            },
        )

    def _peers(self) -> dict[str, Any]:
        """Who is connected: how many on each local socket, on the remote ones, and whether others wait."""
        return {
            "control": self._house.server.peers,
            "notes": self._house.publisher.peers,
            "full": self._house.server.full or self._house.publisher.full,
        }

    async def cost(
        self, since: float | None, until: float | None, by: Sequence[str] = (), *, estimate: bool = False
    ) -> dict[str, Any]:
        """The object of ``cost``."""
        money = Money(self._house.prices, self._house.limits.caps, COMPARED_MODELS)
        if not estimate:
            return cost_body(await self._house.journal.costs(since=since, until=until, by_time=True), money, by=by)
        session = self._house.settings.session
        notes = self._house.spending.meter.answer_tokens() or NOTE_TOKENS
        shape = Shape(
            fixed_tokens=estimate_tokens(self._house.instructions) + estimate_tokens(FRAME),
            question_tokens=QUESTION_TOKENS,
            history_tokens=session.history_tokens,
            retention_ratio=session.retention_ratio,
            image_tokens=self._house.spending.meter.image_tokens(),
            answer_tokens=notes,
            note_tokens=notes,
        )
        await self._house.changes.keep()
        changes = await self._house.journal.changes.since(self._house.clock.wall() - HABITS_S)
        return estimate_body(
            habits_of(times_of(changes.minutes)),
            shape,
            money,
            model=None if self._house.local else self._house.about.model,
            asked=changes.asked,
            memory=session.memory,
            active_hours=self._house.settings.cost.active_hours,
            reasons=takes_reasoning,
        )

    def settings(self) -> dict[str, Any]:
        """The object of ``config``: what is in force, and what waits for a restart."""
        file = self._house.loaded.file
        pending = self._house.reload.pending
        rows = [
            row | {"pending": pending[name]} if (name := str(row["name"])) in pending else row
            for row in describe(self._house.loaded)
        ]
        return {"schema": 1, "file": None if file is None else str(file), "settings": rows}
