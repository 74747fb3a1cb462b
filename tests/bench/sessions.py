"""Real programs in a real terminal: a shell and a pager in tmux, which tells what words are on its screen.

Nothing here was looked at while the gate was tuned.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hudd.screen.pixels import uniform
from tests.bench.gate_table import MANY_WORDS, MOST_MISSED_PERCENT, REST_S, Looker, Verdict, score
from tests.bench.rows import Row
from tests.bench.windows import Desk, Terminal, changed_words, desk
from tests.fakes.screen import need

STEPS: Final = 60
_PATIENCE_S: Final = 20.0
ROOT: Final = Path(__file__).resolve().parents[2]
_COMMANDS: Final = (
    "ls -l hudd/screen",
    "head -n 20 README.md",
    "grep -n def hudd/screen/gate.py",
    "wc -l hudd/flow/*.py",
    "seq 1 400",
    "cat pyproject.toml",
    "sed -n 1,30p hudd/model.py",
    "clear",
    "date",
    "cd hudd; pwd; cd ..",
)


class Session(Terminal):
    """tmux in an xterm; its words are what tmux says that it shows."""

    def __init__(self, display: dict[str, str], kind: str, command: str, *, columns: int = 100, rows: int = 38) -> None:
        self.title, self.columns = kind, columns
        self._tmux = (need("tmux"), "-L", f"hudd-bench-{os.getpid()}-{self.title}", "-f", os.devnull)
        environ = {**os.environ, **display, "LC_ALL": "C.UTF-8", "PS1": "$ ", "TERM": "xterm"}
        self._environ = environ
        size = ("-x", str(columns), "-y", str(rows))
        subprocess.run([*self._tmux, "new-session", "-d", *size, command], env=environ, cwd=ROOT, check=True)
        self.process = subprocess.Popen(
            [
                *(need("xterm"), "-geometry", f"{columns}x{rows}+10+25", "-fa", "DejaVu Sans Mono", "-fs", "9"),
                *("-e", *self._tmux, "attach"),
            ],
            env=environ,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> None:
        end = time.monotonic() + _PATIENCE_S
        while not self._told("list-clients"):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"no xterm shows the {self.title}")
            time.sleep(0.05)

    def refresh(self) -> None:
        """Read what is shown, once it rests."""
        before, still = None, 0
        while still < 3:
            time.sleep(0.05)
            told = self._told("capture-pane", "-p")
            still = still + 1 if told == before else 0
            before = told
            self.lines = told.splitlines()

    def keys(self, *keys: str) -> None:
        """Press keys, as ``tmux send-keys`` names them."""
        subprocess.run([*self._tmux, "send-keys", *keys], env=self._environ, check=True)
        self.refresh()

    def _told(self, *words: str) -> str:
        command = [*self._tmux, *words]
        done = subprocess.run(command, env=self._environ, check=True, capture_output=True, encoding="utf-8")
        return done.stdout

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], env=self._environ, check=False, capture_output=True)
        self.process.kill()
        self.process.wait()


@contextmanager
def session(kind: str, command: str) -> Iterator[tuple[Desk, Session]]:
    """A desk on which only this session is open."""
    with desk() as opened:
        bare = uniform(opened.frame())
        shown = Session(opened.server.environ, kind, command)
        opened.terminals.append(shown)
        shown.refresh()
        end = time.monotonic() + _PATIENCE_S
        while uniform(opened.frame()) == bare:
            if time.monotonic() > end:
                raise RuntimeError(f"the window of the {kind} is not shown")
            time.sleep(0.05)
        yield opened, shown


def shell(shown: Session, chance: random.Random) -> Iterator[float]:
    """One command is typed and run."""
    command = chance.choice(_COMMANDS)
    for word in command.split():
        shown.keys("-l", "--", f"{word} ")
        yield 0.4
    shown.keys("Enter")
    yield 0.0


def pager(shown: Session, chance: random.Random) -> Iterator[float]:
    """Some lines further, or a page; from the start again at the end."""
    for _ in range(chance.randint(1, 6)):
        shown.keys(*chance.choice((("Enter",), ("Enter", "Enter", "Enter"), ("Space",))))
        yield chance.choice((0.1, 0.5))


PROGRAMS: Final = {"shell": ("sh", shell), "pager": ("sh -c 'while more README.md; do :; done'", pager)}


def judge_sessions(steps: int, seed: int = 1) -> list[Verdict]:
    """So many steps of each program, looked at as the daemon looks."""
    verdicts: list[Verdict] = []
    for kind, (command, episode) in PROGRAMS.items():
        chance = random.Random(seed)
        with session(kind, command) as (opened, shown):
            looker = Looker(opened)
            looker.wait(REST_S)
            for _ in range(steps):
                before, sent, looks = opened.words(), looker.sent, looker.looks
                looker.play(episode(shown, chance))
                now = opened.words()
                verdicts.append(
                    Verdict(
                        seed,
                        kind,
                        words=changed_words(before, now),
                        unseen=changed_words(looker.shown, now),
                        sent=looker.sent - sent,
                        looks=looker.looks - looks,
                        reason=looker.watcher.reason,
                    )
                )
    return verdicts


def bench_sessions(*, quick: bool = False) -> list[Row]:
    """Missed changes of each program."""
    verdicts = judge_sessions(3 if quick else STEPS)
    rows: list[Row] = []
    for kind in PROGRAMS:
        told = score(verdict for verdict in verdicts if verdict.kind == kind)
        how = f"{told.missed} of {told.many} of {MANY_WORDS} words or more; a real {kind} in tmux and xterm"
        rows.append(Row(f"gate, missed in a {kind}", told.missed_percent, MOST_MISSED_PERCENT, "%", how))
    return rows
