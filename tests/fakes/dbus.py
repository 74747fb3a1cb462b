"""A private message bus, and a service that shows bubbles, as a desktop has them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

NOTIFICATIONS = "org.freedesktop.Notifications"
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>"""


class PrivateBus:
    """A real dbus-daemon of its own, which can be ended and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "bus"
        self.config = folder / "bus.conf"
        self.config.write_text(CONFIG.format(socket=self.socket))
        self.process: asyncio.subprocess.Process | None = None

    @property
    def environ(self) -> dict[str, str]:
        return {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.socket}"}

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            "dbus-daemon",
            f"--config-file={self.config}",
            "--nofork",
            "--print-address",
            stdout=asyncio.subprocess.PIPE,
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(20):
            assert await self.process.stdout.readline()

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.communicate()
        self.socket.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def private_bus(folder: Path) -> AsyncIterator[PrivateBus]:
    bus = PrivateBus(folder)
    await bus.start()
    try:
        yield bus
    finally:
        await bus.stop()


class Service:
    """Something on the bus that answers calls by functions, and sends signals.

    An answer is named by the method, or by ``PATH METHOD`` for one object alone.
    """

    def __init__(self, bus: MessageBus) -> None:
        self.bus = bus
        self.calls: list[tuple[str, list[Any]]] = []
        self.answers: dict[str, Callable[[list[Any]], tuple[str, list[Any]]]] = {}
        self.silent: set[str] = set()
        bus.add_message_handler(self._answer)

    def _answer(self, message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL or message.member is None:
            return None
        self.calls.append((message.member, list(message.body)))
        if message.member in self.silent:
            return True
        answer = self.answers.get(f"{message.path} {message.member}") or self.answers.get(message.member)
        if answer is None:
            return Message.new_error(message, "org.example.Error.No", "It says no.")
        signature, body = answer(list(message.body))
        return Message.new_method_return(message, signature, body)

    async def signal(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> None:
        await self.bus.send(Message.new_signal(path, interface, member, signature, list(body)))


@contextlib.asynccontextmanager
async def service(bus: PrivateBus, name: str = "", *, fds: bool = False) -> AsyncIterator[Service]:
    """A connection that has a well-known name, if one is given."""
    connection = await MessageBus(bus.environ["DBUS_SESSION_BUS_ADDRESS"], negotiate_unix_fd=fds).connect()
    served = Service(connection)
    if name:
        await connection.request_name(name)
    try:
        yield served
    finally:
        connection.disconnect()
        with contextlib.suppress(Exception):  # a bus that was killed is what some tests are about
            await connection.wait_for_disconnect()


class Bubbles:
    """A desktop's bubbles: what they say, by number."""

    def __init__(self, served: Service, *, capabilities: list[str] | None = None) -> None:
        self.shown: dict[int, tuple[str, int]] = {}
        self.history: list[str] = []
        self.news = asyncio.Event()
        served.answers["GetCapabilities"] = lambda _: ("as", [capabilities or ["body"]])
        served.answers["Notify"] = self._notify

    def _notify(self, body: list[Any]) -> tuple[str, list[Any]]:
        _, replaces, _, _, text, _, hints, _ = body
        number = replaces or max(self.shown, default=0) + 1
        self.shown[number] = (text, hints["urgency"].value)
        self.history.append(text)
        self.news.set()
        return "u", [number]

    async def wait(self, number: int) -> None:
        async with asyncio.timeout(20):
            while len(self.history) < number:
                self.news.clear()
                await self.news.wait()
