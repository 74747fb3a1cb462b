"""The runtime folder, the sockets in it, and the journal."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from shlex import quote
from typing import Final

from hudd.checks.finding import Context, Finding, failure, ok, warning
from hudd.errors import cause_and_remedy
from hudd.wire.endpoints import (
    CONTROL_SOCKET,
    LOCK,
    NOTES_SOCKET,
    ON_DEMAND,
    EndpointError,
    control_socket,
    folder_problem,
    how_to_start,
    notes_socket,
    runtime_dir,
)
from hudd.wire.locks import holder

JOURNAL_S: Final = 8.0


def check_folder(context: Context) -> Iterable[Finding]:
    """Whether the runtime folder is ours alone."""
    try:
        path = runtime_dir(context.environ)
        notes_socket(context.environ)  # the longer of the two names
        problem = folder_problem(path)
    except EndpointError as error:
        problem, path = str(error), Path()
    if problem:
        cause, remedy = cause_and_remedy(problem)
        yield failure("folder", cause, remedy.rstrip("."))
    elif path.exists():
        told = f"The runtime folder {path} is this user's alone (mode {_mode(path.lstat())})."
        yield ok("folder", told, path=str(path), mode=_mode(path.lstat()), uid=path.lstat().st_uid)
    else:
        yield ok("folder", f"The runtime folder {path} is made when hudd starts.", path=str(path))


def check_sockets(context: Context) -> Iterable[Finding]:
    """What stands where the sockets belong: whose it is, its mode, and whether somebody listens."""
    try:
        paths = {CONTROL_SOCKET: control_socket(context.environ), NOTES_SOCKET: notes_socket(context.environ)}
        folder = runtime_dir(context.environ)
    except EndpointError:
        return  # said by the check of the folder
    if folder_problem(folder):
        return
    runs = holder(folder / LOCK) is not None
    # Connecting to the socket of systemd would start hudd, and nobody needs to be asked who listens there.
    on_demand = (folder / ON_DEMAND).is_symlink()
    for name, path in paths.items():
        try:
            found = path.lstat()
        except FileNotFoundError:
            yield from _absent(path, runs=runs, start=how_to_start(context.environ))
            continue
        details: dict[str, object] = {"path": str(path), "mode": _mode(found), "uid": found.st_uid}
        if not stat.S_ISSOCK(found.st_mode):
            cause = f"At {path} stands {_kind(found)} instead of hudd's socket, so hudd cannot start."
            yield failure("sockets", cause, f"Move it away: mv {quote(str(path))} {quote(str(path))}.moved", **details)
        elif found.st_uid != os.getuid():
            cause = f"The socket {path} belongs to user {found.st_uid}, not to user {os.getuid()}."
            yield failure("sockets", cause, f"Remove it as its owner: rm {quote(str(path))}", **details)
        elif found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            cause = f"The socket {path} is open to others (mode {_mode(found)})."
            yield failure("sockets", cause, f"Close it with: chmod 600 {quote(str(path))}", **details)
        elif name == CONTROL_SOCKET and not on_demand and not _listened(path):
            cause = f"Nobody listens at {path}; a hudd that was killed left it behind."
            yield warning("sockets", cause, f"Nothing needs mending: the next start replaces it. "
                          f"Start it with: {how_to_start(context.environ)}", **details)  # fmt: skip
        else:
            told = f"{path} is a socket of this user, mode {_mode(found)}."
            if name == CONTROL_SOCKET and on_demand:
                told += " systemd listens there and starts hudd with the first snap."
            yield ok("sockets", told, **details)


def _absent(path: Path, *, runs: bool, start: str) -> Iterable[Finding]:
    if runs:
        cause = f"hudd runs, and its socket {path} is gone; somebody removed it."
        yield failure("sockets", cause, "Restart hudd, and let nothing clean up its runtime folder")
    elif path.name == CONTROL_SOCKET:
        yield ok("sockets", f"There are no sockets, as hudd is not running. Start it with: {start}")


def daemon_pid(environ: Mapping[str, str]) -> int:
    """Of the daemon that holds the lock of the runtime folder; 0 when none runs."""
    try:
        return holder(runtime_dir(environ) / LOCK) or 0
    except EndpointError:
        return 0


def _listened(path: Path) -> bool:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except BlockingIOError:
            return True
        except OSError:
            return False
    return True


def _mode(found: os.stat_result) -> str:
    return f"{stat.S_IMODE(found.st_mode):04o}"


def _kind(found: os.stat_result) -> str:
    kinds = (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISREG, "a plain file"),
        (stat.S_ISFIFO, "a named pipe"),
    )
    return next((words for test, words in kinds if test(found.st_mode)), "a device")


def journal_writer(environ: Mapping[str, str]) -> int:
    """Of the daemon that holds the lock of the journal, wherever it listens; 0 when none does."""
    from hudd.config.paths import journal_file  # noqa: PLC0415 - needs platformdirs
    from hudd.errors import SettingsError  # noqa: PLC0415 - beside it

    try:
        return holder(journal_file(environ).with_suffix(".lock")) or 0
    except (OSError, SettingsError):
        return 0


def check_journal(context: Context) -> Iterable[Finding]:
    """Look through the journal without changing it, while hudd may write to it."""
    from hudd.config.paths import journal_file  # noqa: PLC0415 - needs platformdirs
    from hudd.errors import HuddError, SettingsError  # noqa: PLC0415 - beside it
    from hudd.journal.soundness import look_through  # noqa: PLC0415 - loads sqlite3

    try:
        path = journal_file(context.environ)
    except SettingsError:
        return  # said by the check of the settings
    writer = journal_writer(context.environ)
    if writer and writer != daemon_pid(context.environ):
        cause = f"Another hudd (pid {writer}) writes into {path}, and it has another runtime folder than this shell."
        yield failure("journal", f"{cause} No second one can start.", f"End it: kill {writer}", pid=writer)
    try:
        there = path.exists() or path.is_symlink()
    except PermissionError:
        cause = f"This user may not look into {path.parent}, where the journal belongs."
        yield failure("journal", cause, "Correct the folder's owner, or set HUDD_STATE_DIR to a folder of your own")
        return
    if not there:
        yield ok("journal", f"There is no journal yet; {path} is made when hudd starts.", path=str(path))
        return
    try:
        found = look_through(path, JOURNAL_S, wall=context.wall())
    except HuddError as error:
        yield failure("journal", error.message, error.hint.rstrip("."), path=str(path))
        return
    details: dict[str, object] = {
        "path": str(path), "mode": found.mode, "notes": found.notes, "whole": found.whole, "version": found.version,
    }  # fmt: skip
    aside = sorted(str(other) for other in path.parent.glob(f"{path.name}.corrupt-*") if other.suffix != ".part")
    if found.damage:
        yield failure(
            "journal",
            f"The journal {path} is damaged: {found.damage}.",
            "Stop hudd, keep a copy of the file, and start hudd: it sets the damaged journal aside and begins a new "
            "one. Or put a backup (hudctl backup) in its place",
            **details,
        )
    elif found.read_only:
        yield failure(
            "journal", f"The journal {path} cannot be written: {found.read_only}.",
            f"Correct its owner and mode: chmod 600 {quote(str(path))}, or set HUDD_STATE_DIR", **details,
        )  # fmt: skip
    elif found.ahead_s > 0:
        yield warning(
            "journal", f"The newest note of {path} is from the future, by {found.ahead_s:,.0f} s.",
            "Check the clock: timedatectl status", **details,
        )  # fmt: skip
    else:
        looked = "sound" if found.whole else "sound as far as it was looked at (it is large)"
        yield ok("journal", f"The journal {path} is {looked}; it holds {found.notes:,} notes.", **details)
    if aside:
        yield warning(
            "journal", f"A damaged journal was set aside: {aside[-1]}.",
            "Its notes are not shown any more; remove it when you do not need them", set_aside=aside,
        )  # fmt: skip
