"""Where the service's key is found. It is read here, never shown, never logged.

Order: ``HUDD_REALTIME_KEY``, systemd credential, file of mode 0600, a command that prints it, the desktop's keyring,
``OPENAI_API_KEY`` (only with ``use = "service"``).
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from hudd.config import keyring_program
from hudd.config.key_programs import KeyPrograms, Printed, ProgramError
from hudd.config.paths import expand, open_at_once
from hudd.config.settings import Settings
from hudd.errors import KeyMissingError, PermissionsError
from hudd.wire.credential import CREDENTIAL
from hudd.wire.installation import Installation

_LARGEST_KEY_BYTES: Final = 4096
_REMEDY: Final = (
    "Set HUDD_REALTIME_KEY, or name a file of mode 0600 in [realtime] key_file (hudctl setup does it), "
    'or set [realtime] use = "local" for the embedded engine.'
)
_UNLOCK: Final = "Unlock the keyring (log in to the desktop, or open its password program), then run: hudctl resume."


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key and where it came from.

    Attributes:
        value: The key; left out of the repr.
        where: Words for status and doctor: a variable, a credential, a file, a program; never the value.
        asked: Whether a program or the keyring gave it, which may trouble a person; it is not asked more than it must.
        copied: The file that systemd copies it from when the service starts, for whoever is not the service.
    """

    value: str = field(repr=False)
    where: str
    asked: bool = False
    copied: Path | None = None


def find_key(settings: Settings, environ: Mapping[str, str], programs: KeyPrograms | None = None) -> FoundKey:
    """Find the key of the service. Blocks while a command or the keyring is asked, as long as ``programs`` allows.

    A place that is named but cannot be used is an error; it is never passed over in silence for the next one.

    Args:
        settings: Which places are named.
        environ: The environment.
        programs: Runs what must be run, and may be ended from another thread.

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
    if settings.realtime.key_command:
        return _from_command(settings.realtime.key_command, environ, programs or KeyPrograms())
    if settings.realtime.keyring:
        return _from_keyring(environ, programs or KeyPrograms())
    shared = environ.get("OPENAI_API_KEY", "")
    if shared and settings.realtime.use == "service":
        return _checked(shared, "OPENAI_API_KEY")
    raise KeyMissingError("The service is to answer, and no key for it was found.", hint=_REMEDY)


def key_of_service(path: Path) -> FoundKey:
    """The key in the file that systemd hands to the service as its credential, for whoever is not the service.

    Raises:
        KeyMissingError: There is none, or what is there cannot be read or is no key.
        PermissionsError: The file is open to others or belongs to somebody else.
    """
    found = _read(path, f"systemd credential {CREDENTIAL} (file {path})", private=True)
    if found is None:
        raise KeyMissingError(
            f"The key file {path}, which systemd hands to the service, does not exist.",
            hint="Put it there, or name another one: hudctl service install --key-file FILE.",
        )
    return replace(found, copied=path)


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


def _from_command(words: tuple[str, ...], environ: Mapping[str, str], programs: KeyPrograms) -> FoundKey:
    program = str(expand(words[0], environ))
    # Only its name: its arguments are the person's own.
    where = f"command {shlex.quote(Path(program).name)} of [realtime] key_command"
    hint = f"Try it in a terminal, then run: hudctl resume. {_REMEDY}"
    try:
        printed = programs.run((program, *words[1:]), environ)
    except ProgramError as error:
        raise KeyMissingError(f"The {where} {error}.", hint=hint) from error
    if printed.code:
        how = f"failed with exit code {printed.code}" if printed.code > 0 else f"was ended by signal {-printed.code}"
        raise KeyMissingError(f"The {where} {how}{printed.words and f': {printed.words}'}.", hint=hint)
    if not printed.line:
        raise KeyMissingError(f"The {where} printed nothing in its first line.", hint=hint)
    return _checked(printed.line.decode("ascii", errors="replace"), where, asked=True)


def _from_keyring(environ: Mapping[str, str], programs: KeyPrograms) -> FoundKey:
    command = (sys.executable, "-P", "-m", keyring_program.__name__, "get")
    try:
        printed = programs.run(command, _for_our_own(environ))
    except ProgramError as error:
        raise KeyMissingError(f"The keyring {error}.", hint=_UNLOCK) from error
    if printed.code:
        raise _keyring_failed(printed)
    return _checked(printed.line.decode("ascii", errors="replace"), f"keyring ({printed.words})", asked=True)


def _keyring_failed(printed: Printed) -> KeyMissingError:
    hints = {
        keyring_program.EXIT_NO_LIBRARY: f"{Installation.find().add('keyring')}, or run: hudctl setup.",
        keyring_program.EXIT_NO_KEYRING: "Start GNOME Keyring or KWallet with the session, or run: hudctl setup.",
        keyring_program.EXIT_LOCKED: _UNLOCK,
        keyring_program.EXIT_ABSENT: "Put it there: hudctl setup --use service --keyring.",
    }
    told = printed.words or f"The look-up in the keyring ended with exit code {printed.code}"
    return KeyMissingError(f"{told}.", hint=hints.get(printed.code, _UNLOCK))


def _for_our_own(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment in which a child finds this very package, also where it is not installed."""
    made = {name: value for name, value in environ.items() if name != "OPENAI_API_KEY"}
    root = Path(__file__).resolve().parents[2]
    if root.name not in ("site-packages", "dist-packages"):
        made["PYTHONPATH"] = os.pathsep.join([str(root), *filter(None, [environ.get("PYTHONPATH")])])
    return made


def _checked(value: str, where: str, *, asked: bool = False) -> FoundKey:
    """Refuse what cannot stand in a header: it would be sent as something else, or as two headers."""
    key = value.strip()
    if not key or len(key) > _LARGEST_KEY_BYTES or not all("!" <= letter <= "~" for letter in key):
        raise KeyMissingError(
            f"What stands in the {where} is no key: it must be one line of plain characters without spaces.",
            hint=_REMEDY,
        )
    return FoundKey(key, where, asked)
