"""A real daemon with only_when_watched: nothing is looked at until somebody subscribes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hudctl import Client, Feed
from tests.fakes.daemon import DaemonProcess, draw_page


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_the_screen_is_looked_at_only_while_somebody_subscribes(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    draw_page(pictures / "1.png", ["The only page"])
    settings: dict[str, object] = {"screen_only_when_watched": True, "screen_interval_s": 3600.0}
    with DaemonProcess(
        tmp_path,
        display=None,
        screen_source=f"pictures:{pictures}",
        screen_max_interval_s=3600.0,
        screen_pictures_interval_s=0.05,
        engine_answers="canned",
        **settings,
    ) as daemon:
        daemon.start().ready()
        resting = daemon.until(
            "it rests", lambda s: s["capture"]["state"] == "unwatched" and s["connection"] == "ready"
        )
        assert resting["sending"] == {"allowed": True, "automatic": False, "reasons": []}
        assert resting["last_errors"] == []
        with Client(runtime_dir=tmp_path / "run") as client:
            assert client.snap().seq == 1  # snaps always work
        assert daemon.status()["counters"]["frames"] == 1
        text = daemon.hudctl("status").stdout
        assert "at rest until somebody subscribes" in text
        assert "only what you ask for" in text
        draw_page(pictures / "2.png", ["Another page", "with more lines", "than before"], dark=True)
        with Feed(runtime_dir=tmp_path / "run") as feed:
            started = time.monotonic()
            note = feed.get(10)
            assert note is not None
            assert note.trigger == "change"
            assert time.monotonic() - started < 5  # not after the hour between two looks
            status = daemon.status()
            assert status["capture"]["state"] == "watching"
            assert status["subscribers"]["by_topic"] == {"hb/": 1, "note/": 1}
            assert "1 (hb/ 1, note/ 1)" in daemon.hudctl("status").stdout
        daemon.until("it rests again", lambda s: s["capture"]["state"] == "unwatched")
