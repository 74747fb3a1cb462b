"""What an X server tells of its own screensaver (MIT-SCREEN-SAVER), and of how long nobody touched anything (SYNC).

Idle time comes as alarms of the server's counter IDLETIME, one for each direction, so nothing is polled. The X server
of a Wayland compositor counts only the input to its own windows; there the compositor is asked instead
(``hudd.screen.wayland_idle``).
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Mapping
from typing import Any, Final

from hudd.errors import NoDisplayError
from hudd.screen.wayland_idle import WaylandIdle
from hudd.screen.wayland_wire import socket_path
from hudd.screen.x11 import XWAYLAND, load_xcffib

_SAVER: Final = "MIT-SCREEN-SAVER"
_SYNC: Final = "SYNC"
_IDLETIME: Final = "IDLETIME"
_NOTIFY: Final = 1
"""ScreenSaverNotifyMask."""
_ON: Final = (1, 2)
"""ScreenSaverOn and ScreenSaverCycle."""
_ALARM_VALUES: Final = 1 | 2 | 4 | 8 | 16 | 32
"""XSyncCA: counter, value type, value, test type, delta, events."""
_ABSOLUTE: Final = 0
_UPWARDS, _DOWNWARDS = 0, 1
"""PositiveTransition and NegativeTransition."""


class X11Saver:
    """One connection of its own, because answers would pull events where no descriptor tells of them.

    Args:
        library: xcffib, loaded.
        display: ``DISPLAY``.
        idle_s: After so long the person is away, in seconds; 0 asks nothing.

    Attributes:
        saves: Whether the server has the screensaver extension.
        tells_idle: Whether it counts the idle time.
    """

    def __init__(self, library: Any, display: str, idle_s: float) -> None:
        self._library = library
        self._display = display
        self._idle_ms = round(idle_s * 1000.0)
        self._saver: Any = None
        self._sync: Any = None
        self._counter = 0
        self._events: Any = library.connect(display)
        try:
            self._asks: Any = library.connect(display)
        except library.XcffibException:
            self._events.disconnect()
            raise
        try:
            self._root = self._events.get_setup().roots[self._events.pref_screen].root
            self._xwayland = self._has(XWAYLAND)
            self._follow_saver()
            if self._idle_ms > 0:
                self._follow_idle()
            self._events.flush()
        except library.XcffibException:
            self.close()
            raise

    @property
    def xwayland(self) -> bool:
        """Whether this is the X server of a Wayland compositor."""
        return self._xwayland

    @property
    def saves(self) -> bool:
        """Whether the server tells of its screensaver."""
        return self._saver is not None

    @property
    def tells_idle(self) -> bool:
        """Whether the server counts how long nobody touched anything."""
        return self._counter != 0

    def fileno(self) -> int:
        """Readable when one of the two changed."""
        return int(self._events.get_file_descriptor())

    def read(self) -> tuple[bool, bool]:
        """Take what was told, and ask: whether the screensaver runs, and whether the person is away.

        Raises:
            NoDisplayError: The display is gone.
        """
        library = self._library
        try:
            while True:
                try:
                    if self._events.poll_for_event() is None:
                        break
                except library.Error:
                    continue
            saved = self.saves and int(self._saver.QueryInfo(self._root).reply().state) in _ON
            away = self.tells_idle and self._idle_now_ms() >= self._idle_ms
        except library.XcffibException as error:
            raise NoDisplayError(
                f"The X display {self._display} is gone.", hint="hudd goes on when it is back."
            ) from error
        return saved, away

    def close(self) -> None:
        """Close both connections. May be called again."""
        self._events.disconnect()
        with contextlib.suppress(AttributeError):  # the second was never made
            self._asks.disconnect()

    def _has(self, extension: str) -> bool:
        return bool(self._events.core.QueryExtension(len(extension), extension).reply().present)

    def _follow_saver(self) -> None:
        if self._has(_SAVER):
            key = self._library.screensaver.key
            self._events(key).SelectInput(self._root, _NOTIFY)
            self._saver = self._asks(key)

    def _follow_idle(self) -> None:
        if not self._has(_SYNC):
            return
        key = self._library.sync.key
        self._sync, told = self._asks(key), self._events(key)
        for sync in (self._sync, told):
            sync.Initialize(3, 1).reply()
        cookie = self._sync.ListSystemCounters()
        answer = self._asks.wait_for_reply(cookie.sequence)
        self._counter = _counters(answer.unpack(f"={answer.known_max}s")[0]).get(_IDLETIME, 0)
        if not self._counter:
            return
        limit = divmod(self._idle_ms, 1 << 32)
        for direction in (_UPWARDS, _DOWNWARDS):
            values: list[Any] = [self._counter, _ABSOLUTE, limit, direction, (0, 0), 1]
            told.CreateAlarm(self._events.generate_id(), _ALARM_VALUES, values, is_checked=True).check()

    def _idle_now_ms(self) -> int:
        value = self._sync.QueryCounter(self._counter).reply().counter_value
        return (int(value.hi) << 32) + int(value.lo)


def _counters(answer: bytes) -> dict[str, int]:
    """The counters in the bytes of an answer to ListSystemCounters; xcffib forgets the padding after each name."""
    found: dict[str, int] = {}
    (count,) = struct.unpack_from("=I", answer, 8)
    place = 32
    for _ in range(count):
        if place + 14 > len(answer):
            break
        number, _, _, length = struct.unpack_from("=IiIH", answer, place)
        found[answer[place + 14 : place + 14 + length].decode("latin-1")] = number
        place += (14 + length + 3) & ~3
    return found


def open_saver(source: str, environ: Mapping[str, str], idle_s: float) -> X11Saver | WaylandIdle | str:
    """Connect to the display for its screensaver and idle time.

    Args:
        source: ``[screen] source``.
        environ: ``WAYLAND_DISPLAY`` comes before ``DISPLAY``, whose server then is the compositor's own.
        idle_s: After so long the person is away, in seconds; 0 asks nothing.

    Returns:
        That, or one sentence that says why not.

    Raises:
        NoDisplayError: The display does not answer.
    """
    display, wayland = environ.get("DISPLAY", ""), socket_path(environ)
    if source.startswith("pictures:") or not (display or wayland):
        return "No display is looked at."
    if wayland is not None:
        return WaylandIdle(wayland, idle_s) if idle_s > 0 else "Nobody wants to know who is away."
    try:
        library = load_xcffib()
    except (ImportError, OSError) as error:
        return f"The X server's screensaver is not known: xcffib cannot be loaded ({error})."
    try:
        saver = X11Saver(library, display, idle_s)
    except library.ConnectionException as error:
        raise NoDisplayError(
            f"The X display {display} cannot be opened.", hint="Check DISPLAY and XAUTHORITY."
        ) from error
    except library.XcffibException as error:
        return f"The X server does not tell of its screensaver ({error})."
    if saver.xwayland:
        saver.close()
        return "The X server of a Wayland compositor does not know who is away."
    return saver
