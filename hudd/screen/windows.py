"""Which windows an X11 desktop shows, with their titles and programs.

Spoken over a connection of ``hudd.screen.x11``. One that follows is told by the server of what changed, and asks for
no more than that: a reading on a desktop on which nothing changed is one question.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from hudd.screen.source import Rect, Window
from hudd.screen.window_tree import WindowTree

CLIENTS: Final = ("_NET_CLIENT_LIST_STACKING", "_NET_CLIENT_LIST")
ACTIVE: Final = "_NET_ACTIVE_WINDOW"
STATE: Final = "WM_STATE"
_TITLE: Final = "_NET_WM_NAME"
_PID: Final = "_NET_WM_PID"
_CLASS: Final = "WM_CLASS"
NAMES: Final = (_TITLE, "WM_NAME", _CLASS)
_LONGEST_WORDS: Final = 256
"""Of a title, in units of four bytes."""
_MOST_WINDOWS: Final = 2000
_NOBODY: Final = (0, 1)
"""What has the keyboard when no window has it: None and PointerRoot of the X protocol."""


@dataclass(frozen=True, slots=True)
class _Details:
    """What a window tells of itself."""

    title: str
    app: str
    pid: int | None


class X11Windows:
    """Lists the windows.

    Args:
        library: xcffib, loaded.
        connection: To ask on; nobody else may use it at the same time.
        root: The root window.
        follow: Whether the server tells this connection of changes, which ``drain`` or ``read`` must then fetch again
            and again; otherwise each reading asks for everything.
    """

    def __init__(self, library: Any, connection: Any, root: int, *, follow: bool = False) -> None:
        self._library = library
        self._connection = connection
        self._core = connection.core
        self._root = root
        self._follow = follow
        names = (*CLIENTS, ACTIVE, STATE, *NAMES, _PID)
        asked = [self._core.InternAtom(False, len(name), name) for name in names]
        self.atoms: dict[str, int] = {name: one.reply().atom for name, one in zip(names, asked, strict=True)}
        self._of_windows = frozenset(self.atoms[name] for name in (*NAMES, _PID))
        self._of_the_desktop = frozenset(self.atoms[name] for name in (*CLIENTS, ACTIVE, STATE))
        self._tree = WindowTree(library, self._core, root, self.atoms[STATE], [self.atoms[name] for name in NAMES])
        self._moved = True
        self._places: list[tuple[int, Rect]] = []
        self._told_active = 0
        self._keyboard = 0
        self._focused = 0
        self._details: dict[int, _Details] = {}
        self._found: tuple[Window, ...] | None = None
        if follow:
            self._select(root, library.xproto.EventMask.SubstructureNotify)

    def tells(self, event: Any) -> bool:
        """Whether an event says that windows, their titles, their order or the focus changed."""
        events = self._library.xproto
        if isinstance(event, events.PropertyNotifyEvent):
            return event.atom in self._of_windows or event.atom in self._of_the_desktop
        return isinstance(
            event,
            (
                events.MapNotifyEvent,
                events.UnmapNotifyEvent,
                events.ConfigureNotifyEvent,
                events.CirculateNotifyEvent,
                events.ReparentNotifyEvent,
                events.DestroyNotifyEvent,
            ),
        )

    def drain(self) -> None:
        """Take what was told and keep in mind what must be asked again; never waits.

        Raises:
            XcffibException: The connection broke.
        """
        while True:
            try:
                event = self._connection.poll_for_event()
            except self._library.Error:
                continue  # a window that closed before it could be followed
            if event is None:
                return
            if not self.tells(event):
                continue
            self._found = None
            if not isinstance(event, self._library.xproto.PropertyNotifyEvent):
                self._moved = True
            elif event.atom in self._of_windows:
                self._details.pop(int(event.window), None)
            else:
                self._moved = True

    def read(self) -> tuple[Window, ...]:
        """The windows that are shown, the topmost last. One that closes meanwhile is left out.

        Raises:
            XcffibException: The connection broke.
        """
        # What happened before the answer was told before it.
        keyboard = int(self._core.GetInputFocus().reply().focus)
        if self._follow:
            self.drain()
        else:
            self._moved, self._found = True, None
            self._details.clear()
        if self._found is not None and keyboard == self._keyboard:
            return self._found
        if self._moved:
            self._moved = False
            self._read_places()
        self._read_details([number for number, _ in self._places])
        self._keyboard = keyboard
        self._focused = self._told_active or self._top_of(keyboard)
        self._found = tuple(
            Window(
                id=f"{number:#x}",
                title=known.title,
                app=known.app,
                pid=known.pid,
                rect=rect,
                focused=number == self._focused,
            )
            for number, rect in self._places
            if (known := self._details.get(number)) is not None
        )
        return self._found

    def _read_places(self) -> None:
        asked = [self._ask(self._root, self.atoms[name], _MOST_WINDOWS) for name in (*CLIENTS, ACTIVE)]
        stacked, listed, active = (_numbers(reply) for reply in self._tree.replies(asked))
        self._told_active = active[0] if active else 0
        self._places = self._tree.read(stacked or listed)

    def _read_details(self, numbers: list[int]) -> None:
        """Ask those that are not known; what is no more shown is forgotten."""
        self._details = {number: self._details[number] for number in numbers if number in self._details}
        new = [number for number in dict.fromkeys(numbers) if number not in self._details]
        if self._follow:
            for number in new:
                self._select(number)  # before it is asked, so that no change falls in between
        wanted = [self.atoms[name] for name in (*NAMES, _PID)]
        told = self._tree.replies([self._ask(number, atom) for number in new for atom in wanted])
        for index, number in enumerate(new):
            answers = told[index * len(wanted) : (index + 1) * len(wanted)]
            if all(answer is not None for answer in answers):
                self._details[number] = _details(*answers)

    def _top_of(self, keyboard: int) -> int:
        """Without a window manager: the window with the keyboard, or the one below the root that it is in."""
        number = keyboard
        known = {place for place, _ in self._places}
        while number not in (*_NOBODY, self._root) and number not in known:
            (tree,) = self._tree.replies([self._core.QueryTree(number)])
            if tree is None:
                return 0
            number = int(tree.parent)
        return number

    def _ask(self, window: int, atom: int, words: int = _LONGEST_WORDS) -> Any:
        return self._core.GetProperty(False, window, atom, 0, 0, words)

    def _select(self, window: int, more: int = 0) -> None:
        xproto = self._library.xproto
        self._core.ChangeWindowAttributes(window, xproto.CW.EventMask, [xproto.EventMask.PropertyChange | more])


def _details(new_title: Any, old_title: Any, app: Any, pid: Any) -> _Details:
    names = bytes(app.value.buf()).decode("utf-8", "replace").split("\0") if app.value_len else []
    numbers = _numbers(pid)
    return _Details(
        title=_text(new_title) or _text(old_title),
        app=names[1] if len(names) > 1 and names[1] else (names[0] if names else ""),
        pid=numbers[0] if numbers else None,
    )


def _numbers(reply: Any) -> list[int]:
    if reply is None or reply.format != 32:
        return []
    return [int(number) for number in reply.value.to_atoms()]


def _text(reply: Any) -> str:
    """Old titles (WM_NAME) are Latin-1 by their standard, but most programs write UTF-8 into them."""
    data = bytes(reply.value.buf()).rstrip(b"\0") if reply.value_len else b""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
