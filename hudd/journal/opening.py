"""Opening the journal's file: ours, private, sound and of a version we know, or else a sentence."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import sqlite3
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hudd.errors import AlreadyRunningError, PermissionsError, StorageError
from hudd.journal import schema
from hudd.journal.lanes import result_code, storage_error
from hudd.journal.salvage import Spent, read_pause, read_spent, write_pause, write_spent
from hudd.ledger.caps import Caps
from hudd.notes.records import PauseState
from hudd.wire.locks import CANNOT_LOCK, HeldError, LockFile, NoLockFileError

_DAMAGED: Final = frozenset({11, 26})  # SQLITE_CORRUPT, SQLITE_NOTADB
_REFUSED: Final = {errno.ENOENT: "nothing can be made there", errno.EEXIST: "there is a file of that name"}
_BESIDE: Final = ("", "-wal", "-shm")
_TRIES: Final = 8
CHECKED_AT_OPENING_BYTES: Final = 64 << 20
"""A journal up to this size is looked through before it is used, which takes less than a second; a larger one after the
start, beside the work, unless damage was found then: that is remembered by a file and seen to at the next opening."""


class _DamagedError(Exception):
    """Raised when the file was no sound journal and was set aside; never leaves this module."""

    def __init__(self, aside: Path, spent: Spent, pause: PauseState | None) -> None:
        super().__init__(aside)
        self.aside = aside
        self.spent = spent
        self.pause = pause


@dataclass(frozen=True, slots=True)
class Opened:
    """A journal that was opened for writing.

    Attributes:
        connection: To it.
        set_aside: Where a damaged file went; None when there was none.
        spent: What becomes of the money that the damaged one knew of, as a sentence; '' when there is nothing to say.
        paused: Likewise of its pause.
    """

    connection: sqlite3.Connection
    set_aside: Path | None = None
    spent: str = ""
    paused: str = ""


def hold(path: Path) -> LockFile:
    """Make sure that nobody else writes into the journal, as long as what is returned is not closed.

    The lock is a file beside it, ``journal.lock``: to close any descriptor of the journal itself would drop the locks
    that SQLite holds on it.

    Raises:
        AlreadyRunningError: Another hudd does; the message names its pid.
        PermissionsError: The lock is a link or belongs to somebody else, or nothing may be written there.
        StorageError: Nothing can be made there, or the disk cannot hold locks.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _folder_error(error, path.parent) from error
    place = path.with_suffix(".lock")
    try:
        for _ in range(_TRIES):
            if (lock := LockFile.take(place)) is not None:
                return lock
    except HeldError as error:
        end = f"End it first (kill {error.pid})" if error.pid else "End it first"
        raise AlreadyRunningError(
            f"{error.who} writes into {path}.", hint=f"{end}, or set HUDD_STATE_DIR to another folder for this one."
        ) from error
    except NoLockFileError as error:
        raise PermissionsError(
            f"The lock {place} is no plain file of this user.", hint=f"Remove it with: rm -r {shlex.quote(str(place))}"
        ) from error
    except OSError as error:
        if error.errno in CANNOT_LOCK:
            raise StorageError(
                f"The journal's folder {path.parent} cannot be used: {error.strerror}.",
                hint="Set HUDD_STATE_DIR to a folder on a disk that can hold locks.",
            ) from error
        raise _opening_error(error, path) from error
    raise StorageError(f"The lock {place} is being replaced again and again.", hint="Set HUDD_STATE_DIR.")


def prepare_file(path: Path) -> None:
    """Make sure that the journal is a regular file of ours with mode 0600; create it when it is not there.

    SQLite gives its side files the mode of the database.

    Raises:
        PermissionsError: It is a link, or belongs to somebody else, or may not be opened.
        StorageError: It cannot be created, or is no file.
    """
    try:
        # O_NONBLOCK: a named pipe in this place must not make us wait.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise _opening_error(error, path) from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise StorageError(f"The journal {path} is no file.", hint="Remove it, or set HUDD_STATE_DIR.")
        if status.st_uid != os.geteuid():
            raise PermissionsError(
                f"The journal {path} belongs to user {status.st_uid}.", hint="Set HUDD_STATE_DIR to a folder of yours."
            )
        if stat.S_IMODE(status.st_mode) != 0o600:
            os.fchmod(handle, 0o600)
    finally:
        os.close(handle)


def _folder_error(error: OSError, folder: Path) -> StorageError | PermissionsError:
    if error.errno == errno.ENOSPC:
        return StorageError(f"There is no space for the journal's folder {folder}.", hint="Free some space there.")
    there = next((above for above in folder.parents if above.is_dir()), folder.parent)
    sentence = (
        f"The journal's folder {folder} cannot be made in {there}: {_REFUSED.get(error.errno or 0, error.strerror)}."
    )
    kind = PermissionsError if error.errno in {errno.EACCES, errno.EPERM} else StorageError
    return kind(sentence, hint="Set HUDD_STATE_DIR to a folder that you may write.")


