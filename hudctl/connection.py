"""What Client and Feed share about reaching the daemon: where it is, whether it is there, who we are."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from hudctl.errors import HudctlError, NotRunningError, RefusedError, UsageError, VersionError
from hudd.wire.endpoints import (
    EndpointError,
    UnsafeFolderError,
    control_socket,
    folder_problem,
    how_to_start,
    notes_socket,
)
from hudd.wire.table import PROTOCOL_NEWEST, PROTOCOL_OLDEST


def new_token() -> str:
    """A random token for ``welcome/<token>/``."""
    return os.urandom(8).hex()


class Endpoints:
    """The two sockets of a daemon.

    Args:
        runtime_dir: The daemon's runtime folder; None for the usual one (``HUDD_RUNTIME_DIR`` moves it).

    Raises:
        UsageError: There is no usable path.
        RefusedError: The folder is not safely ours; whoever it belongs to could answer in the daemon's place.
    """

    def __init__(self, runtime_dir: str | os.PathLike[str] | None = None) -> None:
        environ = dict(os.environ)
        if runtime_dir is not None:
            environ["HUDD_RUNTIME_DIR"] = str(Path(runtime_dir).absolute())
        self._environ = environ
        try:
            self.control = control_socket(environ)
            self.notes = notes_socket(environ)
        except UnsafeFolderError as error:
            raise RefusedError(str(error)) from error
        except EndpointError as error:
            raise UsageError(str(error)) from error
        self._check_folder()

    def _check_folder(self) -> None:
        problem = folder_problem(self.control.parent)
        if problem:
            raise RefusedError(problem)

    def probe(self) -> None:
        """Connect for a moment, to learn at once what ZeroMQ would never say.

        Raises:
            NotRunningError: Nobody listens, or not for this user.
            RefusedError: The daemon has too many connections, or the folder is not safely ours.
        """
        self._check_folder()
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
            probe.setblocking(False)
            reason = probe.connect_ex(os.fspath(self.control))
        if reason == 0:
            return
        start = f"Start it with: {how_to_start(self._environ)}"
        if reason in (errno.ENOENT, errno.ENOTDIR):
            raise NotRunningError("hudd is not running.", hint=start)
        if reason == errno.ECONNREFUSED:
            raise NotRunningError(f"hudd is not running; it left the socket {self.control} behind.", hint=start)
        if reason in (errno.EACCES, errno.EPERM):
            hint = f"Each user has their own daemon. {start}"
            raise NotRunningError(f"The daemon at {self.control} belongs to another user.", hint=hint)
        if reason in (errno.EAGAIN, errno.EINPROGRESS):
            raise RefusedError("hudd has too many connections waiting.", hint="Try again in a moment.")
        raise NotRunningError(f"hudd cannot be reached at {self.control}: {os.strerror(reason)}.", hint=start)


def hello_params(*, window: int | None, streaming: bool) -> dict[str, Any]:
    """What a client tells of itself; the window lets the daemon ignore what is printed there."""
    return {
        "client": "hudctl (Python)",
        "protocol": [PROTOCOL_OLDEST, PROTOCOL_NEWEST],
        "pid": os.getpid(),
        "window": window,
        "streaming": streaming,
    }


def check_protocol(told: object) -> None:
    """Compare the daemon's ``[oldest, newest]`` with ours.

    Raises:
        VersionError: They do not meet; the hint names the side to renew.
        HudctlError: It is no such pair.
    """
    try:
        pair = cast("list[Any]", told)
        oldest, newest = int(pair[0]), int(pair[1])
    except (TypeError, ValueError, LookupError) as error:
        raise HudctlError("The daemon told no protocol range; is this hudd?") from error
    ours = f"this hudctl {PROTOCOL_OLDEST} to {PROTOCOL_NEWEST}"
    theirs = f"The daemon speaks protocol {oldest} to {newest}"
    if newest < PROTOCOL_OLDEST:
        fix = "The daemon is older: restart it after the upgrade (systemctl --user restart hudd)."
        raise VersionError(f"{theirs}, {ours}.", code="E_VERSION", hint=fix)
    if oldest > PROTOCOL_NEWEST:
        raise VersionError(f"{theirs}, {ours}.", code="E_VERSION", hint="Upgrade hudctl.")


def stamp(params: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
    """Add ``sent_at`` and ``deadline_ms`` to parameters; those that are None are left out."""
    given = {name: value for name, value in params.items() if value is not None}
    return {**given, "sent_at": time.time_ns() // 1_000_000, "deadline_ms": max(1, int(timeout_s * 1000))}
