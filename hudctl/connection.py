"""What Client and Feed share about reaching the daemon: where it is, whether it is there, who we are."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from hudctl.errors import HudctlError, NotRunningError, RefusedError, UsageError, VersionError
from hudd.wire.endpoints import (
    ON_DEMAND,
    EndpointError,
    UnsafeFolderError,
    control_socket,
    folder_problem,
    how_to_restart,
    how_to_start,
    notes_socket,
)
from hudd.wire.installation import Installation
from hudd.wire.table import PROTOCOL_NEWEST, PROTOCOL_OLDEST

if TYPE_CHECKING:
    import zmq

    from hudctl.far import FarDaemon


STARTED_S: Final = 20.0
"""A daemon that systemd starts listens by then, or does not come."""

LOOK_S: Final = 0.05


def new_token() -> str:
    """A random token for ``welcome/<token>/``."""
    return os.urandom(8).hex()


class Endpoints:
    """The two sockets of a daemon: of this machine, or of the one that ``HUDD_REMOTE`` and ``HUDD_REMOTE_KEY`` name.

    Args:
        runtime_dir: The daemon's runtime folder; None for the usual one (``HUDD_RUNTIME_DIR`` moves it), or for another
            machine's.
        may_start: Whether a daemon that systemd starts on demand may be started by this.

    Raises:
        UsageError: There is no usable path or address.
        RefusedError: The folder is not safely ours; whoever it belongs to could answer in the daemon's place. Or the
            key file cannot be used.
    """

    def __init__(self, runtime_dir: str | os.PathLike[str] | None = None, *, may_start: bool = False) -> None:
        self._may_start = may_start
        environ = dict(os.environ)
        if runtime_dir is not None:
            environ["HUDD_RUNTIME_DIR"] = str(Path(runtime_dir).absolute())
        self._environ = environ
        self._far = _far_daemon(environ) if runtime_dir is None else None
        if self._far is not None:
            return
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

    @property
    def is_far(self) -> bool:
        """Whether the daemon is on another machine."""
        return self._far is not None

    @property
    def may_command(self) -> bool:
        """Whether the command socket is open to us; a ``notes`` key of another machine's daemon only listens."""
        return self._far is None or self._far.key.role == "control"

    @property
    def restart(self) -> str:
        """What restarts the daemon, to end a sentence."""
        return "restart hudd on its machine" if self.is_far else how_to_restart(self._environ)

    @property
    def renew_daemon(self) -> str:
        """The remedy for a daemon that is older than we are."""
        if self.is_far:
            return f"The daemon is older: bring hudd up to date there, then {self.restart}."
        return f"The daemon is older: bring hudd up to date with: {Installation.find().upgrade()}, then {self.restart}."

    @property
    def why_refused(self) -> str:
        """What it means when the daemon's authenticator says no, in words."""
        return "our key is not in its list, or may only listen" if self.is_far else "it belongs to another user"

    def connect_control(self, made: zmq.Socket[bytes]) -> None:
        """Connect a DEALER socket.

        Raises:
            RefusedError: Our key may only listen.
        """
        if self._far is None:
            made.connect(f"ipc://{self.control}")
            return
        self._far.check_may_command()
        self._far.secure(made)
        made.connect(self._far.control)

    def connect_notes(self, made: zmq.Socket[bytes]) -> None:
        """Connect a SUB socket."""
        if self._far is None:
            made.connect(f"ipc://{self.notes}")
            return
        self._far.secure(made)
        made.connect(self._far.notes)

    @property
    def on_demand(self) -> bool:
        """Whether systemd listens at the command socket, so that connecting to it starts the daemon."""
        return self._far is None and self.control.with_name(ON_DEMAND).is_symlink()

    @property
    def runs(self) -> bool:
        """Whether a daemon of this machine runs; nobody else ever listens at the note socket. Starts none."""
        return _reason(self.notes) == 0

    def disconnect_control(self, made: zmq.Socket[bytes]) -> None:
        """Undo `connect_control` on a local socket that connects once only."""
        made.disconnect(f"ipc://{self.control}")

    def probe(self) -> None:
        """Connect for a moment, to learn at once what ZeroMQ would never say.

        Where systemd starts the daemon on demand, it is started by this, and waited for; or else only the note socket
        is asked, at which nobody but a daemon that runs ever listens.

        Raises:
            NotRunningError: Nobody listens, or not for this user.
            RefusedError: The daemon has too many connections, or the folder is not safely ours.
        """
        if self._far is not None:
            self._far.probe()
            return
        self._check_folder()
        asked = self.control
        if self.on_demand and not self.runs:
            if self._may_start:
                self._start()
            asked = self.notes
        reason = _reason(asked)
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

    def _start(self) -> None:
        """Have systemd start the daemon: it does when somebody connects, and who hangs up is forgotten."""
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as first:
            first.setblocking(False)
            if first.connect_ex(os.fspath(self.control)) != 0:
                return
            end = time.monotonic() + STARTED_S
            while time.monotonic() < end and not self.runs:
                time.sleep(LOOK_S)


def _reason(path: Path) -> int:
    """Why nobody can connect to a local socket; 0 when somebody listens."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.setblocking(False)
        return probe.connect_ex(os.fspath(path))


def _far_daemon(environ: Mapping[str, str]) -> FarDaemon | None:
    if not (environ.get("HUDD_REMOTE") or environ.get("HUDD_REMOTE_KEY")):
        return None
    from hudctl.far import FarDaemon  # noqa: PLC0415 - whoever has no other machine must not pay for it

    return FarDaemon.find(environ)


def hello_params(*, window: int | None, streaming: bool) -> dict[str, Any]:
    """What a client tells of itself; the window lets the daemon ignore what is printed there."""
    return {
        "client": "hudctl (Python)",
        "protocol": [PROTOCOL_OLDEST, PROTOCOL_NEWEST],
        "pid": os.getpid(),
        "window": window,
        "streaming": streaming,
    }


def check_protocol(told: object, endpoints: Endpoints) -> None:
    """Compare the ``[oldest, newest]`` of the daemon that is there with ours.

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
        raise VersionError(f"{theirs}, {ours}.", code="E_VERSION", hint=endpoints.renew_daemon)
    if oldest > PROTOCOL_NEWEST:
        fix = f"hudctl is older: bring it up to date with: {Installation.find().upgrade()}"
        raise VersionError(f"{theirs}, {ours}.", code="E_VERSION", hint=f"{fix}.")
