"""The runtime folder and its lock: what makes sure that only one daemon of one user listens there.

Order matters (daemon-notes b 1): umask, folder, checks, lock; sockets are bound only after that, because binding an
``ipc`` address removes whatever stands at the path.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hudd.errors import AlreadyRunningError, HuddError, PermissionsError, SettingsError, StorageError
from hudd.wire.endpoints import (
    LOCK,
    EndpointError,
    UnsafeFolderError,
    control_socket,
    folder_problem,
    notes_socket,
    runtime_dir,
)

_PRIVATE_UMASK: Final = 0o077
_TRIES: Final = 8
_FULL: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOLCK, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
)


class RuntimeFolder:
    """A folder that is ours, and locked until `close`, or until the process ends in any way.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> RuntimeFolder:
        """Make the folder where needed, check it, and take the lock without waiting.

        Sets the umask of the process to 077 for good: whatever the daemon makes from now on is private.

        Raises:
            PermissionsError: The folder or the lock is not safely ours, or cannot be made.
            AlreadyRunningError: Another daemon holds the lock; the message names its pid.
            StorageError: The disk is full or fails, or cannot hold locks.
        """
        os.umask(_PRIVATE_UMASK)
        for _ in range(_TRIES):
            lock = _locked(path)
            if lock is not None:
                return cls(path, lock)
        if not path.exists():
            there = next(folder for folder in path.parents if folder.exists())
            raise PermissionsError(
                f"The runtime folder {path} cannot be made, because no folder can be made in {there}; "
                "set HUDD_RUNTIME_DIR to a folder of your own."
            )
        raise PermissionsError(
            f"The runtime folder {path} is being replaced again and again; "
            "set HUDD_RUNTIME_DIR to a folder of your own."
        )

    @classmethod
    def open_for(cls, environ: Mapping[str, str]) -> RuntimeFolder:
        """As `open`, at the place that the environment tells; the paths of its sockets are known to fit.

        Raises:
            SettingsError: The environment names no usable path.
            PermissionsError, AlreadyRunningError, StorageError: As `open`.
        """
        try:
            path = runtime_dir(environ)
            control_socket(environ)
            notes_socket(environ)
        except UnsafeFolderError as error:
            raise PermissionsError(str(error)) from error
        except EndpointError as error:
            raise SettingsError([str(error)]) from error
        return cls.open(path)

    def close(self) -> None:
        """Give the lock back. The lock file stays, empty: removing it would let two daemons hold one each."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            try:
                os.ftruncate(lock, 0)
                # Said aloud: a child between fork and exec still holds a copy of the descriptor for a moment.
                fcntl.flock(lock, fcntl.LOCK_UN)
            finally:
                os.close(lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _locked(path: Path) -> int | None:
    """The locked descriptor; None when the folder or the file changed under us, so that it must be tried again."""
    try:
        # Again in each try: somebody may have removed it since, for instance systemd between two starts.
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = folder_problem(path)
        raise PermissionsError(problem) if problem else _mapped(path, error) from error
    try:
        problem = folder_problem(path)
        if problem:
            raise PermissionsError(problem)
        return _lock_in(folder, path)
    except OSError as error:
        raise _mapped(path, error) from error
    finally:
        os.close(folder)


def _lock_in(folder: int, path: Path) -> int | None:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        lock = os.open(LOCK, flags, 0o600, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EACCES):
            raise _bad_lock(path) from error
        raise
    held = False
    try:
        held = _hold(lock, folder, path)
    finally:
        if not held:
            os.close(lock)
    return lock if held else None


def _hold(lock: int, folder: int, path: Path) -> bool:
    """Take the lock and write the pid; False when the folder or the file was replaced meanwhile."""
    found = os.fstat(lock)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_nlink > 1:
        raise _bad_lock(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _taken(lock, path) from error
    if not (_same(os.fstat(lock), LOCK, folder) and _same(os.fstat(folder), path, None)):
        return False
    # For people only: whether a daemon runs is told by the lock, never by this number.
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return True


def _same(held: os.stat_result, path: str | Path, folder: int | None) -> bool:
    """Whether the name still leads to what we hold open."""
    try:
        now = os.stat(path, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (now.st_dev, now.st_ino) == (held.st_dev, held.st_ino)


def _taken(lock: int, path: Path) -> AlreadyRunningError:
    written = os.pread(lock, 32, 0).strip()
    who = (
        f"Another hudd (pid {int(written)})" if written.isdigit() else "Another hudd, which is just starting or ending,"
    )
    return AlreadyRunningError(
        f"{who} runs in {path}.", hint="Stop it first, or set HUDD_RUNTIME_DIR to another folder for this one."
    )


def _bad_lock(path: Path) -> PermissionsError:
    lock = path / LOCK
    return PermissionsError(
        f"The lock {lock} is no plain file of this user.", hint=f"Remove it with: rm -r {shlex.quote(str(lock))}"
    )


def _mapped(path: Path, error: OSError) -> HuddError:
    sentence = f"The runtime folder {path} cannot be used: {error.strerror}."
    if error.errno in _FULL:
        return StorageError(sentence, hint="Free some space there, or set HUDD_RUNTIME_DIR to another folder.")
    return PermissionsError(sentence, hint="Correct its permissions, or set HUDD_RUNTIME_DIR to another folder.")
