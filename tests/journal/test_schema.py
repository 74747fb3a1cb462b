from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hudd.journal import changes, money, schema
from hudd.journal.store import Journal
from hudd.ledger.records import Period, Totals
from tests.fakes.clock import ManualClock

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = schema.connect(tmp_path / "journal.db")
    schema.make_durable(opened)
    schema.migrate(opened)
    yield opened
    opened.close()


def test_the_newest_version_has_all_its_tables(connection: sqlite3.Connection) -> None:
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"meta", "notes", "notes_fts", "topics", "ledger", "errors", "pauses", "changes"} <= names
    assert schema.pragma(connection, "user_version") == schema.VERSION
    assert schema.pragma(connection, "application_id") == schema.APPLICATION_ID


def test_there_is_no_column_for_bytes_in_our_tables(connection: sqlite3.Connection) -> None:
    for table in ("meta", "notes", "topics", "ledger", "errors", "pauses", "changes"):
        types = {row[2] for row in connection.execute(f"PRAGMA table_info({table})")}
        assert types <= {"TEXT", "INTEGER", "REAL"}


def test_every_commit_is_synced(connection: sqlite3.Connection) -> None:
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert schema.pragma(connection, "synchronous") == 2
    assert schema.pragma(connection, "foreign_keys") == 1
    assert schema.pragma(connection, "fullfsync") == (1 if sys.platform == "darwin" else 0)


def test_migrating_twice_changes_nothing(connection: sqlite3.Connection) -> None:
    before = connection.execute("SELECT value FROM meta ORDER BY key").fetchall()
    schema.migrate(connection)
    assert connection.execute("SELECT value FROM meta ORDER BY key").fetchall() == before


def test_a_migration_that_fails_leaves_the_version_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE half (x)")
        connection.execute("CREATE TABLE half (x)")

    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
    opened = schema.connect(tmp_path / "journal.db")
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(opened)
    assert schema.pragma(opened, "user_version") == schema.VERSION
    assert opened.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone()[0] == 0
    opened.close()


def test_only_one_pause_can_be_open(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO pauses (since, why) VALUES (1, '')")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO pauses (since, why) VALUES (2, '')")


def test_what_is_asked_for_often_is_found_by_an_index(connection: sqlite3.Connection) -> None:
    for statement in (
        "SELECT seq FROM notes WHERE topic = 'a' AND seq > 1 ORDER BY seq LIMIT 5",
        "SELECT min(seq), max(seq) FROM notes WHERE time >= 1 AND time < 2",
        "SELECT count(*) FROM ledger WHERE day = 'x'",
        "SELECT sum(cost_microusd) FROM ledger WHERE engine <> 'local' AND day > '2026-11-' AND day < '2026-11.'",
        "SELECT sum(cost_microusd) FROM ledger WHERE engine <> 'local' AND reserved_at >= 1 AND reserved_at < 2",
        changes._SEEN,
        changes._ASKED,
        money._SAMPLES,
        money._EVER_PAID,
        money._UNNOTED,
        "UPDATE ledger SET assumed = 1 WHERE status = 'open'",
        "SELECT * FROM errors WHERE time >= 1 ORDER BY time DESC, id DESC LIMIT 3",
    ):
        rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", (1,) * statement.count("?"))
        plan = " ".join(str(row[3]) for row in rows)
        assert "SCAN" not in plan or "USING INDEX" in plan or "USING COVERING INDEX" in plan, plan
        assert "B-TREE" not in plan, plan


async def test_the_checked_in_journal_of_version_1_opens_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    shutil.copyfile(GOLDEN / "journal-v1.db", path)
    journal = Journal.open(path, clock=ManualClock())
    assert journal.set_aside is None
    assert journal.stream == "0f" * 16
    assert journal.heads() == {"note/HDMI-1/": 2, "note/eDP-1/": 3}
    page = await journal.notes_since(0)
    assert [(n.seq, n.prev, n.kind, n.complete) for n in page.notes] == [
        (1, 0, "note", True),
        (2, 0, "failed", False),
        (3, 1, "unchanged", True),
    ]
    assert page.notes[0].text == "The invoice from Larkspur says 42 €."
    assert page.notes[0].usage == {"input_tokens": 700, "output_tokens": 60}
    assert [n.seq for n in await journal.search(search="LARKSPUR invoice")] == [3, 1]
    assert await journal.totals("2026-11-21") == Totals(
        settled_microusd=13_100, assumed_microusd=9000, tokens=2583, answers=2, month=Period(13_100)
    )
    assert journal.vanished == 1
    seen = await journal.changes.since(0.0)
    assert (sum(count for _, count in seen.minutes), seen.asked) == (2, 2)
    (error,) = await journal.errors()
    assert error["code"] == "invalid_api_key"
    pause = journal.pause_state()
    assert pause is not None
    assert pause.why == "lunch"
    await journal.close()
