"""The door to xcffib: what an X server tells besides pixels. Damage, changes of the monitors, places of windows.

Optional: without xcffib, or on a server without DAMAGE, hudd polls (see ``open_watch``).

Two connections. Events come on one of them and nothing is ever asked there, because an answer that is waited for pulls
events into the library's own queue, where no descriptor tells of them. Windows are asked about on the other.

Damage is reported as a bounding box that is emptied whenever it was read: a video or a pause then costs one event, not
thousands (machine-recipes 3).
"""

from __future__ import annotations

import importlib
import threading
from typing import Any, Final

from hudd.errors import NoDisplayError
from hudd.screen.source import Rect, Window
from hudd.screen.windows import X11Windows

XWAYLAND: Final = "XWAYLAND"
_VIEWABLE: Final = 2
"""MapState.Viewable of the X protocol: the window and all its parents are mapped."""
_MOST_PARENTS: Final = 64
"""No window is nested deeper; a window that moved between parents while we climbed must not trap us."""


class X11Watch:
    """Tells what changed on an X display. Made by ``open_watch``; safe to use from two threads.

    Reading events never waits for the server, so an event loop may do it; everything else asks and waits.
    """

    def __init__(self, library: Any, display: str, *, only_windows: bool = False) -> None:
        self._library = library
        self._display = display
        self._event_lock = threading.Lock()
        self._window_lock = threading.Lock()
        self._rects: list[Rect] = []
        self._monitors_changed = False
        self._lists_monitors = False
        self._layout: tuple[tuple[int, int, int, int, int], ...] = ()
        self._damage = 0
        self._damage_extension: Any = None
        self._damage_events: tuple[type, ...] = ()
        self._monitor_events: tuple[type, ...] = ()
        self._windows_changed = False
        self._followed: set[int] = set()
        self._events: Any = library.connect(display)
        try:
            self._windows: Any = library.connect(display)
        except library.XcffibException:
            self._events.disconnect()
            raise
        try:
            self._root = self._events.get_setup().roots[self._events.pref_screen].root
            self.xwayland = self._has(XWAYLAND)
            # Nobody reads the events of a lister that is asked now and then, so it must be told of none.
            self._lister = X11Windows(library, self._windows, self._root, follow=only_windows)
            self._follow(self._root, library.xproto.EventMask.SubstructureNotify)
            self._echo = self._make_echo()
            if not only_windows:
                self._watch_monitors()
                self._watch_damage()
        except library.XcffibException:
            self.close()
            raise

    @property
    def damage(self) -> bool:
        """Whether the server tells of changed pixels."""
        return self._damage != 0

    def fileno(self) -> int:
        """The descriptor of the events."""
        return int(self._events.get_file_descriptor())

    def take_damage(self) -> tuple[Rect, ...]:
        """Everything that was reported since the last call, as rectangles.

        Raises:
            NoDisplayError: The display is gone.
        """
        with self._event_lock:
            self._drain()
            rects = tuple(dict.fromkeys(self._rects))
            self._rects.clear()
            return rects

    def take_monitors_changed(self) -> bool:
        """Whether a monitor was plugged, unplugged, moved or resized since the last call.

        The server's list is compared too, one round trip: monitors defined by ``xrandr --setmonitor`` raise no event.

        Raises:
            NoDisplayError: The display is gone.
        """
        with self._event_lock:
            self._drain()
            told, self._monitors_changed = self._monitors_changed, False
        with self._window_lock:
            before, self._layout = self._layout, self._read_layout()
            return told or before != self._layout

    def monitor_names(self) -> dict[Rect, str]:
        """The names of the monitors as ``xrandr --listmonitors`` tells them, by place; empty before RandR 1.5.

        Raises:
            NoDisplayError: The display is gone.
        """
        library = self._library
        with self._window_lock:
            self._layout = self._read_layout()
            try:
                return {
                    (left, top, width, height): self._windows.core.GetAtomName(name).reply().name.to_string()
                    for name, left, top, width, height in self._layout
                }
            except library.XcffibException as error:
                raise self._gone() from error

    def window_rect(self, window: int) -> Rect | None:
        """Where the top-level frame around a window is; None when the window is unknown or not shown.

        Raises:
            NoDisplayError: The display is gone.
        """
        library = self._library
        with self._window_lock:
            try:
                return self._window_rect(window)
            except library.ConnectionException as error:
                raise self._gone() from error
            except library.XcffibException:
                # The window ended while it was asked about; so it is nowhere.
                if self._windows.has_error():
                    raise self._gone() from None
                return None

    def windows(self) -> tuple[Window, ...]:
        """The windows that are shown, the topmost last; from now on changes of their titles are told.

        Raises:
            NoDisplayError: The display is gone.
        """
        library = self._library
        try:
            with self._window_lock:
                found = self._lister.read()
            with self._event_lock:
                now = {int(window.id, 16) for window in found}
                new = now - self._followed
                for window in new:
                    self._follow(window)
                self._followed = now
                if new:
                    self._tell_myself()
                self._events.flush()
        except library.XcffibException as error:
            raise self._gone() from error
        return found

    def take_windows_changed(self) -> bool:
        """Whether a window came or went, or another one, or another title, came to the front since the last call.

        Titles are told of windows that ``windows`` listed; it is true once more after new ones were, because what
        changed before they were followed was told to nobody. The descriptor of the events tells when to ask.

        Raises:
            NoDisplayError: The display is gone.
        """
        with self._event_lock:
            self._drain()
            told, self._windows_changed = self._windows_changed, False
        with self._window_lock:
            try:
                self._lister.drain()
            except self._library.XcffibException as error:
                raise self._gone() from error
        return told

    def close(self) -> None:
        """Close both connections. May be called again."""
        with self._event_lock, self._window_lock:
            self._events.disconnect()
            self._windows.disconnect()

    def _window_rect(self, window: int) -> Rect | None:
        core = self._windows.core
        if not 0 < window < 1 << 32 or core.GetWindowAttributes(window).reply().map_state != _VIEWABLE:
            return None
        for _ in range(_MOST_PARENTS):
            tree = core.QueryTree(window).reply()
            if tree.parent in (0, self._root):
                break
            window = tree.parent
        place = core.GetGeometry(window).reply()
        border = 2 * int(place.border_width)
        return (int(place.x), int(place.y), int(place.width) + border, int(place.height) + border)

    def _follow(self, window: int, more: int = 0) -> None:
        """Be told of changed properties; nothing is waited for."""
        library = self._library.xproto
        self._events.core.ChangeWindowAttributes(
            window, library.CW.EventMask, [library.EventMask.PropertyChange | more]
        )

    def _make_echo(self) -> int:
        """A window that is never shown, to send events to."""
        xproto, window = self._library.xproto, self._events.generate_id()
        self._events.core.CreateWindow(0, window, self._root, -1, -1, 1, 1, 0, xproto.WindowClass.InputOnly, 0, 0, [])
        return window

    def _tell_myself(self) -> None:
        """Cause an event that comes after all that this connection asked for so far; nothing is waited for."""
        xproto = self._library.xproto
        data = xproto.ClientMessageData.synthetic([0] * 20, "20B")
        event = xproto.ClientMessageEvent.synthetic(8, self._echo, xproto.Atom.STRING, data)
        # Without a mask an event goes to whoever made the window.
        self._events.core.SendEvent(False, self._echo, xproto.EventMask.NoEvent, event.pack())

    def _tells_of_windows(self, event: Any) -> bool:
        return self._lister.tells(event) or isinstance(event, self._library.xproto.ClientMessageEvent)

    def _next_event(self) -> Any:
        """The next event, or None. A window that closed before it could be followed is an error on the wire."""
        while True:
            try:
                return self._events.poll_for_event()
            except self._library.Error:
                continue

    def _has(self, extension: str) -> bool:
        return bool(self._events.core.QueryExtension(len(extension), extension).reply().present)

    def _read_layout(self) -> tuple[tuple[int, int, int, int, int], ...]:
        """Names (as atoms) and places of the monitors; empty when the server cannot list them."""
        if not self._lists_monitors:
            return ()
        library = self._library
        try:
            reply = self._windows(library.randr.key).GetMonitors(self._root, get_active=True).reply()
        except library.XcffibException as error:
            raise self._gone() from error
        return tuple((int(m.name), int(m.x), int(m.y), int(m.width), int(m.height)) for m in reply.monitors)

    def _watch_monitors(self) -> None:
        if not self._has("RANDR"):
            return
        randr = self._library.randr
        extension = self._events(randr.key)
        version = extension.QueryVersion(1, 5).reply()
        self._lists_monitors = (version.major_version, version.minor_version) >= (1, 5)
        self._windows(randr.key).QueryVersion(1, 5).reply()
        self._layout = self._read_layout()
        mask = randr.NotifyMask.ScreenChange | randr.NotifyMask.CrtcChange | randr.NotifyMask.OutputChange
        extension.SelectInput(self._root, mask)
        self._monitor_events = (randr.ScreenChangeNotifyEvent, randr.NotifyEvent)
        self._events.flush()

    def _watch_damage(self) -> None:
        if not self._has("DAMAGE"):
            return
        damage = self._library.damage
        extension = self._events(damage.key)
        extension.QueryVersion(1, 1).reply()
        made = self._events.generate_id()
        extension.CreateChecked(made, self._root, damage.ReportLevel.BoundingBox).check()
        self._damage = made
        self._damage_extension = extension
        self._damage_events = (damage.NotifyEvent,)

    def _drain(self) -> None:
        """Read events until none is left, in the socket or in the library's queue."""
        library = self._library
        try:
            while True:
                damaged = False
                while (event := self._next_event()) is not None:
                    if isinstance(event, self._damage_events):
                        damaged = True
                        area = event.area
                        self._rects.append((int(area.x), int(area.y), int(area.width), int(area.height)))
                    elif isinstance(event, self._monitor_events):
                        self._monitors_changed = True
                    elif self._tells_of_windows(event):
                        self._windows_changed = True
                if not damaged:
                    return
                # Emptying the box asks for news again. Sending may itself read events, hence the outer loop.
                self._damage_extension.Subtract(self._damage, 0, 0)
                self._events.flush()
        except library.XcffibException as error:
            raise self._gone() from error

    def _gone(self) -> NoDisplayError:
        return NoDisplayError(f"The X display {self._display} is gone.", hint="hudd goes on when it is back.")


