"""A copy of the journal while it is in use: one moment of it, one private file, whole or not there at all."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from hudd.errors import StorageError
from hudd.journal import schema
from hudd.journal.lanes import storage_error


def back_up(source: sqlite3.Connection, target: Path) -> int:
    """Copy the journal into a new file of mode 0600; returns its size in bytes. Blocking; writers are not held up.

    The copy is made beside the target and moved into its place, so that an older backup of this name is replaced only
    by a whole one. What else may stand there is not looked at here.

    Args:
        source: A reading connection that nobody else uses meanwhile.
        target: An absolute path.

    Raises:
        StorageError: It cannot be written there; the sentence names why.
    """
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _cannot(target, error.strerror or str(error)) from error
    os.close(handle)
    try:
        try:
            with closing(schema.connect(part)) as copy:
                # All at once: in steps it would begin again whenever a note is written.
                source.backup(copy, pages=-1)
                # One file without side files, to be carried anywhere.
                copy.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as error:
            raise storage_error(error, target, name="backup") from error
        try:
            _sync(part)
            part.replace(target)
            _sync(target.parent)
            return target.stat().st_size
        except OSError as error:
            raise _cannot(target, error.strerror or str(error)) from error
    finally:
        for left in (part, *(part.with_name(part.name + end) for end in ("-journal", "-wal", "-shm"))):
            with suppress(FileNotFoundError):
                left.unlink()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot(target: Path, why: str) -> StorageError:
    return StorageError(
        f"The backup {target} cannot be written: {why}.", hint="Name a file in a folder where hudd may write."
    )
