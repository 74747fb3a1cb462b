from __future__ import annotations

import io
import os
import select
import signal
import threading
import time
from collections.abc import Sequence

import pytest
from PIL import Image

from hudd.clock import SystemClock
from hudd.config.settings import ScreenSettings
from hudd.errors import CaptureError, NoDisplayError
from hudd.model import Source
from hudd.screen import portal as portal_module
from hudd.screen.choose import open_screen
from hudd.screen.pipewire import PROGRAM, pipeline
from hudd.screen.portal import PortalScreen
from hudd.screen.source import CastEndedError, Stream
from hudd.screen.told import Told
from tests.fakes.screen import need

PATIENCE_S = 30.0


class Dialogue:
    """A portal that grants what it is told to."""

    def __init__(self, *streams: Stream, picture: tuple[int, int] | None = None) -> None:
        self.streams = streams
        self.picture = picture
        self.ended = False
        self.by_a_person = True
        self.remembered = 0
        self.waited_s: list[float] = []
        self.closed = 0

    def screenshot(self) -> bytes:
        if self.picture is None:
            raise CaptureError("No screenshot.", hint="Ask for one.")
        out = io.BytesIO()
        Image.new("RGB", self.picture, (200, 10, 20)).save(out, "PNG")
        return out.getvalue()

    def cast(self, *, cursor: bool) -> tuple[int, Sequence[Stream]]:
        del cursor
        if not self.streams:
            raise CaptureError("No cast.")
        return os.open(os.devnull, os.O_RDONLY), self.streams

    def cast_ended(self, within_s: float = 0.0) -> bool:
        self.waited_s.append(within_s)
        return self.ended

    def remember_end(self) -> bool:
        self.remembered += 1
        return self.by_a_person

    def end_cast(self) -> None:
        self.closed += 1


@pytest.fixture
def fake_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of GStreamer's own, one size for each node."""
    need(PROGRAM)

    def command(descriptor: int, node: int) -> tuple[str, ...]:
        del descriptor
        return pipeline(("videotestsrc", "is-live=true", "!", f"video/x-raw,width={node},height=60,framerate=10/1"))

    monkeypatch.setattr(portal_module, "pipewire_command", command)


def test_a_cast_has_a_source_for_each_stream_and_tells_of_frames(fake_source: None) -> None:
    dialogue = Dialogue(Stream(160, "DP 1", (0, 0, 80, 30)), Stream(100, "", (80, 0, 0, 0)))
    screen = PortalScreen(ScreenSettings(), dialogue, SystemClock())
    try:
        one, two = screen.sources()
        assert (one, two) == (
            Source("monitor", "DP-1", (0, 0, 80, 30)),
            Source("monitor", "screen-2", (80, 0, 100, 60)),
        )
        shot = screen.grab(one, epoch=2, captured_at=5.0)
        assert (shot.width, shot.height, shot.epoch, len(shot.pixels)) == (160, 60, 2, 160 * 60 * 4)
        assert screen._pipes["DP-1"][1]._epoch == 2, "a frame from before the last change is not taken"
        assert shot.placed
        assert not screen.grab(two, epoch=2, captured_at=5.0).placed, "its size is guessed from the frame"
        region = screen.grab(Source("region", "region", (10, 10, 20, 10)), epoch=0, captured_at=0.0)
        assert (region.width, region.height) == (40, 20)
        descriptor = screen.damage_fd()
        assert descriptor is not None
        end = time.monotonic() + PATIENCE_S
        while not screen.take_damage():  # a word may come once more for a frame that was told of already
            assert select.select([descriptor], [], [], max(0.0, end - time.monotonic()))[0]
        assert (screen.status().backend, screen.status().degraded, screen.status().damage) == (
            "portal ScreenCast",
            "",
            True,
        )
        dialogue.ended = True
        with pytest.raises(NoDisplayError, match="ScreenCast was ended"):
            screen.sources()
    finally:
        screen.close()
    assert dialogue.closed == 1
    screen.close()


def test_where_one_of_two_streams_ends_all_are_asked_for_again(fake_source: None) -> None:
    """A stream ends when its monitor goes, and when its size changes; only another ScreenCast has all monitors."""
    dialogue = Dialogue(Stream(160, "DP-1", (0, 0, 160, 60)), Stream(100, "DP-2", (160, 0, 100, 60)))
    screen = PortalScreen(ScreenSettings(), dialogue, SystemClock())
    try:
        pipe = screen._pipes["DP-2"][1]
        os.killpg(pipe._child.pid, signal.SIGKILL)
        for thread in pipe._threads:
            thread.join(20)
        with pytest.raises(NoDisplayError, match=r"The ScreenCast of DP-2 ended\. hudd asks the portal for another"):
            screen.sources()
    finally:
        screen.close()
    again = PortalScreen(ScreenSettings(), dialogue, SystemClock())
    assert [source.name for source in again.sources()] == ["DP-1", "DP-2"]
    again.close()


