"""Lock files: whoever holds one is the only one of its kind, and its number in the file tells people who that is.

The lock is that of flock(2), which ends with its holder, in whatever way that ends. The file stays: were it removed,
two could hold one each. Standard library alone, so that a client can ask, too.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Final, Self

CANNOT_LOCK: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
"""What a file system says that holds no locks."""
_NO_FILE: Final = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO})


class HeldError(Exception):
    """Raised when another one holds the lock.

    Attributes:
        pid: Its process; 0 while it is just starting or ending.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self.pid = pid

    @property
    def who(self) -> str:
        """The beginning of a sentence."""
        return f"Another hudd (pid {self.pid})" if self.pid else "Another hudd, which is just starting or ending,"


class NoLockFileError(Exception):
    """Raised when what stands in the place of a lock is no plain file of this user."""


class LockFile:
    """A lock that is held until `close`, or until the process ends in any way."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: str | Path, folder: int | None = None) -> Self | None:
        """Take it without waiting, and write our pid into it; None when the file was replaced meanwhile: try again.

        Args:
            path: The file, which is made with mode 0600 where there is none.
            folder: Descriptor of the folder that it is in; None for a whole path.

        Raises:
            HeldError: Another one holds it.
            NoLockFileError: It is a link, belongs to somebody else, or is no file.
            OSError: It cannot be opened or locked; `CANNOT_LOCK` are those of a file system without locks.
        """
        # O_NONBLOCK: a named pipe in this place must not make us wait.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            descriptor = os.open(path, flags, 0o600, dir_fd=folder)
        except OSError as error:
            if error.errno in _NO_FILE or (error.errno == errno.EACCES and _is_there(path, folder)):
                raise NoLockFileError from error
            raise
        held = False
        try:
            held = _hold(descriptor, path, folder)
        finally:
            if not held:
                os.close(descriptor)
        return cls(descriptor) if held else None

    def fileno(self) -> int:
        """The descriptor; -1 when it is closed."""
        return self._descriptor

    def close(self) -> None:
        """Give it back. Safe to call twice. The file stays, empty."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        try:
            os.ftruncate(descriptor, 0)
            # Said aloud: a child between fork and exec still holds a copy of the descriptor for a moment.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)


def holder(path: Path) -> int | None:
    """Who holds a lock: a pid, 0 for one who is just starting or ending, None for nobody.

    It is not taken away from one who is just starting.
    """
    if not _is_held(path):
        return None
    try:
        with path.open("rb") as file:
            return _number(file.read(32))
    except OSError:  # it was removed since
        return None


def is_same(held: os.stat_result, path: str | Path, folder: int | None = None) -> bool:
    """Whether the name still leads to what is held open."""
    try:
        now = os.stat(path, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (now.st_dev, now.st_ino) == (held.st_dev, held.st_ino)


def _hold(descriptor: int, path: str | Path, folder: int | None) -> bool:
    """Take the lock and write the pid; False when the file was replaced meanwhile."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_nlink > 1:
        raise NoLockFileError
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise HeldError(_number(os.pread(descriptor, 32, 0))) from error
    if not is_same(os.fstat(descriptor), path, folder):
        return False
    if stat.S_IMODE(found.st_mode) != 0o600:
        os.fchmod(descriptor, 0o600)
    # For people: whether one is held is told by the lock, never by this number. So it may be missing on a full disk.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return True


def _number(text: bytes) -> int:
    words = text.strip()
    return int(words) if words.isdigit() else 0


def _is_there(path: str | Path, folder: int | None) -> bool:
    try:
        os.stat(path, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def _is_held(path: Path) -> bool:
    try:
        found = path.lstat()
        rows = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return _is_refused(path)
    except OSError:  # it may not be looked at, so it is not ours
        return False
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    return any(device in row.split() and "FLOCK" in row for row in rows)


def _is_refused(path: Path) -> bool:
    """Where the system has no list of locks: by trying, for an instant, with a lock that others may share."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # there is none, or it is nothing that could be held
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
