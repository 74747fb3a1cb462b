"""Where state and settings are kept; sockets and lock are in ``hudd.wire.endpoints``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import platformdirs

from hudd.errors import SettingsError
from hudd.wire import endpoints


def state_dir(environ: Mapping[str, str]) -> Path:
    """The folder of the journal: ``HUDD_STATE_DIR``, else ``~/.local/state/hudd`` (macOS: Application Support).

    Raises:
        SettingsError: ``HUDD_STATE_DIR`` is no absolute path.
    """
    try:
        return endpoints.state_dir(environ)
    except endpoints.EndpointError as error:
        raise SettingsError([str(error)]) from error


def journal_file(environ: Mapping[str, str]) -> Path:
    """The journal, ``journal.db`` in `state_dir`.

    Raises:
        SettingsError: As `state_dir`.
    """
    return state_dir(environ) / "journal.db"


def config_file(environ: Mapping[str, str]) -> Path:
    """The settings file: ``HUDD_CONFIG``, else ``~/.config/hudd/config.toml``; it need not exist.

    Raises:
        SettingsError: ``HUDD_CONFIG`` is no absolute path.
    """
    own = environ.get("HUDD_CONFIG", "")
    if own:
        return _absolute("HUDD_CONFIG", own)
    folder = _under(environ, "XDG_CONFIG_HOME") or Path(platformdirs.user_config_dir("hudd", appauthor=False))
    return folder / "config.toml"


def expand(path: str, environ: Mapping[str, str]) -> Path:
    """A path from the settings with ``~`` replaced by ``HOME``."""
    home = environ.get("HOME", "")
    if home and (path == "~" or path.startswith("~/")):
        return Path(home + path[1:])
    return Path(path)


def open_at_once(path: Path) -> BinaryIO:
    """Open a file for reading without ever waiting: a named pipe that nobody writes must not hold up the start.

    Raises:
        OSError: It cannot be opened, or is a folder.
        ValueError: The path has a zero character.
    """
    return open(path, "rb", opener=_at_once)


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _under(environ: Mapping[str, str], name: str) -> Path | None:
    # The XDG specification has relative values ignored.
    value = environ.get(name, "")
    return Path(value) / "hudd" if value.startswith("/") else None


def _absolute(name: str, value: str) -> Path:
    if not value.startswith("/") or "\0" in value:
        raise SettingsError([f"{name} is {value!r}, which is no absolute path; give one that starts with a slash."])
    return Path(value)
