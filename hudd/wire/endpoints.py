"""Where the runtime folder and the two sockets are: one answer for daemon and client.

Standard library, and platformdirs where the system has no ``XDG_RUNTIME_DIR`` of its own (macOS). Nothing is created
here, so that a client never leaves a folder behind.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

CONTROL_SOCKET: Final = "ctl.sock"
NOTES_SOCKET: Final = "notes.sock"
LOCK: Final = "lock"
ON_DEMAND: Final = "on-demand.sock"
"""Is there while systemd listens at the command socket for a hudd that does not run yet (``hudd-ctl.socket``)."""

# sun_path holds 108 bytes on Linux and 104 on macOS and the BSDs, the ending zero included.
_SOCKET_PATH_BYTES_LINUX: Final = 107
_SOCKET_PATH_BYTES_OTHERS: Final = 103

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_UNIT: Final = "hudd.service"
_AGENT: Final = "io.github.hudd.plist"
_UNIT_FOLDERS: Final = (
    "/etc/systemd/user",
    "/run/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
)


class EndpointError(ValueError):
    """Raised when no usable path can be told; the message names cause and remedy."""

    exit_code = 78


class UnsafeFolderError(EndpointError):
    """Raised when the folder is there but is not safely ours."""

    exit_code = 77


def folder_problem(path: Path) -> str:
    """Say why a folder must not hold our sockets, or ``""``; a folder that is not there is no problem.

    Ours means: a real folder (no link), of this user, closed to group and others.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"The runtime folder {path} cannot be looked at: {error.strerror}; set HUDD_RUNTIME_DIR to another one."
    if stat.S_ISLNK(found.st_mode):
        return f"The runtime folder {path} is a symbolic link; remove it, or set HUDD_RUNTIME_DIR to a real folder."
    if not stat.S_ISDIR(found.st_mode):
        return f"The runtime folder {path} is no folder; move that file away, or set HUDD_RUNTIME_DIR to another one."
    if found.st_uid != os.getuid():
        return (
            f"The runtime folder {path} belongs to user {found.st_uid}, not to user {os.getuid()}; "
            "set HUDD_RUNTIME_DIR to a folder of your own."
        )
    if found.st_mode & _OTHERS:
        return (
            f"The runtime folder {path} is open to others (mode {stat.S_IMODE(found.st_mode):04o}); "
            f"close it with: chmod 700 {shlex.quote(str(path))}"
        )
    return ""


def runtime_dir(environ: Mapping[str, str]) -> Path:
    """The runtime folder: ``HUDD_RUNTIME_DIR``, else ``$XDG_RUNTIME_DIR/hudd``, else the system's place for one.

    Without ``XDG_RUNTIME_DIR`` that is ``hudd-<uid>`` under the temporary directory, where anybody could have made it
    first; it is therefore checked (not created) for the client, too.

    Raises:
        EndpointError: A variable holds a path that is not absolute.
        UnsafeFolderError: The folder under the temporary directory is not safely ours.
    """
    own = environ.get("HUDD_RUNTIME_DIR", "")
    if own:
        return _absolute("HUDD_RUNTIME_DIR", own)
    # The XDG specification has relative values ignored.
    shared = environ.get("XDG_RUNTIME_DIR", "")
    if shared.startswith("/"):
        return Path(shared) / "hudd"
    if sys.platform == "darwin":
        return _of_the_system()
    temporary = environ.get("TMPDIR", "")
    folder = Path(temporary if temporary.startswith("/") else "/tmp") / f"hudd-{os.getuid()}"  # noqa: S108 - checked below
    problem = folder_problem(folder)
    if problem:
        raise UnsafeFolderError(problem)
    return folder


def control_socket(environ: Mapping[str, str]) -> Path:
    """The command socket, ``ctl.sock``.

    Raises:
        EndpointError: As `runtime_dir`, or the path is too long for a socket.
    """
    return _socket(environ, CONTROL_SOCKET)


def notes_socket(environ: Mapping[str, str]) -> Path:
    """The note socket, ``notes.sock``.

    Raises:
        EndpointError: As `runtime_dir`, or the path is too long for a socket.
    """
    return _socket(environ, NOTES_SOCKET)