def test_where_a_cast_does_not_work_screenshots_are_taken() -> None:
    dialogue = Dialogue(picture=(50, 40))
    screen = PortalScreen(ScreenSettings(), dialogue, SystemClock())
    (source,) = screen.sources()
    assert source == Source("monitor", "desktop", (0, 0, 50, 40))
    shot = screen.grab(source, epoch=0, captured_at=0.0)
    assert bytes(shot.pixels[:3]) == b"\x14\x0a\xc8"
    assert not shot.placed, "a desktop of several scales has no single one"
    assert screen.grab(Source("region", "region", (40, 30, 20, 20)), epoch=0, captured_at=0.0).width == 10
    status = screen.status()
    assert (status.backend, status.damage) == ("portal screenshots", False)
    assert "No cast." in status.degraded or PROGRAM in status.degraded
    screen.close()


def test_where_neither_works_both_reasons_are_told(fake_source: None) -> None:
    dialogue = Dialogue()
    with pytest.raises(CaptureError, match=r"No cast\. No screenshot\.") as caught:
        open_screen(ScreenSettings(source="portal"), {}, portal=lambda: dialogue)
    assert caught.value.hint == "Ask for one."
    assert dialogue.closed >= 1


def test_a_wanted_monitor_that_is_not_cast_is_named(fake_source: None) -> None:
    dialogue = Dialogue(Stream(160, "DP-1", (0, 0, 160, 60)))
    with pytest.raises(CaptureError, match=r"HDMI-1 \(connected: DP-1\)"):
        PortalScreen(ScreenSettings(monitors=("HDMI-1",)), dialogue, SystemClock())
    assert dialogue.closed == 1


def test_where_one_of_two_wanted_monitors_was_unplugged_the_other_is_watched(fake_source: None) -> None:
    dialogue = Dialogue(Stream(160, "DP-1", (0, 0, 160, 60)))
    screen = PortalScreen(ScreenSettings(monitors=("DP-1", "DP-2")), dialogue, SystemClock())
    assert [source.name for source in screen.sources()] == ["DP-1"]
    screen.close()


def test_what_was_told_from_a_thread_is_taken_once() -> None:
    told = Told()
    assert not told.take()
    threads = [threading.Thread(target=told.tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert select.select([told.fileno()], [], [], 5)[0]
    assert told.take()
    assert not select.select([told.fileno()], [], [], 0)[0]
    told.close()
    told.close()
    told.tell()


def test_what_a_person_ended_is_not_begun_again_and_no_screenshot_is_taken_instead(fake_source: None) -> None:
    class Ended(Dialogue):
        def cast(self, *, cursor: bool) -> tuple[int, Sequence[Stream]]:
            if self.ended:
                raise CastEndedError
            return super().cast(cursor=cursor)

    dialogue = Ended(Stream(160, "DP-1", (0, 0, 160, 60)), picture=(50, 40))
    monitors = frozenset({Source("monitor", "DP-1", (0, 0, 160, 60))})
    screen = PortalScreen(ScreenSettings(), dialogue, SystemClock(), lambda: monitors)
    dialogue.ended = True
    with pytest.raises(CastEndedError, match=r"ended from the desktop, .* Run `hudctl resume`"):
        screen.sources()
    screen.close()
    assert dialogue.remembered == 1
    for source in ("portal", "auto"):
        environ = {"WAYLAND_DISPLAY": "none", "XDG_RUNTIME_DIR": "/nonexistent"}
        with pytest.raises(CastEndedError):
            open_screen(ScreenSettings(source=source), environ, portal=lambda: dialogue)


def test_a_cast_that_ends_because_its_monitor_went_is_asked_for_again(fake_source: None) -> None:
    """A desktop may end all of a ScreenCast when one of its monitors is unplugged."""
    dialogue = Dialogue(Stream(160, "DP-1", (0, 0, 160, 60)))
    monitors = [Source("monitor", "eDP-1", (0, 0, 160, 60)), Source("monitor", "DP-1", (160, 0, 160, 60))]
    screen = PortalScreen(ScreenSettings(), dialogue, SystemClock(), lambda: frozenset(monitors))
    monitors.pop()
    dialogue.ended = True
    with pytest.raises(NoDisplayError, match="hudd asks the portal for another one"):
        screen.sources()
    screen.close()
    assert dialogue.remembered == 0


def test_a_cast_that_the_portals_own_end_ended_is_asked_for_again(fake_source: None) -> None:
    dialogue = Dialogue(Stream(160, "DP-1", (0, 0, 160, 60)))
    dialogue.by_a_person = False
    screen = PortalScreen(ScreenSettings(), dialogue, SystemClock())
    dialogue.ended = True
    with pytest.raises(NoDisplayError, match="hudd asks the portal for another one"):
        screen.sources()
    screen.close()


def test_where_the_frames_end_first_the_word_of_it_is_waited_for(fake_source: None) -> None:
    dialogue = Dialogue(Stream(160, "DP-1", (0, 0, 160, 60)))
    screen = PortalScreen(ScreenSettings(), dialogue, SystemClock())
    screen.sources()
    screen._pipes["DP-1"][1].ended = True
    with pytest.raises(NoDisplayError, match="The ScreenCast of DP-1 ended"):
        screen.sources()
    assert dialogue.waited_s == [0.0, 1.0]
    dialogue.ended = True
    with pytest.raises(CastEndedError):
        screen.sources()
    screen.close()
