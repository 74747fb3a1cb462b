"""Which windows an X11 desktop shows, with their titles and programs.

Spoken over a connection of ``hudd.screen.x11``. One that follows is told by the server of what changed, and asks for
no more than that: a reading on a desktop on which nothing changed is one question.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from hudd.screen.source import Window
from hudd.screen.window_tree import Place, WindowTree

CLIENTS: Final = ("_NET_CLIENT_LIST_STACKING", "_NET_CLIENT_LIST")
ACTIVE: Final = "_NET_ACTIVE_WINDOW"
STATE: Final = "WM_STATE"
_TITLE: Final = "_NET_WM_NAME"
_PID: Final = "_NET_WM_PID"
_CLASS: Final = "WM_CLASS"
_OWNER: Final = "WM_TRANSIENT_FOR"
NAMES: Final = (_TITLE, "WM_NAME", _CLASS)
_DETAILS: Final = (*NAMES, _PID, _OWNER)
_LONGEST_WORDS: Final = 4096
"""Of the beginning of a title, and of its end, in units of four bytes."""
GAP: Final = "\u2026"
"""Between the beginning and the end of a title that is longer than both."""
_MOST_WINDOWS: Final = 2000
_NOBODY: Final = (0, 1)
"""What has the keyboard when no window has it: None and PointerRoot of the X protocol."""


@dataclass(frozen=True, slots=True)
class _Details:
    """What a window tells of itself."""

    title: str
    app: str
    pid: int | None
    owned: bool


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
        self._connection_of = ~int(connection.get_setup().resource_id_mask)
        names = (*CLIENTS, ACTIVE, STATE, *_DETAILS)
        asked = [self._core.InternAtom(False, len(name), name) for name in names]
        self.atoms: dict[str, int] = {name: one.reply().atom for name, one in zip(names, asked, strict=True)}
        self._of_windows = frozenset(self.atoms[name] for name in _DETAILS)
        self._of_the_desktop = frozenset(self.atoms[name] for name in (*CLIENTS, ACTIVE, STATE))
        self._tree = WindowTree(library, self._core, root, self.atoms[STATE], [self.atoms[name] for name in NAMES])
        self._moved = True
        self._places: list[Place] = []
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
        self._read_details([place.number for place in self._places])
        self._keyboard = keyboard
        self._focused = self._told_active or self._top_of(keyboard)
        self._found = tuple(self._windows())
        return self._found

    def _windows(self) -> Iterator[Window]:
        """Those whose details are known. A pop-up without a name is of the program that made it, if that is known."""
        named = {
            place.number & self._connection_of: known
            for place in self._places
            if (known := self._details.get(place.number)) is not None and known.app
        }
        for place in self._places:
            known = self._details.get(place.number)
            maker = named.get(place.number & self._connection_of)
            if known is None or (maker is None and not (known.app or known.title)):
                continue
            yield Window(
                id=f"{place.number:#x}",
                title=known.title,
                app=known.app or ("" if known.title or maker is None else maker.app),
                pid=known.pid or (None if place.managed or maker is None else maker.pid),
                rect=place.rect,
                focused=place.number == self._focused,
                popup=known.owned or not place.managed,
            )

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
        wanted = [self.atoms[name] for name in _DETAILS]
        told = self._tree.replies([self._ask(number, atom) for number in new for atom in wanted])
        for index, number in enumerate(new):
            answers = told[index * len(wanted) : (index + 1) * len(wanted)]
            if all(answer is not None for answer in answers):
                self._details[number] = self._details_of(number, *answers)

    def _details_of(self, number: int, new_title: Any, old_title: Any, app: Any, pid: Any, owner: Any) -> _Details:
        names = bytes(app.value.buf()).decode("utf-8", "replace").split("\0") if app.value_len else []
        numbers = _numbers(pid)
        return _Details(
            title=self._title(number, _TITLE, new_title) or self._title(number, "WM_NAME", old_title),
            app=names[1] if len(names) > 1 and names[1] else (names[0] if names else ""),
            pid=numbers[0] if numbers else None,
            owned=bool(owner.value_len),
        )

    def _title(self, number: int, name: str, reply: Any) -> str:
        """A title; of one that is longer than what was asked for its beginning and its end."""
        begin = _data(reply)
        if not reply.bytes_after:
            return _text(begin)
        rest = -(-int(reply.bytes_after) // 4)  # units, the last one perhaps not full
        skipped = max(0, rest - _LONGEST_WORDS)
        asked = self._core.GetProperty(False, number, self.atoms[name], 0, _LONGEST_WORDS + skipped, _LONGEST_WORDS)
        (answer,) = self._tree.replies([asked])
        end = b"" if answer is None else _data(answer)
        return f"{_text(begin)}{GAP}{_text(end)}" if skipped else _text(begin + end)

    def _top_of(self, keyboard: int) -> int:
        """Without a window manager: the window with the keyboard, or the one below the root that it is in."""
        number = keyboard
        known = {place.number for place in self._places}
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


def _numbers(reply: Any) -> list[int]:
    if reply is None or reply.format != 32:
        return []
    return [int(number) for number in reply.value.to_atoms()]


def _data(reply: Any) -> bytes:
    return bytes(reply.value.buf()) if reply.value_len else b""


def _text(data: bytes) -> str:
    """Old titles (WM_NAME) are Latin-1 by their standard, but most programs write UTF-8 into them.

    A letter that was cut in two, here or by the program, does not make the rest another alphabet's.
    """
    data = data.rstrip(b"\0")
    text = data.decode("utf-8", "replace")
    is_utf8 = any(not letter.isascii() and letter != "\ufffd" for letter in text)
    return text if is_utf8 or "\ufffd" not in text else data.decode("latin-1")
