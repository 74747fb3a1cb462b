"""Whether the sandbox that the unit asks for is really there, and what cannot work inside of it.

What a unit file says is a wish: an older systemd, a kernel without user namespaces or a container takes parts of it
away in silence (systemd.exec(5), "Sandboxing"). So it is looked at from within, and from outside through ``/proc``.
"""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hudd.config.settings import Settings

READER: Final = "text-recognition"
SCREENSHOTS: Final = "portal-screenshots"
LOOSEN: Final = ("command-source", "key-command", SCREENSHOTS, READER)
"""The drop-ins that are shipped, by their names for ``--loosen``."""
_PARTS: Final = 3
_PROTECTED: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_FILTERED: Final = "2"
"""Of ``Seccomp:`` in proc(5): a filter is in force."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What holds for a process; None for what could not be told.

    Attributes:
        no_new_privileges: No program it starts gains privileges.
        system_calls_filtered: Only some system calls are let through.
        files_protected: The system and the home cannot be written.
    """

    no_new_privileges: bool | None
    system_calls_filtered: bool | None
    files_protected: bool | None

    @property
    def enforced(self) -> bool:
        """Whether all of it holds."""
        return bool(self.no_new_privileges and self.system_calls_filtered and self.files_protected)

    @property
    def missing(self) -> tuple[str, ...]:
        """What does not hold, in words for a person; what could not be told is not among it."""
        parts = (
            (self.no_new_privileges, "programs it starts may gain privileges"),
            (self.system_calls_filtered, "all system calls are open"),
            (self.files_protected, "the home and the system can be written"),
        )
        return tuple(words for holds, words in parts if holds is False)

    def in_words(self) -> str:
        """One clause: ``enforced``, ``absent``, or what is missing."""
        if self.enforced:
            return "enforced"
        if len(self.missing) == _PARTS:
            return "absent"
        return f"in part: {', '.join(self.missing)}" if self.missing else "not to be told"


def own_sandbox(environ: Mapping[str, str], proc: Path = Path("/proc")) -> Sandbox:
    """That of this process: as ``/proc`` tells it, and by trying to make a nameless file in the home folder."""
    no_new, filtered = _status(proc / "self" / "status")
    home = environ.get("HOME", "")
    return Sandbox(no_new, filtered, _is_protected(Path(home)) if home.startswith("/") else None)


def sandbox_of(pid: int, proc: Path = Path("/proc")) -> Sandbox:
    """That of another process of this user, as ``/proc`` tells it; the file system by how its root is mounted."""
    no_new, filtered = _status(proc / str(pid) / "status")
    try:
        mounts = (proc / str(pid) / "mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Sandbox(no_new, filtered, None)
    return Sandbox(no_new, filtered, _root_is_read_only(mounts))


def under_systemd(environ: Mapping[str, str]) -> bool:
    """Whether systemd started this process as a service."""
    return bool(environ.get("INVOCATION_ID")) and bool(environ.get("NOTIFY_SOCKET"))


def needed_drop_ins(
    settings: Settings, *, rapidocr: bool = False, screenshots: bool = False
) -> tuple[tuple[str, str], ...]:
    """Which parts of the sandbox these settings may need loosened: the name for ``--loosen``, and why.

    A key in the keyring needs nothing: the session's bus is reached from within.

    Args:
        settings: The settings in force.
        rapidocr: Whether text is read by rapidocr.
        screenshots: Whether ``source = "auto"`` came to single screenshots of the portal.
    """
    needed: list[tuple[str, str]] = []
    if settings.screen.source.startswith("command:"):
        needed.append(("command-source", "[screen] source runs a command"))
    if settings.screen.source == "portal" or (settings.screen.source == "auto" and screenshots):
        needed.append((SCREENSHOTS, "a portal without ScreenCast writes files that hudd takes away"))
    realtime = settings.realtime
    if realtime.use == "service" and realtime.key_command and not realtime.key_file:
        needed.append(("key-command", "[realtime] key_command runs a command"))
    if settings.realtime.use == "local" and (rapidocr or settings.engine.reader == "rapidocr"):
        needed.append((READER, "text is read by rapidocr"))
    return tuple(needed)


def how_to_loosen(names: tuple[str, ...], *, on_demand: bool = False) -> str:
    """The command that puts these drop-ins in, takes the others out, and leaves the way hudd is started as it is."""
    first = "hudctl service install --on-demand" if on_demand else "hudctl service install"
    return " ".join([first, *(f"--loosen {shlex.quote(name)}" for name in names)])


def _status(path: Path) -> tuple[bool | None, bool | None]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None, None
    told = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    no_new, filtered = told.get("NoNewPrivs"), told.get("Seccomp")
    return None if no_new is None else no_new == "1", None if filtered is None else filtered == _FILTERED


def _root_is_read_only(mounts: str) -> bool | None:
    """By proc(5), ``mountinfo``: the fifth word is the place, the sixth its options; the last mount counts."""
    found: bool | None = None
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) > 5 and words[4] == "/":
            found = "ro" in words[5].split(",")
    return found


def _is_protected(folder: Path) -> bool | None:
    temporary = getattr(os, "O_TMPFILE", None)
    if temporary is None:
        return None
    try:
        os.close(os.open(folder, temporary | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        return True if error.errno in _PROTECTED else None
    return False
