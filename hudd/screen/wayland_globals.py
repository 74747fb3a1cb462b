"""What a Wayland compositor offers that matters here: outputs, shared memory, screencopy, windows, idle time.

Protocols: wayland (wl_registry, wl_output, wl_shm), xdg-output-unstable-v1, wlr-screencopy-unstable-v1,
wlr-foreign-toplevel-management-unstable-v1; opcodes are the places of requests and events in their XML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hudd.errors import CaptureError
from hudd.model import Source
from hudd.screen.source import Rect, Window
from hudd.screen.wayland_wire import DISPLAY_ID, Arguments, Handler, WaylandWire, socket_path, string, uint
from hudd.wire.messages import topic_source

SHM: Final = "wl_shm"
OUTPUT: Final = "wl_output"
XDG_OUTPUT: Final = "zxdg_output_manager_v1"
SCREENCOPY: Final = "zwlr_screencopy_manager_v1"
TOPLEVELS: Final = "zwlr_foreign_toplevel_manager_v1"
SEAT: Final = "wl_seat"
IDLE: Final = "ext_idle_notifier_v1"
KDE_IDLE: Final = "org_kde_kwin_idle"
_NEWEST: Final = {SHM: 1, OUTPUT: 4, XDG_OUTPUT: 3, SCREENCOPY: 3, TOPLEVELS: 3, SEAT: 1, IDLE: 1, KDE_IDLE: 1}
"""The newest version of each interface that is understood here."""

_GET_REGISTRY: Final = 1
_BIND: Final = 0
_GLOBAL, _GLOBAL_REMOVE = 0, 1
_OUTPUT_GEOMETRY, _OUTPUT_MODE, _OUTPUT_DONE, _OUTPUT_SCALE, _OUTPUT_NAME = 0, 1, 2, 3, 4
_OUTPUT_RELEASE: Final = 0
_OUTPUT_RELEASE_SINCE: Final = 3
_MODE_CURRENT: Final = 1
_XDG_GET_OUTPUT: Final = 1
_XDG_POSITION, _XDG_SIZE, _XDG_NAME = 0, 1, 3
_TOPLEVEL_NEW: Final = 0
_HANDLE_TITLE, _HANDLE_APP, _HANDLE_STATE, _HANDLE_CLOSED = 0, 1, 4, 6
_HANDLE_DESTROY: Final = 7
_ACTIVATED, _MINIMIZED = 2, 1


@dataclass(slots=True, eq=False)
class Output:
    """One output of the compositor.

    Attributes:
        number: Its object.
        version: Of its interface.
        name: As the compositor calls it, for instance ``DP-1``.
        transform: ``wl_output.transform``: 0-3 are quarter turns, 4-7 the same mirrored first.
        scale: Whole-number scale; the logical rectangle tells fractions.
        place: Logical rectangle, from xdg-output.
    """

    number: int
    version: int
    name: str = ""
    transform: int = 0
    scale: int = 1
    position: tuple[int, int] = (0, 0)
    mode: tuple[int, int] = (0, 0)
    place: list[int] = field(default_factory=lambda: [0, 0, 0, 0])

    @property
    def rect(self) -> Rect:
        """Where it is on the desktop, in logical pixels."""
        if self.place[2] > 0 and self.place[3] > 0:
            return (self.place[0], self.place[1], self.place[2], self.place[3])
        width, height = (value // max(1, self.scale) for value in self.mode)
        return (*self.position, height, width) if self.transform % 2 else (*self.position, width, height)


@dataclass(slots=True, eq=False)
class _Toplevel:
    title: str = ""
    app: str = ""
    states: tuple[int, ...] = ()


class WaylandGlobals:
    """One connection, and what the compositor announced on it.

    Args:
        path: The compositor's socket.
        windows: Whether to follow the list of windows; it costs an event for each change of a title.

    Raises:
        NoDisplayError: Nobody listens there, or it does not answer.
    """

    def __init__(self, path: Path, *, windows: bool = False) -> None:
        self.wire = WaylandWire(path)
        self.outputs: dict[int, Output] = {}
        self.changed = False
        self._offered: dict[str, tuple[int, int]] = {}
        self._bound: dict[str, int] = {}
        self._follow_windows = windows
        self._toplevels: dict[int, _Toplevel] = {}
        try:
            self._registry = self.wire.new_id(self._registry_event)
            self.wire.request(DISPLAY_ID, _GET_REGISTRY, uint(self._registry))
            self.wire.roundtrip()
            self.settle()
        except BaseException:
            self.wire.close()
            raise

    def offers(self, interface: str) -> int:
        """The version that both sides understand; 0 when the compositor does not offer it."""
        return min(self._offered.get(interface, (0, 0))[1], _NEWEST[interface])

    def require(self, interface: str) -> None:
        """Make sure that the compositor offers an interface.

        Raises:
            CaptureError: It does not.
        """
        if not self.offers(interface):
            raise CaptureError(
                f"This Wayland compositor does not offer {interface}.",
                hint='Use [screen] source = "portal" (GNOME, KDE), or an X11 session.',
            )

    def bind(self, interface: str, handler: Handler | None = None) -> int:
        """The object of an interface that is there once.

        Raises:
            CaptureError: The compositor does not offer it.
        """
        if interface not in self._bound:
            self.require(interface)
            number = self._offered[interface][0]
            self._bound[interface] = self._bind(number, interface, self.offers(interface), handler or _ignore)
        return self._bound[interface]

    def settle(self) -> None:
        """Wait until everything about the outputs that were announced is known.

        Raises:
            NoDisplayError: The compositor is gone.
        """
        self.wire.roundtrip()
        if XDG_OUTPUT in self._offered:
            for output in self.outputs.values():
                self._ask_place(output)
        if self._follow_windows and TOPLEVELS in self._offered:
            self.bind(TOPLEVELS, self._toplevels_event)
        self.wire.roundtrip()
        self.changed = False

    def sources(self) -> dict[str, tuple[Source, Output]]:
        """The outputs that show something, by the names that topics bear."""
        found: dict[str, tuple[Source, Output]] = {}
        for index, output in enumerate(self.outputs.values(), start=1):
            rect = output.rect
            name = topic_source(output.name or f"screen-{index}")
            if rect[2] > 0 and rect[3] > 0:
                found[name] = (Source("monitor", name, rect), output)
        return found

    def windows(self) -> tuple[Window, ...]:
        """The windows that are not minimized. Wayland tells neither where they are nor whose."""
        return tuple(
            Window(id=f"{number:#x}", title=top.title, app=top.app, focused=_ACTIVATED in top.states)
            for number, top in self._toplevels.items()
            if _MINIMIZED not in top.states
        )

    def _bind(self, name: int, interface: str, version: int, handler: Handler) -> int:
        number = self.wire.new_id(handler)
        self.wire.request(self._registry, _BIND, uint(name), string(interface), uint(version), uint(number))
        return number

    def _registry_event(self, opcode: int, arguments: Arguments) -> None:
        name = arguments.uint()
        if opcode == _GLOBAL_REMOVE:
            output = self.outputs.pop(name, None)
            if output is not None:
                self.changed = True
                if output.version >= _OUTPUT_RELEASE_SINCE:
                    self.wire.request(output.number, _OUTPUT_RELEASE)
                    self.wire.forget(output.number)
            return
        interface, version = arguments.string(), arguments.uint()
        if interface == OUTPUT:
            self.changed = True
            version = min(version, _NEWEST[OUTPUT])
            output = Output(0, version)
            output.number = self._bind(name, OUTPUT, version, self._output_handler(output))
            self.outputs[name] = output
        elif interface in _NEWEST:
            self._offered[interface] = (name, version)

    def _output_handler(self, output: Output) -> Handler:
        def event(opcode: int, arguments: Arguments) -> None:
            if opcode == _OUTPUT_GEOMETRY:
                output.position = (arguments.int(), arguments.int())
                for _ in range(3):  # size in millimetres, order of subpixels
                    arguments.int()
                arguments.string()
                arguments.string()
                output.transform = arguments.int()
            elif opcode == _OUTPUT_MODE:
                if arguments.uint() & _MODE_CURRENT:
                    output.mode = (arguments.int(), arguments.int())
            elif opcode == _OUTPUT_SCALE:
                output.scale = arguments.int()
            elif opcode == _OUTPUT_NAME:
                output.name = arguments.string()
            self.changed = True

        return event

    def _ask_place(self, output: Output) -> None:
        """Once for each output; later changes come by themselves."""
        if output.place[2]:
            return

        def event(opcode: int, arguments: Arguments) -> None:
            if opcode == _XDG_POSITION:
                output.place[:2] = [arguments.int(), arguments.int()]
            elif opcode == _XDG_SIZE:
                output.place[2:] = [arguments.int(), arguments.int()]
            elif opcode == _XDG_NAME and not output.name:
                output.name = arguments.string()
            self.changed = True

        manager = self.bind(XDG_OUTPUT)
        number = self.wire.new_id(event)
        self.wire.request(manager, _XDG_GET_OUTPUT, uint(number), uint(output.number))

    def _toplevels_event(self, opcode: int, arguments: Arguments) -> None:
        if opcode == _TOPLEVEL_NEW:
            number = arguments.uint()
            self._toplevels[number] = _Toplevel()
            self.wire.adopt(number, self._toplevel_handler(number))

    def _toplevel_handler(self, number: int) -> Callable[[int, Arguments], None]:
        top = self._toplevels[number]

        def event(opcode: int, arguments: Arguments) -> None:
            if opcode == _HANDLE_TITLE:
                top.title = arguments.string()
            elif opcode == _HANDLE_APP:
                top.app = arguments.string()
            elif opcode == _HANDLE_STATE:
                states = memoryview(arguments.array()).cast("I")
                top.states = tuple(states)
            elif opcode == _HANDLE_CLOSED:
                self._toplevels.pop(number, None)
                self.wire.request(number, _HANDLE_DESTROY)
                self.wire.forget(number)

        return event


def outputs_of(environ: Mapping[str, str]) -> frozenset[Source]:
    """The outputs that a compositor has now, which needs no permission; none where there is no compositor to ask."""
    path = socket_path(environ)
    if path is None:
        return frozenset()
    try:
        known = WaylandGlobals(path)
    except CaptureError:
        return frozenset()
    try:
        return frozenset(source for source, _ in known.sources().values())
    finally:
        known.wire.close()


def _ignore(opcode: int, arguments: Arguments) -> None:
    """Formats of shared memory, and whatever else is of no use here."""
    del opcode, arguments
