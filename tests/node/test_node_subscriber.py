"""A subscriber in another language: Node.js with the npm package zeromq, against real sockets."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fakes.bus import MemoryJournal, ThreadedDaemon, wait_until

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the subscriber and its installed package."""
    in_ci = os.environ.get("CI", "").lower() in ("1", "true")
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        if in_ci:
            pytest.fail("node and npm are missing; install the packages nodejs and npm")
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "subscriber.mjs"):
        shutil.copy(HERE / name, folder / name)
    done = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if done.returncode != 0:
        if in_ci:
            pytest.fail(f"npm install failed: {done.stderr[-2000:]}")
        pytest.skip("the npm package zeromq cannot be installed here")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_node_subscriber_reads_history_then_live_without_a_gap(node_folder: Path, tmp_path: Path) -> None:
    journal = MemoryJournal()
    for _ in range(700):
        journal.append(text="Größe 日本語")
    with ThreadedDaemon(tmp_path, journal) as daemon:
        process = subprocess.Popen(
            ["node", "subscriber.mjs", str(tmp_path), "705", "0"],
            cwd=node_folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        with process:
            try:
                assert process.stdout is not None
                assert process.stderr is not None
                assert process.stderr.readline() == "ready\n"
                daemon.do(lambda there: there.note())
                daemon.do(lambda there: there.journal.append())  # a frame that is lost on the way
                daemon.do(lambda there: there.note("HDMI-1"))
                daemon.do(lambda there: there.note())
                daemon.do(lambda there: there.journal.append())  # shows by the heartbeat alone
                lines = [json.loads(process.stdout.readline()) for _ in range(705)]
                assert process.wait(20) == 0
            finally:
                if process.poll() is None:
                    process.kill()
    assert [line["seq"] for line in lines] == list(range(1, 706))
    assert lines[0]["text"] == "Größe 日本語"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_example_of_the_readme_prints_notes(node_folder: Path, tmp_path: Path) -> None:
    readme = (HERE.parent.parent / "README.md").read_text(encoding="utf-8")
    example = readme.split("```js\n", 1)[1].split("```", 1)[0]
    (node_folder / "readme.mjs").write_text(example, encoding="utf-8")
    runtime = tmp_path / "hudd"
    runtime.mkdir(mode=0o700)
    with ThreadedDaemon(runtime, MemoryJournal()) as daemon:
        process = subprocess.Popen(
            ["node", "readme.mjs"],
            cwd=node_folder,
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        with process:
            try:
                assert process.stdout is not None
                wait_until(lambda: daemon.do(lambda there: there.publisher.listening("note/")))
                daemon.do(lambda there: there.note(text="Größe 日本語"))
                assert process.stdout.readline() == "Größe 日本語\n"
            finally:
                process.kill()
