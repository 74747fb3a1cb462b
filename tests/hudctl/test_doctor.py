"""What the doctor says of the running daemon, and how it prints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hudctl import doctor
from hudctl.doctor_daemon import ask_daemon, ask_installation, judge, process_state
from hudctl.doctor_words import failure, ok, verdict, warning
from hudctl.errors import DeadlineError, VersionError
from hudctl.release import client_version
from hudctl.words import Look

WELL: dict[str, Any] = {
    "pid": 7,
    "connection": "ready",
    "sending": {"allowed": True, "reasons": []},
    "capture": {},
    "journal": {},
}


def states(status: dict[str, Any], version: str = "1") -> dict[str, str]:
    return {str(row["name"]): str(row["state"]) for row in judge({"version": version}, {**WELL, **status}, "1")}


def test_a_daemon_that_is_well_has_no_remedies() -> None:
    found = list(judge({"version": "1"}, WELL, "1"))
    assert verdict(found) == "ok"
    assert not any(row["remedy"] for row in found)


@pytest.mark.parametrize(
    ("status", "name", "state"),
    [
        ({"connection": "needs_attention", "sentence": "The key is refused; put another one there."}, "connection", "failure"),
        ({"connection": "flapping", "sentence": ""}, "connection", "failure"),
        ({"connection": "backing_off", "sentence": "It waits."}, "connection", "warning"),
        ({"sending": {"allowed": False, "reasons": ["paused"]}}, "sending", "warning"),
        ({"capture": {"sentence": "There is no display."}}, "capture", "warning"),
        ({"journal": {"degraded": True, "sentence": "The disk is full."}}, "storage", "failure"),
    ],
)  # fmt: skip
def test_what_a_daemon_says_of_itself_is_told(status: dict[str, Any], name: str, state: str) -> None:
    assert states(status)[name] == state


def test_an_older_daemon_is_a_warning() -> None:
    assert states({}, "0.9")["daemon"] == "warning"


def test_the_remedy_of_a_sentence_stands_apart() -> None:
    told = {"connection": "needs_attention", "sentence": "The key is refused; put another one there."}
    row = next(row for row in judge({"version": "1"}, {**WELL, **told}, "1") if row["name"] == "connection")
    assert (row["cause"], row["remedy"]) == ("The key is refused", "Put another one there")


@pytest.mark.parametrize(
    ("error", "cause", "remedy"),
    [
        (VersionError("The daemon speaks protocol 0.", hint="The daemon is older."), "protocol 0", "older"),
        (DeadlineError("No answer."), "does not answer", "Restart"),
    ],
)
def test_a_daemon_that_cannot_be_asked_is_a_failure(
    error: Exception, cause: str, remedy: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(_: object) -> None:
        raise error

    monkeypatch.setenv("HUDD_RUNTIME_DIR", str(tmp_path))
    tmp_path.chmod(0o700)
    monkeypatch.setattr("hudctl.client.Client.hello", refuse)
    (row,) = ask_daemon()
    assert row["state"] == "failure"
    assert cause in row["cause"]
    assert remedy in row["remedy"]


def test_two_installations_are_told_apart(tmp_path: Path) -> None:
    other = tmp_path / "hudd"
    other.write_text("")
    other.chmod(0o755)
    (same,) = ask_installation({"PATH": str(tmp_path)}, run=lambda _: client_version())
    (different,) = ask_installation({"PATH": str(tmp_path)}, run=lambda _: "0.0.1")
    (broken,) = ask_installation({"PATH": str(tmp_path)}, run=lambda _: "")
    assert [row["state"] for row in (same, different, broken)] == ["ok", "warning", "warning"]
    assert "broken" in broken["cause"]


def test_the_state_of_a_process_is_read() -> None:
    assert process_state(os.getpid()) in {"R", "S"}
    assert process_state(2**22 + 1) == ""


def test_lines_have_their_remedy_below_and_cannot_steer_the_terminal() -> None:
    text = doctor.render_line(failure("disk", "The disk\x1b[2J is full.", "Free some space"), Look(width=40))
    assert text.splitlines() == [
        "failure  disk         The disk is full.",
        "                         -> Free some space",
    ]
    assert "->" not in doctor.render_line(ok("disk", "Fine."), Look())
    assert "\x1b[33mwarning\x1b[0m" in doctor.render_line(warning("disk", "Low.", "Free"), Look(colour=True))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([ok("a", "")], "All is well."),
        ([warning("a", "", "x")], "1 warning: hudd can do its work."),
        ([failure("a", "", "x"), failure("b", "", "x"), warning("c", "", "x")], "2 failures and 1 warning."),
    ],
)
def test_the_summary_counts(rows: list[Any], words: str) -> None:
    assert words in doctor.summary(rows)


def test_checks_that_cannot_start_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hudctl.doctor.ask_daemon", lambda: iter(()))
    monkeypatch.setattr("hudctl.doctor.sys.executable", "/bin/false")
    found = list(doctor.examine(seconds=5))
    assert found[-1]["name"] == "checks"
    assert "pip install" in found[-1]["remedy"]


def test_an_interpreter_that_cannot_be_run_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hudctl.doctor.ask_daemon", lambda: iter(()))
    monkeypatch.setattr("hudctl.doctor.sys.executable", "/nowhere/python")
    found = list(doctor.examine(seconds=5))
    assert "cannot be started" in found[-1]["cause"]
    assert doctor.read_settings()["problems"]


def test_checks_that_hang_end_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nsleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr("hudctl.doctor.ask_daemon", lambda: iter(()))
    monkeypatch.setattr("hudctl.doctor.sys.executable", str(program))
    found = list(doctor.examine(seconds=0.3))
    assert "did not end in time" in found[-1]["cause"]
