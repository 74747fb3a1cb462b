"""The runtime folder and its lock: what makes sure that only one daemon of one user listens there.

Order matters (daemon-notes b 1): umask, folder, checks, lock; sockets are bound only after that, because binding an
``ipc`` address removes whatever stands at the path.
"""

from __future__ import annotations

import errno
import os
import shlex
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
from hudd.wire.locks import CANNOT_LOCK, HeldError, LockFile, NoLockFileError, is_same

_PRIVATE_UMASK: Final = 0o077
_TRIES: Final = 8
_FULL: Final = CANNOT_LOCK | {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE}


class RuntimeFolder:
    """A folder that is ours, and locked until `close`, or until the process ends in any way.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path, lock: LockFile) -> None:
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
        """Give the lock back. Safe to call twice. The lock file stays, empty."""
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _locked(path: Path) -> LockFile | None:
    """The lock; None when the folder or the file changed under us, so that it must be tried again."""
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


def _lock_in(folder: int, path: Path) -> LockFile | None:
    try:
        lock = LockFile.take(LOCK, folder)
    except HeldError as error:
        raise AlreadyRunningError(
            f"{error.who} runs in {path}.",
            hint="Stop it first, or set HUDD_RUNTIME_DIR to another folder for this one.",
        ) from error
    except NoLockFileError as error:
        raise _bad_lock(path) from error
    if lock is not None and not is_same(os.fstat(folder), path):
        lock.close()
        return None
    return lock


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
