"""The gate keeps its bars in real windows, and what counts them counts rightly."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.bench.gate_table import (
    CHANGES,
    LEAST_HELD_PERCENT,
    MOST_MISSED_PERCENT,
    Looker,
    Verdict,
    confusion,
    dose,
    judge,
    score,
)
from tests.bench.seen_day import seen_day
from tests.bench.sessions import judge_sessions
from tests.bench.windows import THEMES, changed_words, desk


def verdict(kind: str, words: int, unseen: int, sent: int) -> Verdict:
    return Verdict(1, kind, words, unseen, sent, looks=3, reason="changed")


def test_only_many_words_that_nobody_was_shown_are_missed() -> None:
    verdicts = [
        verdict("type", 40, 0, 1),
        verdict("type", 40, 12, 1),
        verdict("page", 40, 40, 0),
        verdict("edit", 9, 9, 0),
        verdict("film", 0, 0, 0),
        verdict("film", 0, 0, 2),
        verdict("clock", 1, 1, 0),
    ]
    told = score(verdicts)
    assert (told.many, told.missed, told.wordless, told.held) == (3, 2, 3, 2)
    assert told.missed_percent == pytest.approx(66.7, abs=0.1)
    lines = confusion(verdicts).splitlines()
    assert len(lines) == 6
    assert lines[-1].split()[:4] == ["film", "2", "1", "1"]


def test_changed_words_are_those_that_came_or_went() -> None:
    assert changed_words(Counter("abbc"), Counter("abdef")) == 3
    assert changed_words(Counter("ab"), Counter()) == 2


@pytest.mark.slow
def test_a_window_shows_what_it_is_told_and_its_words_are_known() -> None:
    with desk((640, 400)) as opened:
        options = {"place": (5, 25), "rows": 10, "columns": 40, "font": ("-fn", "6x13"), "theme": THEMES[0]}
        below = opened.terminal("below", **options)
        above = opened.terminal("above", **options)
        below.fill(["one two", "three"])
        above.fill(["four"])
        opened.cover(below, above)
        assert opened.words() == Counter(["four"])
        first = opened.frame().pixels
        above.put(1, "five six")
        assert opened.words() == Counter(["four", "five", "six"])
        assert opened.frame().pixels != first
        opened.cover(above, below)
        assert opened.words() == Counter(["one", "two", "three"])
        looker = Looker(opened)
        looker.wait(3.0)
        assert (looker.sent, looker.shown) == (1, opened.words())

        def print_lines():
            for line in range(6):
                below.append(f"line {line} of several words")
                yield 0.2

        looker.play(print_lines())
        assert looker.sent == 2
        assert looker.shown == opened.words()


@pytest.mark.slow
def test_the_gate_misses_next_to_nothing_and_holds_back_what_has_no_words() -> None:
    verdicts = judge(round(CHANGES * dose()))
    told = score(verdicts)
    assert told.many >= 30
    assert told.wordless >= 30
    assert told.missed_percent <= MOST_MISSED_PERCENT, confusion(verdicts)
    assert told.held_percent >= LEAST_HELD_PERCENT, confusion(verdicts)


@pytest.mark.slow
def test_the_gate_misses_nothing_of_a_shell_and_a_pager() -> None:
    verdicts = judge_sessions(max(4, round(60 * dose())))
    told = score(verdicts)
    assert told.many >= 4
    assert told.missed == 0, confusion(verdicts)


@pytest.mark.slow
def test_a_rendered_day_is_what_the_gate_sends_of_it() -> None:
    seen = seen_day(frames=400)
    assert seen.looks >= len(seen.frames) > 20
    assert {change.window for change in seen.day.changes} <= {frame.window for frame in seen.frames}
    assert 10 < len(seen.day.changes) < len(seen.frames)
    assert all(frame.unseen < 10 for frame in seen.frames)
    silent = [frame for frame in seen.frames if not frame.news and not frame.sent]
    assert len(silent) > 5
