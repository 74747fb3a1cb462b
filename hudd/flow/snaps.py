"""The snaps under way: so many at most, and none that nobody waits for any more before it has begun."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from hudd.errors import CommandError, HuddError, WithheldError
from hudd.flow.targets import snap_target
from hudd.flow.waiters import Waiters
from hudd.model import Question, Target
from hudd.policy.facts import Facts, code_for

MOST: Final = 32
MOST_OF_A_PEER: Final = 8
SHARE: Final = 4
"""One connection may have a fourth of the places that no other has, and always one if there is any."""
RETRY_MS: Final = 500


class Request(Protocol):
    """A request for a snap, and from whom."""

    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def peer(self) -> str: ...


class Eyes(Protocol):
    """What takes the pictures."""

    async def snap(self, monitor: str | Target | None, snap_id: str, begun: Callable[[], object]) -> Question: ...


class Snaps:
    """Takes a picture for each new id and puts its question; a repeated id waits for the first one's note.

    Args:
        eyes: The capture stage.
        put: Hands a question to the mailbox.
        nudge: Tells the connection that somebody waits.
        waiters: Who waits for snaps.
        facts: Why nothing may be looked at now.
    """

    def __init__(
        self,
        *,
        eyes: Eyes,
        put: Callable[[Question], None],
        nudge: Callable[[], None],
        waiters: Waiters,
        facts: Facts,
    ) -> None:
        self._eyes = eyes
        self._put = put
        self._nudge = nudge
        self._waiters = waiters
        self._facts = facts
        self._of_peer: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()  # the loop keeps only weak references to them
        self._waiting: dict[str, asyncio.Task[None]] = {}  # by id: those whose picture is not being taken yet

    async def snap(self, request: Request) -> dict[str, Any]:
        """Take a picture now; the reply is the committed note.

        A caller who leaves cancels nothing that has begun, or that others wait for.
        """
        snap_id = str(request.params["snap_id"])
        _, new = self._waiters.begin(snap_id)
        if new:
            self._begin(snap_id, request)
        try:
            outcome = await self._waiters.wait(snap_id)
        except asyncio.CancelledError:
            self._drop_unwanted(snap_id)
            raise
        if isinstance(outcome, CommandError):
            raise outcome
        return outcome

    def _begin(self, snap_id: str, request: Request) -> None:
        peer = request.peer
        free, own = MOST - self._of_peer.total(), self._of_peer[peer]
        if free <= 0 or own >= min(MOST_OF_A_PEER, max(1, (free + own) // SHARE)):
            self._waiters.drop(snap_id)  # the same id may come again
            hint = "Await a note before you ask for another one."
            raise CommandError("E_BUSY", "Too many snaps are under way.", hint=hint, retry_after_ms=RETRY_MS)
        try:
            target = snap_target(request.params)
        except CommandError as error:
            self._waiters.end(snap_id, error)
            return
        task = asyncio.create_task(self._take(snap_id, target))
        self._tasks.add(task)
        self._waiting[snap_id] = task
        self._of_peer[peer] += 1
        task.add_done_callback(lambda ended: self._ended(snap_id, peer, ended))

    def _ended(self, snap_id: str, peer: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._waiting.get(snap_id) is task:
            del self._waiting[snap_id]
        self._of_peer[peer] -= 1
        if not self._of_peer[peer]:
            del self._of_peer[peer]

    def _drop_unwanted(self, snap_id: str) -> None:
        if not self._waiters.awaited(snap_id) and (task := self._waiting.pop(snap_id, None)) is not None:
            task.cancel()
            self._waiters.drop(snap_id)

    async def _take(self, snap_id: str, target: str | Target | None) -> None:
        """Grab and ask."""
        reasons = self._facts.withheld()
        if reasons:
            self._waiters.end(snap_id, self._withheld(reasons))
            return
        try:
            question = await self._eyes.snap(target, snap_id, lambda: self._waiting.pop(snap_id, None))
            self._waiting.pop(snap_id, None)
            if question.id == snap_id:
                self._put(question)
                self._nudge()
            else:
                self._waiters.join(snap_id, question.id)
        except CommandError as error:
            self._waiters.end(snap_id, error)
        except WithheldError as error:
            self._waiters.end(snap_id, self._withheld(error.reasons))
        except HuddError as error:
            self._waiters.end(snap_id, CommandError(error.wire_code, error.message, hint=error.hint))
        except BaseException:
            if not _is_dropped():
                self._waiters.end(snap_id, CommandError("E_INTERNAL", "The snap failed inside hudd; the log has it."))
            raise

    def _withheld(self, reasons: tuple[str, ...]) -> CommandError:
        cause, remedy = self._facts.explain(reasons)
        return CommandError(code_for(reasons), cause, hint=remedy)


def _is_dropped() -> bool:
    """Whether the running task was cancelled from outside; its id may stand for another snap by now."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
