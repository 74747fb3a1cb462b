"""Who tells which windows there are, apart from who takes the pictures: X11, sway, or a wlroots compositor.

Each has a descriptor that is readable when windows came, went, moved or changed their titles; nothing is polled.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Mapping
from typing import Final, Protocol

from hudd.errors import CaptureError, NoDisplayError
from hudd.screen.source import Window
from hudd.screen.sway import subscribe, sway_windows
from hudd.screen.wayland_watch import WaylandWatch
from hudd.screen.wayland_wire import socket_path
from hudd.screen.x11 import X11Watch, open_watch

_CONNECT_S: Final = 2.0
TOPLEVELS_LIMITS: Final = (
    "This Wayland compositor tells titles and programs of windows, but not where they are: a window that must not be "
    "seen withholds everything unless it is minimized, and cannot be masked."
)
SWAY_LIMITS: Final = (
    "sway tells windows on visible workspaces with their places; pop-ups, layers (bars, notifications) and lock "
    "surfaces are hidden from other programs."
)
HIDDEN: Final = (
    "This Wayland compositor hides windows from other programs, by design: excluded and private windows, and meetings "
    "that share the screen, cannot be known. Lock, session, sleep and pause count."
)
XWAYLAND: Final = "Only windows of X11 are known; those of Wayland are hidden by design."
NO_DISPLAY: Final = "There is no display whose windows could be asked about."
NO_XCFFIB: Final = "xcffib cannot be used."
MACOS: Final = (
    "hudd does not know the windows of macOS: excluded and private windows, and meetings that share the screen, cannot "
    "be known. Lock, session and pause count."
)


class WindowTeller(Protocol):
    """Tells windows. ``windows`` may be called from any thread.

    Attributes:
        limits: What it cannot tell, in a sentence; '' when nothing.
        hides: Whether the window system hides windows by design, so that strict keeps to the focused one.
    """

    limits: str
    hides: bool

    def fileno(self) -> int: ...
    def take_changed(self) -> bool: ...
    def windows(self) -> tuple[Window, ...]: ...
    def close(self) -> None: ...


class X11Teller:
    """The windows of an X server."""

    def __init__(self, watch: X11Watch) -> None:
        self._watch = watch
        self.hides = watch.xwayland
        self.limits = XWAYLAND if watch.xwayland else ""

    def fileno(self) -> int:
        return self._watch.fileno()

    def take_changed(self) -> bool:
        return self._watch.take_windows_changed()

    def windows(self) -> tuple[Window, ...]:
        return self._watch.windows()

    def close(self) -> None:
        self._watch.close()


class SwayTeller:
    """The windows of sway, told by its events (sway-ipc(7)).

    Args:
        path: ``SWAYSOCK``.

    Raises:
        NoDisplayError: Nobody listens there.
        CaptureError: sway does not promise to tell.
    """

    limits = SWAY_LIMITS
    hides = True

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(_CONNECT_S)
            self._socket.connect(path)
            subscribe(self._socket, ("window", "workspace"))
            self._socket.setblocking(False)
        except OSError as error:
            self._socket.close()
            raise NoDisplayError(
                f"sway does not answer at {path} ({error}).",
                hint="Check SWAYSOCK; after a restart of sway, restart hudd.",
            ) from error
        except CaptureError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def take_changed(self) -> bool:
        """Whether anything was told; what it was is asked for as a whole.

        Raises:
            NoDisplayError: sway ended.
        """
        changed = False
        try:
            while data := self._socket.recv(65536):
                changed = changed or bool(data)
        except BlockingIOError:
            return changed
        except OSError as error:
            raise NoDisplayError(f"sway is gone ({error}).", hint="hudd goes on when it is back.") from error
        raise NoDisplayError("sway is gone.", hint="hudd goes on when it is back.")

    def windows(self) -> tuple[Window, ...]:
        return sway_windows(self._path, tabs=True)

    def close(self) -> None:
        self._socket.close()


class ToplevelTeller:
    """The windows that a wlroots compositor tells (foreign toplevels), without places."""

    limits = TOPLEVELS_LIMITS
    hides = True

    def __init__(self, watch: WaylandWatch) -> None:
        self._watch = watch

    def fileno(self) -> int:
        return self._watch.fileno()

    def take_changed(self) -> bool:
        self._watch.take_damage()
        return self._watch.take_windows_changed()

    def windows(self) -> tuple[Window, ...]:
        return self._watch.windows()

    def close(self) -> None:
        self._watch.close()


def open_teller(source: str, environ: Mapping[str, str]) -> WindowTeller | str:
    """Who tells the windows of this session.

    Args:
        source: ``[screen] source``.
        environ: ``SWAYSOCK``, ``WAYLAND_DISPLAY``, ``DISPLAY``.

    Returns:
        A teller, or one sentence that says why nobody tells.

    Raises:
        CaptureError: It should tell, and does not answer.
    """
    if source.startswith("pictures:"):
        return "Pictures of a folder are shown, so no windows are asked about."
    if sys.platform == "darwin":
        return MACOS
    if environ.get("WAYLAND_DISPLAY") and source != "mss":
        return _wayland(environ)
    display = environ.get("DISPLAY", "")
    if not display:
        return NO_DISPLAY
    watch = open_watch(display, only_windows=True)
    if isinstance(watch, str):
        return f"The windows of {display} are not known: {NO_XCFFIB}"
    return X11Teller(watch)


def _wayland(environ: Mapping[str, str]) -> WindowTeller | str:
    sway = environ.get("SWAYSOCK", "")
    if sway:
        return SwayTeller(sway)
    path = socket_path(environ)
    if path is None:
        return HIDDEN
    with contextlib.ExitStack() as stack:
        watch = WaylandWatch(path, only_windows=True)
        stack.callback(watch.close)
        if not watch.tells_windows:
            return HIDDEN
        stack.pop_all()
        return ToplevelTeller(watch)
