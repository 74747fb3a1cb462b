"""What a backup or an export must not take the place of: hudd's own files, and what somebody else keeps there.

Each function returns cause and remedy, as two sentences, or None. They look at the disk and are quick.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

KEYS: Final = "keys"
_OWN: Final = re.compile(r"journal\.db([.-].*)?|journal\.lock|portal-token.*|keys", re.IGNORECASE)
"""In the state folder: the journal, its side files, ballast, damaged ones and lock; the screen's token; the keys."""
# https://www.sqlite.org/fileformat.html#the_database_header
_HEADER_BYTES: Final = 100
_MAGIC: Final = b"SQLite format 3\0"
_WRITE_VERSION: Final = 18
_ROLLBACK: Final = 1  # a journal in use has 2: it is kept in write-ahead mode
_APPLICATION: Final = slice(68, 72)
_HUDD: Final = b"hudd"
_SIDE: Final = re.compile(r"-(journal|wal|shm)$")


def own(target: Path, *, state: Path | None = None, runtime: Path | None = None) -> tuple[str, str] | None:
    """Why a path belongs to hudd, there now or not.

    Args:
        target: The path.
        state: The folder of the journal.
        runtime: The folder of the sockets, nothing of which is a place for files.
    """
    places = {_real(target.parent) / target.name, _real(target)}
    if runtime is not None and any(place.is_relative_to(_real(runtime)) for place in places):
        return f"{target} lies in hudd's runtime folder.", "Name a file in another folder."
    if state is None:
        return None
    folder = _real(state)
    of_hudd = any(
        place.is_relative_to(folder / KEYS) or (place.parent == folder and _OWN.fullmatch(place.name))
        for place in places
    )
    if of_hudd or _is_another_name(target, folder):
        return f"{target} is a file of hudd's own.", "Name another file."
    return None


def no_backup(target: Path) -> tuple[str, str] | None:
    """Why what is there now must not be replaced by a backup; None for an older backup, and where nothing is."""
    try:
        if not stat.S_ISREG(target.lstat().st_mode):
            return f"{target} is there and is no plain file.", "Name another file."
        header = _header(target)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"{target} is there and cannot be read: {error.strerror or error}.", "Name another file."
    if header.startswith(_MAGIC) and header[_APPLICATION] == _HUDD and header[_WRITE_VERSION] == _ROLLBACK:
        return None
    return f"{target} is there and is no backup of hudd.", "Name another file, or move that one away."


def no_export(target: Path) -> tuple[str, str] | None:
    """Why what is there now must not be replaced by an export: it is a database, or belongs to one."""
    for path in {target, target.with_name(_SIDE.sub("", target.name) or target.name)}:
        try:
            found = path.is_file() and _header(path).startswith(_MAGIC)
        except OSError:
            continue  # writing will tell
        if found:
            return f"{target} is there and is no export, but a database.", "Name another file, or move that one away."
    return None


def _header(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.read(handle, _HEADER_BYTES)
    finally:
        os.close(handle)


def _is_another_name(target: Path, state: Path) -> bool:
    """Whether a path leads to the very file that one of the state folder's names leads to."""
    try:
        found = target.stat()
        own_ones = [path for path in state.iterdir() if _OWN.fullmatch(path.name)]
    except OSError:  # there is nothing yet
        return False
    return any(_leads_to(path, found) for path in own_ones)


def _leads_to(path: Path, found: os.stat_result) -> bool:
    try:
        return os.path.samestat(found, path.stat())
    except OSError:  # it was removed since, or leads nowhere
        return False


def _real(path: Path) -> Path:
    """Without links; other than ``Path.resolve`` it takes one that leads to itself as it is."""
    return Path(os.path.realpath(path))
