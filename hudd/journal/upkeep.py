"""The upkeep of the journal: marks, retention, forgetting, backups, and the return after a full disk.

Everything that takes long is done in steps on the writing lane, so that notes are committed between them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hudd.clock import Clock
from hudd.errors import CommandError, StorageError
from hudd.journal import backup, export, forget, opening, retention, schema
from hudd.journal.ballast import StorageGuard
from hudd.journal.lanes import Lane
from hudd.journal.long_job import LongJob
from hudd.notes.keeping import Emptied, PrunePlan, Span
from hudd.wire import own_files
from hudd.wire.messages import Note

log = logging.getLogger(__name__)

ROUNDS: Final = 5
"""How often a limit in bytes is looked at again: what a note takes is only known on the average."""
READERS_S: Final = 10.0
"""How long a forgetting waits for readers who still need the log."""
TOLD_BYTES: Final = 64 << 20
"""A smaller journal is written anew before anybody could wonder."""
_PROBE: Final = "probe"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a journal is and by which lanes it is reached."""

    path: Path
    stream: str
    clock: Clock
    writer: Lane
    reader: Lane
    guard: StorageGuard


class Upkeep:
    """The upkeep of an open journal; every method may be called from one event loop.

    Cancelling a method never halves a transaction; a prune or a forgetting that is cancelled stops between two steps,
    and what is due of it is done by ``finish_forgetting`` later.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._cleaning = asyncio.Lock()
        self._rewriting = LongJob(place.clock)

    # Marks and retention

    async def mark(self, seq: int, *, keep: bool) -> bool:
        """Keep a note for ever, or no longer; False when there is no such note.

        Raises:
            StorageError: Nothing was committed.
        """

        def job(connection: sqlite3.Connection) -> bool:
            with schema.transaction(connection):
                return retention.mark(connection, seq, keep=keep)

        return await self._place.writer.run(job)

    async def plan(self, *, before: float | None, max_bytes: int | None) -> PrunePlan:
        """What ``prune`` with the same arguments would remove; nothing is changed.

        Raises:
            StorageError: The journal cannot be read.
        """
        now = self._place.clock.wall()

        def job(connection: sqlite3.Connection) -> PrunePlan:
            with schema.snapshot(connection):
                below = retention.bound(connection, now=now, before=before, max_bytes=max_bytes)
                return retention.plan(connection, below)

        return await self._place.reader.run(job)

    async def prune(self, *, before: float | None, max_bytes: int | None) -> PrunePlan:
        """Remove unmarked notes that are too old or too much, oldest first.

        Args:
            before: Notes captured before this time go, seconds since 1970, and errors and pauses with them; None for no
                limit in age.
            max_bytes: The most that the journal may take; None for no limit in size.

        Returns:
            What went.

        Raises:
            StorageError: The journal cannot be read or written; batches before that are gone.
        """
        first = await self.plan(before=before, max_bytes=max_bytes)
        removed, last = 0, first.last
        after = 0
        found = first
        for _ in range(ROUNDS):
            if not found.notes:
                break
            count, after = await self._remove(after, found.last + 1)
            removed, last = removed + count, max(last, after)
            found = await self.plan(before=before, max_bytes=max_bytes)
        if before is not None:
            now = self._place.clock.wall()
            await self._place.writer.run(lambda c: retention.remove_old_facts(c, before=before, now=now))
        # What is freed comes back to the disk only when the log was put into the file.
        await self._place.writer.run(forget.empty_log)
        return PrunePlan(removed, first.kept, first.first, last, first.oldest, first.newest, first.bytes)

    async def _remove(self, after: int, below: int) -> tuple[int, int]:
        removed = 0
        while True:
            at = after
            count, after = await self._place.writer.run(
                lambda connection, at=at: retention.remove_batch(connection, after=at, below=below)
            )
            if not count:
                return removed, after
            removed += count

    # Forgetting

    async def empty(self, span: Span) -> Emptied:
        """Take the text from the notes of a span: nobody can read or find it from now on. ``finish_forgetting`` is due.

        Raises:
            StorageError: The journal cannot be written; batches before that are emptied.
        """
        await self._place.writer.run(lambda connection: forget.set_due(connection, due=True))
        low, high = await self._place.reader.run(lambda connection: forget.bounds(connection, span))
        emptied = Emptied()
        while low <= high:
            begin = low
            step = await self._place.writer.run(
                lambda connection, begin=begin: forget.empty_batch(connection, span, low=begin, high=high)
            )
            if not step.notes:
                break
            emptied += step
            low = step.last + 1
        return emptied

    async def finish_forgetting(self) -> bool:
        """Take what was emptied out of the search index, the file's unused parts and the log, if that is due.

        Returns:
            True when nothing is due any more; False while a reader still needs the log, or when ``stop`` was called.

        Raises:
            StorageError: It cannot be done now, for instance for want of space; it stays due.
        """
        async with self._cleaning:
            writer = self._place.writer
            if not await writer.run(forget.is_due):
                return True
            first = True
            while not await writer.run(lambda c, first=first: forget.merge_step(c, first=first)):
                first = False
            if not await writer.run(self._rewrite):
                return False
            until = self._place.clock.monotonic() + READERS_S
            while not await writer.run(forget.empty_log):
                if self._place.clock.monotonic() >= until:
                    return False
                await self._place.clock.sleep(0.1)
            await writer.run(lambda connection: forget.set_due(connection, due=False))
            return True

    def _rewrite(self, connection: sqlite3.Connection) -> bool:
        """On the writing lane, which it holds for as long as the disk needs to write the file three times."""
        path, clock = self._place.path, self._place.clock
        size, begun = path.stat().st_size, clock.monotonic()
        if size > TOLD_BYTES:
            log.info("the journal is written anew, %d MB, without what was forgotten; notes wait meanwhile", size >> 20)
        with self._rewriting.over(size):
            whole = forget.rewrite(connection, path, stopped=self._rewriting.stopped)
            forget.empty_log(connection)
        if whole and size > TOLD_BYTES:
            log.info("the journal was written anew in %.0f s", clock.monotonic() - begun)
        return whole

    @property
    def is_rewriting(self) -> bool:
        """Whether the writing lane is held by a rewriting of the file that takes no longer than it may."""
        return self._rewriting.in_time()

    def stop(self) -> None:
        """Give up a rewriting that is under way, as far as it can be; it stays due, for the next start. Any thread."""
        self._rewriting.stop()

    def copies(self) -> list[str]:
        """Journals that were set aside and that forgetting does not reach."""
        return forget.copies(self._place.path)

    # Carrying elsewhere

    async def export(
        self, *, since: float | None, until: float | None, after: int, limit: int
    ) -> tuple[list[Note], bool]:
        """The next notes of a range of time in the order of their numbers, and whether more follow.

        Raises:
            StorageError: The journal cannot be read.
        """

        def job(connection: sqlite3.Connection) -> tuple[list[Note], bool]:
            with schema.snapshot(connection):
                return export.page(connection, self._place.stream, since=since, until=until, after=after, limit=limit)

        return await self._place.reader.run(job)

    async def back_up(self, target: Path) -> int:
        """Copy the journal as it is at this moment into a private file; returns its bytes. Nobody waits for it.

        Cancelling the caller does not stop the copy.

        Args:
            target: An absolute path; an older backup that is there is replaced when the copy is whole.

        Raises:
            CommandError: It is a file of the journal's, or something else than a backup is there.
            StorageError: It cannot be written there.
        """
        return await asyncio.shield(asyncio.to_thread(self._back_up, target))

    def _back_up(self, target: Path) -> int:
        problem = own_files.own(target, state=self._place.path.parent) or own_files.no_backup(target)
        if problem is not None:
            raise CommandError("E_ARGS", problem[0], hint=problem[1])
        # A lane of its own: replay and status go on while a large journal is copied.
        lane = Lane("journal-backup", self._place.path, lambda: schema.connect_reader(self._place.path))
        try:
            return lane.call(lambda connection: backup.back_up(connection, target))
        finally:
            lane.close()

    # The storage

    @property
    def trouble(self) -> StorageError | None:
        """Why writing failed last, until ``probe`` finds that it works again."""
        return self._place.guard.trouble

    @property
    def needed_bytes(self) -> int:
        """What must be free on the disk so that all is well."""
        return self._place.guard.ballast.needed_bytes

    def watch(self, listener: Callable[[], None]) -> None:
        """Call ``listener``, from another thread, whenever writing failed."""
        self._place.guard.watch(listener)

    async def prepare(self) -> None:
        """Make the ballast.

        Raises:
            StorageError: There is no room for it; the journal works without.
        """
        await asyncio.to_thread(self._place.guard.ballast.make)

    async def probe(self) -> None:
        """Find out whether writing works again, with the ballast in its place; then ``trouble`` is over.

        Raises:
            StorageError: It does not.
        """
        await self.prepare()

        def job(connection: sqlite3.Connection) -> None:
            with schema.transaction(connection):
                schema.set_meta(connection, _PROBE, os.urandom(8).hex())

        await self._place.writer.run(job)
        if self._place.guard.ballast.held():
            self._place.guard.recovered()

    async def check(self) -> bool:
        """Look through the whole file, if that was left for later at the opening; False when it is damaged.

        Then the next start sets it aside. Commits, replay and searches go on meanwhile.

        Raises:
            StorageError: It cannot be read.
        """
        if not opening.check_is_left(self._place.path):
            return True
        return await asyncio.shield(asyncio.to_thread(self._check))

    def _check(self) -> bool:
        lane = Lane("journal-check", self._place.path, lambda: schema.connect_reader(self._place.path))
        try:
            sound = lane.call(opening.passes_check)
        finally:
            lane.close()
        if not sound:
            opening.remember_damage(self._place.path)
        return sound
