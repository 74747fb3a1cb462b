"""How long nobody touched anything, as a Wayland compositor tells it, whichever windows got the input.

Protocols: ext-idle-notify-v1 (KDE, sway, Hyprland, labwc …), and before it org_kde_kwin_idle. Both tell when a seat has
been idle for so long, and when it no longer is; nothing is polled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hudd.errors import NoDisplayError
from hudd.screen.wayland_globals import IDLE, KDE_IDLE, SEAT, WaylandGlobals
from hudd.screen.wayland_wire import Arguments, uint

_GET_NOTIFICATION: Final = 1
"""ext_idle_notifier_v1: new object, milliseconds, seat."""
_GET_TIMEOUT: Final = 0
"""org_kde_kwin_idle: new object, seat, milliseconds."""
_IDLED, _RESUMED = 0, 1
"""Events, of both."""


class WaylandIdle:
    """One connection that waits for the end of a seat's activity.

    Args:
        path: The compositor's socket.
        idle_s: After so long the person is away, in seconds.

    Raises:
        NoDisplayError: Nobody listens there.
    """

    def __init__(self, path: Path, idle_s: float) -> None:
        self._away = False
        self._globals = WaylandGlobals(path)
        try:
            self.tells_idle = self._follow(round(idle_s * 1000.0))
        except NoDisplayError:
            self.close()
            raise

    @property
    def saves(self) -> bool:
        """Whether a screensaver is told of; Wayland knows none."""
        return False

    def fileno(self) -> int:
        """Readable when the person went or came."""
        return self._globals.wire.fileno()

    def read(self) -> tuple[bool, bool]:
        """Take what was told: whether a screensaver runs (see `saves`), and whether the person is away.

        Raises:
            NoDisplayError: The compositor is gone.
        """
        while self._globals.wire.read():
            pass
        return False, self._away

    def close(self) -> None:
        """Close the connection. May be called again."""
        self._globals.wire.close()

    def _follow(self, idle_ms: int) -> bool:
        offers, wire = self._globals.offers, self._globals.wire
        if not offers(SEAT) or not (offers(IDLE) or offers(KDE_IDLE)):
            return False
        seat = uint(self._globals.bind(SEAT))
        notifier = self._globals.bind(IDLE if offers(IDLE) else KDE_IDLE)
        told = uint(wire.new_id(self._event))  # after the others: numbers are used in the order of the requests
        if offers(IDLE):
            wire.request(notifier, _GET_NOTIFICATION, told, uint(idle_ms), seat)
        else:
            wire.request(notifier, _GET_TIMEOUT, told, seat, uint(idle_ms))
        wire.roundtrip()
        return True

    def _event(self, opcode: int, arguments: Arguments) -> None:
        del arguments
        if opcode in (_IDLED, _RESUMED):
            self._away = opcode == _IDLED
