"""Frames of PipeWire, through GStreamer as a child process: raw pixels on one pipe, their size on another.

``gst-launch-1.0 -v`` prints the negotiated format of each pad, and now and then leaves one out: that of the queue, or
of the sink behind it, tells the size of the frames that follow. The queue drops the oldest. hudd reads not every frame,
so what it holds, and what is on the way, may be some tenths of a second old: after a change of what may be seen, a
frame from before it is not given.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import IO, Final

from hudd.errors import CaptureError

PROGRAM: Final = "gst-launch-1.0"
_INSTALL: Final = (
    "Install it: sudo apt-get install -y gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-pipewire"
)
_CAPS: Final = re.compile(rb"Gst(?:Queue:frames|FdSink:fdsink0)\.GstPad:(?:sink|src): caps = (video/x-raw[^\n]*)")
_SIDE: Final = {side: re.compile(rb"\b" + side + rb"=\(int\)(\d{1,5})\b") for side in (b"width", b"height")}
_FIRST_S: Final = 30.0
"""The first start of GStreamer on a machine reads all of its plug-ins, which takes a slow disk so long."""
_PACE_S: Final = 0.2
"""Between two frames at least so long: hudd looks not more often, and a film would cost a core."""
_QUIET_S: Final = 0.2
"""Where no frame came for so long, none is on the way: the newest shows what is on the monitor."""
_ON_THE_WAY: Final = 4
"""So many frames may be on the way at most: at the sink, in the queue, in the conversion, and at PipeWire."""
_MOST_BYTES: Final = 300_000_000


@dataclass(frozen=True, slots=True)
class PipeFrame:
    """One frame: B G R X, rows without padding."""

    data: bytes
    width: int
    height: int


def pipewire_command(descriptor: int, node: int) -> tuple[str, ...]:
    """The pipeline for one node of a PipeWire connection; ``{out}`` stands for the descriptor of the frames.

    Raises:
        CaptureError: GStreamer is not installed.
    """
    if shutil.which(PROGRAM) is None:
        raise CaptureError(
            f"A ScreenCast cannot be read: {PROGRAM} is not installed.",
            hint=_INSTALL,
        )
    source = ("pipewiresrc", f"fd={descriptor}", f"path={node}", "always-copy=true", "keepalive-time=0")
    return pipeline(source)


def pipeline(source: Sequence[str]) -> tuple[str, ...]:
    """A source of frames, their conversion, and the sink."""
    queue = ("queue", "name=frames", "leaky=downstream", "max-size-buffers=1", "max-size-bytes=0", "max-size-time=0")
    convert = ("videoconvert", "!", "video/x-raw,format=BGRx", "!", *queue)
    return (PROGRAM, "-v", *source, "!", *convert, "!", "fdsink", "name=fdsink0", "fd={out}", "sync=false")


class FramePipe:
    """Reads the frames of one child in a thread and keeps the newest.

    Args:
        command: The child; ``{out}`` in a word becomes the descriptor that it writes frames to.
        on_frame: Called in the thread with each frame, and when the child ended.
        descriptors: What the child inherits beside.

    Attributes:
        ended: Whether the child has ended.

    Raises:
        CaptureError: It cannot be started.
    """

    def __init__(self, command: Sequence[str], on_frame: Callable[[], None], descriptors: Sequence[int] = ()) -> None:
        self.ended = False
        self._on_frame = on_frame
        self._lock = threading.Condition()
        self._frame: PipeFrame | None = None
        self._frames_read = 0
        self._waits_since_s: float | None = None
        self._epoch: int | None = None
        self._unpaced = threading.Event()
        self._changed = False
        self._size: tuple[int, int] | None = None
        self._last_words = b""
        self._closing = threading.Event()
        reader, writer = os.pipe()
        words = [word.replace("{out}", str(writer)) for word in command]
        try:
            self._child = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(writer, *descriptors),
                start_new_session=True,
            )
        except OSError as error:
            os.close(reader)
            raise CaptureError(f"{command[0]} cannot be started ({error.strerror}).", hint=_INSTALL) from error
        finally:
            os.close(writer)
        self._frames = os.fdopen(reader, "rb")
        assert self._child.stdout is not None
        self._threads = [
            threading.Thread(target=self._read_words, args=(self._child.stdout,), name="hudd-gst-words", daemon=True),
            threading.Thread(target=self._read_frames, name="hudd-gst-frames", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def newest(self, timeout_s: float = _FIRST_S, *, epoch: int | None = None) -> PipeFrame:
        """The newest frame; the first one is waited for.

        Args:
            timeout_s: How long to wait, seconds.
            epoch: Of what may be seen; where it is not that of the last call, the frame shows what was on the monitor
                after this call began, which takes some tenths of a second to know. None where it does not matter.

        Raises:
            CaptureError: The child has ended, or there was none in time.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._lock:
            if not self._lock.wait_for(lambda: self._frame is not None or self.ended, timeout_s):
                raise _no_frame(timeout_s)
            if epoch is not None and epoch != self._epoch:
                self._wait_for_new(deadline_s, timeout_s)
                self._epoch = epoch
            if self.ended or self._frame is None:
                words = self._last_words.decode("utf-8", "replace").strip().rstrip(".")
                raise CaptureError(
                    f"GStreamer gives no more frames{f': {words}' if words else ''}.",
                    hint="hudd asks the portal for another ScreenCast.",
                )
            return self._frame

    def _wait_for_new(self, deadline_s: float, timeout_s: float) -> None:
        """Wait until whatever was on the way has come. The lock is held."""
        asked_s = time.monotonic()
        enough = self._frames_read + _ON_THE_WAY
        self._unpaced.set()
        try:
            while not self.ended and self._frames_read < enough:
                now_s = time.monotonic()
                waits_s = self._waits_since_s
                quiet_s = 0.0 if waits_s is None else now_s - max(waits_s, asked_s)
                if quiet_s >= _QUIET_S:
                    return
                if now_s >= deadline_s:
                    raise _no_frame(timeout_s)
                self._lock.wait(min(_QUIET_S - quiet_s, deadline_s - now_s))
        finally:
            self._unpaced.clear()

    def take_changed(self) -> bool:
        """Whether a frame came since the last call, or the child ended."""
        with self._lock:
            changed, self._changed = self._changed or self.ended, False
            return changed

    def close(self) -> None:
        """End the child and the threads. May be called again."""
        self._closing.set()
        self._unpaced.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        for thread in self._threads:
            thread.join()

    def _read_words(self, words: IO[bytes]) -> None:
        with words:
            for line in words:
                found = _CAPS.search(line)
                if found is None:
                    if line.startswith((b"ERROR", b"WARNING")):
                        self._last_words = line.strip()[:300]
                    continue
                sides = [_SIDE[side].search(found[1]) for side in (b"width", b"height")]
                size = tuple(int(side[1]) for side in sides if side is not None)
                with self._lock:
                    if len(size) == 2 and 0 < size[0] * size[1] * 4 <= _MOST_BYTES:
                        if self._size is not None and size != self._size:
                            break  # frames of both sizes are on the way: a new child is needed to tell them apart
                        self._size = (size[0], size[1])
                        self._lock.notify_all()
        self._end()

    def _read_frames(self) -> None:
        with self._frames:
            with self._lock:
                self._lock.wait_for(lambda: self._size is not None or self.ended)
                size = self._size
            while size is not None and not self._closing.is_set():
                self._set_waiting(time.monotonic())
                self._frames.peek(1)  # returns with the first byte of a frame
                self._set_waiting(None)
                data = self._frames.read(size[0] * size[1] * 4)
                if len(data) < size[0] * size[1] * 4:
                    break
                with self._lock:
                    self._frame, self._changed = PipeFrame(data, *size), True
                    self._frames_read += 1
                    self._lock.notify_all()
                self._on_frame()
                self._unpaced.wait(_PACE_S)
        self._end()

    def _set_waiting(self, since_s: float | None) -> None:
        with self._lock:
            self._waits_since_s = since_s

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        with self._lock:
            self.ended = True
            self._lock.notify_all()
        self._on_frame()


def _no_frame(timeout_s: float) -> CaptureError:
    return CaptureError(
        f"No frame came from PipeWire within {timeout_s:g} s.",
        hint="Look whether PipeWire runs: systemctl --user status pipewire; hudd asks again.",
    )


@contextlib.contextmanager
def closing_descriptor(descriptor: int) -> Generator[None]:
    """Close a descriptor at the end; the children that were started meanwhile have their own."""
    try:
        yield
    finally:
        os.close(descriptor)
