"""Which windows an X11 desktop shows: by the window manager's lists (EWMH), or by the server's own without one.

Spoken over a connection of ``hudd.screen.x11``; every question is sent before the first answer is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hudd.screen.source import Rect, Window

CLIENTS: Final = ("_NET_CLIENT_LIST_STACKING", "_NET_CLIENT_LIST")
ACTIVE: Final = "_NET_ACTIVE_WINDOW"
_TITLE: Final = "_NET_WM_NAME"
_PID: Final = "_NET_WM_PID"
TITLES: Final = (_TITLE, "WM_NAME")
_VIEWABLE: Final = 2
"""MapState.Viewable: the window and all its parents are mapped; a minimized one is not."""
_LONGEST_WORDS: Final = 256
"""Of a title, in units of four bytes."""
_MOST_WINDOWS: Final = 2000


class X11Windows:
    """Lists the windows.

    Args:
        library: xcffib, loaded.
        connection: To ask on; nobody else may use it at the same time.
        root: The root window.
        place_of: Tells where a window is, its frame included; None when it is not shown.
    """

    def __init__(self, library: Any, connection: Any, root: int, place_of: Callable[[int], Rect | None]) -> None:
        self._library = library
        self._core = connection.core
        self._root = root
        self._place_of = place_of
        names = (*CLIENTS, ACTIVE, *TITLES, _PID, "WM_CLASS")
        asked = [self._core.InternAtom(False, len(name), name) for name in names]
        self.atoms: dict[str, int] = {name: one.reply().atom for name, one in zip(names, asked, strict=True)}

    def read(self) -> tuple[Window, ...]:
        """The windows that are shown, the topmost last. One that closes meanwhile is left out.

        Raises:
            XcffibException: The connection broke.
        """
        managed = next((found for name in CLIENTS if (found := self._numbers(self._root, name))), None)
        numbers = managed or [int(child) for child in self._core.QueryTree(self._root).reply().children]
        active = self._active()
        asked = [(number, self._ask(number)) for number in numbers[:_MOST_WINDOWS]]
        return tuple(
            window
            for number, cookies in asked
            if (window := self._window(number, cookies, focused=number == active)) is not None
        )

    def _ask(self, number: int) -> tuple[Any, ...]:
        wanted = [self.atoms[name] for name in (*TITLES, "WM_CLASS", _PID)]
        return (
            self._core.GetWindowAttributes(number),
            *(self._core.GetProperty(False, number, atom, 0, 0, _LONGEST_WORDS) for atom in wanted),
        )

    def _window(self, number: int, cookies: tuple[Any, ...], *, focused: bool) -> Window | None:
        replies: list[Any] = []
        for cookie in cookies:
            try:
                replies.append(cookie.reply())
            except self._library.Error:
                replies.append(None)  # it closed; the other answers must be fetched all the same
        if any(reply is None for reply in replies):
            return None
        shown, new_title, old_title, app, pid = replies
        if shown.map_state != _VIEWABLE or shown._class == self._library.xproto.WindowClass.InputOnly:  # noqa: SLF001 - so named by xcffib, because class is a keyword
            return None
        try:
            rect = self._place_of(number)
        except self._library.Error:
            return None
        if rect is None:
            return None
        names = bytes(app.value.buf()).decode("utf-8", "replace").split("\0") if app.value_len else []
        numbers = pid.value.to_atoms() if pid.format == 32 and pid.value_len else ()
        return Window(
            id=f"{number:#x}",
            title=_text(new_title) or _text(old_title),
            app=names[1] if len(names) > 1 and names[1] else (names[0] if names else ""),
            pid=int(numbers[0]) if numbers else None,
            rect=rect,
            focused=focused,
        )

    def _active(self) -> int:
        told = self._numbers(self._root, ACTIVE)
        if told:
            return told[0]
        # Without a window manager the one with the keyboard, or its parent right below the root.
        number = int(self._core.GetInputFocus().reply().focus)
        while number not in (0, 1, self._root):
            try:
                parent = int(self._core.QueryTree(number).reply().parent)
            except self._library.Error:
                return 0
            if parent in (0, self._root):
                break
            number = parent
        return number

    def _numbers(self, window: int, name: str) -> list[int]:
        reply = self._core.GetProperty(False, window, self.atoms[name], 0, 0, _MOST_WINDOWS).reply()
        return [int(number) for number in reply.value.to_atoms()] if reply.format == 32 else []


def _text(reply: Any) -> str:
    """Old titles (WM_NAME) are Latin-1 by their standard, but most programs write UTF-8 into them."""
    data = bytes(reply.value.buf()).rstrip(b"\0") if reply.value_len else b""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