def _opening_error(error: OSError, path: Path) -> StorageError | PermissionsError:
    if error.errno in {errno.EACCES, errno.EPERM}:
        return PermissionsError(
            f"The journal {path} may not be opened: {error.strerror}.", hint="Check the owner and mode of its folder."
        )
    if error.errno == errno.ELOOP:
        return PermissionsError(f"The journal {path} is a symbolic link.", hint="Put a plain file in its place.")
    return StorageError(
        f"The journal {path} cannot be opened: {error.strerror}.", hint="Free its place, or set HUDD_STATE_DIR."
    )


def _damage_mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")


def check_is_left(path: Path) -> bool:
    """Whether the opening leaves the check of the whole file for later."""
    return path.stat().st_size > CHECKED_AT_OPENING_BYTES and not _damage_mark(path).exists()


def passes_check(connection: sqlite3.Connection) -> bool:
    """Look through the whole file.

    Raises:
        sqlite3.Error: It cannot be read, for another reason than damage.
    """
    try:
        return connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
    except sqlite3.Error as error:
        if result_code(error) in _DAMAGED:
            return False
        raise


def remember_damage(path: Path) -> None:
    """Let the next opening look through the whole file before it is used, and set it aside."""
    _damage_mark(path).touch(mode=0o600)


def open_sound(
    path: Path,
    *,
    now: float,
    indexed: bool,
    failed: Callable[[sqlite3.Error], bool] = lambda _: False,
    caps: Caps | None = None,
) -> Opened:
    """Open the journal for writing, at the newest version; set a damaged one aside and begin a new one.

    What the damaged one knew of this month's money counts in the new one, and its pause holds.

    Args:
        path: The journal; ``prepare_file`` has seen it.
        now: Wall clock, for the name of a file that is set aside.
        indexed: Whether the full-text index is wanted.
        failed: Told of an error of SQLite; when it answers True the opening is tried once more.
        caps: What may be spent; None when nothing is paid for.

    Raises:
        StorageError: It cannot be read or written, or a newer hudd wrote it.
    """
    try:
        try:
            return Opened(_open_checked(path, indexed=indexed, now=now))
        except StorageError as error:
            if not isinstance(error.__cause__, sqlite3.Error) or not failed(error.__cause__):
                raise
            return Opened(_open_checked(path, indexed=indexed, now=now))
    except _DamagedError as error:
        damaged = error
    try:
        return _begin_after(damaged, path, indexed=indexed, now=now, caps=caps)
    except StorageError:
        _put_back(path, damaged.aside)  # the next start shall find what it knows
        raise


def _begin_after(damaged: _DamagedError, path: Path, *, indexed: bool, now: float, caps: Caps | None) -> Opened:
    prepare_file(path)
    try:
        connection = _open_checked(path, indexed=indexed, now=now)
    except _DamagedError as error:
        raise StorageError(f"A new journal {path} is damaged at once.", hint="Check the disk.") from error
    try:
        paused = write_pause(connection, damaged.pause, now=now)
        spent = write_spent(connection, damaged.spent, now=now, caps=caps)
        return Opened(connection, damaged.aside, spent, paused)
    except sqlite3.Error as error:
        connection.close()
        raise storage_error(error, path) from error


def _open_checked(path: Path, *, indexed: bool, now: float) -> sqlite3.Connection:
    try:
        connection = schema.connect(path)
    except sqlite3.Error as error:
        raise storage_error(error, path) from error
    try:
        # Look before anything is changed: the file may be somebody else's database.
        if _is_sound(connection, path):
            schema.make_durable(connection)
            schema.migrate(connection)
            schema.set_indexed(connection, wanted=indexed)
            return connection
    except sqlite3.Error as error:
        if result_code(error) not in _DAMAGED:
            connection.close()
            raise storage_error(error, path) from error
    except BaseException:
        connection.close()
        raise
    try:
        spent, pause = read_spent(connection, now), read_pause(connection, now)
        # Renamed before it is closed: closing would write the log into the file and remove it.
        aside = _set_aside(path, now)
    finally:
        connection.close()
    raise _DamagedError(aside, spent, pause)


def _is_sound(connection: sqlite3.Connection, path: Path) -> bool:
    if not schema.is_journal(connection):
        return False
    version = schema.pragma(connection, "user_version")
    if version > schema.VERSION:
        raise StorageError(
            f"The journal {path} has version {version}, this hudd knows versions up to {schema.VERSION}.",
            hint="Install a newer hudd, or set HUDD_STATE_DIR to another folder.",
        )
    if check_is_left(path):
        return True
    sound = passes_check(connection)
    _damage_mark(path).unlink(missing_ok=True)
    return sound


def _set_aside(path: Path, now: float) -> Path:
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    name = f"{path.name}.corrupt-{stamp}"
    count = 1
    while any(path.with_name(name + suffix).exists() for suffix in _BESIDE):
        count += 1
        name = f"{path.name}.corrupt-{stamp}-{count}"
    try:
        for suffix in _BESIDE:
            # The side files may not be there.
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(path.with_name(name + suffix))
    except OSError as error:
        raise StorageError(
            f"The damaged journal {path} cannot be set aside: {error.strerror}.", hint="Move it away by hand."
        ) from error
    return path.with_name(name)


def _put_back(path: Path, aside: Path) -> None:
    for suffix in _BESIDE:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
        # The side files may not be there.
        with contextlib.suppress(FileNotFoundError):
            aside.with_name(aside.name + suffix).rename(path.with_name(path.name + suffix))
