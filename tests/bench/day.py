"""A day in front of a screen, made from a seed: what is shown when, what of it is news, and when nobody is there.

A day is 28,800 frames, one a second, and at most 1,440 of them show a change that a question is asked about. Windows and
words are known, so that whatever is derived from a frame can be checked. ``tests.bench.seen_day`` renders such a day in
real windows and lets the gate judge it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

FRAMES: Final = 28_800
MOST_CHANGES: Final = 1_440
SEED: Final = 20_261_121

PAUSES: Final = ((5_400, 6_300), (12_600, 15_300), (21_600, 22_500), (26_100, 26_700))
"""Seconds of the day at which nobody is there and nothing changes: coffee, lunch, a walk, a call."""

NOISE_PERCENT: Final = 8
"""Changes that are no news: a clock, a spinner, a badge. They are answered, and the answer is no note."""

# (window, share of the day, mean seconds between two changes in it, words that may stand in it)
_SCENES: Final = (
    ("editor", 40, 16.0, ("def", "return", "total", "budget", "caps.py", "line", "import", "reserve", "ledger")),
    ("terminal", 20, 9.0, ("pytest", "passed", "failed", "error", "build", "warning", "module", "seconds", "exit")),
    ("browser", 20, 14.0, ("Larkspur", "invoice", "heading", "table", "search", "results", "price", "page", "news")),
    ("mail", 10, 22.0, ("from", "subject", "tomorrow", "meeting", "attached", "regards", "Monday", "question", "re")),
    ("chat", 10, 12.0, ("says", "thanks", "review", "ship", "ready", "joined", "channel", "typing", "reply")),
)
_MEAN_STAY_S: Final = 150.0
_LINES: Final = 12
_LEAST_GAP_S: Final = 2.0  # the gate's own least interval between two automatic pictures


@dataclass(frozen=True, slots=True)
class Change:
    """One frame that differs from the one before it.

    Attributes:
        at_s: Seconds since the day's first frame.
        window: What is in front.
        lines: The text in it.
        news: False when only what nobody needs to read has changed.
    """

    at_s: int
    window: str
    lines: tuple[str, ...]
    news: bool


@dataclass(frozen=True, slots=True)
class Day:
    """A day.

    Attributes:
        frames: How many frames it has, one a second.
        changes: Those of them that differ from the one before, oldest first.
        pauses: First and last second of each time when nobody was there.
    """

    frames: int
    changes: tuple[Change, ...]
    pauses: tuple[tuple[int, int], ...]


def make_day(
    seed: int = SEED,
    *,
    frames: int = FRAMES,
    most_changes: int = MOST_CHANGES,
    calm: float = 1.0,
    noise_percent: int = NOISE_PERCENT,
) -> Day:
    """The day of a seed; the same seed makes the same day.

    Args:
        seed: Any number.
        frames: How long it is, in seconds; the pauses keep their places.
        most_changes: When more changes would come, the last ones of the day are left out.
        calm: How many times as long the gaps between two changes are.
        noise_percent: How many of a hundred changes are no news.
    """
    chance = random.Random(seed)
    changes: list[Change] = []
    at_s, scene, stays_until, lines = 0.0, _SCENES[0], 0.0, [""] * _LINES
    while len(changes) < most_changes:
        turned = at_s >= stays_until
        if turned:
            scene = chance.choices(_SCENES, weights=[share for _, share, _, _ in _SCENES])[0]
            stays_until = at_s + chance.expovariate(1 / _MEAN_STAY_S)
            lines = [_line(chance, scene[3]) for _ in range(_LINES)]
        at_s = _after_pauses(at_s + max(_LEAST_GAP_S, calm * chance.expovariate(1 / scene[2])))
        if at_s >= frames:
            break
        news = turned or chance.randrange(100) >= noise_percent
        if news:
            lines = [*lines[1:], _line(chance, scene[3])]
        changes.append(Change(int(at_s), scene[0], tuple(lines), news))
    return Day(frames, tuple(changes), tuple(pause for pause in PAUSES if pause[0] < frames))


def note_text(change: Change, tokens: int) -> str:
    """An answer about a change that has exactly so many tokens, four characters each, and repeats real words of it."""
    words = f"The {change.window} is open at {change.at_s}: {' '.join(reversed(change.lines))}"
    return words[: tokens * 4].ljust(tokens * 4, ".")


def gaps(changes: Sequence[Change], longer_than_s: float) -> int:
    """How often nothing changed for longer than that."""
    return sum(later.at_s - change.at_s > longer_than_s for change, later in pairwise(changes))


def _line(chance: random.Random, words: Sequence[str]) -> str:
    return " ".join([*chance.choices(words, k=6), str(chance.randrange(10_000))])


def _after_pauses(at_s: float) -> float:
    for first, last in PAUSES:
        if first <= at_s < last:
            return last + (at_s - first) % _LEAST_GAP_S
    return at_s
