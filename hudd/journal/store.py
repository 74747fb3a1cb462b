"""The journal: notes, money, errors and pauses, in one SQLite file that survives kill -9 and a power cut.

Five lanes, each a thread with a connection of its own: one writes, one reads what the daemon itself needs (money, for
the status), one reads long pages for others, one short ones and searches by time and words, one searches the texts, for
seconds. In write-ahead mode none waits for another: a search delays no commit, a flood of replays no status.

What is committed here may be told to others, in this order and never the other way round.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from hudd.clock import Clock
from hudd.errors import StorageError, WithheldError
from hudd.journal import events, money, opening, pages, queries, schema
from hudd.journal.ballast import Ballast, StorageGuard
from hudd.journal.changes import ChangeBook
from hudd.journal.lanes import Job, Lane
from hudd.journal.upkeep import Place, Upkeep
from hudd.ledger.budget import Verdict
from hudd.ledger.caps import Caps
from hudd.ledger.records import CostReport, MoneyFacts, Reservation, Settlement, Totals
from hudd.model import UpstreamError
from hudd.notes.records import SHORT_PAGE, NotesPage, PauseState, WrittenPage
from hudd.wire.locks import LockFile
from hudd.wire.messages import Note
from hudd.wire.table import REPLAY_PAGE

T = TypeVar("T")

log = logging.getLogger(__name__)


class Journal:
    """The open journal. Made by ``open``, ended by ``close``; every method may be called from one event loop.

    Cancelling whoever awaits a method never cancels or halves a transaction: it is committed, and its result dropped.

    Attributes:
        path: The file.
        stream: Random name of this journal; a new file has a new one.
        set_aside: Where a damaged file went at opening, or None.
        spent: What became of the money that the damaged one knew of, as a sentence; '' when there is nothing to say.
        paused: Likewise of its pause.
        vanished: How many reservations a crash had left open; they stand as assumed.
        changes: How often something was worth a question.
        upkeep: Marks, retention, forgetting, backups, and the state of the storage.
    """

    def __init__(
        self, path: Path, clock: Clock, *, lock: LockFile, opened: opening.Opened, writer: Lane, guard: StorageGuard
    ) -> None:
        self.path = path
        self._lock = lock
        self.set_aside = opened.set_aside
        self.spent = opened.spent
        self.paused = opened.paused
        self._clock = clock
        self._writer = writer
        self._reader = Lane("journal-reader", path, lambda: schema.connect_reader(path), reads=True)
        self._pages = Lane("journal-pages", path, lambda: schema.connect_reader(path), reads=True)
        self._searcher = Lane("journal-search", path, lambda: schema.connect_reader(path), reads=True)
        self._grepper = Lane("journal-grep", path, lambda: schema.connect_reader(path), reads=True)
        self.stream, self.vanished, self._heads, self._pause = writer.call(self._load)
        self.changes = ChangeBook(writer, self._reader)
        self.upkeep = Upkeep(Place(path, self.stream, clock, writer, self._pages, guard))

    @classmethod
    def open(cls, path: Path, *, clock: Clock, search: bool = True, caps: Caps | None = None) -> Self:
        """Open the journal, blocking; check it, bring it to the newest version, load what is kept in memory.

        A file that is no database, no journal or damaged is renamed ``journal.db.corrupt-<time>`` and a new journal
        with a new stream is begun; ``set_aside`` and a line of the log tell. The month's money goes on to count, and a
        pause to hold.

        Args:
            path: The file; made with mode 0600 when it is not there, its folder with 0700.
            clock: For ``published`` and the end of timed pauses.
            search: Whether notes are indexed for full-text search; a change builds or empties the index now.
            caps: What may be spent: assumed to be spent where a damaged journal does not tell; None when nothing is
                paid for.

        Raises:
            AlreadyRunningError: Another hudd writes into it; nothing was touched.
            StorageError: It cannot be read or written, or a newer hudd wrote it.
            PermissionsError: It is a link, belongs to somebody else or may not be opened.
        """
        lock = opening.hold(path)
        opened: list[opening.Opened] = []
        guard = StorageGuard(path, Ballast(path))

        def connect() -> sqlite3.Connection:
            opening.prepare_file(path)
            opened.append(opening.open_sound(path, now=clock.wall(), indexed=search, failed=guard.failed, caps=caps))
            return opened[-1].connection

        writer = Lane("journal-writer", path, connect, failed=guard.failed)
        try:
            writer.start()
            if (aside := opened[-1].set_aside) is not None:
                words = "The journal %s was damaged; it is now %s and a new one is begun. %s"
                log.error(words, path, aside, " ".join(filter(None, (opened[-1].spent, opened[-1].paused))))
            return cls(path, clock, lock=lock, opened=opened[-1], writer=writer, guard=guard)
        except BaseException:
            writer.close()
            lock.close()
            raise

    async def close(self) -> None:
        """Finish what was asked for, put the log back into the file and close it. Safe to call twice.

        Cancelling the caller does not stop the closing.
        """
        await asyncio.shield(asyncio.to_thread(self.close_now))

    def close_now(self) -> None:
        """As ``close``, blocking; for a start that failed before there was an event loop."""
        self.upkeep.stop()
        # Readers first: the last connection to close empties the log into the file.
        for lane in (self._grepper, self._searcher, self._pages, self._reader, self._writer):
            lane.close()
        self._lock.close()

    async def answers(self, within_s: float) -> bool:
        """Whether the writer's thread does its work now: what waits before us, and then nothing.

        While it writes the file anew, which is one long statement, it counts as answering for as long as a slow disk
        may need for that.
        """
        try:
            async with asyncio.timeout(within_s):
                await self._writer.run(lambda _: None)
        except TimeoutError:
            return self.upkeep.is_rewriting
        except StorageError:
            return True  # it answers, and says on each note what is the matter
        return True

    def heads(self) -> dict[str, int]:
        """The newest number per topic."""
        return dict(self._heads)

    async def commit_note(self, note: Note, settlement: Settlement | None) -> Note:
        """Give a note its number and commit it, with what it did cost, in one transaction.

        Args:
            note: The note; its ``stream``, ``seq``, ``prev`` and ``published`` are set here.
            settlement: What becomes of its reservation; None when there was none.

        Returns:
            The note as it is in the journal and may be published.

        Raises:
            StorageError: Nothing was committed.
        """

        def job(connection: sqlite3.Connection) -> Note:
            with schema.transaction(connection):
                now = self._clock.wall()
                numbered = queries.insert_note(connection, replace(note, stream=self.stream, published=now))
                if settlement is not None:
                    noted = numbered.kind != "failed"
                    money.settle(connection, settlement, note_seq=numbered.seq, at=now, noted=noted)
            self._heads[numbered.topic] = numbered.seq
            return numbered

        return await self._writer.run(job)

    async def last_texts(self) -> dict[str, str]:
        """What the newest note of each topic says, as far as it was not forgotten; may raise ``StorageError``."""
        return await self._reader.run(queries.last_texts)

    async def notes_since(self, seq: int, *, topic_prefix: str = "note/", limit: int = REPLAY_PAGE) -> NotesPage:
        """One page of the notes after a number, oldest first; at most 500.

        Raises:
            StorageError: The journal cannot be read.
        """

        def job(connection: sqlite3.Connection) -> NotesPage:
            with schema.snapshot(connection):
                return queries.since(connection, self.stream, seq, topic_prefix, limit)

        return await self._pages.run(job)

    async def written_since(self, seq: int, *, topic_prefix: str = "note/", limit: int = REPLAY_PAGE) -> WrittenPage:
        """As ``notes_since``, for whoever only sends it on: the rows become JSON without being read as notes.

        Raises:
            StorageError: The journal cannot be read.
        """

        def job(connection: sqlite3.Connection) -> WrittenPage:
            with schema.snapshot(connection):
                return pages.written_since(connection, self.stream, seq, topic_prefix, limit)

        return await (self._pages if limit > SHORT_PAGE else self._searcher).run(job)

    async def search(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        search: str | None = None,
        grep: str | None = None,
        before: int | None = None,
        limit: int = 50,
        reverse: bool = False,
    ) -> list[Note]:
        """The newest notes that match everything that is given, newest first.

        Args:
            since: Captured at or after, seconds since 1970.
            until: Captured before.
            search: Words that must all occur; nothing in them is query syntax.
            grep: A substring (case does not matter), ``/regular expression/`` or ``/regular expression/i``.
            before: Only numbers below this one, for the next page.
            limit: At most so many, and at most 500.
            reverse: Turn what was found round, oldest first.

        Raises:
            ValueError: The expression is invalid or takes longer than 3 s, or the index is off; one sentence.
            StorageError: The journal cannot be read.
        """
        wanted = queries.Search(since=since, until=until, words=search, grep=grep, before=before, limit=limit)
        left = threading.Event()  # the caller: a search takes seconds, and others wait for theirs
        try:
            found = await (self._searcher if grep is None else self._grepper).run(
                lambda connection: queries.search(connection, self.stream, wanted, self._clock.monotonic, left)
            )
        finally:
            left.set()
        return found[::-1] if reverse else found

    async def reserve(self, reservation: Reservation, *, check: Callable[[Totals], Verdict] | None = None) -> int:
        """Commit what a question may cost at most; call it before the question is sent.

        Args:
            reservation: What to reserve.
            check: Decides from the totals of its day, in the same transaction, so that two questions cannot both
                take what is left; None reserves without asking. Runs on the journal's thread and must be pure.

        Returns:
            The id to settle it by.

        Raises:
            WithheldError: ``check`` refused; nothing was written. Its reason is the word of the verdict.
            StorageError: Nothing was committed.
        """

        def job(connection: sqlite3.Connection) -> int:
            with schema.transaction(connection):
                if check is not None:
                    verdict = check(money.totals(connection, reservation.day, reservation.reserved_at))
                    if not verdict.allowed:
                        raise WithheldError((verdict.reason,))
                return money.insert_reservation(connection, reservation)

        return await self._writer.run(job)

    async def settle(self, settlement: Settlement) -> None:
        """Commit what became of a reservation, for an answer that makes no note.

        Known figures replace assumed ones; known figures are final, a second settlement is ignored.

        Raises:
            StorageError: Nothing was committed, or there is no such reservation.
        """
        await self._write(lambda connection: money.settle(connection, settlement, note_seq=None, at=self._clock.wall()))

    async def totals(self, day: str) -> Totals:
        """What a local day (``2026-11-21``) has cost so far.

        Raises:
            StorageError: The journal cannot be read.
        """
        return await self._reader.run(lambda connection: money.totals(connection, day))

    async def money(self, *, day: str, at: float, model: str) -> MoneyFacts:
        """What stages and status need to know of money, as of one moment.

        Args:
            day: The local day, ``2026-11-21``.
            at: Wall clock, for the hour.
            model: Whose usage is looked at.

        Raises:
            StorageError: The journal cannot be read.
        """

        def job(connection: sqlite3.Connection) -> MoneyFacts:
            with schema.snapshot(connection):
                return money.facts(connection, day, at, model)

        return await self._reader.run(job)

    async def set_first_use(self, word: Literal["due", "told"]) -> None:
        """Commit whether a person is still to be told that money is spent; once in the life of a journal.

        Raises:
            StorageError: Nothing was committed.
        """
        await self._write(lambda connection: money.set_first_use(connection, word))

    async def costs(
        self, *, since: float | None = None, until: float | None = None, by_time: bool = False
    ) -> CostReport:
        """What was spent on questions asked from ``since`` to before ``until``, by engine, model and trigger.

        Args:
            since: Seconds since 1970; None for the beginning.
            until: Likewise; None for now.
            by_time: Whether the rows are split by the quarter of an hour as well.

        Raises:
            StorageError: The journal cannot be read.
        """
        return await self._pages.run(lambda connection: money.costs(connection, since, until, by_time=by_time))

    async def add_error(self, error: UpstreamError, *, session_id: str = "", time: float) -> int:
        """Commit an error; returns its id.

        Raises:
            StorageError: Nothing was committed.
        """
        return await self._write(
            lambda connection: events.insert_error(connection, error, session_id=session_id, time=time)
        )

    async def errors(
        self, *, since: float | None = None, until: float | None = None, limit: int = 50
    ) -> list[dict[str, Any]]:
        """The errors of a range of time, newest first, each with the keys of ``hudctl errors --json`` and its id.

        Raises:
            StorageError: The journal cannot be read.
        """
        return await self._searcher.run(lambda connection: events.errors(connection, since, until, limit))

    async def pause(self, *, until: float | None, why: str, now: float) -> None:
        """Commit a pause, in place of one that holds; it holds across a restart from now on.

        Args:
            until: Wall clock of its end, or None until resumed.
            why: A word for the status.
            now: Wall clock of its start.

        Raises:
            StorageError: Nothing was committed; the pause does not hold.
        """
        pause = PauseState(since=now, until=until, why=why)

        def job(connection: sqlite3.Connection) -> None:
            with schema.transaction(connection):
                events.begin_pause(connection, pause)
            self._pause = pause

        await self._writer.run(job)

    async def resume(self, now: float) -> None:
        """Commit the end of the pause that holds; without one nothing happens.

        Raises:
            StorageError: Nothing was committed; the pause still holds.
        """

        def job(connection: sqlite3.Connection) -> None:
            with schema.transaction(connection):
                events.end_pause(connection, now)
            self._pause = None

        await self._writer.run(job)

    def pause_state(self) -> PauseState | None:
        """The pause that holds now; None when there is none, or its time is over."""
        pause = self._pause
        if pause is None or (pause.until is not None and pause.until <= self._clock.wall()):
            return None
        return pause

    async def _write(self, job: Job[T]) -> T:
        def in_transaction(connection: sqlite3.Connection) -> T:
            with schema.transaction(connection):
                return job(connection)

        return await self._writer.run(in_transaction)

    def _load(self, connection: sqlite3.Connection) -> tuple[str, int, dict[str, int], PauseState | None]:
        with schema.transaction(connection):
            vanished = money.settle_left_open(connection, self._clock.wall())
        stream = str(connection.execute("SELECT value FROM meta WHERE key = 'stream'").fetchone()[0])
        return stream, vanished, queries.heads(connection), events.open_pause(connection)