def load_xcffib() -> Any:
    """Load xcffib with every extension that hudd uses.

    Loaded before connecting, because a connection can read only the events that it knew when it was made; and all of
    them by everybody, because another thread that connects meanwhile must not meet a list that still grows.

    Raises:
        ImportError: It is not installed; it does not exist on macOS.
        OSError: libxcb is missing.
    """
    import xcffib  # noqa: PLC0415 - optional

    for name in ("damage", "randr", "screensaver", "sync"):
        importlib.import_module(f"xcffib.{name}")
    return xcffib


def open_watch(display: str, *, only_windows: bool = False) -> X11Watch | str:
    """Connect to a display for what it tells besides pixels.

    Args:
        display: ``DISPLAY``.
        only_windows: Whether damage and monitors are of no interest, so that only windows wake the reader.

    Returns:
        The watch, or one sentence that says why there is none.

    Raises:
        NoDisplayError: xcffib is there, and the display is not.
    """
    try:
        library = load_xcffib()
    except (ImportError, OSError) as error:
        return f"Changes are found by polling: xcffib cannot be loaded ({error})."
    try:
        return X11Watch(library, display, only_windows=only_windows)
    except library.ConnectionException as error:
        raise NoDisplayError(
            f"The X display {display} cannot be opened.", hint="Check DISPLAY and XAUTHORITY."
        ) from error
    except library.XcffibException as error:
        return f"Changes are found by polling: the X server refused to tell of them ({error})."
