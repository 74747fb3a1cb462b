"""Forgetting where the clock was set back: notes that carry a later time than the present one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hudd.flow.keeping import Keeping, Rules
from hudd.journal.store import Journal
from hudd.policy.facts import Facts
from hudd.wire.messages import iso_time
from tests.fakes.clock import ManualClock
from tests.fakes.journal import make_note

BACK_S = 3600.0


@pytest.mark.parametrize(
    ("since_s", "until_s", "left"),
    [
        (-600, None, ["long ago"]),
        (-600, BACK_S * 2, ["long ago"]),
        (-600, 0, ["long ago", "before it was set back"]),
        (None, -600, ["before it was set back", "just now"]),
    ],
)
async def test_what_is_there_is_forgotten_also_when_it_carries_a_later_time(
    tmp_path: Path, since_s: float | None, until_s: float | None, left: list[str]
) -> None:
    clock = ManualClock()
    now = clock.wall()
    journal = Journal.open(tmp_path / "journal.db", clock=clock)
    for text, at in (("long ago", -9000.0), ("before it was set back", BACK_S), ("just now", -1.0)):
        await journal.commit_note(make_note(text=text, time=now + at), None)
    keeping = Keeping(
        store=journal.upkeep,
        stream=journal.stream,
        rules=Rules(),
        facts=Facts(),
        drop_words=lambda _: None,
        renew=lambda: None,
        on_state=lambda: None,
        on_error=lambda _: None,
        runtime=tmp_path / "run",
        clock=clock,
    )
    told = {"since": since_s, "until": until_s}
    params: dict[str, Any] = {name: iso_time(now + at) for name, at in told.items() if at is not None}
    answer = await keeping.forget(SimpleNamespace(params=params))
    kept = [note.text for note in (await journal.notes_since(0)).notes if note.text]
    assert (kept, answer["notes"]) == (left, 3 - len(left))
    assert not keeping.is_forgotten(now + 1), "what is captured from now on was not meant"
    await journal.close()
