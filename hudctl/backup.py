"""A backup where the daemon may not write: systemd's sandbox opens only the journal's own folder to it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hudctl.client import Client
from hudctl.errors import StorageError, UsageError
from hudctl.words import line, mapping
from hudd.wire import own_files
from hudd.wire.endpoints import EndpointError, runtime_dir, state_dir


def back_up(client: Client, path: Path) -> dict[str, Any]:
    """Have the daemon write the copy; where it cannot, beside its journal, from where it is moved to its place.

    Raises:
        UsageError: It is a file of hudd's own, or something else than a backup is there.
        StorageError: It cannot be written.
    """
    # As the daemon does, which may not see everything that is to be seen from here.
    refuse(own_problem(path) or own_files.no_backup(path))
    try:
        return client.backup(path)
    except StorageError as error:
        if os.strerror(errno.EROFS) not in str(error):
            raise
    journal = line(mapping(client.status().get("journal")).get("path"))
    if not journal.startswith("/"):
        raise StorageError("The daemon does not tell where its journal is.", hint="Renew it, and restart it.")
    beside = Path(journal).with_name(f".backup-{os.getpid()}.db")
    try:
        body = client.backup(beside)
        _move(beside, path)
    except OSError as error:
        raise StorageError(f"The backup {path} cannot be written: {error.strerror or error}.") from error
    finally:
        beside.unlink(missing_ok=True)
    return {**body, "path": str(path)}


def own_problem(path: Path) -> tuple[str, str] | None:
    """Why a path belongs to hudd, as far as the environment tells."""
    return own_files.own(path, state=_told(state_dir), runtime=_told(runtime_dir))


def _told(folder: Callable[[Mapping[str, str]], Path]) -> Path | None:
    try:
        return folder(os.environ)
    except EndpointError:
        return None  # hudd does not run there, either


def refuse(problem: tuple[str, str] | None) -> None:
    """Raise what stands against writing, if anything does.

    Raises:
        UsageError: With cause and remedy.
    """
    if problem is not None:
        raise UsageError(problem[0], hint=problem[1])


def _move(source: Path, target: Path) -> None:
    """Across file systems, and never half."""
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as copy, source.open("rb") as read:
            shutil.copyfileobj(read, copy)
            copy.flush()
            os.fsync(copy.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
