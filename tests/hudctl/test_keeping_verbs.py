"""The verbs about keeping, over a client that only remembers what it was asked."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hudctl import keeping
from hudctl.cli import main
from hudctl.errors import NotRunningError
from hudd.wire.messages import Note
from tests.fakes.journal import make_note

PRUNED = {"schema": 1, "dry_run": False, "limits": True, "notes": 2, "kept": 1, "first": 1, "last": 3}
PRUNED |= {"oldest": "2026-11-21T10:00:00.000Z", "newest": "2026-11-21T11:00:00.000Z", "bytes": 2_500_000}
FORGOT = {"schema": 1, "time": "2026-11-21T10:00:00.000Z", "notes": 1, "first": 7, "last": 7}
FORGOT |= {"cleaned": True, "sentence": "", "copies": []}


class FakeClient:
    """Stands for ``hudctl.Client``."""

    asked: list[tuple[str, dict[str, Any]]]
    answers: dict[str, dict[str, Any]]
    notes: list[Note]
    greeting: dict[str, Any]
    breaks: bool

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _ask(self, name: str, **params: Any) -> dict[str, Any]:
        self.asked.append((name, params))
        return self.answers[name]

    def mark(self, seq: int, *, keep: bool) -> dict[str, Any]:
        self._ask("mark", seq=seq, keep=keep)
        return {"schema": 1, "seq": seq, "keep": keep}

    def hello(self) -> dict[str, Any]:
        return self.greeting

    def forget(self, **params: Any) -> dict[str, Any]:
        return self._ask("forget", **params)

    def prune(self, **params: Any) -> dict[str, Any]:
        return {**self._ask("prune", **params), "dry_run": params["dry_run"]}

    def backup(self, path: Path) -> dict[str, Any]:
        self._ask("backup", path=path)
        return {"schema": 1, "path": str(path), "bytes": 1_000_000}

    def export(self, **params: Any) -> Iterator[Note]:
        self._ask("export", **params)
        yield from self.notes
        if self.breaks:
            raise NotRunningError("hudd went away.")


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> type[FakeClient]:
    FakeClient.asked, FakeClient.breaks = [], False
    FakeClient.greeting = {}
    FakeClient.answers = {"prune": PRUNED, "forget": FORGOT, "mark": {}, "backup": {}, "export": {}}
    FakeClient.notes = [make_note(stream="s1", seq=1), make_note(stream="s1", seq=2)]
    monkeypatch.setattr(keeping, "Client", FakeClient)
    return FakeClient


def test_mark(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mark", "7"]) == 0
    assert main(["mark", "7", "--off"]) == 0
    assert main(["mark", "7", "--json"]) == 0
    assert FakeClient.asked[:2] == [("mark", {"seq": 7, "keep": True}), ("mark", {"seq": 7, "keep": False})]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Note 7 is kept for ever."
    assert json.loads(lines[2]) == {"schema": 1, "seq": 7, "keep": True}


def test_forget_by_the_last_minutes(capsys: pytest.CaptureFixture[str]) -> None:
    import time

    assert main(["forget", "--last", "10m"]) == 0
    asked = FakeClient.asked[0][1]
    assert abs(asked["since"] - (time.time() - 600)) < 5
    assert (asked["until"], asked["seq"]) == (None, None)
    assert capsys.readouterr().out == "Forgot 1 note (7).\n"


@pytest.mark.parametrize("words", ["--last 10m", "--since 10m", "--since 10m --until 0.5s"])
def test_forget_reckons_back_from_the_daemons_time(words: str) -> None:
    FakeClient.greeting = {"time": "2026-11-21T10:00:00.000Z"}  # whatever our own clock says
    assert main(["forget", *words.split()]) == 0
    asked = FakeClient.asked[0][1]
    assert asked["since"] == datetime(2026, 11, 21, 9, 50, tzinfo=UTC).timestamp()
    assert asked["until"] == (
        datetime(2026, 11, 21, 9, 59, 59, 500_000, tzinfo=UTC).timestamp() if "until" in words else None
    )


def test_forget_says_what_it_did_not_reach(capsys: pytest.CaptureFixture[str]) -> None:
    FakeClient.answers["forget"] = FORGOT | {"cleaned": False, "sentence": "Later.", "copies": ["/a"], "notes": 0}
    assert main(["forget", "--seq", "7"]) == 0
    told = capsys.readouterr()
    assert told.out == "Forgot no notes.\n"
    assert "Later." in told.err
    assert "/a" in told.err


@pytest.mark.parametrize(
    "words",
    [
        ["forget"],
        ["forget", "--last", "10m", "--since", "2h"],
        ["forget", "--seq", "1", "--last", "10m"],
        ["forget", "--last", "soon"],
        ["prune", "--older-than", "x"],
        ["export", "--json"],
        ["export", "--format", "xml"],
        ["mark", "seven"],
    ],
)
def test_what_makes_no_sense_is_a_mistake_in_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert FakeClient.asked == []
    assert capsys.readouterr().err


def test_prune(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    assert main(["prune", "--dry-run"]) == 0
    assert main(["prune", "--older-than", "30d"]) == 0
    assert FakeClient.asked == [
        ("prune", {"older_than_s": None, "dry_run": True}),
        ("prune", {"older_than_s": 30 * 86_400.0, "dry_run": False}),
    ]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Would remove 2 notes (1 to 3), from 2026-11-21 ")
    assert lines[0].endswith("about 2.5 MB; 1 marked one stays.")
    assert lines[1].startswith("Removed 2 notes")


def test_prune_without_limits_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    FakeClient.answers["prune"] = PRUNED | {"limits": False, "notes": 0}
    assert main(["prune"]) == 0
    assert "keep everything" in capsys.readouterr().out


def test_export_to_the_output_and_to_a_private_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export"]) == 0
    printed = capsys.readouterr().out
    assert [json.loads(line)["seq"] for line in printed.splitlines()] == [1, 2]
    target = tmp_path / "notes.jsonl"
    target.write_text("older")
    assert main(["export", "-o", str(target), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"schema": 1, "path": str(target), "bytes": len(printed.encode()), "notes": 2}
    assert target.read_text(encoding="utf-8") == printed
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    for form in ("md", "csv", "ics"):
        assert main(["export", "--format", form, "-o", str(tmp_path / form)]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["csv", "ics", "md", "notes.jsonl"]


@pytest.mark.parametrize(("form", "count"), [("jsonl", 5), ("csv", 5), ("md", 2), ("ics", 2)])
def test_an_export_counts_what_it_wrote(
    form: str, count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = [{"kind": "unchanged"}, {"kind": "failed"}, {"text": ""}]
    FakeClient.notes += [make_note(stream="s1", seq=3 + at, **one) for at, one in enumerate(silent)]
    target = tmp_path / "notes"
    assert main(["export", "--format", form, "-o", str(target)]) == 0
    assert capsys.readouterr().out == f"Wrote {count} notes to {target}.\n"
    assert main(["export", "--format", form, "-o", str(target), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == count


def test_an_export_that_breaks_off_leaves_the_older_file(tmp_path: Path) -> None:
    target = tmp_path / "notes.jsonl"
    target.write_text("older")
    FakeClient.breaks = True
    assert main(["export", "-o", str(target)]) == 3
    assert target.read_text() == "older"
    assert [p.name for p in tmp_path.iterdir()] == ["notes.jsonl"]
    assert main(["export", "-o", str(tmp_path / "missing" / "notes")]) == 9


def test_an_export_never_replaces_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HUDD_STATE_DIR", str(tmp_path))
    for name in ("journal.db", "journal.db-wal", "journal.lock"):
        (tmp_path / name).write_text("the journal's")
        assert main(["export", "-o", str(tmp_path / name)]) == 2
        assert "hudd's own. Name another file." in capsys.readouterr().err
        assert (tmp_path / name).read_text() == "the journal's"
    monkeypatch.delenv("HUDD_STATE_DIR")  # a daemon with another environment
    (tmp_path / "other.db").write_bytes(b"SQLite format 3\0".ljust(100))
    assert main(["export", "-o", str(tmp_path / "other.db")]) == 2
    assert "database" in capsys.readouterr().err


def test_backup_names_the_place_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["backup", "copy.db"]) == 0
    assert FakeClient.asked == [("backup", {"path": tmp_path / "copy.db"})]
    assert capsys.readouterr().out == f"Wrote {tmp_path / 'copy.db'}, 1.0 MB.\n"
