"""How tests/golden/journal-v1.db was made: ``python -m tests.golden.make_journal_v1``.

Only ever run while version 1 is the newest and not yet released; afterwards the file is what must open for ever.
"""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from hudd.journal import schema
from hudd.journal.store import Journal
from hudd.ledger.records import Settlement
from hudd.model import UpstreamError, Usage
from tests.fakes.clock import ManualClock
from tests.fakes.journal import RESERVATION, make_note

PATH = Path(__file__).with_name("journal-v1.db")


async def make() -> None:
    """Write the file anew."""
    assert schema.VERSION == 1, "version 1 is released: its journal is no longer made, only read"
    PATH.unlink(missing_ok=True)
    clock = ManualClock()
    await _begin(clock)
    journal = Journal.open(PATH, clock=clock)
    first = await journal.reserve(RESERVATION)
    await journal.commit_note(
        make_note(), Settlement(first, "completed", Usage(1023, 60), 4100, price_date="2026-11-01")
    )
    await journal.commit_note(make_note("HDMI-1", kind="failed", complete=False, text="The key was refused."), None)
    await journal.commit_note(make_note(kind="unchanged"), None)
    await journal.reserve(RESERVATION)
    await journal.add_error(UpstreamError(sentence="The key was refused.", code="invalid_api_key"), time=clock.wall())
    await journal.pause(until=None, why="lunch", now=clock.wall())
    await journal.close()


async def _begin(clock: ManualClock) -> None:
    await Journal.open(PATH, clock=clock).close()
    connection = sqlite3.connect(PATH)
    with connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'stream'", ("0f" * 16,))
    connection.close()


if __name__ == "__main__":
    asyncio.run(make())
