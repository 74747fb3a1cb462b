"""A desktop portal on a private bus: it grants, refuses, keeps silent, writes files and hands out descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from tests.fakes.dbus import PrivateBus, private_bus

NAME = "org.freedesktop.portal.Desktop"
SESSION = "/org/freedesktop/portal/desktop/session/hudd/1"


class FakePortal:
    """Answers as xdg-desktop-portal does: a handle at once, and the result as a signal of it.

    Attributes:
        asked: Member and options of each request, in order.
        codes: What a member's request ends with: 0 granted, 1 cancelled, 2 otherwise; None for never.
        picture: The file that a screenshot names.
    """

    def __init__(self, bus: MessageBus, picture: Path) -> None:
        self.bus = bus
        self.picture = picture
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.codes: dict[str, int | None] = {}
        self.streams: list[Any] = [
            [
                47,
                {
                    "position": Variant("(ii)", [0, 0]),
                    "size": Variant("(ii)", [1920, 1080]),
                    "id": Variant("s", "DP 1"),
                },
            ],
            [48, {"position": Variant("(ii)", [1920, 0])}],
        ]
        self.closed: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        bus.add_message_handler(self._handle)

    async def end_session(self) -> None:
        """As when a person ends the recording."""
        await self.bus.send(Message.new_signal(SESSION, "org.freedesktop.portal.Session", "Closed", "a{sv}", [{}]))

    def _handle(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        if message.member == "Close":
            self.closed.append(message.path or "")
            return Message.new_method_return(message)
        if message.member == "OpenPipeWireRemote":
            reader, writer = os.pipe()
            os.close(writer)
            self._later(self._close_soon(reader))
            return Message.new_method_return(message, "h", [0], [reader])
        results = self._results(message.member or "")
        if results is None:
            return None
        options = {name: variant.value for name, variant in message.body[-1].items()}
        self.asked.append((message.member or "", options))
        sender = (message.sender or "").removeprefix(":").replace(".", "_")
        path = f"/org/freedesktop/portal/desktop/request/{sender}/{options['handle_token']}"
        code = self.codes.get(message.member or "", 0)
        if code is not None:
            body = [code, results if code == 0 else {}]
            signal = Message.new_signal(path, "org.freedesktop.portal.Request", "Response", "ua{sv}", body)
            self._later(self._send(signal))
        return Message.new_method_return(message, "o", [path])

    def _results(self, member: str) -> dict[str, Variant] | None:
        return {
            "Screenshot": {"uri": Variant("s", self.picture.as_uri())},
            "CreateSession": {"session_handle": Variant("s", SESSION)},
            "SelectSources": {},
            "Start": {
                "streams": Variant("a(ua{sv})", self.streams),
                "restore_token": Variant("s", f"token {len(self.asked)}"),
            },
        }.get(member)

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, signal: Message) -> None:
        await self.bus.send(signal)

    async def _close_soon(self, descriptor: int) -> None:
        await asyncio.sleep(0.2)  # it is sent by then
        os.close(descriptor)


@contextlib.asynccontextmanager
async def fake_portal(bus: PrivateBus, picture: Path) -> AsyncIterator[FakePortal]:
    """A portal for the length of a block."""
    connection = await MessageBus(bus.environ["DBUS_SESSION_BUS_ADDRESS"], negotiate_unix_fd=True).connect()
    portal = FakePortal(connection, picture)
    await connection.request_name(NAME)
    try:
        yield portal
    finally:
        connection.disconnect()
        await connection.wait_for_disconnect()


@contextlib.contextmanager
def portal_of_thread(folder: Path) -> Iterator[tuple[Mapping[str, str], FakePortal]]:
    """The environment of a bus of its own, and a portal there, served by a thread: for tests that block."""
    served: Future[tuple[Mapping[str, str], FakePortal, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        end = asyncio.Event()
        async with private_bus(folder) as bus, fake_portal(bus, folder / "picture.png") as portal:
            served.set_result((bus.environ, portal, asyncio.get_running_loop(), end))
            await end.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    environ, portal, loop, end = served.result(30)
    try:
        yield environ, portal
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
