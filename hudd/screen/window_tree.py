"""Which windows of programs an X server shows, by its own tree of windows.

A window manager tells of a window (EWMH) some milliseconds after the server shows it, and of a window that it does not
manage never. The tree tells at once: what is shown is below the root window, in its order, the frames of a window
manager around it. Inside a frame the program's window is the one with ``WM_STATE`` (ICCCM 4.1.3.1), which the window
manager sets; before it has done so, one with a class or a title.

Spoken over a connection of ``hudd.screen.x11``; all questions of a step are sent before its first answer is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hudd.screen.source import Rect

_VIEWABLE: Final = 2
"""MapState.Viewable: the window and all its parents are mapped; a minimized one is not."""
_DEEPEST: Final = 3
"""So far below the root's children a window that nobody manages is looked for; frames are at most two windows thick."""
_MOST_PARENTS: Final = 8
_MOST_WINDOWS: Final = 2000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a window is.

    Attributes:
        number: Of the window.
        rect: Of its frame.
        managed: Whether a window manager takes care of it; no menu or other pop-up is.
    """

    number: int
    rect: Rect
    managed: bool


@dataclass(slots=True)
class _Top:
    """A child of the root window that is shown.

    Attributes:
        clients: Managed windows in it, or the window itself.
        named: What has a class or a title and is not managed.
    """

    rect: Rect
    clients: list[int] = field(default_factory=list[int])
    named: list[int] = field(default_factory=list[int])


class WindowTree:
    """Reads the tree.

    Args:
        library: xcffib, loaded.
        core: To ask; nobody else may use its connection at the same time.
        root: The root window.
        state: The atom ``WM_STATE``.
        names: The atoms of properties that tell what a window is.
    """

    def __init__(self, library: Any, core: Any, root: int, state: int, names: Sequence[int]) -> None:
        self._library = library
        self._core = core
        self._root = root
        self._state = state
        self._names = tuple(names)

    def read(self, managed: Sequence[int]) -> list[Place]:
        """The windows that are shown, the topmost last; of what is neither managed nor named the outermost one.

        Args:
            managed: What the window manager lists; saves the search in their frames.

        Raises:
            XcffibException: The connection broke.
        """
        asked = (self._core.QueryTree(self._root), self._core.GetGeometry(self._root))
        tree, screen = (cookie.reply() for cookie in asked)
        children = [int(child) for child in tree.children]
        tops = self._shown_tops(children[-_MOST_WINDOWS:])
        for client, top in self._tops_of(managed).items():
            if top in tops:
                tops[top].clients.append(client)
        # Out of sight are windows by which programs find each other.
        seen = {number: top for number, top in tops.items() if _meets(top.rect, screen.width, screen.height)}
        self._search({number: top for number, top in seen.items() if not top.clients})
        visible = self._viewable([client for number, top in tops.items() for client in top.clients if client != number])
        found: list[Place] = []
        for number, top in tops.items():
            # Of several in one frame the others are behind tabs; of a rolled up window the frame shows the title.
            shown = [client for client in top.clients if client == number or client in visible]
            found += [Place(client, top.rect, managed=True) for client in shown or top.clients]
            if number in seen and not top.clients:
                found += [Place(popup, top.rect, managed=False) for popup in top.named or (number,)]
        return found

    def replies(self, cookies: Iterable[Any]) -> list[Any]:
        """All answers; None for a window that closed meanwhile.

        Raises:
            XcffibException: The connection broke.
        """
        answers: list[Any] = []
        for cookie in cookies:
            try:
                answers.append(cookie.reply())
            except self._library.Error:
                answers.append(None)
        return answers

    def _ask(self, ask: Callable[[int], Any], numbers: Sequence[int]) -> list[Any]:
        return self.replies([ask(number) for number in numbers])

    def _property(self, number: int, atom: int) -> Any:
        """Whether it is set is all that counts, so one unit of it is enough."""
        return self._core.GetProperty(False, number, atom, 0, 0, 1)

    def _viewable(self, numbers: Sequence[int]) -> dict[int, None]:
        """Those that are shown, in their order."""
        input_only = self._library.xproto.WindowClass.InputOnly
        told = self._ask(self._core.GetWindowAttributes, numbers)
        return {
            number: None
            for number, reply in zip(numbers, told, strict=True)
            if reply is not None and reply.map_state == _VIEWABLE and reply._class != input_only  # noqa: SLF001 - so named by xcffib, because class is a keyword
        }

    def _shown_tops(self, children: Sequence[int]) -> dict[int, _Top]:
        shown = list(self._viewable(children))
        tops: dict[int, _Top] = {}
        for number, place in zip(shown, self._ask(self._core.GetGeometry, shown), strict=True):
            if place is not None:
                border = 2 * int(place.border_width)
                tops[number] = _Top((int(place.x), int(place.y), int(place.width) + border, int(place.height) + border))
        return tops

    def _tops_of(self, windows: Sequence[int]) -> dict[int, int]:
        """The child of the root window that each one is in."""
        tops: dict[int, int] = {}
        climbing = {window: window for window in windows[:_MOST_WINDOWS]}
        for _ in range(_MOST_PARENTS):
            trees = self._ask(self._core.QueryTree, list(climbing.values()))
            higher: dict[int, int] = {}
            for (window, place), tree in zip(climbing.items(), trees, strict=True):
                if tree is not None and tree.parent == self._root:
                    tops[window] = place
                elif tree is not None and tree.parent:
                    higher[window] = int(tree.parent)
            if not higher:
                break
            climbing = higher
        return tops

    def _search(self, tops: dict[int, _Top]) -> None:
        """Look for windows of programs in what no listed window is in."""
        level = list(tops.items())
        for depth in range(_DEEPEST + 1):
            numbers = [number for number, _ in level]
            properties = (self._state, *self._names)
            told = self.replies([self._property(number, atom) for number in numbers for atom in properties])
            below: list[tuple[int, _Top]] = []
            for index, (number, top) in enumerate(level):
                state, *names = told[index * len(properties) : (index + 1) * len(properties)]
                if state is not None and state.value_len:
                    top.clients.append(number)
                    continue
                if any(name is not None and name.value_len for name in names):
                    top.named.append(number)
                below.append((number, top))
            if depth == _DEEPEST or not below:
                return
            trees = self._ask(self._core.QueryTree, [number for number, _ in below])
            level = [
                (int(child), top)
                for (_, top), tree in zip(below, trees, strict=True)
                if tree is not None
                for child in tree.children
            ][:_MOST_WINDOWS]


def _meets(rect: Rect, width: int, height: int) -> bool:
    left, top, wide, high = rect
    return left < width and top < height and left + wide > 0 and top + high > 0
