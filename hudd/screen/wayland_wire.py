"""The wire of Wayland, as far as looking at the screen needs it: requests out, events in, one descriptor with each.

Wayland's wire format is a socket with small frames of 32-bit words: object, size and opcode, arguments
(https://wayland.freedesktop.org/docs/html/ch04.html). A dozen requests are used here; speaking them directly needs no
library, waits with a time-out, and stops when it is told to, which the C library's blocking dispatch does not.

Not safe for two threads at once: each thread has its own connection.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from hudd.errors import NoDisplayError

DISPLAY_ID: Final = 1
_SYNC: Final = 0
_ERROR: Final = 0
_DELETE_ID: Final = 1
_HEADER: Final = struct.Struct("=II")
_FIRST_SERVER_ID: Final = 0xFF000000
_READ_BYTES: Final = 65536
_CONNECT_S: Final = 5.0


class Arguments:
    """The arguments of one event, read in order.

    Raises:
        NoDisplayError: By every method, when the event is shorter than its arguments: that is no compositor.
    """

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def uint(self) -> int:
        """An unsigned number, an object or a new object."""
        return int.from_bytes(self._take(4), sys.byteorder)

    def int(self) -> int:
        """A signed number."""
        return int.from_bytes(self._take(4), sys.byteorder, signed=True)

    def array(self) -> bytes:
        """Bytes, without their padding."""
        size = self.uint()
        data = bytes(self._take(size))
        self._take(-size % 4)
        return data

    def string(self) -> str:
        """Text; a broken sequence of UTF-8 is replaced, because window titles are anything."""
        return self.array().removesuffix(b"\0").decode("utf-8", "replace")

    def _take(self, size: int) -> memoryview:
        if size > len(self._data) - self._at:
            raise NoDisplayError(
                "The Wayland display sent an event that cannot be read.",
                hint="Look again; when it stays, report it: hudctl bugreport.",
            )
        self._at += size
        return self._data[self._at - size : self._at]


Handler = Callable[[int, Arguments], None]
"""Called with the opcode of an event and its arguments."""


def uint(value: int) -> bytes:
    """An unsigned number, an object or a new object, for a request."""
    return struct.pack("=I", value)


def sint(value: int) -> bytes:
    """A signed number for a request."""
    return struct.pack("=i", value)


def string(text: str) -> bytes:
    """Text for a request: length with its end, the bytes, padding."""
    data = text.encode() + b"\0"
    return uint(len(data)) + data + b"\0" * (-len(data) % 4)


def socket_path(environ: Mapping[str, str]) -> Path | None:
    """Where the compositor of this session listens; None when the environment names none."""
    name, runtime = environ.get("WAYLAND_DISPLAY", ""), environ.get("XDG_RUNTIME_DIR", "")
    if not name or not (runtime or name.startswith("/")):
        return None
    return Path(runtime) / name


class WaylandWire:
    """One connection to a compositor.

    Args:
        path: The compositor's socket.

    Raises:
        NoDisplayError: Nobody listens there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_CONNECT_S)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise NoDisplayError(
                f"The Wayland display {path} cannot be opened ({error.strerror or error}).",
                hint="Check WAYLAND_DISPLAY and XDG_RUNTIME_DIR, and that the desktop runs.",
            ) from error
        self._next_id = DISPLAY_ID + 1
        self._free: list[int] = []
        self._handlers: dict[int, Handler] = {DISPLAY_ID: self._display_event}
        self._rest = b""

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self._socket.fileno()

    def new_id(self, handler: Handler) -> int:
        """A number for a new object of ours, whose events ``handler`` gets until the compositor has deleted it."""
        if self._free:
            number = self._free.pop()
        else:
            number, self._next_id = self._next_id, self._next_id + 1
        self._handlers[number] = handler
        return number

    def adopt(self, number: int, handler: Handler) -> None:
        """Listen to an object that the compositor made."""
        self._handlers[number] = handler

    def forget(self, number: int) -> None:
        """Let the events of an object that was destroyed pass by."""
        self._handlers[number] = _ignore
        if number >= _FIRST_SERVER_ID:
            del self._handlers[number]

    def request(self, number: int, opcode: int, *arguments: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a request.

        Raises:
            NoDisplayError: The compositor is gone, or has not read for seconds.
        """
        body = b"".join(arguments)
        frame = _HEADER.pack(number, (len(body) + _HEADER.size) << 16 | opcode) + body
        try:
            if descriptors:
                sent = socket.send_fds(self._socket, [frame], list(descriptors))
                frame = frame[sent:]
            self._socket.sendall(frame)
        except OSError as error:
            raise self.gone() from error

    def read(self, timeout_s: float = 0.0) -> bool:
        """Hand out the events that are there, or that come within ``timeout_s``; False when there were none.

        Raises:
            NoDisplayError: The compositor is gone, or complained about a request.
        """
        poll = select.poll()
        try:
            poll.register(self._socket, select.POLLIN)
            if not poll.poll(timeout_s * 1000.0):
                return False
            data = self._socket.recv(_READ_BYTES)
        except (OSError, ValueError) as error:  # ValueError: it was closed
            raise self.gone() from error
        if not data:
            raise self.gone()
        self._dispatch(data)
        return True

    def read_until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Hand out events until ``done`` says so; False when that took longer than ``timeout_s``.

        Raises:
            NoDisplayError: As by ``read``.
        """
        deadline = time.monotonic() + timeout_s
        while not done():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            self.read(left_s)
        return True

    def roundtrip(self, timeout_s: float = _CONNECT_S) -> None:
        """Wait until the compositor has answered everything that was asked before.

        Raises:
            NoDisplayError: It does not answer, or as by ``read``.
        """
        answered: list[int] = []
        self.request(DISPLAY_ID, _SYNC, uint(self.new_id(lambda opcode, _: answered.append(opcode))))
        if not self.read_until(lambda: bool(answered), timeout_s):
            raise NoDisplayError(
                f"The Wayland display {self._path} does not answer.", hint="hudd goes on when it is back."
            )

    def close(self) -> None:
        """End the connection; whatever was made through it goes too. May be called again."""
        with contextlib.suppress(OSError):  # it may be dead already
            self._socket.close()

    def gone(self) -> NoDisplayError:
        """The error for a compositor that went away."""
        return NoDisplayError(f"The Wayland display {self._path} is gone.", hint="hudd goes on when it is back.")

    def _dispatch(self, data: bytes) -> None:
        buffer = memoryview(self._rest + data)
        at = 0
        while len(buffer) - at >= _HEADER.size:
            number, word = _HEADER.unpack_from(buffer, at)
            size, opcode = word >> 16, word & 0xFFFF
            if size < _HEADER.size:
                raise NoDisplayError(
                    f"The Wayland display {self._path} sent an event that cannot be read.",
                    hint="Look again; when it stays, report it: hudctl bugreport.",
                )
            if len(buffer) - at < size:
                break
            handler = self._handlers.get(number)
            if handler is not None:
                handler(opcode, Arguments(buffer[at + _HEADER.size : at + size]))
            at += size
        self._rest = bytes(buffer[at:])

    def _display_event(self, opcode: int, arguments: Arguments) -> None:
        if opcode == _DELETE_ID:
            number = arguments.uint()
            if self._handlers.pop(number, None) is not None and number < _FIRST_SERVER_ID:
                self._free.append(number)
        elif opcode == _ERROR:
            arguments.uint()
            code, message = arguments.uint(), arguments.string()
            raise NoDisplayError(
                f"The Wayland display {self._path} refused a request ({code}: {message}).",
                hint="Look again; when it stays, report it: hudctl bugreport.",
            )


def _ignore(opcode: int, arguments: Arguments) -> None:
    """Events that were on their way when an object was destroyed."""
    del opcode, arguments
