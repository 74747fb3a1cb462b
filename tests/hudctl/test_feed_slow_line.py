"""A line so slow that a whole page takes longer than its time-out."""

from __future__ import annotations

import json

from hudctl.feed_core import ASK_TIMEOUT_S, FeedCore
from hudd.wire.table import REPLAY_PAGE
from tests.fakes.bus import make_note

BYTES_PER_S = 4_000
NOTES = 300


def test_smaller_pages_get_through_and_grow_again() -> None:
    history = [make_note(seq, prev=seq - 1, source="m").to_json() for seq in range(1, NOTES + 1)]
    core = FeedCore(after=0)
    core.on_frame("welcome/x/", {"stream": "s1", "heads": {"note/m": NOTES}, "instance": "i"}, 0.0)
    now, limits = 0.0, list[int]()
    while len(core.notes) < NOTES:
        assert now < 200 * ASK_TIMEOUT_S, f"nothing gets through: pages of {limits}"
        ask = core.next_ask(now)
        assert ask is not None
        limits.append(ask.limit)
        notes = history[ask.seq : ask.seq + ask.limit]
        takes_s = len(json.dumps(notes)) / BYTES_PER_S
        if takes_s >= ASK_TIMEOUT_S:
            now += ASK_TIMEOUT_S
            continue
        now += takes_s
        more = ask.seq + len(notes) < NOTES
        core.on_page(ask.number, {"stream": "s1", "notes": notes, "more": more, "oldest": 1})
    assert [note.seq for note in core.notes] == list(range(1, NOTES + 1))
    assert limits[:3] == [REPLAY_PAGE, REPLAY_PAGE // 2, REPLAY_PAGE // 4]
    assert min(limits) < limits[-1], "it is tried whether more fit again"
