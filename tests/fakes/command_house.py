"""The commands of the daemon, and everything they call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from hudd.errors import CommandError, StorageError
from hudd.flow.commands import Commands, Identity
from hudd.flow.waiters import Waiters
from hudd.model import Question, Target
from hudd.notes.records import WrittenPage
from hudd.policy.facts import Facts
from hudd.wire.codec import WrittenJson
from hudd.wire.messages import Note
from hudd.wire.params import check_params
from hudd.wire.table import METHOD_BY_NAME
from tests.fakes.clock import ManualClock
from tests.fakes.questions import make_question


@dataclass(frozen=True)
class Asked:
    """A request as the command server hands it over."""

    params: Mapping[str, Any]
    peer: str = "01"


class FakeStore:
    """A journal that answers at once, or when told to."""

    stream = "s1"

    def __init__(self) -> None:
        self.log: list[str] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.gates: list[asyncio.Event] = []
        self.failures: list[StorageError] = []
        self.asked: list[dict[str, Any]] = []
        self.paused: dict[str, Any] | None = None
        self.notes: list[Note] = []
        self.oldest = 1

    async def _commit(self, word: str) -> None:
        await (self.gates.pop(0) if self.gates else self.go_on).wait()
        if self.failures:
            raise self.failures.pop(0)
        self.log.append(word)

    async def pause(self, **pause: Any) -> None:
        await self._commit("pause")
        self.paused = pause

    async def resume(self, now: float) -> None:
        await self._commit("resume")
        self.paused = None

    async def written_since(self, seq: int, *, topic_prefix: str = "note/", limit: int = 500) -> WrittenPage:
        self.asked.append({"seq": seq, "topic_prefix": topic_prefix, "limit": limit})
        notes = tuple(n for n in self.notes if n.seq > seq)
        written = WrittenJson(json.dumps([note.to_json() for note in notes[:limit]]))
        return WrittenPage(written, head=9, oldest=self.oldest, more=len(notes) > limit)

    async def search(self, **query: Any) -> list[Note]:
        self.asked.append(query)
        if query["grep"] == "/(/":
            raise ValueError("the expression is invalid: missing ), unterminated subpattern")
        if query["search"] == "off":
            raise ValueError("The full-text index is off; set [journal] search = true, or use a grep.")
        return self.notes

    async def errors(self, **query: Any) -> list[dict[str, Any]]:
        self.asked.append(query)
        return []


class House:
    """The commands and everything they call.

    Args:
        store: A real journal in place of the fake one.
    """

    first_use = "It costs money."

    def sentence(self) -> str:
        return self.first_use

    async def read(self) -> None:
        self.first_use = ""

    def __init__(self, store: Any = None) -> None:
        self.clock = ManualClock()
        self.store = store or FakeStore()
        self.facts = Facts()
        self.waiters = Waiters(self.clock)
        self.connection = "ready"
        self.snap_error: BaseException | None = None
        self.shared_with = ""
        self.looking = asyncio.Event()
        self.looking.set()
        self.taking = asyncio.Event()
        self.taking.set()
        self.snapped: list[tuple[str | Target | None, str]] = []
        self.put: list[Question] = []
        self.put_error: CommandError | None = None
        self.clients: list[tuple[int, int]] = []
        self.calls: list[str] = []
        self.asked_cost: list[tuple[float | None, float | None]] = []
        self.changed = asyncio.Event()
        self.noted = asyncio.Event()
        self.commands = Commands(
            first_use=self,
            identity=Identity("0.1.0", "i1", 4711),
            store=self.store,
            eyes=self,
            put=self._put,
            nudge=lambda: self.calls.append("nudge"),
            waiters=self.waiters,
            facts=self.facts,
            pause_changed=self._pause_changed,
            rearm=lambda: self.calls.append("rearm"),
            status=self._status,
            cost=self._cost,
            settings=lambda: {"schema": 1, "file": None, "settings": []},
            connection=lambda: self.connection,
            state_changed=self._state_changed,
            next_note=self._next_note,
            clock=self.clock,
        )

    async def snap(self, monitor: str | Target | None, snap_id: str, begun: Callable[[], object]) -> Question:
        self.snapped.append((monitor, snap_id))
        await self.looking.wait()
        begun()
        await self.taking.wait()
        await asyncio.sleep(0)
        if self.snap_error is not None:
            raise self.snap_error
        question = make_question(trigger="manual")
        return Question(self.shared_with or snap_id, "manual", question.pictures, question.asked_at)

    def watch_client(self, pid: int, window: int) -> None:
        self.clients.append((pid, window))

    def _put(self, question: Question) -> None:
        if self.put_error is not None:
            raise self.put_error
        self.put.append(question)

    def _pause_changed(self) -> None:
        self.calls.append("pause changed")
        if isinstance(self.store, FakeStore):
            self.facts.set("paused", self.store.paused is not None)

    async def _status(self) -> dict[str, Any]:
        return {"schema": 1}

    async def _cost(
        self, since: float | None, until: float | None, by: Sequence[str] = (), *, estimate: bool = False
    ) -> dict[str, Any]:
        self.asked_cost.append((since, until))
        keys = ("schema", "since", "until", "rows", "total", "cap_microusd", "if_service", "prices_date")
        return dict.fromkeys(keys)

    async def _state_changed(self) -> None:
        await self.changed.wait()

    async def _next_note(self) -> None:
        await self.noted.wait()

    def tell(self, connection: str) -> None:
        self.connection = connection
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    async def ask(self, method: str, *, peer: str = "01", **params: Any) -> dict[str, Any]:
        """Ask as the command server does: parameters checked by the table first."""
        checked = check_params(METHOD_BY_NAME[method], params)
        async with asyncio.timeout(10):
            return await self.commands.handlers()[method](Asked(checked, peer))


async def refused(house: House, method: str, **params: Any) -> CommandError:
    """Ask, and be refused."""
    with pytest.raises(CommandError) as told:
        await house.ask(method, **params)
    return told.value
