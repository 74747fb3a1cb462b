"""The tables of the journal and their numbered migrations.

The number of the newest migration that ran stands in ``PRAGMA user_version``; ``PRAGMA application_id`` says that the
file is a journal of hudd. A migration that was released is never changed: a new one is added.

There is no place for a picture in any table.
"""

from __future__ import annotations

import secrets
import sqlite3
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

APPLICATION_ID: Final = 0x68756464
"""``hudd`` in ASCII."""

BUSY_TIMEOUT_MS: Final = 5000
CACHE_KB: Final = 512
"""Pages that a connection keeps. SQLite's own 2 MB are filled for good as the journal grows, and there are several
connections; the system keeps the file's pages anyway."""

# A note's number is never given twice, even after the newest notes were removed: AUTOINCREMENT.
# `topics` keeps the newest number per topic in reach when the note itself is gone, so that `prev` stays true.
_TABLES_V1: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE notes (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        topic TEXT NOT NULL,
        prev INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('note', 'unchanged', 'failed')),
        text TEXT NOT NULL,
        complete INTEGER NOT NULL,
        time REAL NOT NULL,
        published REAL NOT NULL,
        snap_id TEXT NOT NULL,
        trigger TEXT NOT NULL,
        pictures TEXT NOT NULL,
        model TEXT NOT NULL,
        engine TEXT NOT NULL,
        usage TEXT,
        cost_microusd INTEGER,
        timing_ms TEXT NOT NULL,
        keep INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX notes_by_time ON notes (time)",
    "CREATE INDEX notes_by_topic ON notes (topic, seq)",
    "CREATE TABLE topics (topic TEXT PRIMARY KEY, head INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE ledger (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        snap_id TEXT NOT NULL,
        note_seq INTEGER,
        model TEXT NOT NULL,
        engine TEXT NOT NULL,
        trigger TEXT NOT NULL,
        day TEXT NOT NULL,
        reserved_at REAL NOT NULL,
        reserved_microusd INTEGER,
        reserved_tokens INTEGER NOT NULL,
        settled_at REAL,
        status TEXT NOT NULL DEFAULT 'open'
            CHECK (status IN ('open', 'completed', 'incomplete', 'cancelled', 'failed', 'vanished')),
        input_tokens INTEGER NOT NULL DEFAULT 0,
        output_tokens INTEGER NOT NULL DEFAULT 0,
        text_tokens INTEGER NOT NULL DEFAULT 0,
        image_tokens INTEGER NOT NULL DEFAULT 0,
        audio_tokens INTEGER NOT NULL DEFAULT 0,
        cached_text_tokens INTEGER NOT NULL DEFAULT 0,
        cached_image_tokens INTEGER NOT NULL DEFAULT 0,
        cached_audio_tokens INTEGER NOT NULL DEFAULT 0,
        output_text_tokens INTEGER NOT NULL DEFAULT 0,
        output_audio_tokens INTEGER NOT NULL DEFAULT 0,
        reasoning_tokens INTEGER NOT NULL DEFAULT 0,
        cost_microusd INTEGER,
        price_date TEXT NOT NULL DEFAULT '',
        assumed INTEGER NOT NULL DEFAULT 0,
        pictures INTEGER NOT NULL DEFAULT 0,
        expected_image_tokens INTEGER NOT NULL DEFAULT 0,
        noted INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX ledger_by_day ON ledger (day)",
    # Paid answers are few among the free ones of the local engine, and looked at after each of them.
    "CREATE INDEX ledger_paid ON ledger (day, status, cost_microusd, reserved_microusd) WHERE engine <> 'local'",
    "CREATE INDEX ledger_paid_models ON ledger (model) WHERE engine <> 'local'",
    "CREATE INDEX ledger_paid_noted ON ledger (noted) WHERE engine <> 'local'",
    "CREATE INDEX ledger_by_time ON ledger (reserved_at)",
    "CREATE INDEX ledger_open ON ledger (id) WHERE status = 'open'",
    """CREATE TABLE errors (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        time REAL NOT NULL,
        sentence TEXT NOT NULL,
        type TEXT NOT NULL,
        code TEXT NOT NULL,
        message TEXT NOT NULL,
        param TEXT NOT NULL,
        event_id TEXT NOT NULL,
        close_code INTEGER,
        close_reason TEXT NOT NULL,
        http_status INTEGER,
        session_id TEXT NOT NULL,
        fatal INTEGER NOT NULL)""",
    "CREATE INDEX errors_by_time ON errors (time)",
    """CREATE TABLE pauses (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        since REAL NOT NULL,
        until REAL,
        why TEXT NOT NULL,
        ended REAL)""",
    "CREATE UNIQUE INDEX pauses_one_open ON pauses ((1)) WHERE ended IS NULL",
)

