"""Subscribers in four shapes at one real daemon that is killed: Python (sync and asyncio), Node.js, and C.

The last two were written from PROTOCOL.md alone. Each has to print every note of the journal once and in order.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from hudctl import Client, HudctlError
from tests.fakes.bus import MemoryJournal, ThreadedDaemon
from tests.fakes.daemon import DaemonProcess, draw_page
from tests.soak.kills import FAST, settled
from tests.soak.subscribers import MANY, Subscriber, in_python, until_handled

HERE = Path(__file__).parent
NODE = HERE.parent / "node"
KILLS = 3
NOTES_BETWEEN = 8


def _need(program: str, packages: str) -> str:
    """The path of a program; without it the test is skipped here and fails in CI."""
    found = shutil.which(program)
    if found is None:
        sentence = f"{program} is missing; install {packages}"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    return found


def _run(command: list[str], folder: Path, what: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    if done.returncode:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(f"{what}: {done.stderr[-2000:]}")
        pytest.skip(f"{what} here: {done.stderr[-200:]}")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[str], Path | None]]:
    """Kind of subscriber → command without its arguments, and the folder to run it in."""
    return {"folder": ([], tmp_path_factory.mktemp("subscribers"))}


def _command(
    kind: str, built: dict[str, tuple[list[str], Path | None]], runtime_dir: str
) -> tuple[list[str], Path | None]:
    if kind.startswith("python"):
        return in_python(kind.removeprefix("python-"), runtime_dir), None
    if kind not in built:
        folder = built["folder"][1]
        assert folder is not None
        built[kind] = _build_c(folder) if kind == "c" else _build_node(folder)
    command, folder = built[kind]
    return [*command, runtime_dir, str(MANY)], folder


def _build_c(folder: Path) -> tuple[list[str], Path | None]:
    compiler = _need("cc", "gcc, libc6-dev, libzmq3-dev and libcjson-dev")
    program = folder / "subscriber"
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-fsanitize=address,undefined"]
    source = str(HERE / "subscriber.c")
    _run([compiler, *flags, "-o", str(program), source, "-lzmq", "-lcjson"], folder, "the C subscriber does not build")
    return [str(program)], None


def _build_node(folder: Path) -> tuple[list[str], Path | None]:
    node, npm = _need("node", "nodejs"), _need("npm", "npm")
    for name in ("package.json", "subscriber.mjs"):
        shutil.copy(NODE / name, folder / name)
    _run([npm, "install", "--no-audit", "--no-fund"], folder, "the npm package zeromq cannot be installed")
    return [node, "subscriber.mjs"], folder


def _snaps(daemon: DaemonProcess, count: int) -> None:
    """Ask until so many notes were acknowledged, whatever happens to the daemon."""
    acknowledged, end = 0, time.monotonic() + 60
    with Client(timeout_s=10, runtime_dir=daemon.folder / "run") as client:
        while acknowledged < count:
            assert time.monotonic() < end, daemon.log()[-3000:]
            try:
                client.snap()
                acknowledged += 1
            except HudctlError:
                time.sleep(0.05)  # it is being killed, or not up yet


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", ["python-sync", "python-async", "node", "c"])
def test_a_subscriber_is_gapless_over_kills_of_the_daemon(
    kind: str, built: dict[str, tuple[list[str], Path | None]], tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(3):
        draw_page(pictures / f"{number}.png", [f"Page {number}"], dark=number == 1)
    command, folder = _command(kind, built, str(tmp_path / "run"))
    with DaemonProcess(tmp_path, screen_source=f"pictures:{pictures}", **FAST) as daemon:
        daemon.start()
        _snaps(daemon, NOTES_BETWEEN)  # history, before anybody listens
        reader = Subscriber(kind, command, tmp_path / "out", environ=daemon.environ, folder=folder)
        try:
            reader.start()
            for turn in range(KILLS):
                _snaps(daemon, NOTES_BETWEEN)
                if turn == 1:
                    reader.stall()  # it misses a whole life of the daemon
                daemon.kill()
                daemon.start()
                _snaps(daemon, NOTES_BETWEEN)
                if turn == 1:
                    daemon.kill()
                    daemon.start()
                    reader.go_on()
            _snaps(daemon, 1)
            daemon.asked("pause")
            written = settled(tmp_path)
            until_handled([reader], written[-1][0], 40)
            handled = reader.handled()
            said = reader.said()
        finally:
            reader.kill()
    assert len(written) >= NOTES_BETWEEN * KILLS
    assert handled == written, said
    assert "rror" not in said


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["node", "c"])
def test_an_older_copy_of_the_journal_that_is_put_back_is_told(
    kind: str, built: dict[str, tuple[list[str], Path | None]], tmp_path: Path
) -> None:
    command, folder = _command(kind, built, str(tmp_path))
    command = [*command[:-1], "7", "0"]
    journals = MemoryJournal(), MemoryJournal()
    for journal, count in zip(journals, (5, 3), strict=True):
        for _ in range(count):
            journal.append()
    with ThreadedDaemon(tmp_path, journals[0]):
        reader = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert reader.stdout is not None
        assert reader.stderr is not None
        try:
            lines = [reader.stdout.readline() for _ in range(5)]
        except BaseException:
            reader.kill()
            raise
    with reader, ThreadedDaemon(tmp_path, journals[1], instance="i2") as daemon:
        try:
            assert reader.stderr.readline() == "ready\n"
            assert reader.stderr.readline() == "an older copy of the journal was put back\n"
            daemon.do(lambda there: there.note())
            daemon.do(lambda there: there.note())
            lines += [reader.stdout.readline() for _ in range(2)]
            assert reader.wait(20) == 0
        finally:
            reader.kill()
    assert [json.loads(line)["seq"] for line in lines] == [1, 2, 3, 4, 5, 4, 5]
