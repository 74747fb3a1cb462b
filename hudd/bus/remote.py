"""The same two sockets for other machines: over TCP, encrypted (CURVE), for keys of the list alone. Off by default.

They are sockets of their own, because one ZeroMQ socket has one mechanism. Whoever shows a key that is not in the list,
or a ``notes`` key on the command socket, is refused by the authenticator.

ZeroMQ cannot end one connection. So when a key that came in is withdrawn, both sockets are closed and opened again:
every remote client connects anew by itself and fills its gap, except for the one that is not let in any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from hudd.bus.authenticator import REMOTE_COMMANDS, REMOTE_NOTES, Authenticator, remote_access
from hudd.bus.publisher import Publisher
from hudd.bus.server import CommandServer, Handler, Request
from hudd.clock import Clock
from hudd.errors import CommandError, PermissionsError, SettingsError
from hudd.wire.endpoints import remote_notes_address
from hudd.wire.remote_keys import DaemonKey, KeyFileError, KeyFolder, Role
from hudd.wire.table import METHOD_BY_NAME

LOOK_EVERY_S: Final = 1.0
"""How often the key list is looked at for withdrawn keys; new connections look themselves."""

BIND_AGAIN_S: Final = 0.05
"""ZeroMQ gives a port free a moment after its socket was closed."""

SAY_AFTER_TRIES: Final = 100
DRAIN_S: Final = 0.2

_OF_THIS_MACHINE: Final = frozenset({"pid", "window", "streaming"})
"""What a client on another machine tells of itself and means nothing here."""

_log = logging.getLogger(__name__)

Access = Mapping[int, int | bytes]


class KeyRing:
    """The key list as it is now. Its file is read again when it changed.

    Args:
        folder: Where the keys are.
    """

    def __init__(self, folder: KeyFolder) -> None:
        self._folder = folder
        self._read: tuple[tuple[int, ...], dict[str, Role]] | None = None

    def daemon_key(self) -> DaemonKey:
        """The daemon's pair, when it and the list are fit to open a door with.

        Raises:
            SettingsError: There is no pair, or no client in the list.
            PermissionsError: A file is open to others or cannot be used.
        """
        try:
            pair, clients = self._folder.daemon_key(), self._folder.clients()
        except KeyFileError as error:
            raise PermissionsError(str(error)) from error
        if pair is None or not clients:
            missing = "the daemon has no key" if pair is None else "there is no client in the key list"
            raise SettingsError([f"[bus] remote is set, and {missing}; make one: hudctl key add NAME --role control"])
        return pair

    def roles(self) -> Mapping[str, Role]:
        """Public key → role. A list that cannot be used lets nobody in, and says so once. Safe in any thread."""
        now = self._signature()
        known = self._read
        if known is not None and known[0] == now:
            return known[1]
        try:
            roles: dict[str, Role] = {client.public: client.role for client in self._folder.clients()}
        except KeyFileError as error:
            _log.error("No other machine is let in: %s", error)
            roles = {}
        self._read = now, roles
        return roles

    def _signature(self) -> tuple[int, ...]:
        try:
            found = self._folder.clients_file.lstat()
        except OSError:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode, found.st_uid, found.st_ctime_ns


def remote_handlers(handlers: Mapping[str, Handler]) -> dict[str, Handler]:
    """The handlers for callers on other machines: none touches a file of this one, none believes in their windows."""
    chosen = {
        name: _refused(name) if METHOD_BY_NAME[name].local_only else handler for name, handler in handlers.items()
    }
    if "hello" in handlers:
        chosen["hello"] = _without_window(handlers["hello"])
    return chosen


def _refused(name: str) -> Handler:
    async def refuse(_: Request) -> Mapping[str, Any]:
        raise CommandError(
            "E_AUTH",
            f"{name} names a file on the machine of the daemon, so it is not for callers on others.",
            hint="Run it there, for instance by ssh.",
        )

    return refuse


def _without_window(handler: Handler) -> Handler:
    async def handle(request: Request) -> Mapping[str, Any]:
        params = {name: value for name, value in request.params.items() if name not in _OF_THIS_MACHINE}
        return await handler(replace(request, params=params))

    return handle


class Remote:
    """Both sockets for other machines.

    Args:
        address: Of the command socket, ``tcp://IP:PORT``; notes are on the next port.
        ring: The keys.
        gate: The authenticator of the context.
        commands: Makes the command server for a place and its access.
        notes: Makes the publisher likewise.
        clock: For looking at the key list.
    """

    def __init__(
        self,
        address: str,
        *,
        ring: KeyRing,
        gate: Authenticator,
        commands: Callable[[str, Access], CommandServer],
        notes: Callable[[str, Access], Publisher],
        clock: Clock,
    ) -> None:
        self.address = address
        self._ring = ring
        self._gate = gate
        self._make_commands = commands
        self._make_notes = notes
        self._clock = clock
        self._server: CommandServer | None = None
        self._publisher: Publisher | None = None
        self._before: Counter[str] = Counter()  # counts of sockets that were closed

    def open(self) -> None:
        """Bind and listen. Call it in the running loop, after the authenticator was opened.

        Raises:
            SettingsError: There is no key of the daemon, or no client in the list.
            PermissionsError: The keys are not safely ours, or the address cannot be listened on.
        """
        secret = self._ring.daemon_key().secret
        publisher = self._make_notes(remote_notes_address(self.address), remote_access(secret, REMOTE_NOTES))
        server = self._make_commands(self.address, remote_access(secret, REMOTE_COMMANDS))
        publisher.open()
        self._publisher = publisher
        server.open()
        self._server = server

    async def run(self) -> None:
        """Serve until ``close``; open the sockets anew when a key that came in is withdrawn.

        Cancelling closes them. An unforeseen failure of the command socket is raised from here.
        """
        try:
            while self._server is not None:
                serving = asyncio.create_task(self._server.run(), name="remote commands")
                watching = asyncio.create_task(self._until_withdrawn(), name="withdrawn keys")
                try:
                    await asyncio.wait((serving, watching), return_when=asyncio.FIRST_COMPLETED)
                    if serving.done():
                        serving.result()
                        return
                    watching.result()
                    _log.info("A key was withdrawn: all remote connections end; those whose keys stand may come again.")
                    await self.close(DRAIN_S, for_good=False)
                finally:
                    for task in (serving, watching):
                        task.cancel()
                    await asyncio.gather(serving, watching, return_exceptions=True)
                await self._open_anew()
        finally:
            await self.close()

    async def close(self, drain_s: float = 0.0, *, for_good: bool = True) -> None:
        """Close both sockets; see ``CommandServer.close``. Safe to call twice."""
        server, self._server = self._server, None
        publisher, self._publisher = self._publisher, None
        if server is not None:
            await server.close(drain_s, for_good=for_good)
            self._before.update(server.counters())
        if publisher is not None:
            await publisher.close()
            self._before.update(publisher.counters())

    def publish(self, topic: str, body: Mapping[str, Any]) -> None:
        """As ``Publisher.publish``; while the sockets are opened anew there is nobody to publish to."""
        if self._publisher is not None:
            self._publisher.publish(topic, body)

    def subscribers(self) -> dict[str, int]:
        """As ``Publisher.subscribers``."""
        return {} if self._publisher is None else self._publisher.subscribers()

    def listening(self, prefix: str) -> bool:
        """As ``Publisher.listening``."""
        return self._publisher is not None and self._publisher.listening(prefix)

    def counters(self) -> dict[str, int]:
        """Sums of those of both sockets since the start, each name with ``remote_`` before it."""
        total = Counter(self._before)
        for part in (self._server, self._publisher):
            if part is not None:
                total.update(part.counters())
        return {f"remote_{name}": count for name, count in total.items()}

    async def _until_withdrawn(self) -> None:
        while not self._withdrawn():
            await self._clock.sleep(LOOK_EVERY_S)

    def _withdrawn(self) -> bool:
        roles = self._ring.roles()
        return any(roles.get(key) != role for key, role in self._gate.keys_admitted().items())

    async def _open_anew(self) -> None:
        self._gate.forget_keys()
        tries = 0
        while True:
            try:
                self.open()
            except (SettingsError, PermissionsError) as error:
                # A port that is not free yet, or no key left: nobody is let in until that has changed.
                await self.close(for_good=False)
                tries += 1
                if tries == SAY_AFTER_TRIES:
                    _log.error("No other machine is let in: %s", error)
                await self._clock.sleep(BIND_AGAIN_S if tries < SAY_AFTER_TRIES else LOOK_EVERY_S)
            else:
                return


class BothPublishers:
    """The local publisher and the remote one as one; what is published goes to both.

    Args:
        local: Opened and closed by its owner, as ``remote``.
        remote: For other machines.
    """

    def __init__(self, local: Publisher, remote: Remote) -> None:
        self._local = local
        self._remote = remote

    def publish(self, topic: str, body: Mapping[str, Any]) -> None:
        """As ``Publisher.publish``."""
        self._local.publish(topic, body)
        self._remote.publish(topic, body)

    def subscribers(self) -> dict[str, int]:
        """How many subscriptions there are by prefix, at both."""
        return dict(sorted((Counter(self._local.subscribers()) + Counter(self._remote.subscribers())).items()))

    def listening(self, prefix: str) -> bool:
        """Whether somebody would receive it, at either."""
        return self._local.listening(prefix) or self._remote.listening(prefix)

    @property
    def peers(self) -> int:
        """Connections to the local one."""
        return self._local.peers

    @property
    def full(self) -> bool:
        """Whether peers of the local one wait because there are too many."""
        return self._local.full