# The index reads its text from `notes` (external content): it costs half the space, and contentless-delete, the other
# way, needs SQLite 3.43, which Debian 12 does not have. Whoever writes to `notes` keeps it true by these triggers.
_INDEX_V1: Final = (
    """CREATE VIRTUAL TABLE notes_fts USING fts5(
        text, content='notes', content_rowid='seq', tokenize="unicode61 remove_diacritics 2")""",
    """CREATE TRIGGER notes_fts_insert AFTER INSERT ON notes
        WHEN (SELECT value FROM meta WHERE key = 'indexed') = '1' BEGIN
        INSERT INTO notes_fts (rowid, text) VALUES (new.seq, new.text);
    END""",
    """CREATE TRIGGER notes_fts_delete AFTER DELETE ON notes
        WHEN (SELECT value FROM meta WHERE key = 'indexed') = '1' BEGIN
        INSERT INTO notes_fts (notes_fts, rowid, text) VALUES ('delete', old.seq, old.text);
    END""",
    """CREATE TRIGGER notes_fts_update AFTER UPDATE OF text ON notes
        WHEN (SELECT value FROM meta WHERE key = 'indexed') = '1' BEGIN
        INSERT INTO notes_fts (notes_fts, rowid, text) VALUES ('delete', old.seq, old.text);
        INSERT INTO notes_fts (rowid, text) VALUES (new.seq, new.text);
    END""",
)


def _version_1(connection: sqlite3.Connection) -> None:
    for statement in (*_TABLES_V1, *_INDEX_V1):
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO meta (key, value) VALUES (?, ?)", [("stream", secrets.token_hex(16)), ("indexed", "1")]
    )


def _version_2(connection: sqlite3.Connection) -> None:
    # What would have been asked if money were no matter, by the minute; `ledger` has what was.
    connection.execute("CREATE TABLE changes (minute INTEGER PRIMARY KEY, seen INTEGER NOT NULL)")


MIGRATIONS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (_version_1, _version_2)
"""Migration n stands at index n - 1 and brings a journal from version n - 1 to n."""

VERSION: Final = len(MIGRATIONS)


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection on which no transaction is begun by itself, and nothing is changed yet.

    Args:
        path: The journal; it exists.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    return sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that refuses every write.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    connection = connect(path)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
    return connection


def make_durable(connection: sqlite3.Connection) -> None:
    """Switch a connection to write-ahead log and full syncs: a published note must outlive a power cut.

    Raises:
        sqlite3.Error: The file may not be written, or is no database.
    """
    # Removed rows give their pages back to the disk; only a database without tables can still be told so.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    # What is removed or moved is overwritten with zeros: a forgotten text must not lie in a page's unused part.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    if sys.platform == "darwin":
        # There a plain fsync leaves the data in the drive's cache.
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """One write transaction: committed at the end of the block, rolled back when anything is raised in it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            # The first error is the one to tell; a failing rollback ends with the connection.
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Generator[None]:
    """One read transaction: every statement of the block sees the same moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def pragma(connection: sqlite3.Connection, name: str) -> int:
    """The value of a numeric pragma."""
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def is_journal(connection: sqlite3.Connection) -> bool:
    """Whether this is a journal of hudd, or a new, empty database."""
    if pragma(connection, "application_id") == APPLICATION_ID:
        return True
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return pragma(connection, "user_version") == 0 and tables == 0


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a journal to ``VERSION``, each step in a transaction of its own.

    Raises:
        sqlite3.Error: A step failed; the journal stays at the version before it.
    """
    for version, step in enumerate(MIGRATIONS, start=1):
        if pragma(connection, "user_version") >= version:
            continue
        with transaction(connection):
            step(connection)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {version}")


def meta(connection: sqlite3.Connection, key: str) -> str:
    """A value of ``meta``; '' when there is none."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return "" if row is None else str(row[0])


def set_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    """Write a value of ``meta``. Begins no transaction."""
    connection.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


def is_indexed(connection: sqlite3.Connection) -> bool:
    """Whether notes are in the full-text index."""
    return meta(connection, "indexed") == "1"


def set_indexed(connection: sqlite3.Connection, *, wanted: bool) -> None:
    """Switch the full-text index on (and build it) or off (and empty it); nothing happens when it is so already."""
    if is_indexed(connection) == wanted:
        return
    with transaction(connection):
        command = "rebuild" if wanted else "delete-all"
        connection.execute("INSERT INTO notes_fts (notes_fts) VALUES (?)", (command,))
        set_meta(connection, "indexed", "1" if wanted else "0")
