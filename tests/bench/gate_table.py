"""How well the gate knows news from noise: labelled changes in real windows, looked at as the daemon looks.

``python -m tests.bench.gate_table`` prints the confusion table. Half of the seeds, the odd ones, were not looked at
while the gate was tuned; they are reported for themselves. Time is that of a story, not of the machine: an hour of it
takes a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from hudd.adapters import FramePixels
from hudd.config.settings import GateSettings, PictureSettings, ScreenSettings
from hudd.flow.capture import BURST_S, GROWTH
from hudd.flow.watcher import Watcher
from hudd.model import Source
from tests.bench.rows import NO_BAR, Row
from tests.bench.scenes import WORDLESS, episodes, furnish
from tests.bench.windows import SIZE, Desk, changed_words, desk

CHANGES: Final = 2_400
CHANGES_OF_A_SEED: Final = 60
REST_S: Final = 7.0
"""Nothing happens for so long after each change: a gate that has not sent it then has missed it."""
MANY_WORDS: Final = 10
MOST_MISSED_PERCENT: Final = 2.0
LEAST_HELD_PERCENT: Final = 60.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one labelled change.

    Attributes:
        seed: Of its desk.
        kind: What happened, see ``tests.bench.scenes``.
        words: How many words came or went.
        unseen: How many of them the last picture that was sent does not show as they are at the end.
        sent: Pictures that were sent for it.
        looks: How often the screen was looked at.
        reason: The gate's last word.
    """

    seed: int
    kind: str
    words: int
    unseen: int
    sent: int
    looks: int
    reason: str

    @property
    def wordless(self) -> bool:
        """Whether it was one that need not be sent."""
        return self.kind in WORDLESS

    @property
    def missed(self) -> bool:
        """Whether many words changed, and nobody was told."""
        return self.words >= MANY_WORDS and self.unseen >= MANY_WORDS


class Looker:
    """Looks at a desk as ``hudd.flow.capture`` does, in the time of the story.

    Args:
        desk: What is looked at.
        damage: Whether changes are reported; otherwise the screen is polled.
    """

    def __init__(self, desk: Desk, *, damage: bool = True) -> None:
        gate, self._times = GateSettings(), ScreenSettings()
        source = Source("monitor", "desk", (0, 0, *SIZE))
        self.watcher = Watcher(source, gate, FramePixels(PictureSettings(), gate.luma_step))
        self._desk, self._damage = desk, damage
        self.now, self.looks, self.sent = 0.0, 0, 0
        self.shown = desk.words()
        self._looked_at, self._interval_s = float("-inf"), self._times.interval_s
        self._again_at: float | None = 0.0
        self._dirty_at: float | None = None

    def play(self, steps: Iterable[float], rest_s: float = REST_S) -> None:
        """Let an episode happen, and the time after it."""
        for pause_s in steps:
            if self._dirty_at is None and self._damage:
                self._dirty_at = self.now
            self.wait(pause_s)
        self.wait(rest_s)

    def wait(self, seconds: float) -> None:
        """Let time pass, and look whenever the daemon would."""
        end = self.now + seconds
        while (at := self._next()) is not None and at <= end:
            self.now = max(self.now, at)
            self._look()
        self.now = end

    def _next(self) -> float | None:
        if self._dirty_at is not None:
            return max(self._dirty_at + BURST_S, self._looked_at + self._times.interval_s)
        return self._again_at

    def _look(self) -> None:
        self._dirty_at, self._looked_at = None, self.now
        self.looks += 1
        look = self.watcher.examine(self._desk.frame(), ())
        decision = self.watcher.judge(look, self.now, polled=not self._damage)
        if decision.action == "send":
            self.watcher.sent(look, self.now)
            self.shown = self._desk.words()
            self.sent += 1
        again_s = decision.look_again_in_s
        if not self._damage:
            moved = look.since_look is None or bool(look.since_look.tiles)
            grown = min(self._interval_s * GROWTH, self._times.max_interval_s)
            self._interval_s = self._times.interval_s if moved else grown
            again_s = self._interval_s if again_s is None else min(self._interval_s, again_s)
        self._again_at = None if again_s is None else self.now + max(again_s, BURST_S)


def judge_seed(seed: int, changes: int, *, damage: bool = True) -> Iterator[Verdict]:
    """Open a desk by the seed and let so many changes happen on it."""
    chance = random.Random(seed)
    with desk() as opened:
        room = furnish(opened, chance)
        looker = Looker(opened, damage=damage)
        looker.wait(REST_S)
        for kind, episode in episodes(chance, changes):
            before, sent, looks = opened.words(), looker.sent, looker.looks
            looker.play(episode(room))
            words = opened.words()
            yield Verdict(
                seed,
                kind,
                words=changed_words(before, words),
                unseen=changed_words(looker.shown, words),
                sent=looker.sent - sent,
                looks=looker.looks - looks,
                reason=looker.watcher.reason,
            )


@dataclass(frozen=True, slots=True)
class Score:
    """The two figures that are judged.

    Attributes:
        many: Changes of ten words or more.
        missed: Those of them that nobody was told of.
        wordless: Changes without words.
        held: Those of them that were held back.
    """

    many: int
    missed: int
    wordless: int
    held: int

    @property
    def missed_percent(self) -> float:
        return 100 * self.missed / max(1, self.many)

    @property
    def held_percent(self) -> float:
        return 100 * self.held / max(1, self.wordless)


