from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from hudd.journal.store import Journal
from tests.fakes.clock import ManualClock


@pytest_asyncio.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = Journal.open(tmp_path / "journal.db", clock=ManualClock())
    yield opened
    await opened.close()
