"""What a person waits for: ``hudctl status`` and ``hudctl snap``, as whole processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hudctl import Client
from tests.bench.process import FULL_HD, daemon_on_x
from tests.bench.rows import NO_BAR, Row

TIMES = 20


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a program, in milliseconds."""

    wall_ms: float
    cpu_ms: float


def run(words: Sequence[str], environ: dict[str, str]) -> Run:
    """Run a program of this interpreter to its end.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, words)
    return Run(wall_s * 1000, (used.ru_utime + used.ru_stime) * 1000)


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def bench_client(*, quick: bool = False) -> list[Row]:
    """Medians; the reference runs by turns with what it is held against, so that both meet the same machine."""
    times = 3 if quick else TIMES
    with daemon_on_x(FULL_HD) as (daemon, _):
        environ = daemon.environ
        plain: list[Run] = []
        status: list[Run] = []
        for _ in range(times + 1):
            plain.append(run(["-c", "import zmq"], environ))
            status.append(run(["-m", "hudctl", "status"], environ))
        beyond: list[float] = []
        inside: list[float] = []
        with Client(runtime_dir=environ["HUDD_RUNTIME_DIR"]) as client:
            for _ in range(times + 1):
                took = run(["-m", "hudctl", "snap"], environ)
                timing = client.notes(limit=1)[0].timing_ms
                seeing = float(timing["capture"] or 0) + float(timing["encode"] or 0)
                beyond.append(took.wall_ms - seeing)
                inside.append(seeing)
    # The first run of each reads the modules from the disk.
    plain, status, beyond, inside = plain[1:], status[1:], beyond[1:], inside[1:]
    zmq_ms, status_ms = _median([r.wall_ms for r in plain]), _median([r.wall_ms for r in status])
    zmq_cpu, status_cpu = _median([r.cpu_ms for r in plain]), _median([r.cpu_ms for r in status])
    of = f"median of {times}"
    return [
        Row(
            "hudctl status",
            status_ms / zmq_ms,
            2.5,
            "x",
            f"wall over import zmq, {of} ({status_ms:.0f}/{zmq_ms:.0f} ms)",
        ),
        Row("hudctl status, CPU", status_cpu / zmq_cpu, NO_BAR, "x", f"{of} ({status_cpu:.0f}/{zmq_cpu:.0f} ms)"),
        Row("hudctl snap", _median(beyond), 150, "ms", f"wall of the process beyond capture and encode, {of}"),
        Row("hudctl snap, capture and encode", _median(inside), NO_BAR, "ms", f"as the note tells, 1080p, {of}"),
    ]
