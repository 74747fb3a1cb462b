"""``python -m tests.bench``: measure the bars of the design, print a table, write JSON.

Best of many, at low load; ratios against a reference of the same run wherever there is one. The exit code is 1 when a
row is over its bar.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.rows import Row, document, load_sentence, row_of, table

Group = Callable[[], Iterable[Any]]


def _screen(name: str, quick_times: int, *, quick: bool) -> Iterable[Any]:
    module = importlib.import_module("tests.bench.screen")
    return getattr(module, name)(quick_times) if quick else getattr(module, name)()


def _of(module: str, *names: str, quick: bool) -> Iterable[Any]:
    loaded = importlib.import_module(f"tests.bench.{module}")
    return [row for name in names for row in getattr(loaded, name)(quick=quick)]


def _slow(module: str, *names: str, quick: bool) -> Iterable[Any]:
    """Groups that have no short form are left out of a quick run."""
    if quick:
        return []
    loaded = importlib.import_module(f"tests.bench.{module}")
    return [row for name in names for row in getattr(loaded, name)()]


def _if_there(module: str, *names: str, quick: bool) -> Iterable[Any]:
    """Rows of a part that a copy of the tests may lack."""
    return _of(module, *names, quick=quick) if importlib.util.find_spec(f"tests.bench.{module}") else []


GROUPS: dict[str, tuple[Callable[..., Iterable[Any]], str]] = {
    "gate": (partial(_screen, "bench_gate", 3), "least of many, CPU of the thread"),
    "decide": (partial(_of, "gate_table", "bench_decide"), ""),
    "sequences": (
        partial(_of, "sequences", "bench_sequences"),
        "HUDD_SCREENS, HUDD_SEQUENCES name folders of sequences",
    ),
    "sessions": (partial(_of, "sessions", "bench_sessions"), ""),
    "day": (partial(_of, "seen_day", "bench_day"), ""),
    "stages": (partial(_of, "stages", "bench_stages"), ""),
    "lag": (partial(_of, "stages", "bench_lag"), ""),
    "picture": (partial(_screen, "bench_picture", 1), "least of many, wall"),
    "legible": (partial(_of, "legible", "bench_legible"), "text recognition; HUDD_SCREENS names a folder of screens"),
    "client": (partial(_of, "client", "bench_client"), ""),
    "idle": (partial(_of, "idle", "bench_idle"), ""),
    "polled": (partial(_of, "idle", "bench_polled"), ""),
    "windows": (partial(_of, "window_reading", "bench_window_reading"), ""),
    "lively": (partial(_of, "idle", "bench_lively"), ""),
    "memory": (partial(_of, "memory", "bench_memory"), ""),
    "stream": (partial(_of, "stream", "bench_commit", "bench_replay", "bench_stalled"), ""),
    "bus": (partial(_slow, "bus", "bench_status_roundtrip", "bench_notes"), "sockets alone, journal in memory"),
    "journal": (partial(_slow, "journal", "bench_journal"), "100,000 notes stored; 1,000,000 at HUDD_DOSE=1"),
    "cost": (partial(_if_there, "costs", "cost_rows"), "simulated day"),
}


def measure(names: Sequence[str], *, quick: bool) -> list[Row]:
    """Run groups and return their rows; each is told on stderr as it begins, because some take minutes."""
    rows: list[Row] = []
    for name in names:
        group, how = GROUPS[name]
        started = time.monotonic()
        print(f"{name} …", end="", flush=True, file=sys.stderr)
        rows += [row_of(row, how) for row in group(quick=quick)]
        print(f" {time.monotonic() - started:.0f} s", flush=True, file=sys.stderr)
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 when something is over its bar."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="NAME", help=f"of: {', '.join(GROUPS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--quick", action="store_true", help="a few short rounds: shows that it runs, judges nothing")
    arguments = parser.parse_args(argv)
    before, started = load_sentence(), time.monotonic()
    rows = measure(arguments.only or list(GROUPS), quick=arguments.quick)
    after, took_s = load_sentence(), time.monotonic() - started
    print(table(rows))
    over = [row.name for row in rows if row.word == "over"]
    print(f"\nbefore: {before}\nafter: {after}\n{took_s:.0f} s; over the bar: {', '.join(over) or 'none'}")
    if arguments.json is not None:
        text = document(rows, load_before=before, load_after=after, quick=arguments.quick, took_s=took_s)
        arguments.json.write_text(text, encoding="utf-8")
    # A quick run is too short to judge by.
    return int(bool(over) and not arguments.quick)


if __name__ == "__main__":
    sys.exit(main())
