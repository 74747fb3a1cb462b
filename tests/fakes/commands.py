"""A command server with handlers of a test, and raw sockets that ask it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import zmq
import zmq.asyncio

from hudd.bus.server import CommandServer, Handler, Request
from hudd.clock import SystemClock


class Peer:
    """A raw socket of a test."""

    def __init__(self, context: zmq.asyncio.Context, kind: int, path: Path) -> None:
        self.socket = context.socket(kind)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(f"ipc://{path}")

    async def send(self, *frames: bytes) -> None:
        await self.socket.send_multipart(frames)

    async def receive(self, timeout_s: float = 5.0) -> list[bytes]:
        return await asyncio.wait_for(self.socket.recv_multipart(), timeout_s)

    async def ask(self, method: str, request_id: Any = 1, **params: Any) -> dict[str, Any]:
        await self.send(b"", request(method, request_id, **params))
        return json.loads((await self.receive())[-1])

    async def quiet(self) -> bool:
        """Nothing came: a request sent now is answered first."""
        reply = await self.ask("status", "last")
        return reply["id"] == "last"


def request(method: str, request_id: Any = 1, **params: Any) -> bytes:
    if method == "snap":
        params.setdefault("snap_id", "01JD0000000000000000000000")
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}).encode()


async def echo(asked: Request) -> Mapping[str, Any]:
    return {"method": asked.method, "params": dict(asked.params)}


class House:
    """A server with peers."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler], clock: Any) -> None:
        self.path = path
        self.server = CommandServer(path, {"status": echo, **handlers}, clock=clock)
        self.context = zmq.asyncio.Context()
        self.peers: list[Peer] = []

    def peer(self, kind: int = zmq.DEALER) -> Peer:
        self.peers.append(Peer(self.context, kind, self.path))
        return self.peers[-1]


@asynccontextmanager
async def house(folder: Path, clock: Any = None, **handlers: Handler) -> AsyncIterator[House]:
    there = House(folder / "ctl.sock", {k.replace("_", "."): v for k, v in handlers.items()}, clock or SystemClock())
    there.server.open()
    try:
        yield there
    finally:
        there.context.destroy(linger=0)
        await there.server.close()


class Mute:
    """A raw connection that says what it likes and reads nothing. A context manager."""

    _GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)

    def __init__(self, path: Path, kind: bytes = b"DEALER") -> None:
        ready = b"\x05READY\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind
        self.raw = socket.socket(socket.AF_UNIX)
        self.raw.settimeout(10)
        self.raw.connect(str(path))
        self.raw.sendall(self._GREETING + b"\x04" + bytes([len(ready)]) + ready)
        said = b""
        while b"READY" not in said:  # whoever sends before that breaks the protocol
            said += self.raw.recv(200)

    def say(self, *frames: bytes) -> None:
        """Send a message of frames of at most 255 bytes."""
        more = b"".join(b"\x01" + bytes([len(frame)]) + frame for frame in frames[:-1])
        self.raw.sendall(more + b"\x00" + bytes([len(frames[-1])]) + frames[-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.raw.close()
