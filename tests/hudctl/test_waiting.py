"""What the verbs tell a person who waits, resumes, follows or lists, against a real command server."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hudctl import Client, waiting
from hudctl.cli import main
from hudd.bus.server import Request
from hudd.wire import table
from hudd.wire.messages import iso_time
from tests.fakes.bus import ThreadedDaemon

AWAY: dict[str, Any] = {
    "connection": "backing_off",
    "sentence": "The service is overloaded; hudd tries again.",
    "next_try_s": 12.0,
    "sending": {"allowed": False, "reasons": ["not_connected"]},
    "pause": None,
}
READY: dict[str, Any] = {
    "connection": "ready",
    "sentence": "",
    "next_try_s": None,
    "sending": {"allowed": True, "reasons": []},
    "pause": None,
}
PAUSE = {"since": "2026-11-21T10:00:00Z", "until": None, "why": ""}


class Told:
    """What the daemon answers, and what it was asked."""

    def __init__(self) -> None:
        self.status = [READY]
        self.errors: list[dict[str, Any]] = []
        self.limits: list[int] = []

    async def answer_status(self, request: Request) -> Mapping[str, Any]:
        return self.status.pop(0) if len(self.status) > 1 else self.status[0]

    async def answer_resume(self, request: Request) -> Mapping[str, Any]:
        return {"paused": False, "sending": self.status[-1]["sending"]}

    async def answer_wait(self, request: Request) -> Mapping[str, Any]:
        await asyncio.sleep(0.3)
        return {"reached": "ready"}

    async def answer_errors(self, request: Request) -> Mapping[str, Any]:
        until = request.params.get("until")
        limit = request.params["limit"]
        self.limits.append(limit)
        found = [error for error in self.errors if until is None or error["at"] < until]
        return {"schema": 1, "errors": found[:limit]}


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def daemon(tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadedDaemon]:
    monkeypatch.setenv("HUDD_RUNTIME_DIR", str(tmp_path))
    handlers = {
        "status": told.answer_status,
        "resume": told.answer_resume,
        "wait": told.answer_wait,
        "errors": told.answer_errors,
    }
    with ThreadedDaemon(tmp_path, handlers=handlers) as there:
        yield there


@pytest.mark.parametrize(
    ("status", "of_sending", "words"),
    [
        (AWAY, False, "hudctl: Waiting. The service is overloaded; hudd tries again. Next try in 12 s.\n"),
        ({**AWAY, "sentence": "", "next_try_s": None}, True, "hudctl: Waiting. The connection is waiting to try again"),
        (READY, True, ""),
        ({**READY, "sending": {"allowed": False, "reasons": ["cap_reached"]}}, False, ""),
        (
            {**READY, "sending": {"allowed": False, "reasons": ["cap_reached"]}},
            True,
            "hudctl: Waiting. Nothing is sent: cap reached.\n",
        ),
    ],
)
@pytest.mark.usefixtures("daemon")
def test_who_waits_is_told_once_what_for(
    told: Told,
    status: dict[str, Any],
    of_sending: bool,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.0)
    told.status = [status]
    with Client() as client, waiting.awaited(of_sending=of_sending):
        client.wait()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(words)
    assert err.count("\n") == (1 if words else 0)


@pytest.mark.usefixtures("daemon")
def test_who_does_not_wait_long_is_told_nothing(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    told.status = [AWAY]
    assert main(["wait"]) == 0
    assert main(["snap"]) == 0
    err = capsys.readouterr().err
    assert "Waiting" not in err


@pytest.mark.usefixtures("daemon")
def test_wait_and_snap_tell_it(told: Told, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.0)
    told.status = [AWAY]
    assert main(["wait"]) == 0
    shown = capsys.readouterr()
    assert "Waiting. The service is overloaded" in shown.err
    assert shown.out == "Ready.\n"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({**READY, "pause": PAUSE}, READY, "Resumed."),
        (READY, READY, "Nothing was paused."),
        (
            {**AWAY, "pause": PAUSE},
            AWAY,
            "Resumed. hudd is not connected: The service is overloaded; hudd tries again. Next try in 12 s.",
        ),
        (
            {**READY, "pause": PAUSE},
            {**READY, "sending": {"allowed": False, "reasons": ["cap_reached", "locked"]}},
            "Resumed. Nothing is sent: cap reached, locked.",
        ),
    ],
)
@pytest.mark.usefixtures("daemon")
def test_resume_says_what_is_still_in_the_way(
    told: Told, before: dict[str, Any], after: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told.status = [before, after]
    assert main(["resume"]) == 0
    assert capsys.readouterr().out == f"{words}\n"
    told.status = [before, after]
    assert main(["resume", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["was_paused"] == bool(before["pause"])
    assert body["connection"] == after["connection"]


def test_follow_after_a_number_that_is_not_written_yet_says_so(
    daemon: ThreadedDaemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        daemon.do(lambda there: there.note())
    assert main(["follow", "--after", "1", "--limit", "2"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert ["#2  eDP-1" in out, "#3  eDP-1" in out] == [True, True]

    class NoFeed:
        def __init__(self, **options: Any) -> None:
            assert options["after"] == 3
            raise KeyboardInterrupt

    monkeypatch.setattr("hudctl.follow.Feed", NoFeed)
    assert main(["follow", "--after", "99"]) == table.EXIT_INTERRUPTED
    assert capsys.readouterr().err == "hudctl: The newest note is #3; notes are printed from #4 on.\n"


def test_follow_says_once_that_notes_are_missing(daemon: ThreadedDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(8):
        daemon.do(lambda there: there.note())
    daemon.do(lambda there: there.journal.notes.__delitem__(slice(5)))
    assert main(["follow", "--after", "5", "--limit", "2"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["follow", "--after", "2", "--limit", "2"]) == 0
    out, err = capsys.readouterr()
    assert ["#6  eDP-1" in out, "#7  eDP-1" in out] == [True, True]
    assert err.startswith("hudctl: Some notes are missing: they were pruned")
    assert err.count("\n") == 1


@pytest.mark.usefixtures("daemon")
def test_all_errors_come_in_pages_without_gaps_or_repeats(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.fromisoformat("2026-11-21T10:00:00+00:00").timestamp()
    count = 2 * table.REPLAY_PAGE + 7
    # Four of each millisecond, so that a page ends within one.
    at = [now - index // 4 * 0.001 for index in range(count)]
    told.errors = [
        {"id": count - index, "at": moment, "time": iso_time(moment), "sentence": "No."}
        for index, moment in enumerate(at)
    ]
    for limit, expected in ((0, count), (table.REPLAY_PAGE + 3, table.REPLAY_PAGE + 3), (20, 20)):
        assert main(["errors", "--limit", str(limit), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["errors"]
        assert [error["id"] for error in found] == [count - index for index in range(expected)]
    assert max(told.limits) <= table.REPLAY_PAGE


def test_ctrl_c_before_the_command_line_is_loaded_is_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    from hudctl import __main__ as program

    class Interrupting:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "hudctl.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "hudctl.cli")
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    assert program.main() == table.EXIT_INTERRUPTED
