"""The listener that systemd made and handed over (sd_listen_fds(3)), so that a first command can start the daemon.

Peers are let in through listeners of our own, see ``hudd.bus.admission``, which are moved over the path. So that
systemd finds its own there again when the daemon ends, a second name is kept for it meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from hudd.errors import PermissionsError

FIRST_DESCRIPTOR: Final = 3
KEPT: Final = ".on-demand"
"""Ends the second name."""

_MOST: Final = 16
_LIVE: Final = (0, errno.EAGAIN, errno.EINPROGRESS)

log = logging.getLogger("hudd")


class InheritedListener:
    """A listener at a path that belongs to systemd.

    Args:
        path: Where it listens.
        listener: Our descriptor of it.
    """

    def __init__(self, path: Path, listener: socket.socket) -> None:
        self._path = path
        self._kept = path.with_name(f"{path.name}{KEPT}")
        self._listener = listener

    @classmethod
    def find(cls, environ: Mapping[str, str], path: Path) -> Self | None:
        """What systemd handed to this process for this path; None when it is nothing."""
        count = environ.get("LISTEN_FDS", "")
        if environ.get("LISTEN_PID", "") != str(os.getpid()) or not (count.isascii() and count.isdigit()):
            return None
        for descriptor in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + min(int(count), _MOST)):
            found = _listener(descriptor)
            if found is None:
                continue
            if found.getsockname() == os.fspath(path):
                return cls(path, found)
            log.warning("systemd handed over the socket %s, which is not %s; it is not used", found.getsockname(), path)
            found.detach()
        return None

    def take(self) -> socket.socket:
        """The listener, for the caller to close; its second name is made. To be called once.

        Raises:
            PermissionsError: The folder cannot be changed.
        """
        try:
            if self._kept.exists() and not _is_live(self._path):
                self._kept.replace(self._path)  # a daemon was killed, and its own listener lies at the path
            self._kept.unlink(missing_ok=True)
            os.link(self._path, self._kept)
        except OSError as error:
            raise PermissionsError(
                f"The socket {self._path} of systemd cannot be kept: {error.strerror}.",
                hint="Restart it: systemctl --user restart hudd-ctl.socket",
            ) from error
        self._listener.setblocking(False)
        return self._listener

    def give_back(self) -> None:
        """Put systemd's listener back at the path; call it instead of removing ours. Safe to call twice."""
        with contextlib.suppress(FileNotFoundError):
            self._kept.replace(self._path)


def _listener(descriptor: int) -> socket.socket | None:
    try:
        found = socket.socket(fileno=descriptor)
    except OSError:
        return None
    if found.family != socket.AF_UNIX or found.type != socket.SOCK_STREAM:
        found.detach()  # not ours to close
        return None
    found.set_inheritable(False)
    return found


def _is_live(path: Path) -> bool:
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.setblocking(False)
        return probe.connect_ex(os.fspath(path)) in _LIVE