def score(verdicts: Iterable[Verdict]) -> Score:
    """Count."""
    many = missed = wordless = held = 0
    for verdict in verdicts:
        if verdict.wordless:
            wordless += 1
            held += not verdict.sent
        elif verdict.words >= MANY_WORDS:
            many += 1
            missed += verdict.missed
    return Score(many, missed, wordless, held)


def confusion(verdicts: Sequence[Verdict]) -> str:
    """Kinds against decisions, as text."""
    lines = [f"{'kind':<24}{'words':>9}{'changes':>9}{'sent':>6}{'held':>6}{'missed':>8}  reasons at the end"]
    for kind in dict.fromkeys(sorted((v.kind for v in verdicts), key=lambda kind: (kind in WORDLESS, kind))):
        groups = {"none": [], "1 to 9": [], "10 or more": []} if kind not in WORDLESS else {"": []}
        chosen: dict[str, list[Verdict]] = groups
        for verdict in verdicts:
            if verdict.kind == kind:
                word = "10 or more" if verdict.words >= MANY_WORDS else "1 to 9" if verdict.words else "none"
                chosen["" if kind in WORDLESS else word].append(verdict)
        for words, group in chosen.items():
            if group:
                sent = sum(bool(v.sent) for v in group)
                reasons = ", ".join(f"{name} {n}" for name, n in Counter(v.reason for v in group).most_common(4))
                lines.append(
                    f"{kind:<24}{words:>11}{len(group):>7}{sent:>6}{len(group) - sent:>6}"
                    f"{sum(v.missed for v in group):>8}  {reasons}"
                )
    return "\n".join(lines)


def judge(changes: int, *, damage: bool = True, odd: bool | None = None) -> list[Verdict]:
    """So many changes, in equal parts of even and odd seeds; or of one sort of them only."""
    seeds = max(2, round(changes / CHANGES_OF_A_SEED))
    each = -(-changes // seeds)
    wanted = [seed for seed in range(seeds) if odd is None or seed % 2 == odd]
    return [verdict for seed in wanted for verdict in judge_seed(seed, each, damage=damage)]


def bench_decide(*, quick: bool = False) -> list[Row]:
    """The bars, over all seeds and over those that were unseen while tuning; then what became of each kind."""
    share = 20 / CHANGES if quick else dose()
    verdicts = judge(round(CHANGES * share))
    rows: list[Row] = []
    for name, group in (("", verdicts), (", unseen seeds", [v for v in verdicts if v.seed % 2])):
        told = score(group)
        how = f"of {told.many} in real windows, dose {share:.2g} of {CHANGES} changes"
        rows.append(Row(f"gate, changes of 10 words missed{name}", told.missed_percent, MOST_MISSED_PERCENT, "%", how))
        how = f"of {told.wordless}; {told.held_percent:.0f} % were held back"
        rows.append(
            Row(f"gate, wordless changes sent{name}", 100 - told.held_percent, 100 - LEAST_HELD_PERCENT, "%", how)
        )
    for kind in dict.fromkeys(sorted((v.kind for v in verdicts), key=lambda kind: (kind in WORDLESS, kind))):
        group = [verdict for verdict in verdicts if verdict.kind == kind]
        reasons = ", ".join(f"{name} {count}" for name, count in Counter(v.reason for v in group).most_common())
        sent, missed = sum(bool(v.sent) for v in group), sum(v.missed for v in group)
        how = f"{sent} of {len(group)}, missed {missed}; at the end: {reasons}"
        rows.append(Row(f"gate, sent of {kind}", 100 * sent / len(group), NO_BAR, "%", how))
    return rows


def dose() -> float:
    """``HUDD_DOSE``: which share of the full figures is run."""
    return float(os.environ.get("HUDD_DOSE", "0.05"))


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, and write every verdict as JSON where wanted."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gate_table", description=__doc__.splitlines()[0])
    parser.add_argument("--dose", type=float, default=dose(), help=f"share of {CHANGES} changes")
    parser.add_argument("--seeds", choices=("even", "odd", "all"), default="all")
    parser.add_argument("--polled", action="store_true", help="without reports of changes")
    parser.add_argument("--json", type=Path, metavar="FILE")
    chosen = parser.parse_args(argv)
    odd = None if chosen.seeds == "all" else chosen.seeds == "odd"
    verdicts = judge(round(CHANGES * chosen.dose), damage=not chosen.polled, odd=odd)
    print(confusion(verdicts))
    for name, group in (("even", 0), ("odd", 1)):
        told = score(v for v in verdicts if v.seed % 2 == group)
        print(
            f"{name} seeds: missed {told.missed} of {told.many} ({told.missed_percent:.1f} %), "
            f"held back {told.held} of {told.wordless} ({told.held_percent:.1f} %)"
        )
    if chosen.json is not None:
        body: list[dict[str, Any]] = [asdict(verdict) for verdict in verdicts]
        chosen.json.write_text(json.dumps({"schema": 1, "changes": body}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
