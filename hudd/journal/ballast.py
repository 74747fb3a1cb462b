"""Ballast: space beside the journal that is given up when the disk is full, and the guard that gives it up.

On a full disk SQLite cannot even free itself: a DELETE needs room in the log first (daemon-notes 0.10). So a file of
8 MiB lies beside the journal. When SQLite finds no space the file is removed and the work is done again: the note under
way, the error that tells of it, and a prune fit. From then on the storage counts as degraded, until the file could be
made again and a write succeeded.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from hudd.errors import StorageError
from hudd.journal.lanes import result_code, storage_error

log = logging.getLogger(__name__)

BALLAST_BYTES: Final = 8 << 20
MARGIN_BYTES: Final = 4 << 20
"""Free space that must be left beside the ballast; otherwise the next note would already cost it again."""
_SCARCE_BYTES: Final = 256 << 10
_CHUNK: Final = 1 << 16
_FULL: Final = 13
_FULL_IN_OTHER_WORDS: Final = frozenset({10, 14})
"""A side file that cannot grow or be made is told as an input error or as one that cannot be opened."""
# Everything that the disk, the file or another program causes. The rest, a constraint or a wrong statement, is a
# mistake of ours, says nothing about the storage and would never go away by waiting.
_TROUBLES: Final = frozenset({5, 6, 8, 10, 11, _FULL, 14, 15, 23, 26})


class Ballast:
    """The file beside the journal. Its content is random, because zeros take no space where the disk compresses.

    Args:
        journal: The journal's file.
        size: Bytes.
        margin: Bytes that must be free beside it when it is made.
    """

    def __init__(self, journal: Path, *, size: int = BALLAST_BYTES, margin: int = MARGIN_BYTES) -> None:
        self.path = journal.with_name(f"{journal.name}.ballast")
        self._part = journal.with_name(f"{journal.name}.ballast.part")
        self._size = size
        self._margin = margin

    @property
    def needed_bytes(self) -> int:
        """What must be free to make it."""
        return self._size + self._margin

    def held(self) -> bool:
        """Whether it is there, whole."""
        try:
            return self.path.stat(follow_symlinks=False).st_size == self._size
        except OSError:  # not there, or not to be seen: then it cannot be given up either
            return False

    def make(self) -> None:
        """Make it, mode 0600, unless it is there. Blocking.

        Raises:
            StorageError: There is no room, or it may not be written.
        """
        if self.held():
            return
        try:
            self._check_room()
            self._part.unlink(missing_ok=True)
            handle = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                for begin in range(0, self._size, _CHUNK):
                    self._write(handle, os.urandom(min(_CHUNK, self._size - begin)))
                os.fsync(handle)
            finally:
                os.close(handle)
            self._part.replace(self.path)
        except OSError as error:
            with suppress(OSError):  # the first error is the one to tell
                self._part.unlink(missing_ok=True)
            raise StorageError(
                f"The space kept beside the journal ({self.path}) cannot be had: {error.strerror or error}.",
                hint=f"Free at least {self.needed_bytes >> 20} MB.",
            ) from error

    def release(self) -> bool:
        """Remove it; says whether that freed anything."""
        try:
            self.path.unlink()
        except OSError as error:
            log.debug("no ballast was released: %s", error)
            return False
        return True

    def scarce(self) -> bool:
        """Whether hardly anything is free on its disk."""
        room = os.statvfs(self.path.parent)
        return bool(room.f_blocks) and room.f_bavail * room.f_frsize < _SCARCE_BYTES

    def _check_room(self) -> None:
        room = os.statvfs(self.path.parent)
        # Some file systems do not tell their size (0 blocks): there the writing itself finds out.
        if room.f_blocks and room.f_bavail * room.f_frsize < self.needed_bytes:
            raise OSError(28, "too little space is free")

    @staticmethod
    def _write(handle: int, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]


class StorageGuard:
    """What becomes of an error of the writing lane. Used by its thread; ``trouble`` is read by any.

    Args:
        path: The journal, for sentences.
        ballast: Given up when the disk is full.

    Attributes:
        ballast: As given.
        trouble: Why writing failed last, until it works again; None when all is well.
    """

    def __init__(self, path: Path, ballast: Ballast) -> None:
        self._path = path
        self.ballast = ballast
        self._lock = threading.Lock()
        self._listener: Callable[[], None] | None = None
        self.trouble: StorageError | None = None

    def watch(self, listener: Callable[[], None]) -> None:
        """Call ``listener``, on the lane's thread, whenever writing failed; at once when it has already."""
        with self._lock:
            self._listener = listener
            told = self.trouble is not None
        if told:
            listener()

    def failed(self, error: sqlite3.Error) -> bool:
        """Note an error; returns whether space was freed, so that the same work may be tried once more."""
        code = result_code(error)
        if code not in _TROUBLES:
            return False
        full = code == _FULL or (code in _FULL_IN_OTHER_WORDS and self.ballast.scarce())
        freed = full and self.ballast.release()
        with self._lock:
            self.trouble = storage_error(error, self._path)
            listener = self._listener
        if listener is not None:
            listener()
        return freed

    def recovered(self) -> None:
        """Writing works again."""
        with self._lock:
            self.trouble = None
