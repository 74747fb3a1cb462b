"""Windows of our own on a real X server, without a window manager's help unless there is one."""

from __future__ import annotations

import struct
from typing import Any

import xcffib
import xcffib.xproto


class XWindows:
    """One program with windows; each instance is a connection of its own.

    Args:
        display: ``DISPLAY``.
    """

    def __init__(self, display: str) -> None:
        self._xproto: Any = xcffib.xproto
        self._connection: Any = xcffib.connect(display)
        self._core = self._connection.core
        self.screen = self._connection.get_setup().roots[0]

    def make(
        self,
        app: str,
        title: str = "",
        parent: int = 0,
        *,
        alone: bool = False,
        colour: int = 0xFF00FF,
        place: tuple[int, int, int, int] = (20, 20, 100, 50),
    ) -> int:
        """A window that is not shown yet; ``alone`` is without a window manager, as menus are."""
        xproto, window = self._xproto, self._connection.generate_id()
        self._core.CreateWindow(
            *(self.screen.root_depth, window, parent or self.screen.root, *place, 0),
            *(xproto.WindowClass.InputOutput, self.screen.root_visual),
            *(xproto.CW.BackPixel | xproto.CW.OverrideRedirect, [colour, int(alone)]),
        )
        placed = struct.pack("=18I", 1, *place[:2], *[0] * 15)  # by its user: the window manager leaves it there
        hints = xproto.Atom.WM_NORMAL_HINTS
        self._core.ChangeProperty(xproto.PropMode.Replace, window, hints, xproto.Atom.WM_SIZE_HINTS, 32, 18, placed)
        for atom, text in ((xproto.Atom.WM_CLASS, f"{app}\0{app}\0"), (xproto.Atom.WM_NAME, title)):
            if text.strip("\0"):
                self.set(window, atom, text.encode())
        return window

    def set(self, window: int, atom: int, data: bytes) -> None:
        xproto = self._xproto
        self._core.ChangeProperty(xproto.PropMode.Replace, window, atom, xproto.Atom.STRING, 8, len(data), data)
        self.done()

    def atom(self, name: str) -> int:
        """The server's number of a name."""
        return self._core.InternAtom(False, len(name), name).reply().atom

    def entitle(self, window: int, title: bytes) -> None:
        """Set the title as EWMH wants it."""
        self.set(window, self.atom("_NET_WM_NAME"), title)

    def move(self, window: int, left: int) -> None:
        self._core.ConfigureWindow(window, self._xproto.ConfigWindow.X, [left])
        self.done()

    def focus(self, window: int) -> None:
        self._core.SetInputFocus(0, window, 0)
        self.done()

    def own(self, window: int, owner: int) -> None:
        """Make it a dialogue of another window."""
        atoms = self._xproto.Atom
        self._core.ChangeProperty(0, window, atoms.WM_TRANSIENT_FOR, atoms.WINDOW, 32, 1, struct.pack("=I", owner))
        self.done()

    def show(self, window: int, *, shown: bool = True) -> None:
        (self._core.MapWindow if shown else self._core.UnmapWindow)(window)
        self.done()

    def end(self, window: int) -> None:
        self._core.DestroyWindow(window)
        self.done()

    def done(self) -> None:
        """The server has done all."""
        self._core.GetInputFocus().reply()

    def colour(self) -> int:
        """Of the pixel in the middle of where such a window is."""
        image = self._core.GetImage(2, self.screen.root, 60, 60, 1, 1, 0xFFFFFFFF).reply()
        return int.from_bytes(bytes(image.data.buf())[:3], "little")

    def close(self) -> None:
        self._connection.disconnect()
