"""Where the service's key is found. It is read here, never shown, never logged.

Order: ``HUDD_REALTIME_KEY``, systemd credential, file of mode 0600, ``OPENAI_API_KEY`` (only with ``use = "service"``).
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hudd.config.paths import expand, open_at_once
from hudd.config.settings import Settings
from hudd.errors import KeyMissingError, PermissionsError

CREDENTIAL: Final = "realtime-key"
_LARGEST_KEY_BYTES: Final = 4096
_REMEDY: Final = (
    "Set HUDD_REALTIME_KEY, or name a file of mode 0600 in [realtime] key_file, "
    'or set [realtime] use = "local" for the embedded engine.'
)


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key and where it came from.

    Attributes:
        value: The key; left out of the repr.
        where: Words for status and doctor: a variable, a credential or a file; never the value.
    """

    value: str = field(repr=False)
    where: str


def find_key(settings: Settings, environ: Mapping[str, str]) -> FoundKey:
    """Find the key of the service.

    A place that is named but cannot be used is an error; it is never passed over in silence for the next one.

    Raises:
        KeyMissingError: There is none, or what is there cannot be read or is no key.
        PermissionsError: The key file is open to others or belongs to somebody else.
    """
    own = environ.get("HUDD_REALTIME_KEY", "")
    if own:
        return _checked(own, "HUDD_REALTIME_KEY")
    credentials = environ.get("CREDENTIALS_DIRECTORY", "")
    if credentials:
        # systemd keeps that folder closed by itself; owner and mode differ between its versions.
        credential = _read(Path(credentials) / CREDENTIAL, f"systemd credential {CREDENTIAL}", private=False)
        if credential is not None:
            return credential
    if settings.realtime.key_file:
        path = expand(settings.realtime.key_file, environ)
        kept = _read(path, f"file {path}", private=True)
        if kept is None:
            raise KeyMissingError(f"The key file {path} of [realtime] key_file does not exist.", hint=_REMEDY)
        return kept
    shared = environ.get("OPENAI_API_KEY", "")
    if shared and settings.realtime.use == "service":
        return _checked(shared, "OPENAI_API_KEY")
    raise KeyMissingError("The service is to answer, and no key for it was found.", hint=_REMEDY)


def _read(path: Path, where: str, *, private: bool) -> FoundKey | None:
    """The key in a file; None when there is no file."""
    try:
        with open_at_once(path) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise KeyMissingError(f"The {where} is a pipe or a device, so no key is read from it.", hint=_REMEDY)
            if private:
                _refuse_open(path, found)
            data = file.read(_LARGEST_KEY_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise KeyMissingError(f"The key in the {where} cannot be read: {why}.", hint=_REMEDY) from error
    if len(data) > _LARGEST_KEY_BYTES:
        raise KeyMissingError(f"The {where} is too large to be a key.", hint=_REMEDY)
    # Bytes that are no text become characters that _checked refuses.
    return _checked(data.decode("ascii", errors="replace").strip(), where)


def _refuse_open(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.getuid():
        raise PermissionsError(
            f"The key file {path} belongs to user {found.st_uid}, not to user {os.getuid()}.",
            hint="Make a copy that is your own, with mode 0600.",
        )
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PermissionsError(
            f"The key file {path} is open to others (mode {stat.S_IMODE(found.st_mode):04o}).",
            hint=f"Close it with: chmod 600 {shlex.quote(str(path))}",
        )


def _checked(value: str, where: str) -> FoundKey:
    """Refuse what cannot stand in a header: it would be sent as something else, or as two headers."""
    key = value.strip()
    if not key or len(key) > _LARGEST_KEY_BYTES or not all("!" <= letter <= "~" for letter in key):
        raise KeyMissingError(
            f"What stands in the {where} is no key: it must be one line of plain characters without spaces.",
            hint=_REMEDY,
        )
    return FoundKey(key, where)
