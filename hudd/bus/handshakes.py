"""Counts connections whose handshake failed, and says so at a limited rate.

The authenticator never hears of them: libzmq ends a peer that speaks another mechanism (NULL against CURVE), has the
wrong key of the daemon, or speaks no ZMTP at all, before anybody is asked. Its monitor tells.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

import zmq

EVENTS: Final = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
"""Neither the refusals of the authenticator, which counts them itself, nor peers that leave before the end: whoever
looks whether a daemon is there does that."""

LOG_EVERY_S: Final = 60.0

_WHY: Final = {
    int(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH): "it uses another mechanism (NULL where CURVE is asked, or CURVE "
    "at a local socket)",
    int(zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC): "its CURVE messages do not fit our key",
}

_log = logging.getLogger(__name__)


class Handshakes:
    """The failed ones of one socket.

    Args:
        name: Of the socket, for the log.
        monotonic: Seconds, for the rate of the log.
    """

    def __init__(self, name: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.failed = 0
        self._name = name
        self._monotonic = monotonic
        self._quiet_until = float("-inf")
        self._held_back = 0

    def take(self, event: int, value: int) -> None:
        """Take an event of the socket's monitor; others than those of `EVENTS` are left alone."""
        if not event & EVENTS:
            return
        self.failed += 1
        now = self._monotonic()
        if now < self._quiet_until:
            self._held_back += 1
            return
        _log.warning(
            "A connection to %s failed in its handshake (%d others since): %s.",
            self._name,
            self._held_back,
            _WHY.get(value, "it breaks the protocol"),
        )
        self._quiet_until = now + LOG_EVERY_S
        self._held_back = 0
