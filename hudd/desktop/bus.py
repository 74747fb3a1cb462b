"""The door to D-Bus: calls, signals, and a connection that comes back. Nobody else imports ``dbus_fast``.

The library belongs to the extra ``hudd[desktop]`` and is loaded at the first call. The addresses are those of the
D-Bus specification; nothing is launched, and the X11 way of finding a bus is not tried, because it starts one.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from hudd.clock import Clock
from hudd.errors import HuddError

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

log = logging.getLogger("hudd.desktop")

BusKind = Literal["session", "system"]
Body = tuple[Any, ...]
SignalHandler = Callable[[str, Body], None]
"""Is told the object path and the arguments of a signal, on the event loop."""

CONNECT_S: Final = 5.0
CALL_S: Final = 5.0
FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 60.0
DAEMON: Final = "org.freedesktop.DBus"
DAEMON_PATH: Final = "/org/freedesktop/DBus"
SYSTEM_SOCKET: Final = "/run/dbus/system_bus_socket"
NO_LIBRARY: Final = "The desktop cannot be talked to: dbus-fast is not installed."
INSTALL: Final = "Install hudd[desktop]."


class BusError(HuddError):
    """Root of what can go wrong on a bus."""


class BusUnavailableError(BusError):
    """Raised when there is no bus, no library for it, or when the connection was lost."""


class BusCallError(BusError):
    """Raised when the other side answered with an error, or not in time.

    Attributes:
        name: The error's D-Bus name, for instance ``org.freedesktop.DBus.Error.ServiceUnknown``.
    """

    def __init__(self, message: str, *, name: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True, slots=True)
class _Subscription:
    handler: SignalHandler
    interface: str
    member: str
    path: str
    sender: str

    @property
    def rule(self) -> str:
        parts = {"interface": self.interface, "member": self.member, "path": self.path, "sender": self.sender}
        return ",".join(["type='signal'", *(f"{name}='{value}'" for name, value in parts.items() if value)])


@dataclass(slots=True)
class _Owners:
    """Which connection has a well-known name. A signal carries the connection, and anybody can send one to us."""

    of: dict[str, str] = field(default_factory=dict[str, str])

    def sent_by(self, sender: str | None, name: str) -> bool:
        if not name:
            return True
        if name == DAEMON or name.startswith(":"):
            return sender == name
        return sender is not None and self.of.get(name) == sender


class Bus:
    """One connection to the session's or the system's bus, opened when it is first needed.

    Signals that were asked for come again after the bus was lost and found; what happened in between did not come, so
    whoever follows a state reads it again when ``on_change`` says that the connection is back.

    Args:
        kind: Whose bus.
        environ: Where its address is looked for.
        clock: For the pauses between two tries.
    """

    def __init__(self, kind: BusKind, environ: Mapping[str, str], *, clock: Clock) -> None:
        self._kind: BusKind = kind
        self._environ = environ
        self._clock = clock
        self._bus: MessageBus | None = None
        self._opening = asyncio.Lock()
        self._subscriptions: list[_Subscription] = []
        self._owners = _Owners()
        self._watcher: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[bool], None]] = []
        self._owner_listeners: list[Callable[[str, str], None]] = []
        self._closed = False

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._bus is not None and self._bus.connected

    def why_not(self) -> str:
        """Why there can be no connection, in a sentence; '' when it is worth a try. Opens nothing."""
        if importlib.util.find_spec("dbus_fast") is None:
            return f"{NO_LIBRARY} {INSTALL}"
        return "" if bus_address(self._kind, self._environ) else f"There is no {self._kind} bus here."

    def on_change(self, listener: Callable[[bool], None]) -> None:
        """Call ``listener`` with False when the connection is lost, and with True when it is there (again)."""
        self._listeners.append(listener)

    def on_owner(self, listener: Callable[[str, str], None]) -> None:
        """Call ``listener`` with a name whose signals are wanted, and the connection that has it now; '' for none."""
        self._owner_listeners.append(listener)

    async def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: Sequence[Any] = (),
        *,
        timeout_s: float = CALL_S,
    ) -> Body:
        """Call a method; returns its results without their variants' wrappers.

        A file descriptor among the results is its number, and belongs to the caller. Cancelling is safe; the call may
        have happened.

        Args:
            destination: Bus name of the service.
            path: Object.
            interface: Interface.
            member: Method.
            signature: Of the arguments, for instance ``susssasa{sv}i``.
            body: The arguments; a variant is made by ``variant``.
            timeout_s: How long the answer may take, from the open connection on.

        Raises:
            BusUnavailableError: There is no bus, or it was lost.
            BusCallError: The service is missing, refused, or did not answer in time.
        """
        bus = await self._open()
        return await self._ask(bus, (destination, path, interface, member), signature, body, timeout_s)

    async def on_signal(
        self, handler: SignalHandler, *, interface: str, member: str, path: str = "", sender: str = ""
    ) -> Callable[[], None]:
        """Call ``handler`` for each signal of this kind, also after the bus was lost and found.

        Args:
            handler: Must not block; an exception in it is logged as a mistake.
            interface: Interface.
            member: Signal.
            path: Object; '' for any.
            sender: Bus name; signals of others do not count. '' for any.

        Returns:
            A function that ends it; the bus forgets the rule at the end of the connection.

        Raises:
            BusUnavailableError: There is no bus now.
            BusCallError: The bus refused.
        """
        bus = await self._open()
        subscription = _Subscription(handler, interface, member, path, sender)
        self._subscriptions.append(subscription)
        try:
            await self._subscribe(bus, subscription)
        except BusError:
            self._subscriptions.remove(subscription)
            raise
        self._watch()

        def end() -> None:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)

        return end

    async def unique_name(self) -> str:
        """Our own name on the bus, for instance ``:1.42``.

        Raises:
            BusUnavailableError: There is no bus now.
        """
        return (await self._open()).unique_name or ""

    async def owner_of(self, name: str) -> str:
        """The connection that has a well-known name now; '' when nobody has.

        Raises:
            BusUnavailableError: There is no bus now.
        """
        return await self._owner(await self._open(), name)

    async def close(self) -> None:
        """End the connection for good. Safe to call twice."""
        self._closed = True
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait({self._watcher})
        if self._bus is not None:
            self._bus.disconnect()
            self._bus = None

    # The connection

    async def _open(self) -> MessageBus:
        async with self._opening:
            if self._closed:
                raise BusUnavailableError(f"The {self._kind} bus was closed.")
            if self._bus is None or not self._bus.connected:
                self._bus = await self._connect()
            return self._bus

    async def _connect(self) -> MessageBus:
        try:
            from dbus_fast.aio import MessageBus  # noqa: PLC0415 - an extra, and 20 ms that few need
        except ImportError as error:
            raise BusUnavailableError(NO_LIBRARY, hint=INSTALL) from error
        address = bus_address(self._kind, self._environ)
        if not address:
            raise BusUnavailableError(f"There is no {self._kind} bus here.")
        try:
            async with asyncio.timeout(CONNECT_S):
                bus = await MessageBus(address, negotiate_unix_fd=True).connect()
        except Exception as error:  # the library documents "any other connection error"
            raise BusUnavailableError(f"The {self._kind} bus cannot be reached: {_words(error)}.") from error
        bus.add_message_handler(self._received)
        self._owners.of.clear()
        if self._subscriptions:
            try:
                for subscription in tuple(self._subscriptions):
                    await self._subscribe(bus, subscription)
            except BusError:
                bus.disconnect()
                raise
        for listener in self._listeners:
            listener(True)
        return bus

    def _watch(self) -> None:
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._keep_connected(), name=f"{self._kind} bus")

    async def _keep_connected(self) -> None:
        """While somebody waits for signals a lost bus is looked for again, ever less often."""
        while True:
            if self._bus is not None:
                await _lost(self._bus)
                log.info("the %s bus was lost", self._kind)
                for listener in self._listeners:
                    listener(False)
            delay_s = FIRST_RETRY_S
            while True:
                await self._clock.sleep(delay_s)
                try:
                    await self._open()
                except BusError as error:
                    log.debug("%s", error)
                    delay_s = min(LONGEST_RETRY_S, delay_s * 2)
                else:
                    log.info("the %s bus is there again", self._kind)
                    break

    # Messages

    async def _ask(
        self, bus: MessageBus, where: tuple[str, str, str, str], signature: str, body: Sequence[Any], timeout_s: float
    ) -> Body:
        from dbus_fast import Message, MessageType  # noqa: PLC0415 - see _connect

        destination, path, interface, member = where
        message = Message(
            destination=destination, path=path, interface=interface, member=member, signature=signature, body=[*body]
        )
        try:
            async with asyncio.timeout(timeout_s):
                reply = await bus.call(message)
        except TimeoutError as error:
            sentence = f"{destination} did not answer {member} within {timeout_s:g} s."
            raise BusCallError(sentence, name=f"{DAEMON}.Error.NoReply") from error
        except Exception as error:  # the library documents plain exceptions for a lost connection
            raise BusUnavailableError(f"The {self._kind} bus was lost: {_words(error)}.") from error
        if reply.message_type is MessageType.ERROR:
            name = reply.error_name or ""
            text = str(reply.body[0]) if reply.body else name
            raise BusCallError(f"{destination} refused {member}: {text}", name=name)
        return _results(reply)

    async def _subscribe(self, bus: MessageBus, subscription: _Subscription) -> None:
        await self._daemon(bus, "AddMatch", subscription.rule)
        name = subscription.sender
        if name and not name.startswith(":") and name != DAEMON and name not in self._owners.of:
            owner_rule = f"type='signal',sender='{DAEMON}',member='NameOwnerChanged',arg0='{name}'"
            await self._daemon(bus, "AddMatch", owner_rule)
            self._owners.of[name] = await self._owner(bus, name)

    async def _owner(self, bus: MessageBus, name: str) -> str:
        try:
            return str((await self._daemon(bus, "GetNameOwner", name))[0])
        except BusCallError as error:
            if error.name == f"{DAEMON}.Error.NameHasNoOwner":
                return ""
            raise

    async def _daemon(self, bus: MessageBus, member: str, argument: str) -> Body:
        return await self._ask(bus, (DAEMON, DAEMON_PATH, DAEMON, member), "s", [argument], CALL_S)

    def _received(self, message: Message) -> None:
        """Every message of the bus; nothing is answered here."""
        if message.interface is None or message.member is None or message.reply_serial:
            return
        body = _results(message)
        if message.sender == DAEMON and message.member == "NameOwnerChanged":
            name, _, owner = (str(part) for part in body)
            if name in self._owners.of:
                self._owners.of[name] = owner
                for listener in self._owner_listeners:
                    listener(name, owner)
        for subscription in tuple(self._subscriptions):
            if (
                (subscription.interface, subscription.member) == (message.interface, message.member)
                and subscription.path in ("", message.path)
                and self._owners.sent_by(message.sender, subscription.sender)
            ):
                subscription.handler(message.path or "", body)


def bus_address(kind: BusKind, environ: Mapping[str, str]) -> str:
    """The address of a bus; '' when there is none."""
    address = environ.get(f"DBUS_{kind.upper()}_BUS_ADDRESS", "")
    if address:
        return address
    folder = environ.get("XDG_RUNTIME_DIR", "")
    socket = SYSTEM_SOCKET if kind == "system" else f"{folder}/bus" if folder else ""
    return f"unix:path={socket}" if socket and Path(socket).exists() else ""


def variant(signature: str, value: object) -> object:
    """A value with its type, for an argument that is a variant.

    Raises:
        BusUnavailableError: dbus-fast is not installed.
    """
    try:
        from dbus_fast import Variant  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise BusUnavailableError(NO_LIBRARY, hint=INSTALL) from error
    return Variant(signature, value)


def _results(message: Message) -> Body:
    from dbus_fast.unpack import unpack_variants  # noqa: PLC0415 - an extra

    body = list(message.body)
    for place, kind in enumerate(message.signature_tree.types):
        if kind.token == "h":  # noqa: S105 - D-Bus's letter for a file descriptor
            body[place] = message.unix_fds[body[place]]
    return tuple(unpack_variants(body))


async def _lost(bus: MessageBus) -> None:
    try:
        await bus.wait_for_disconnect()
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever ended the connection, it ended
        log.debug("the bus ended: %s", _words(error))


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_S:g} s"
    return str(error).rstrip(".") or type(error).__name__
