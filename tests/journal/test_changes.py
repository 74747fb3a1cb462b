from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from hudd.journal import changes, money, schema
from hudd.journal.changes import KEPT_MINUTES
from hudd.journal.store import Journal
from hudd.ledger.records import Changes, Settlement
from tests.fakes.clock import ManualClock
from tests.fakes.journal import RESERVATION

NOON = 29_922_400


async def test_counts_add_up_and_survive_a_restart(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", clock=ManualClock())
    await journal.changes.add({NOON: 3, NOON + 1: 1})
    await journal.changes.add({NOON + 1: 4})
    await journal.close()
    journal = Journal.open(tmp_path / "journal.db", clock=ManualClock())
    assert await journal.changes.since(0.0) == Changes(((NOON, 3), (NOON + 1, 5)))
    assert await journal.changes.since((NOON + 1) * 60.0) == Changes(((NOON + 1, 5),))
    await journal.changes.add({NOON + KEPT_MINUTES + 1: 1})
    assert [minute for minute, _ in (await journal.changes.since(0.0)).minutes] == [NOON + 1, NOON + KEPT_MINUTES + 1]
    await journal.close()


def test_what_was_asked_stands_for_what_an_older_hudd_did_not_count() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    for minute in (NOON - 2, NOON - 2, NOON - 1, NOON, NOON + 1):
        reserved = replace(RESERVATION, reserved_at=minute * 60.0 + 5)
        money.settle(
            connection,
            Settlement(money.insert_reservation(connection, reserved), "completed", None, 0),
            note_seq=None,
            at=0.0,
        )
    changes.add(connection, {NOON: 9})
    assert changes.changes_since(connection, 0.0) == Changes(((NOON - 2, 2), (NOON - 1, 1), (NOON, 9)), asked=5)
    connection.close()
