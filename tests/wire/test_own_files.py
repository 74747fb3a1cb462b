"""What a backup or an export must leave alone: everything of hudd's own, and what others keep there."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hudd.wire import own_files


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with a journal in use; beside it a runtime folder, and other names of the journal."""
    made = tmp_path / "state"
    (made / "keys").mkdir(parents=True)
    for name in ("journal.db", "journal.db-wal", "journal.db.ballast", "journal.lock", "keys/clients.json"):
        (made / name).write_bytes(name.encode())
    (tmp_path / "run").mkdir()
    (tmp_path / "linked").symlink_to(made)
    (tmp_path / "link.db").symlink_to(made / "journal.db")
    os.link(made / "journal.db", tmp_path / "second.db")
    return made


@pytest.mark.parametrize(
    "name",
    [
        "state/journal.db",
        "state/JOURNAL.DB",
        "state/keys/../journal.db",
        "state/journal.db-wal",
        "state/journal.db-shm",  # not there now
        "state/journal.db.ballast",
        "state/journal.db.corrupt-20261121T103106",
        "state/journal.lock",
        "state/portal-token",
        "state/keys",
        "state/keys/daemon.json",
        "run/ctl.sock",
        "run/anything",
        "run",
        "linked/journal.db",
        "link.db",
        "second.db",
    ],
)
def test_what_is_hudds_own_is_told_with_a_remedy(name: str, state: Path) -> None:
    target = state.parent / name
    told = own_files.own(target, state=state, runtime=state.parent / "run")
    assert told is not None
    assert str(target) in told[0]
    assert told[1].startswith("Name ")


@pytest.mark.parametrize("name", ["copy.db", "state/copy.db", "state/.backup-7.db", "elsewhere/journal.db", "runs"])
def test_other_files_are_not(name: str, state: Path) -> None:
    assert own_files.own(state.parent / name, state=state, runtime=state.parent / "run") is None


def _database(path: Path, *, application: int, mode: str = "delete") -> None:
    with closing(sqlite3.connect(path)) as made:
        made.execute(f"PRAGMA application_id = {application}")
        made.execute(f"PRAGMA journal_mode = {mode}")
        made.execute("CREATE TABLE notes (text)")
        made.commit()


HUDD = 0x68756464


def test_an_older_backup_may_be_replaced_and_nothing_else(tmp_path: Path) -> None:
    backup, foreign, journal = tmp_path / "backup.db", tmp_path / "places.sqlite", tmp_path / "journal"
    _database(backup, application=HUDD)
    _database(foreign, application=7)
    _database(journal, application=HUDD, mode="wal")  # another daemon's
    (tmp_path / "letter").write_text("Dear reader")
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to(backup)
    os.mkfifo(tmp_path / "pipe")
    assert own_files.no_backup(backup) is None
    assert own_files.no_backup(tmp_path / "new.db") is None
    assert own_files.no_backup(tmp_path / "missing/new.db") is None
    for other in (foreign, journal, tmp_path / "letter", tmp_path / "empty"):
        told = own_files.no_backup(other)
        assert told == (f"{other} is there and is no backup of hudd.", "Name another file, or move that one away.")
    for other in (tmp_path, tmp_path / "link", tmp_path / "pipe"):
        told = own_files.no_backup(other)
        assert told is not None
        assert "no plain file" in told[0]


def test_an_export_replaces_anything_but_a_database(tmp_path: Path) -> None:
    database = tmp_path / "some.db"
    _database(database, application=7)
    (tmp_path / "notes.csv").write_text("older")
    for path in (database, tmp_path / "some.db-wal", tmp_path / "some.db-journal"):
        told = own_files.no_export(path)
        assert told is not None
        assert str(path) in told[0]
    for path in (tmp_path / "notes.csv", tmp_path / "new.csv", tmp_path, tmp_path / "-wal"):
        assert own_files.no_export(path) is None


def test_a_link_that_leads_to_itself_is_no_file_of_ours_and_no_backup(tmp_path: Path, state: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert own_files.own(loop, state=state, runtime=tmp_path / "run") is None
    told = own_files.no_backup(loop)
    assert told is not None
    assert "no plain file" in told[0]


def test_a_link_beside_the_journal_that_leads_nowhere_hides_no_other_file(tmp_path: Path, state: Path) -> None:
    for number in range(20):
        (state / f"journal.db.{number}").symlink_to(state / "nowhere")
    assert own_files.own(tmp_path / "second.db", state=state) is not None
