"""``python -m tests.soak [--dose 1] [--only NAME] [--seed N]``: long runs against a real daemon; prints seeds and figures."""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from pathlib import Path

from tests.soak import drops, hostile, joiners, kills, private, private_report, rollovers, stalled, starts
from tests.soak.dose import part_of

SEED = 20261121


def run_one(name: str, *, seed: int, dose: float) -> None:
    """Run one of the soaks and judge it.

    Raises:
        AssertionError: It failed; the sentence names the seed.
    """
    with tempfile.TemporaryDirectory(prefix="hudd-soak-") as folder:
        if name == "drops":
            report = drops.run_drops(Path(folder), seed=seed, count=part_of(drops.FULL, dose))
            print(f"drops: {report}", flush=True)
            drops.judge(report)
        elif name == "fatal":
            count = part_of(len(drops.FATAL) * 2, dose, least=2)
            print(f"fatal: seed {seed}: {', '.join(drops.run_fatal(Path(folder), seed=seed, count=count))}", flush=True)
        elif name == "kills":
            killed = kills.run_dose(Path(folder), seed=seed, dose=dose)
            print(*killed.rows(), sep="\n", flush=True)
            kills.judge(killed, longest=dose >= 1)
        elif name == "joiners":
            joined = joiners.run_joiners(Path(folder), seed=seed, count=part_of(joiners.FULL, dose))
            print(*joined.rows(), sep="\n", flush=True)
            joiners.judge(joined)
        elif name == "starts":
            started = starts.run_starts(Path(folder), seed=seed, count=part_of(starts.FULL, dose))
            print(f"starts: {starts.row(started)}", flush=True)
            starts.judge(started)
            planted = starts.run_plants(Path(folder), count=part_of(starts.PLANTS, dose, least=5))
            print(f"plants: {planted}", flush=True)
        elif name in private.RUNS:
            told = private.RUNS[name](Path(folder), seed=seed, dose=dose)
            print(*told.rows(), sep="\n", flush=True)
            private_report.judge(told)
        elif name in hostile.RUNS:
            hostile.judge(hostile.RUNS[name](Path(folder), seed=seed, dose=dose))
        elif name == "stalled":
            hostile.judge(stalled.run_stalled(Path(folder), dose=dose))
        else:
            rolled = rollovers.run_rollovers(Path(folder), seed=seed, count=part_of(rollovers.FULL, dose))
            print(f"rollovers: {rolled}", flush=True)
            rollovers.judge(rolled)


NAMES = ("drops", "fatal", "rollovers", "kills", "joiners", "starts", *private.RUNS, *hostile.RUNS, "stalled")


def main() -> int:
    """Run what was asked for; 1 when something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--dose", type=float, default=1.0, help="share of the full figures")
    parser.add_argument("--only", choices=NAMES, help="one run")
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args()
    failed = []
    for name in [chosen.only] if chosen.only else NAMES:
        try:
            run_one(name, seed=chosen.seed, dose=chosen.dose)
        except Exception:  # noqa: BLE001 - the others still run, and the exit code tells
            traceback.print_exc()
            failed.append(name)
    if failed:
        print(f"failed with seed {chosen.seed}: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
