"""The verb follow says that the daemon is away, and that it is back."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any, cast

import pytest

from hudctl import Feed
from hudctl.follow import heard
from tests.fakes.bus import ThreadedDaemon, wait_until


class Quiet:
    """A feed of steps: a note or nothing, and how long the daemon was silent."""

    def __init__(self, *steps: tuple[str | None, float]) -> None:
        self._steps = list(steps)
        self.silent_s = 0.0

    def get(self, timeout_s: float) -> Any:
        assert timeout_s == 5.0
        note, self.silent_s = self._steps.pop(0)
        return note


def test_it_says_once_that_the_daemon_is_away_and_once_that_it_is_back(capsys: pytest.CaptureFixture[str]) -> None:
    feed = Quiet(("a", 0), (None, 15), (None, 21), (None, 26), (None, 3), ("b", 0), (None, 40), ("c", 1))
    found = heard(cast("Feed", feed))
    said: list[tuple[str, str]] = [(cast("str", note), capsys.readouterr().err) for note in islice(found, 3)]
    away = "hudctl: Nothing is heard of hudd any more; notes follow when it is back. Why: hudctl status\n"
    back = "hudctl: hudd is back.\n"
    assert said == [("a", ""), ("b", away + back), ("c", away + back)]


def test_what_was_not_read_yet_is_no_silence(capsys: pytest.CaptureFixture[str]) -> None:
    # The reader was held up, by less for instance.
    assert list(islice(heard(cast("Feed", Quiet(("a", 40), ("b", 40)))), 2)) == ["a", "b"]
    assert capsys.readouterr().err == ""


def test_after_a_stop_of_this_process_the_daemon_is_asked_for_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = iter((0.0, 300.0, 300.0, 305.0, 305.0, 305.1))
    monkeypatch.setattr("hudctl.follow.time.monotonic", lambda: next(at))
    feed = Quiet((None, 300), (None, 2), ("a", 0))
    assert list(islice(heard(cast("Feed", feed)), 1)) == ["a"]
    assert capsys.readouterr().err == ""


def test_a_daemon_that_runs_is_heard_and_one_that_ended_is_not(tmp_path: Path) -> None:
    with ThreadedDaemon(tmp_path) as daemon:
        feed = Feed(runtime_dir=tmp_path)
        wait_until(lambda: feed.get(0.3) is None and feed.silent_s >= 1.0)
        daemon.do(lambda there: there.note())
        assert feed.get(5.0) is not None
        assert feed.silent_s < 1.0
    with feed:
        wait_until(lambda: feed.get(0.3) is None and feed.silent_s >= 1.0)
        with ThreadedDaemon(tmp_path):
            wait_until(lambda: feed.get(0.3) is None and feed.silent_s < 1.0)
