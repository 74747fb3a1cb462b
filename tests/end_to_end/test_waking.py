"""After a sleep: the socket is dead at once, and there is a session again within five seconds of the network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
needs_a_network_of_its_own = pytest.mark.skipif(
    not (shutil.which("ip") and shutil.which("unshare")) or os.geteuid() != 0,
    reason="a network of its own needs root, iproute2 and util-linux",
)


@pytest.mark.slow
@needs_a_network_of_its_own
@pytest.mark.parametrize("offline_s", [0.0, 7.0])
def test_a_real_daemon_is_ready_within_five_seconds_of_the_network(tmp_path: Path, offline_s: float) -> None:
    done = subprocess.run(
        ["unshare", "-n", sys.executable, str(ROOT / "tests/fakes/slept_daemon.py"), str(tmp_path), str(offline_s)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["back_s"] <= 5.0, told
    assert (told["other_session"], told["snap"], told["stopped"]) == (True, 0, 0), told
    assert "the machine slept or its clock was set forward" in told["log"]
    assert "Traceback" not in told["log"], told["log"]
