"""GStreamer's test picture instead of PipeWire's: the same pipe behind it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hudd.errors import CaptureError
from hudd.screen.pipewire import PROGRAM, FramePipe, pipeline, pipewire_command
from tests.fakes.screen import need

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="PipeWire")


def producer(width: int, height: int, *more: str, frames: int = -1) -> tuple[str, ...]:
    need(PROGRAM)
    source = ("videotestsrc", "is-live=true", f"num-buffers={frames}", *more)
    return pipeline((*source, "!", f"video/x-raw,width={width},height={height},framerate=30/1"))


def test_frames_come_with_their_size_and_the_newest_is_kept() -> None:
    came = threading.Semaphore(0)
    pipe = FramePipe(producer(321, 123, "pattern=red"), came.release)
    try:
        frame = pipe.newest()
        assert (frame.width, frame.height, len(frame.data)) == (321, 123, 321 * 123 * 4)
        blue, green, red = frame.data[:3]
        assert red > 200
        assert max(blue, green) < 60
        assert pipe.take_changed()
        for _ in range(3):
            assert came.acquire(timeout=10)
        assert pipe.newest() is not frame
    finally:
        pipe.close()
    assert pipe.ended
    pipe.close()


def test_a_stream_that_ends_is_told() -> None:
    pipe = FramePipe(producer(64, 48, frames=2), lambda: None)
    try:
        for thread in pipe._threads:
            thread.join(20)
        assert pipe.ended
        assert pipe.take_changed()
        with pytest.raises(CaptureError, match="GStreamer gives no more frames"):
            pipe.newest()
    finally:
        pipe.close()


def test_a_broken_pipeline_is_quoted() -> None:
    need(PROGRAM)
    pipe = FramePipe(pipeline(("nosuchsource",)), lambda: None)
    try:
        with pytest.raises(CaptureError, match='no element "nosuchsource"'):
            pipe.newest()
    finally:
        pipe.close()


def test_a_stream_that_changes_its_size_ends() -> None:
    """Frames of both sizes are on the way then, and nothing tells them apart."""
    script = (
        "import os,sys,time\n"
        "def caps(w): print(f'/GstPipeline:pipeline0/GstFdSink:fdsink0.GstPad:sink: caps = video/x-raw, width=(int){w}, "
        "height=(int)2, format=(string)BGRx', flush=True)\n"
        "caps(3); os.write(int(sys.argv[1]), bytes(24)); time.sleep(0.3); caps(5); time.sleep(60)\n"
    )
    pipe = FramePipe((sys.executable, "-c", script, "{out}"), lambda: None)
    try:
        assert pipe.newest().width == 3
        for thread in pipe._threads:
            thread.join(10)
        assert pipe.ended
    finally:
        pipe.close()


CLOCKWORK = (
    "import os,sys\n"
    "print('/GstPipeline:pipeline0/GstQueue:frames.GstPad:sink: caps = video/x-raw, width=(int)2, "
    "height=(int)1, format=(string)BGRx', flush=True)\n"
    "for line in sys.stdin: [os.write(int(sys.argv[1]), bytes([int(n)]) * 8) for n in line.split()]\n"
)
"""Writes a frame of each number that it is told, when it is told; the format of its sink is left out, as happens."""


class Clockwork:
    """A pipe whose frames are written when a test says so."""

    def __init__(self, tmp_path: Path) -> None:
        orders = tmp_path / "orders"
        os.mkfifo(orders)
        script = f"import sys; sys.stdin = open({str(orders)!r})\n{CLOCKWORK}"
        self.pipe = FramePipe((sys.executable, "-c", script, "{out}"), lambda: None)
        self._orders = orders.open("w")

    def write(self, *frames: int) -> None:
        print(*frames, file=self._orders, flush=True)

    def close(self) -> None:
        self._orders.close()
        self.pipe.close()


@pytest.fixture
def clockwork(tmp_path: Path) -> Iterator[Clockwork]:
    made = Clockwork(tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_after_a_change_no_frame_is_given_that_was_on_the_way(clockwork: Clockwork) -> None:
    """What came before it was read but not looked at, or stood in the pipe while hudd took its time."""
    clockwork.write(1)
    assert clockwork.pipe.newest(epoch=1).data[0] == 1
    clockwork.write(2, 3)  # one is read at once, the other waits for its turn
    assert clockwork.pipe.newest(epoch=2).data[0] == 3
    assert clockwork.pipe.newest(epoch=2).data[0] == 3


def test_a_still_screen_shows_what_it_showed(clockwork: Clockwork) -> None:
    clockwork.write(7)
    assert clockwork.pipe.newest(epoch=1).data[0] == 7
    for epoch in range(2, 4):
        assert clockwork.pipe.newest(5.0, epoch=epoch).data[0] == 7


def test_a_film_is_not_waited_for_to_end() -> None:
    pipe = FramePipe(producer(320, 200, "pattern=ball"), lambda: None)
    try:
        before = pipe.newest(epoch=1)
        assert pipe.newest(5.0, epoch=2) is not before
    finally:
        pipe.close()


def test_a_frame_that_never_becomes_whole_is_not_waited_for_for_ever() -> None:
    script = CLOCKWORK.partition("for line")[0] + "import time; os.write(int(sys.argv[1]), bytes(12)); time.sleep(60)"
    pipe = FramePipe((sys.executable, "-c", script, "{out}"), lambda: None)
    try:
        assert pipe.newest().data == bytes(8)
        with pytest.raises(CaptureError, match=r"No frame came from PipeWire within 0\.6 s"):
            pipe.newest(0.6, epoch=2)
    finally:
        pipe.close()


def test_without_gstreamer_the_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CaptureError, match=r"gst-launch-1\.0 is not installed") as caught:
        pipewire_command(3, 47)
    assert "gstreamer1.0-pipewire" in caught.value.hint
    with pytest.raises(CaptureError, match=r"gst-launch-1.0 cannot be started") as caught:
        FramePipe(pipeline(("x",)), lambda: None)
    assert "gstreamer1.0-pipewire" in caught.value.hint


def test_the_command_names_descriptor_and_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/gst-launch-1.0")
    command = pipewire_command(9, 47)
    assert command[:2] == ("gst-launch-1.0", "-v")
    assert "fd=9" in command
    assert "path=47" in command
    assert "fd={out}" in command
