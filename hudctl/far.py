"""Reaching a hudd on another machine: its address and our key, from arguments or from the environment."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hudctl.errors import NotRunningError, RefusedError, UsageError
from hudd.wire.endpoints import EndpointError, remote_notes_address
from hudd.wire.remote_keys import ClientFile, KeyFileError, read_client_file

if TYPE_CHECKING:
    import zmq

ADDRESS: Final = "HUDD_REMOTE"
KEY: Final = "HUDD_REMOTE_KEY"

REACH_S: Final = 5.0
"""How long the other machine may take to accept a connection."""


@dataclass(frozen=True, slots=True)
class FarDaemon:
    """A hudd on another machine.

    Attributes:
        control: Address of the command socket.
        notes: Address of the note socket.
        key: Ours, and the daemon's public one.
    """

    control: str
    notes: str
    key: ClientFile

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> FarDaemon | None:
        """What the environment names; None when it names nothing.

        Raises:
            UsageError: Only one of the two variables is set, or one is of no use.
            RefusedError: The key file is open to others.
        """
        address, key = environ.get(ADDRESS, ""), environ.get(KEY, "")
        if not address and not key:
            return None
        if not address or not key:
            missing = ADDRESS if key else KEY
            raise UsageError(f"{missing} is not set; {ADDRESS} and {KEY} go together.")
        return cls.of(address, key)

    @classmethod
    def of(cls, address: str, key: str | os.PathLike[str]) -> FarDaemon:
        """With an address like ``tcp://192.0.2.7:7433`` and the file that ``hudctl key add`` made.

        Raises:
            UsageError: It is no address.
            RefusedError: The key file cannot be used.
        """
        try:
            return cls(address, remote_notes_address(address), read_client_file(Path(key).expanduser()))
        except EndpointError as error:
            raise UsageError(f"{ADDRESS}: {error}") from error
        except KeyFileError as error:
            raise RefusedError(str(error)) from error

    def secure(self, made: zmq.Socket[bytes]) -> None:
        """Give a socket our key, before it connects."""
        made.curve_publickey = self.key.public.encode()
        made.curve_secretkey = self.key.secret.encode()
        made.curve_serverkey = self.key.daemon.encode()
        made.ipv6 = True

    def probe(self) -> None:
        """Connect for a moment, to learn at once what ZeroMQ would never say.

        Raises:
            NotRunningError: Nobody listens there.
        """
        place = self.control if self.key.role == "control" else self.notes
        host, _, port = place.removeprefix("tcp://").rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), REACH_S).close()
        except OSError as error:
            raise NotRunningError(
                f"hudd cannot be reached at {place}: {error.strerror or error}.",
                hint=f"Check {ADDRESS}, and [bus] remote on the other machine.",
            ) from error

    def check_may_command(self) -> None:
        """Say at once what the daemon would say by refusing.

        Raises:
            RefusedError: The key may only listen.
        """
        if self.key.role != "control":
            raise RefusedError(
                f"The key {self.key.name} may only listen to notes.",
                code="E_AUTH",
                hint="Make one that may command, where hudd runs: hudctl key add NAME --role control",
            )
