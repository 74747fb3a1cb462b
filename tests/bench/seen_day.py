"""The generated day as the gate really sees it: its windows are opened, its frames rendered, looked at and judged.

What the gate sends is what the day costs. ``seen_day().day`` goes wherever a ``Day`` does, ``tests.bench.costs`` too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from tests.bench.day import FRAMES, MOST_CHANGES, SEED, Change, Day, make_day
from tests.bench.gate_table import MANY_WORDS, MOST_MISSED_PERCENT, Looker
from tests.bench.rows import Row
from tests.bench.windows import THEMES, Desk, Terminal, changed_words, desk

RENDERED: Final = 2_600
"""Changes of a full day that are drawn: news, and what is none."""
NOISE_PERCENT: Final = 50
_FONT: Final = ("-fa", "DejaVu Sans Mono", "-fs", "10")
_ROWS: Final = 24


@dataclass(frozen=True, slots=True)
class Frame:
    """One change of the day and what the gate made of it.

    Attributes:
        at_s: Seconds since the day's first frame.
        window: What is in front.
        words: Words that came or went with this change.
        unseen: Words that no picture has shown when the next change comes.
        sent: Pictures that were sent between this change and the next.
        reason: The gate's last word.
        news: Whether a person would want to read it.
    """

    at_s: int
    window: str
    words: int
    unseen: int
    sent: int
    reason: str
    news: bool


@dataclass(frozen=True, slots=True)
class SeenDay:
    """A day that was looked at.

    Attributes:
        day: Its changes are those that were sent, at most 1,440; ``news`` tells whether words had changed since the
            picture before.
        frames: All changes that were drawn, oldest first.
        looks: Frames of real windows that were rendered and judged.
    """

    day: Day
    frames: tuple[Frame, ...]
    looks: int


def seen_day(seed: int = SEED, *, frames: int = FRAMES) -> SeenDay:
    """Render a day and let the gate judge it; takes about two minutes for a whole one. The seed decides everything."""
    planned = make_day(seed, frames=frames, most_changes=RENDERED, calm=0.62, noise_percent=NOISE_PERCENT)
    with desk() as opened:
        return _watch(opened, planned)


def _watch(opened: Desk, planned: Day) -> SeenDay:
    windows = {
        name: opened.terminal(name, place=(10, 25), font=_FONT, theme=THEMES[at % len(THEMES)], rows=_ROWS, columns=90)
        for at, name in enumerate(dict.fromkeys(change.window for change in planned.changes))
    }
    clock = opened.terminal("clock", place=(1000, 25), font=_FONT, theme=THEMES[0], rows=1, columns=14)
    opened.hidden.update(windows)
    looker = Looker(opened)
    looker.wait(1.0)
    seen: list[Frame] = []
    sent: list[Change] = []
    front, shown = "", opened.words()
    ends = [change.at_s for change in planned.changes[1:]] + [planned.frames]
    for change, end in zip(planned.changes, ends, strict=True):
        looker.wait(max(0.0, change.at_s - looker.now))
        before, pictures = opened.words(), looker.sent
        looker.play(_draw(opened, windows, clock, change, front), rest_s=0.0)
        looker.wait(max(0.0, end - looker.now))
        front, now = change.window, opened.words()
        pictures = looker.sent - pictures
        seen.append(
            Frame(
                change.at_s,
                change.window,
                words=changed_words(before, now),
                unseen=changed_words(looker.shown, now),
                sent=pictures,
                reason=looker.watcher.reason,
                news=change.news,
            )
        )
        if pictures and len(sent) < MOST_CHANGES:
            sent.append(replace(change, news=changed_words(shown, looker.shown) > 1))
            shown = looker.shown
    return SeenDay(Day(planned.frames, tuple(sent), planned.pauses), tuple(seen), looker.looks)


def _draw(opened: Desk, windows: dict[str, Terminal], clock: Terminal, change: Change, front: str) -> Iterator[float]:
    """Show a change: another window in front, a new line below, or only what nobody reads."""
    terminal = windows[change.window]
    if change.window != front:
        opened.hidden.update(windows)
        opened.focus(terminal)
        opened.hidden.discard(terminal.title)
        terminal.fill(change.lines)
    elif change.news:
        terminal.append(change.lines[-1])
    else:
        minutes, seconds = divmod(change.at_s, 60)
        clock.put(0, f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}")
        terminal.cursor(change.at_s % _ROWS, change.at_s % 7, shown=True)
    yield 0.0


def bench_day(*, quick: bool = False) -> list[Row]:
    """A whole day, or a quarter of an hour: what the gate sends of it, and what it does not tell."""
    seen = seen_day(frames=900 if quick else FRAMES)
    missed = sum(frame.unseen >= MANY_WORDS for frame in seen.frames)
    how = (
        f"{seen.day.frames} frames, {len(seen.frames)} changes in real windows, {seen.looks} looks rendered and judged"
    )
    return [
        Row("day, pictures sent", len(seen.day.changes), MOST_CHANGES, "pictures", how),
        Row("day, changes of 10 words missed", 100 * missed / len(seen.frames), MOST_MISSED_PERCENT, "%", how),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Watch a day, say what came of it, and write it as JSON where wanted."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.seen_day", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--json", type=Path, metavar="FILE")
    chosen = parser.parse_args(argv)
    seen = seen_day(chosen.seed, frames=chosen.frames)
    news = sum(change.news for change in seen.day.changes)
    missed = sum(frame.unseen >= 10 for frame in seen.frames)
    print(
        f"{seen.day.frames} frames, {len(seen.frames)} changes drawn, {seen.looks} looks rendered, "
        f"{len(seen.day.changes)} pictures sent ({news} with new words), {missed} changes of ten words not shown"
    )
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(asdict(seen)) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
