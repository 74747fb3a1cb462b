"""What a Wayland compositor tells by itself: changed pixels, outputs that come and go, windows.

One thread with a connection of its own waits for it. Copies with damage are asked for again only after the last damage
was taken, so what never rests (a video) costs one event a look, and nothing while nobody looks.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from pathlib import Path
from typing import Final

from hudd.errors import CaptureError
from hudd.screen.source import Rect, Window
from hudd.screen.wayland_frames import DAMAGE_SINCE, Buffer, Frame, Layout
from hudd.screen.wayland_globals import SCREENCOPY, TOPLEVELS, Output, WaylandGlobals

_AGAIN_S: Final = 5.0
"""An output that gives no frames (it is switched off) is asked again after so long."""
_END_S: Final = 2.0


class WaylandWatch:
    """Waits for damage in a thread, from the first moment on.

    Args:
        path: The compositor's socket.
        only_windows: Whether damage is of no interest, so that only windows make the descriptor readable.

    Raises:
        NoDisplayError: Nobody listens there.
    """

    def __init__(self, path: Path, *, only_windows: bool = False) -> None:
        self._globals = WaylandGlobals(path, windows=True)
        self.damage = not only_windows and self._globals.offers(SCREENCOPY) >= DAMAGE_SINCE
        self.tells_windows = self._globals.offers(TOPLEVELS) > 0
        self._lock = threading.Lock()
        self._told = False
        self._rects: list[Rect] = []
        self._windows = self._globals.windows()
        self._windows_changed = False
        self._error: CaptureError | None = None
        self._closing = False
        self._taken = True
        self._frames: dict[Output, Frame] = {}
        self._buffers: dict[Output, Buffer] = {}
        self._reported: set[Output] = set()
        self._failed_at: dict[Output, float] = {}
        self._reader, self._writer = socket.socketpair()
        self._inner, self._outer = socket.socketpair()
        for end in (self._reader, self._writer, self._inner, self._outer):
            end.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="hudd-wayland", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """Readable when there is something to take."""
        return self._reader.fileno()

    def take_damage(self) -> tuple[Rect, ...]:
        """What changed since the last call; never waits.

        Raises:
            NoDisplayError: The compositor is gone.
        """
        with self._lock:
            with contextlib.suppress(BlockingIOError):
                while self._reader.recv(64):
                    pass
            if self._error is not None:
                raise self._error
            rects, self._rects, self._told = tuple(dict.fromkeys(self._rects)), [], False
            self._taken = True
        self._wake()
        return rects

    def windows(self) -> tuple[Window, ...]:
        """The windows that are not minimized, as last told.

        Raises:
            NoDisplayError: The compositor is gone.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            return self._windows

    def take_windows_changed(self) -> bool:
        """Whether a window came, went, got the focus or another title since the last call."""
        with self._lock:
            changed, self._windows_changed = self._windows_changed, False
            return changed

    def close(self) -> None:
        """End the thread. May be called again."""
        self._closing = True
        self._wake()
        self._thread.join(_END_S)
        for end in (self._reader, self._writer, self._inner, self._outer):
            end.close()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake already; closed: nobody to wake
            self._outer.send(b"!")

    def _run(self) -> None:
        try:
            while not self._closing:
                self._arm()
                self._wait()
                self._collect()
        except CaptureError as error:
            with self._lock:
                self._error = error
                self._tell()
        finally:
            self._globals.wire.close()
            for buffer in self._buffers.values():
                buffer.close(tell=False)

    def _arm(self) -> None:
        """Ask for the next damage of every output whose last one was taken."""
        with self._lock:
            taken, self._taken = self._taken, False
        if taken:
            self._reported.clear()
        if not self.damage:
            return
        for output in self._globals.outputs.values():
            if output in self._frames or output in self._reported:
                continue
            self._frames[output] = Frame(
                self._globals, output, lambda layout, of=output: self._buffer(of, layout), cursor=False, on_damage=True
            )

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._globals.wire.fileno(), select.POLLIN)
        poll.register(self._inner, select.POLLIN)
        off = any(frame.failed for frame in self._frames.values())
        ready = dict(poll.poll(_AGAIN_S * 1000.0 if off else None))
        if self._inner.fileno() in ready:
            with contextlib.suppress(BlockingIOError):
                while self._inner.recv(64):
                    pass
        if self._globals.wire.fileno() in ready:
            self._globals.wire.read()

    def _collect(self) -> None:
        now = time.monotonic()
        for output, frame in list(self._frames.items()):
            if output not in self._globals.outputs.values():
                self._drop(output)
            elif frame.ready:
                rects = [_on_desktop(output, frame, rect) for rect in frame.damage] or [output.rect]
                self._drop(output, keep_buffer=True)
                self._reported.add(output)
                with self._lock:
                    self._rects += rects
                    self._tell()
            elif frame.failed and now - self._failed_at.setdefault(output, now) >= _AGAIN_S:
                self._drop(output)
        changed, self._globals.changed = self._globals.changed, False
        if changed:
            self._globals.settle()
        windows = self._globals.windows()
        with self._lock:
            if windows != self._windows:
                self._windows, self._windows_changed = windows, True
                changed = True
            if changed:
                self._tell()

    def _drop(self, output: Output, *, keep_buffer: bool = False) -> None:
        self._frames.pop(output).close()
        self._failed_at.pop(output, None)
        buffer = None if keep_buffer else self._buffers.pop(output, None)
        if buffer is not None:
            buffer.close()

    def _buffer(self, output: Output, layout: Layout) -> Buffer:
        """The pixels that come with the damage are not looked at, so this memory is never mapped here."""
        buffer = self._buffers.get(output)
        if buffer is None or buffer.layout != layout:
            if buffer is not None:
                buffer.close()
            buffer = self._buffers[output] = Buffer(self._globals, layout)
        return buffer

    def _tell(self) -> None:
        """Make the descriptor readable; the lock is held."""
        if not self._told:
            self._told = True
            with contextlib.suppress(OSError):  # it is being closed
                self._writer.send(b"!")


def _on_desktop(output: Output, frame: Frame, damage: Rect) -> Rect:
    """Damage comes in the pixels of the buffer; a turned output is damaged as a whole."""
    left, top, width, height = output.rect
    if output.transform or frame.layout is None:
        return output.rect
    x_scale, y_scale = width / max(1, frame.layout.width), height / max(1, frame.layout.height)
    x, y = int(damage[0] * x_scale), int(damage[1] * y_scale)
    return (left + x, top + y, round(damage[2] * x_scale), round(damage[3] * y_scale))
