"""A descriptor that a thread makes readable, so that an event loop wakes."""

from __future__ import annotations

import contextlib
import socket
import threading


class Told:
    """Readable from ``tell`` until ``take``; told twice counts once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told = False
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """The descriptor."""
        return self._reader.fileno()

    def tell(self) -> None:
        """Make it readable. Safe from any thread, also after ``close``."""
        with self._lock:
            if not self._told:
                self._told = True
                with contextlib.suppress(OSError):  # it was closed
                    self._writer.send(b"!")

    def take(self) -> bool:
        """Whether it was told since the last call; it is not readable afterwards."""
        with self._lock:
            told, self._told = self._told, False
            if told:
                with contextlib.suppress(OSError):  # it was closed
                    self._reader.recv(1)
            return told

    def close(self) -> None:
        """Give the descriptors back. May be called again."""
        with self._lock:
            self._reader.close()
            self._writer.close()
