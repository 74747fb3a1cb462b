"""What systemd is told: readiness, status, watchdog. Without systemd it is silence, not a condition everywhere.

The protocol is one datagram of ``NAME=value`` lines to ``$NOTIFY_SOCKET`` (sd_notify(3)); no library is needed for it.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

from hudd.clock import Clock

EXTENSION_S: Final = 30.0
"""Of the time for the start, while a journal is checked, mended or brought to a new version."""

_LONGEST_STATUS: Final = 400
_logger = logging.getLogger(__name__)


class Notifier(Protocol):
    """Tells the service manager how we are. No method raises or blocks."""

    def ready(self) -> None:
        """Both sockets answer; also ends `reloading`."""
        ...

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        ...

    def reloading(self) -> None:
        """The settings are being read again; `ready` must follow."""
        ...

    def stopping(self) -> None:
        """The daemon is on its way out."""
        ...

    def extend(self, seconds: float) -> None:
        """The start takes so much longer from now on; to be told again before they are over."""
        ...

    def watchdog(self) -> None:
        """Everything answers; to be told more often than `watchdog_interval_s`."""
        ...


class SilentNotifier:
    """No service manager asked."""

    def ready(self) -> None:
        return

    def status(self, text: str) -> None:  # noqa: ARG002 - the port names the parameter
        return

    def reloading(self) -> None:
        return

    def stopping(self) -> None:
        return

    def extend(self, seconds: float) -> None:  # noqa: ARG002 - the port names the parameter
        return

    def watchdog(self) -> None:
        return


class SocketNotifier:
    """Sends to the socket of the service manager.

    Args:
        address: ``$NOTIFY_SOCKET``: a path, or an abstract name that begins with ``@``.
        clock: For the time of a reload; its ``monotonic()`` must be the machine's CLOCK_MONOTONIC.
    """

    def __init__(self, address: str, clock: Clock) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._clock = clock
        self._failing = False

    def ready(self) -> None:
        self._send("READY=1")

    def status(self, text: str) -> None:
        self._send(f"STATUS={' '.join(text.split())[:_LONGEST_STATUS]}")

    def reloading(self) -> None:
        # systemd waits for a READY that is newer than this moment (Type=notify-reload).
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(self._clock.monotonic() * 1_000_000)}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def extend(self, seconds: float) -> None:
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def _send(self, lines: str) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
                connection.setblocking(False)
                connection.sendto(lines.encode("utf-8", errors="replace"), self._address)
        except OSError as error:
            # A deaf service manager must not end the notes; it is told once, not once a minute.
            if not self._failing:
                _logger.warning("The service manager cannot be told %s: %s.", lines.partition("=")[0], error.strerror)
            self._failing = True
        else:
            self._failing = False


def notifier(environ: Mapping[str, str], clock: Clock) -> Notifier:
    """The notifier that fits: for ``$NOTIFY_SOCKET`` when it is set, else a silent one."""
    address = environ.get("NOTIFY_SOCKET", "")
    if address.startswith(("/", "@")) and len(address) > 1:
        return SocketNotifier(address, clock)
    if address:
        _logger.warning("NOTIFY_SOCKET is %r, which is neither a path nor an abstract socket; it is not used.", address)
    return SilentNotifier()


@contextmanager
def extending(notify: Notifier, status: str, *, seconds: float = EXTENSION_S) -> Generator[None]:
    """While the body runs, which may block, let the service manager wait: told at once, and again in time.

    Args:
        notify: The service manager.
        status: What is done meanwhile, for ``systemctl status``.
        seconds: Of one extension; it is renewed after a third of it.
    """
    over = threading.Event()

    def tell() -> None:
        while not over.wait(seconds / 3):
            notify.extend(seconds)

    notify.status(status)
    notify.extend(seconds)
    # A thread: the body holds the event loop, which has nothing else to do before the start.
    teller = threading.Thread(target=tell, name="extending", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def watchdog_interval_s(environ: Mapping[str, str]) -> float | None:
    """Seconds between two `Notifier.watchdog`: half of what the service manager allows; None when it watches nobody."""
    allowed = environ.get("WATCHDOG_USEC", "")
    if not (allowed.isascii() and allowed.isdigit() and len(allowed) < 20 and int(allowed) > 0):
        return None
    whom = environ.get("WATCHDOG_PID", "")
    if whom and whom != str(os.getpid()):
        return None
    return int(allowed) / 2_000_000
