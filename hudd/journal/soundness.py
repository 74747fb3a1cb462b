"""A look at a journal from beside, while a daemon may write to it: nothing is changed, and it ends in time."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from hudd.errors import PermissionsError, StorageError
from hudd.journal import schema
from hudd.journal.lanes import result_code

_DAMAGED: Final = frozenset({11, 26})  # SQLITE_CORRUPT, SQLITE_NOTADB
_STEPS: Final = 5_000
"""Instructions of SQLite between two looks at the clock."""
_SLACK_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Soundness:
    """What was seen.

    Attributes:
        damage: What is wrong with the file, in SQLite's words; '' when nothing is.
        whole: Whether the whole file was looked at in time.
        notes: How many rows of notes there are.
        version: Of its form.
        mode: Of the file, octal.
        read_only: Why it cannot be written; ''.
        ahead_s: How far its newest note lies in the future; 0 when it does not.
    """

    damage: str
    whole: bool
    notes: int
    version: int
    mode: str
    read_only: str
    ahead_s: float


def look_through(path: Path, seconds: float, *, wall: float) -> Soundness:
    """Look through a journal, reading only. Blocking.

    Args:
        path: The journal; it exists.
        seconds: When to stop looking.
        wall: The wall clock.

    Raises:
        PermissionsError: It is a link, of somebody else, or may not be read.
        StorageError: It cannot be read, is no journal, or is a newer hudd's.
    """
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise PermissionsError(f"The journal {path} is no plain file.", hint="Put a plain file in its place.")
    if found.st_uid != os.getuid():
        hint = "Set HUDD_STATE_DIR to a folder of your own."
        raise PermissionsError(f"The journal {path} belongs to user {found.st_uid}.", hint=hint)
    mode = f"{stat.S_IMODE(found.st_mode):04o}"
    damage, whole, notes, version, newest = "", False, 0, 0, 0.0
    end = time.monotonic() + seconds
    try:
        with closing(_open(path)) as connection:
            connection.set_progress_handler(lambda: int(time.monotonic() > end), _STEPS)
            if not schema.is_journal(connection):
                raise StorageError(
                    f"The file {path} is no journal of hudd.", hint="Move it away, or set HUDD_STATE_DIR."
                )
            version = schema.pragma(connection, "user_version")
            if version > schema.VERSION:
                raise StorageError(
                    f"The journal {path} has version {version}, this hudd knows versions up to {schema.VERSION}.",
                    hint="Install a newer hudd, or set HUDD_STATE_DIR to another folder.",
                )
            if version:
                notes, newest = _rows(connection)
            words = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            damage, whole = ("" if words == "ok" else words), True
    except sqlite3.Error as error:
        code = result_code(error)
        if code in _DAMAGED:
            damage = str(error)
        elif code != sqlite3.SQLITE_INTERRUPT:  # out of time: not the whole of it was looked at
            hint = "Check the owner and mode of it and of its folder."
            raise StorageError(f"The journal {path} cannot be read: {error}.", hint=hint) from error
    ahead_s = newest - wall if newest - wall > _SLACK_S else 0.0
    return Soundness(damage, whole, notes, version, mode, _read_only(path, found), ahead_s)


def _rows(connection: sqlite3.Connection) -> tuple[int, float]:
    count, newest = connection.execute("SELECT count(*), max(published) FROM notes").fetchone()
    return int(count), float(newest or 0.0)


def _open(path: Path) -> sqlite3.Connection:
    """Read-only. Where no daemon writes, without making the side files of a log that is not there."""
    beside = path.with_name(f"{path.name}-wal").exists()
    address = f"file:{quote(os.fspath(path))}?mode=ro" + ("" if beside else "&immutable=1")
    return sqlite3.connect(address, uri=True, isolation_level=None, timeout=2.0)


def _read_only(path: Path, found: os.stat_result) -> str:
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return "its disk is mounted read-only"
    if not found.st_mode & stat.S_IWUSR:
        return f"its mode is {stat.S_IMODE(found.st_mode):04o}"
    return "" if os.access(path, os.W_OK) else "this user may not write it"
