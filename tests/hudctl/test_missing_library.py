"""hudctl where its library is missing: a sentence with what to do, never a traceback; a report is packed all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def hudctl(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """By an interpreter without any packages of others."""
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONNOUSERSITE": "1",
        "HUDD_RUNTIME_DIR": str(folder / "run"),
        "HUDD_STATE_DIR": str(folder / "state"),
        "HUDD_CONFIG": str(folder / "config.toml"),
    }
    (folder / "config.toml").touch()
    return subprocess.run(
        [sys.executable, "-S", "-m", "hudctl", *words],
        env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("words", [["status"], ["setup", "--use", "local", "--yes"], ["service", "status"]])
def test_each_verb_says_how_to_install_it_again(tmp_path: Path, words: list[str]) -> None:
    done = hudctl(tmp_path, *words)
    assert (done.returncode, done.stdout) == (1, "")
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("hudctl: A library cannot be loaded: No module named 'zmq'. Install hudd again: ")
    assert "pip install" in sentence


def test_with_json_it_is_an_object(tmp_path: Path) -> None:
    done = hudctl(tmp_path, "status", "--json")
    assert "'zmq'" in json.loads(done.stdout)["error"]["message"]
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_report_is_packed_that_tells_of_it(tmp_path: Path) -> None:
    path = tmp_path / "report.tar.gz"
    done = hudctl(tmp_path, "bugreport", "--output", str(path))
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    with tarfile.open(path) as archive:
        status, doctor = (
            json.loads(read.read())
            for name in ("status", "doctor")
            if (read := archive.extractfile(f"hudd-report/{name}.json")) is not None
        )
    assert status == {"sentence": "No module named 'zmq'"}
    (daemon,) = [row for row in doctor["checks"] if row["name"] == "daemon"]
    assert "No module named 'zmq'" in daemon["cause"]
