"""GStreamer's test picture instead of PipeWire's: the same pipe behind it."""

from __future__ import annotations

import sys
import threading
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


def test_without_gstreamer_the_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CaptureError, match=r"gst-launch-1\.0 is not installed") as caught:
        pipewire_command(3, 47)
    assert "gstreamer1.0-pipewire" in caught.value.hint
    with pytest.raises(CaptureError, match=r"gst-launch-1.0 cannot be started"):
        FramePipe(pipeline(("x",)), lambda: None)


def test_the_command_names_descriptor_and_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/gst-launch-1.0")
    command = pipewire_command(9, 47)
    assert command[:2] == ("gst-launch-1.0", "-v")
    assert "fd=9" in command
    assert "path=47" in command
    assert "fd={out}" in command