def state_dir(environ: Mapping[str, str]) -> Path:
    """The state folder: ``HUDD_STATE_DIR``, else ``~/.local/state/hudd`` (macOS: Application Support).

    Raises:
        EndpointError: ``HUDD_STATE_DIR`` is no absolute path.
    """
    own = environ.get("HUDD_STATE_DIR", "")
    if own:
        return _absolute("HUDD_STATE_DIR", own)
    shared = environ.get("XDG_STATE_HOME", "")
    if shared.startswith("/"):
        return Path(shared) / "hudd"
    import platformdirs  # noqa: PLC0415 - costs a client several milliseconds that few verbs need

    return Path(platformdirs.user_state_dir("hudd", appauthor=False))


def remote_notes_address(address: str) -> str:
    """Where notes are, for an address ``tcp://HOST:PORT`` of commands: on the next port.

    Raises:
        EndpointError: It is no such address.
    """
    host, colon, port = address.removeprefix("tcp://").rpartition(":")
    if not (address.startswith("tcp://") and host and colon and port.isascii() and port.isdigit()):
        raise EndpointError(f"{address!r} is no address; write it like tcp://192.0.2.7:7433.")
    if not 1 <= int(port) <= 65534:
        raise EndpointError(f"The port of {address} must be from 1 to 65534, because notes take the next one.")
    return f"tcp://{host}:{int(port) + 1}"


def socket_path_limit() -> int:
    """The longest path of a socket on this system, in bytes."""
    return _SOCKET_PATH_BYTES_LINUX if sys.platform == "linux" else _SOCKET_PATH_BYTES_OTHERS


def how_to_start(environ: Mapping[str, str]) -> str:
    """The command that starts the daemon for this user, for a sentence such as "Start it with: …"."""
    own = environ.get("HUDD_RUNTIME_DIR", "")
    if own:
        return f"HUDD_RUNTIME_DIR={shlex.quote(own)} hudd"
    home = environ.get("HOME", "")
    if sys.platform == "darwin":
        if home and (Path(home) / "Library/LaunchAgents" / _AGENT).is_file():
            return f"launchctl kickstart gui/{os.getuid()}/{_AGENT.removesuffix('.plist')}"
        return "hudd"
    shared = environ.get("XDG_RUNTIME_DIR", "")
    if not (shared and (Path(shared) / "systemd").is_dir()):
        return "hudd"
    config = environ.get("XDG_CONFIG_HOME", "") or (f"{home}/.config" if home else "")
    folders = [f"{config}/systemd/user", *_UNIT_FOLDERS] if config else list(_UNIT_FOLDERS)
    if any((Path(folder) / _UNIT).is_file() for folder in folders):
        return "systemctl --user start hudd"
    return "hudd"


def how_to_restart(environ: Mapping[str, str]) -> str:
    """What restarts the daemon of this user, to end a sentence such as "… then: <this>."."""
    start = how_to_start(environ)
    for starts, restarts in (("systemctl --user start", "systemctl --user restart"), ("kickstart", "kickstart -k")):
        if starts in start and not environ.get("HUDD_RUNTIME_DIR"):
            return start.replace(starts, restarts)
    return f"end hudd and start it again with: {start}"


def _absolute(name: str, value: str) -> Path:
    if not value.startswith("/") or "\0" in value:
        raise EndpointError(f"{name} is {value!r}, which is no absolute path; give one that starts with a slash.")
    return Path(value)


def _of_the_system() -> Path:
    # Loaded here alone: it costs a client several milliseconds that Linux never needs.
    import platformdirs  # noqa: PLC0415

    return Path(platformdirs.user_runtime_dir("hudd", appauthor=False))


def _socket(environ: Mapping[str, str], name: str) -> Path:
    path = runtime_dir(environ) / name
    length, limit = len(os.fsencode(path)), socket_path_limit()
    if length > limit:
        raise EndpointError(
            f"The socket path {path} has {length} bytes and this system allows {limit}; "
            "set HUDD_RUNTIME_DIR to a folder with a shorter path."
        )
    return path
