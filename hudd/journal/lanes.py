"""A lane: one thread with one SQLite connection, and the way to it from the event loop."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from hudd.errors import StorageError

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

log = logging.getLogger(__name__)

# Primary result codes of SQLite (sqlite3.h); the extended ones carry them in the low byte.
_SENTENCES: dict[int, tuple[str, str]] = {
    5: ("is held by another program", "Close it and try again."),
    6: ("is held by another program", "Close it and try again."),
    8: ("may not be written", "Check the permissions of the file, its folder and its disk."),
    10: ("cannot be read or written: the disk reports an error", "Check the disk."),
    11: ("is damaged", "Restart hudd: it sets the file aside and begins a new one."),
    13: ("cannot grow: the disk is full", "Free some space."),
    14: ("cannot be opened", "Check that its folder exists and may be written."),
    23: ("may not be written", "Check the permissions of the file, its folder and its disk."),
    26: ("is no database", "Restart hudd: it sets the file aside and begins a new one."),
}


def result_code(error: sqlite3.Error) -> int:
    """The primary result code of an error; 0 when it carries none."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def storage_error(error: sqlite3.Error, path: Path, *, name: str = "journal") -> StorageError:
    """The sentence for a person, made from the result code and never from the message text."""
    what, remedy = _SENTENCES.get(result_code(error), (f"failed: {error}", "The log has more."))
    return StorageError(f"The {name} {path} {what}.", hint=remedy)


class Lane:
    """One thread with one connection that only this thread ever uses. Jobs run one after the other, in order.

    Args:
        name: Name of the thread.
        path: The journal, for sentences.
        connect: Opens the connection; runs on the lane's thread, before the first job.
        failed: Told of each error of SQLite, on the lane's thread; when it answers True the job is done once more, so
            a job must be able to begin again.
        reads: Whether its jobs only read: one whose caller left before it began is then not run.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        connect: Callable[[], sqlite3.Connection],
        *,
        failed: Callable[[sqlite3.Error], bool] = lambda _: False,
        reads: bool = False,
    ) -> None:
        self._path = path
        self._reads = reads
        self._connect = connect
        self._failed = failed
        self._connection: sqlite3.Connection | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._closed = False

    def start(self) -> None:
        """Open the connection now, blocking, and raise what ``connect`` raises."""
        self.call(lambda _: None)

    def call(self, job: Job[T]) -> T:
        """Run a job and wait for it, blocking.

        Raises:
            StorageError: SQLite refused; nothing of the job's transaction was kept.
        """
        return self._executor.submit(self._do, job).result()

    async def run(self, job: Job[T]) -> T:
        """Run a job and wait for it.

        Cancelling the caller does not cancel a job that writes: it runs to its end and its result is dropped; an error
        of it that nobody waits for any more is logged. A job that reads is not begun any more.

        Raises:
            StorageError: SQLite refused, or the lane is closed; nothing of the job's transaction was kept.
        """
        if self._closed:
            raise StorageError(f"The journal {self._path} is closed.")
        future = asyncio.wrap_future(self._executor.submit(self._do, job))
        if self._reads:
            return await future
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(_tell_unwatched)
            raise

    def close(self) -> None:
        """Run what waits, close the connection and end the thread, blocking. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._executor.submit(self._disconnect)
        self._executor.shutdown(wait=True)

    def _do(self, job: Job[T]) -> T:
        try:
            return self._try(job)
        except sqlite3.Error as error:
            if not self._failed(error):
                raise storage_error(error, self._path) from error
        try:
            return self._try(job)
        except sqlite3.Error as error:
            self._failed(error)
            raise storage_error(error, self._path) from error

    def _try(self, job: Job[T]) -> T:
        if self._connection is None:
            self._connection = self._connect()
        return job(self._connection)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _tell_unwatched(future: asyncio.Future[T]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        log.error("A journal job that nobody waited for any more failed: %s", error)
