"""One frame of an output by wlr-screencopy, into shared memory."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hudd.screen.source import Rect
from hudd.screen.wayland_globals import SCREENCOPY, SHM, Output, WaylandGlobals
from hudd.screen.wayland_wire import Arguments, sint, uint

_CAPTURE_OUTPUT: Final = 0
_COPY, _DESTROY, _COPY_WITH_DAMAGE = 0, 1, 2
_BUFFER, _FLAGS, _READY, _FAILED, _DAMAGE, _LINUX_DMABUF, _BUFFER_DONE = range(7)
_BUFFER_DONE_SINCE: Final = 3
DAMAGE_SINCE: Final = 2
_Y_INVERT: Final = 1
_CREATE_POOL: Final = 0
_CREATE_BUFFER, _POOL_DESTROY = 0, 1
_BUFFER_DESTROY: Final = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """How the pixels of a frame lie in memory; ``code`` is ``wl_shm.format``."""

    code: int
    width: int
    height: int
    stride: int


class Buffer:
    """Shared memory that the compositor writes frames into. Nothing is mapped until ``read``."""

    def __init__(self, globals_: WaylandGlobals, layout: Layout) -> None:
        self.layout = layout
        self._wire = globals_.wire
        size = layout.stride * layout.height
        self._descriptor = os.memfd_create("hudd-frame", os.MFD_CLOEXEC)
        self._map: mmap.mmap | None = None
        try:
            os.ftruncate(self._descriptor, size)
            shm = globals_.bind(SHM)  # before the next number is taken: they must be used in their order
            pool = self._wire.new_id(_ignore)
            self._wire.request(shm, _CREATE_POOL, uint(pool), sint(size), descriptors=(self._descriptor,))
            self.number = self._wire.new_id(_ignore)
            shape = (sint(0), sint(layout.width), sint(layout.height), sint(layout.stride), uint(layout.code))
            self._wire.request(pool, _CREATE_BUFFER, uint(self.number), *shape)
            self._wire.request(pool, _POOL_DESTROY)
        except BaseException:
            os.close(self._descriptor)
            raise

    def read(self) -> bytes:
        """The bytes of the newest frame: one copy, because the compositor writes the next frame into the same place."""
        if self._map is None:
            self._map = mmap.mmap(self._descriptor, self.layout.stride * self.layout.height, prot=mmap.PROT_READ)
        return self._map[:]

    def close(self, *, tell: bool = True) -> None:
        """Give the memory back; ``tell`` the compositor too, unless it is gone."""
        if self._map is not None:
            self._map.close()
        os.close(self._descriptor)
        if tell:
            self._wire.request(self.number, _BUFFER_DESTROY)
            self._wire.forget(self.number)


class Frame:
    """One frame on its way. ``done`` turns true by events; the caller reads the wire.

    Args:
        globals_: The connection.
        output: What to copy.
        buffer_for: Gives a buffer for a layout, once that is known.
        cursor: Whether the pointer is painted in.
        on_damage: Wait until something changed, instead of copying at once.
    """

    def __init__(
        self,
        globals_: WaylandGlobals,
        output: Output,
        buffer_for: Callable[[Layout], Buffer],
        *,
        cursor: bool,
        on_damage: bool = False,
    ) -> None:
        self._wire = globals_.wire
        self._buffer_for = buffer_for
        self._copy = _COPY_WITH_DAMAGE if on_damage else _COPY
        self._asked = False
        self._version = globals_.offers(SCREENCOPY)
        self.layout: Layout | None = None
        self.upside_down = False
        self.ready = False
        self.failed = False
        self.damage: list[Rect] = []
        manager = globals_.bind(SCREENCOPY)
        self.number = self._wire.new_id(self._event)
        self._wire.request(manager, _CAPTURE_OUTPUT, uint(self.number), sint(int(cursor)), uint(output.number))

    def done(self) -> bool:
        """Whether it came, or failed."""
        return self.ready or self.failed

    def close(self) -> None:
        """Destroy it; one that still waits is cancelled."""
        self._wire.request(self.number, _DESTROY)
        self._wire.forget(self.number)

    def _event(self, opcode: int, arguments: Arguments) -> None:
        if opcode == _BUFFER:
            self.layout = Layout(arguments.uint(), arguments.uint(), arguments.uint(), arguments.uint())
            if self._version < _BUFFER_DONE_SINCE:
                self._ask()
        elif opcode == _BUFFER_DONE:
            self._ask()
        elif opcode == _FLAGS:
            self.upside_down = bool(arguments.uint() & _Y_INVERT)
        elif opcode == _DAMAGE:
            self.damage.append((arguments.uint(), arguments.uint(), arguments.uint(), arguments.uint()))
        elif opcode == _READY:
            self.ready = True
        elif opcode == _FAILED:
            self.failed = True

    def _ask(self) -> None:
        if self.layout is None:
            self.failed = True  # only graphics memory is offered, which hudd cannot read
        elif not self._asked:
            self._asked = True
            self._wire.request(self.number, self._copy, uint(self._buffer_for(self.layout).number))


def _ignore(opcode: int, arguments: Arguments) -> None:
    """A buffer that is free again: it is used for the next frame anyway."""
    del opcode, arguments
