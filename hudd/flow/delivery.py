"""From an answer to a numbered note: price, assemble, commit, publish, tell who waits. One at a time, in order.

Journal before publisher: a note that was published can always be fetched again, because its number is the row's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, Protocol

from hudd.clock import Clock
from hudd.errors import CommandError, StorageError
from hudd.flow.counters import Counters
from hudd.flow.spending import Spending
from hudd.flow.waiters import Waiters
from hudd.ledger.records import Settlement
from hudd.model import Answer, Question, UpstreamError
from hudd.notes.assembler import to_note
from hudd.policy.facts import code_for
from hudd.wire.messages import Note, note_topic

log = logging.getLogger("hudd.notes")

STORAGE: Final = "storage"
"""Code of an error of ours: the journal could not be written."""


class NoteStore(Protocol):
    """What this stage needs of the journal."""

    async def commit_note(self, note: Note, settlement: Settlement | None) -> Note: ...
    async def settle(self, settlement: Settlement) -> None: ...
    async def last_texts(self) -> dict[str, str]: ...


class NotePublisher(Protocol):
    """What this stage needs of the note socket."""

    def publish(self, topic: str, body: dict[str, Any]) -> None: ...


class Delivery:
    """Turns answers into notes.

    Args:
        store: The journal.
        publisher: The note socket.
        spending: Settles what was reserved.
        waiters: Told how each snap ended.
        counters: Filled.
        clock: For ages.
        remember: Called with (source name, text) of each new note, for the history that questions carry.
        published: Called with (id of the question) right after a publication, so that the gate knows its own echo.
        on_error: Called when the journal fails.
        unsent: Called with each question that did not leave the machine, so that what it shows is looked at again.
        forgotten: Whether a picture of this time was meant by a forgetting: its answer is numbered without its text.
        clean: Takes out of an answer what no note may say; None where a note may say all.
    """

    def __init__(
        self,
        *,
        store: NoteStore,
        publisher: NotePublisher,
        spending: Spending,
        waiters: Waiters,
        counters: Counters,
        clock: Clock,
        remember: Callable[[str, str], None],
        published: Callable[[str], None],
        on_error: Callable[[UpstreamError], None],
        unsent: Callable[[Question], None] | None = None,
        forgotten: Callable[[float], bool] = lambda _: False,
        clean: Callable[[Answer], Awaitable[Answer]] | None = None,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._spending = spending
        self._waiters = waiters
        self._counters = counters
        self._clock = clock
        self._remember = remember
        self._published = published
        self._on_error = on_error
        self._tell_unsent = unsent
        self._forgotten = forgotten
        self._clean = clean
        self._queue: asyncio.Queue[Answer] = asyncio.Queue()
        self._last_text: dict[str, str] = {}
        self._forgettings = 0
        self._note_event = asyncio.Event()
        self.last_note_at: float | None = None

    def put(self, answer: Answer) -> None:
        """Take an answer; never blocks."""
        self._queue.put_nowait(answer)

    async def run(self) -> None:
        """Deliver until cancelled. A commit under way is finished by the journal even then."""
        await self._recall()
        while True:
            answer = await self._queue.get()
            try:
                if self._clean is not None:
                    answer = await self._clean(answer)
                await self._deliver(answer)
            finally:
                self._queue.task_done()
                del answer  # its pictures must not stay in memory until the next one comes

    async def drain(self) -> None:
        """Wait until everything that was put has been delivered."""
        await self._queue.join()

    async def next_note(self) -> None:
        """Wait for the next note to be published. Cancelling is safe."""
        await self._note_event.wait()

    def forget(self) -> None:
        """Drop the texts that new ones are compared with."""
        self._forgettings += 1
        self._last_text.clear()

    async def _recall(self) -> None:
        """Read what was said last before the start, so that it is not said again."""
        forgettings = self._forgettings
        try:
            texts = await self._store.last_texts()
        except StorageError as error:
            log.warning("what the last notes said is not known, so the first ones may repeat it: %s", error)
            return
        if self._forgettings == forgettings:  # otherwise some of it was meant
            self._last_text = texts

    async def _deliver(self, answer: Answer) -> None:
        settlement = self._spending.settlement(answer)
        try:
            if not answer.sent or _withheld(answer):
                await self._unsent(answer, settlement)
                return
            note = await self._commit(answer, settlement)
        except StorageError as error:
            log.error("the note for %s is lost to the journal", answer.question.id)
            self._on_error(UpstreamError(sentence=str(error), code=STORAGE))
            self._waiters.end(answer.question.id, CommandError("E_STORAGE", error.message, hint=error.hint))
            return
        self._publish(note)
        if note.kind == "failed":
            self._waiters.end(answer.question.id, _failure(answer.error or UpstreamError(sentence=note.text)))
        else:
            self._waiters.end(answer.question.id, note.to_json())

    async def _unsent(self, answer: Answer, settlement: Settlement | None) -> None:
        """Nothing left the machine, or not again, so there is no note: release the money and say why."""
        if self._tell_unsent is not None:
            self._tell_unsent(answer.question)
        if settlement is not None:
            await self._store.settle(settlement)
            self._spending.committed()
        error = answer.error or UpstreamError(sentence="The question was not sent; ask again.")
        if not _withheld(answer):
            self._counters.failed += 1
            self._waiters.end(answer.question.id, _failure(error))
            return
        self._counters.withheld += 1
        reasons = tuple(error.param.split(", "))
        code = code_for(reasons)
        if error.param == "E_STORAGE":
            # The reservation could not be committed. That is no state of ours that forbids, but a failing journal.
            code = error.param
            self._on_error(replace(error, code=STORAGE, param=""))
            self._waiters.end(answer.question.id, CommandError(code, error.sentence))
            return
        cause, remedy = self._spending.explain(reasons)
        log.info("not sent: %s", cause)
        self._waiters.end(answer.question.id, CommandError(code, cause, hint=remedy))

    async def _commit(self, answer: Answer, settlement: Settlement | None) -> Note:
        limits = self._spending.limits
        source = answer.question.source.name
        topic = note_topic(source)
        made = to_note(
            answer,
            model=limits.model if settlement is None else settlement.model,
            engine=limits.engine,
            cost_microusd=None if settlement is None else settlement.published_microusd,
            previous_text=self._last_text.get(topic),
        )
        # Asked again after the commit: what was forgotten meanwhile is emptied there already.
        note = self._without_forgotten(await self._store.commit_note(self._without_forgotten(made), settlement))
        if settlement is not None:
            self._spending.committed()
        if note.kind == "note":
            if note.text:
                self._last_text[topic] = note.text
                self._remember(source, note.text)
            self._counters.notes += 1
        elif note.kind == "unchanged":
            self._counters.unchanged += 1
        else:
            self._counters.failed += 1
            if answer.error is None:  # an answer that was paid and says nothing is no error of the service's own words
                self._on_error(UpstreamError(sentence=made.text, code=answer.status, param=answer.reason))
        return note

    def _without_forgotten(self, note: Note) -> Note:
        return note.without_text() if self._forgotten(note.time) else note

    def _publish(self, note: Note) -> None:
        self._publisher.publish(note.topic, note.to_json())
        self._published(note.snap_id)
        self.last_note_at = self._clock.monotonic()
        self._note_event.set()
        self._note_event = asyncio.Event()
        words = "note %d on %s: %s, %d characters"
        log.info(words, note.seq, note.source, note.kind, len(note.text), extra={"hudd_seq": note.seq})
        log.debug("note %d says: %s", note.seq, note.text)


def _withheld(answer: Answer) -> bool:
    return answer.error is not None and answer.error.code == "withheld"


def _failure(error: UpstreamError) -> CommandError:
    return CommandError("E_UPSTREAM", error.sentence, upstream=error.wire())
