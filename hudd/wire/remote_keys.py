"""The keys of other machines: the files that ``hudctl key`` writes and the daemon reads.

In the folder ``keys`` of the state folder (0700), each file 0600 and of this user:

- ``daemon.json``: the daemon's own pair, made by the first ``hudctl key add``.
- ``clients.json``: name, role and public key of each client. No secret of a client is kept.

And the file that a client gets, wherever it is kept there: its own pair and the daemon's public key. Keys are those of
CURVE (Curve25519), as 40 characters of Z85 (RFC 32).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shlex
import stat
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

FORMAT: Final = 1
MAX_FILE_BYTES: Final = 256 * 1024
MAX_KEYS: Final = 1000

Role = Literal["notes", "control"]
"""``notes`` may only listen; ``control`` may command, too."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_Z85: Final = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeyFileError(Exception):
    """Raised when a file of keys cannot be used; the message is a sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class DaemonKey:
    """The daemon's pair.

    Attributes:
        public: What clients know it by.
        secret: Left out of the repr.
    """

    public: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientKey:
    """An entry of the key list.

    Attributes:
        name: Chosen by a person, unique in the list.
        role: What it may do.
        public: Its public key.
        added: When, ISO 8601.
    """

    name: str
    role: Role
    public: str
    added: str


@dataclass(frozen=True, slots=True)
class ClientFile:
    """What a client holds: everything that it needs besides the address.

    Attributes:
        name: As in the daemon's list.
        role: As in the daemon's list.
        public: Its public key.
        secret: Its secret key; left out of the repr.
        daemon: The daemon's public key.
    """

    name: str
    role: Role
    public: str
    secret: str = field(repr=False)
    daemon: str

    def to_json(self) -> dict[str, Any]:
        """The content of the file."""
        return {"hudd_key": FORMAT, **asdict(self)}


def check_name(name: str) -> str:
    """Return the name of a key, or raise.

    Raises:
        KeyFileError: It is none.
    """
    if not _NAME.fullmatch(name):
        raise KeyFileError(
            f"{name[:80]!r} is no name for a key; take up to 64 letters, digits, dots, dashes and underscores."
        )
    return name


class KeyFolder:
    """The two files of the daemon.

    Args:
        state_dir: The state folder.
    """

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "keys"
        self.daemon_file = self.path / "daemon.json"
        self.clients_file = self.path / "clients.json"

    def daemon_key(self) -> DaemonKey | None:
        """The daemon's pair; None when none was made yet.

        Raises:
            KeyFileError: The file is open to others, or no such file.
        """
        found = _read(self.daemon_file)
        if found is None:
            return None
        return DaemonKey(_key(found, "public", self.daemon_file), _key(found, "secret", self.daemon_file))

    def clients(self) -> tuple[ClientKey, ...]:
        """The key list, in the order of adding; empty when there is none yet.

        Raises:
            KeyFileError: The file is open to others, or no such file.
        """
        found = _read(self.clients_file)
        if found is None:
            return ()
        entries = found.get("keys")
        if not isinstance(entries, list):
            raise _unusable(self.clients_file, "it has no list of keys")
        clients = tuple(_client(entry, self.clients_file) for entry in cast("list[object]", entries))
        if len({client.name for client in clients}) < len(clients):
            raise _unusable(self.clients_file, "a name stands in it twice")
        if len({client.public for client in clients}) < len(clients):
            raise _unusable(self.clients_file, "a key stands in it twice")
        return clients

    def write_daemon_key(self, key: DaemonKey) -> None:
        """Store the daemon's pair. Call it in `changing`.

        Raises:
            OSError: It cannot be written.
        """
        _write(self.daemon_file, {"hudd_keys": FORMAT, "public": key.public, "secret": key.secret})

    def write_clients(self, clients: tuple[ClientKey, ...]) -> None:
        """Replace the key list. Call it in `changing`.

        Raises:
            OSError: It cannot be written.
        """
        _write(self.clients_file, {"hudd_keys": FORMAT, "keys": [asdict(client) for client in clients]})

    @contextlib.contextmanager
    def changing(self) -> Generator[None]:
        """Keep other writers out, and make the folder where needed.

        Raises:
            KeyFileError: The folder is not safely ours.
            OSError: It cannot be made.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self.path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & _OTHERS:
            raise KeyFileError(
                f"The folder {self.path} is a link, somebody else's, or open to others; "
                f"look at it with: ls -ld {shlex.quote(str(self.path))}"
            )
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def read_client_file(path: Path) -> ClientFile:
    """Read what ``hudctl key add`` gave to this client.

    Raises:
        KeyFileError: There is no such file, it is open to others, or it is no key.
    """
    found = _read(path)
    if found is None:
        raise KeyFileError(f"The key file {path} does not exist; make one where hudd runs: hudctl key add NAME")
    if found.get("hudd_key") != FORMAT:
        raise _unusable(path, "it is no key of hudd's", "make one where hudd runs: hudctl key add NAME")
    client = _client(found, path, added="")
    return ClientFile(client.name, client.role, client.public, _key(found, "secret", path), _key(found, "daemon", path))


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 in one step: readers see the old one or the new one.

    Raises:
        OSError: It cannot be written.
    """
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as to:
            to.write(text)
            to.flush()
            os.fsync(to.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_private(path, json.dumps(content, indent=1) + "\n")


def _read(path: Path) -> dict[str, Any] | None:
    """The object in a private file; None when there is no file."""
    try:
        # Without waiting for a pipe, and never through a link that somebody put there.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error.strerror) from error
    try:
        _check_private(os.fstat(handle), path)
        data = os.read(handle, MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _unusable(path, error.strerror) from error
    finally:
        os.close(handle)
    try:
        content = json.loads(data) if len(data) <= MAX_FILE_BYTES else None
    except (ValueError, RecursionError) as error:
        raise _unusable(path, "it is no JSON") from error
    if not isinstance(content, dict):
        raise _unusable(path, "it is no JSON object, or too long")
    return cast("dict[str, Any]", content)


def _check_private(found: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _unusable(path, "it is no plain file")
    if found.st_uid != os.getuid():
        raise _unusable(path, f"it belongs to user {found.st_uid}", "make a copy that is your own, with mode 0600")
    if found.st_mode & _OTHERS:
        mode = f"it is open to others (mode {stat.S_IMODE(found.st_mode):04o})"
        raise _unusable(path, mode, f"close it with: chmod 600 {shlex.quote(str(path))}")


def _client(entry: object, path: Path, *, added: str | None = None) -> ClientKey:
    if not isinstance(entry, dict):
        raise _unusable(path, "an entry is no object")
    fields = cast("dict[str, Any]", entry)
    name, role = fields.get("name"), fields.get("role")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _unusable(path, "an entry has no usable name")
    if role not in ROLES:
        raise _unusable(path, f"the role of {name} is neither notes nor control")
    when = fields.get("added") if added is None else added
    return ClientKey(name, role, _key(fields, "public", path), when if isinstance(when, str) else "")


def _key(fields: Mapping[str, Any], name: str, path: Path) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not _Z85.fullmatch(value):
        raise _unusable(path, f"its {name} key is not 40 characters of Z85")
    return value


def _unusable(path: Path, why: str | None, remedy: str = "mend it, or put it back from a copy") -> KeyFileError:
    return KeyFileError(f"The key file {path} cannot be used: {why}; {remedy}.")
