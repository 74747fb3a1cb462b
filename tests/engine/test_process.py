from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import connect

from hudd.engine.command import LISTENS
from hudd.engine.process import EngineAddress, EngineArguments, EngineProcess, EngineStartError
from tests.fakes.clock import ManualClock

ROOT = Path(__file__).parents[2]
CANNED = EngineArguments(answers="canned")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


async def first_event(address: EngineAddress) -> str:
    headers = {"Authorization": f"Bearer {address.token}"}
    async with connect(f"{address.url}?model=gpt-realtime-1.5", additional_headers=headers, proxy=None) as socket:
        return str(await asyncio.wait_for(socket.recv(), 5))


async def wait_until(done: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not done():  # noqa: ASYNC110 - a real process is waited for, it sets no event here
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def started(engine: EngineProcess) -> AsyncIterator[EngineAddress]:
    address = await engine.start()
    try:
        yield address
    finally:
        await engine.stop()


async def test_it_starts_serves_and_ends_within_two_seconds() -> None:
    addresses: list[EngineAddress] = []
    engine = EngineProcess(CANNED, on_started=addresses.append)
    async with started(engine) as address:
        assert addresses == [address]
        assert engine.address == address
        assert engine.alive
        pid = engine.pid
        assert pid is not None
        assert "session.created" in await first_event(address)
        assert address.token not in repr(address)
        shown = " ".join(psutil.Process(pid).cmdline()) + str(psutil.Process(pid).environ())
        assert address.token not in shown
        begun = time.monotonic()
    assert time.monotonic() - begun < 2
    assert not psutil.pid_exists(pid)
    assert (engine.pid, engine.address, engine.alive) == (None, None, False)
    await engine.stop()


async def test_the_child_is_light() -> None:
    async with started(EngineProcess(CANNED)) as address:
        await first_event(address)
        children = psutil.Process().children()
        resident = max(child.memory_info().rss for child in children)
        maps = {Path(m.path).name for child in children for m in child.memory_maps()}
        assert resident < 60_000_000
        assert not [name for name in maps if "_imaging" in name or "multiarray" in name]


async def test_it_is_started_again_after_a_crash_with_a_pause_that_grows() -> None:
    clock = ManualClock()
    addresses: list[EngineAddress] = []
    crashes: list[str] = []
    engine = EngineProcess(CANNED, on_started=addresses.append, on_crashed=crashes.append, clock=clock)
    async with started(engine):
        for turn, pause_s in enumerate((0.5, 1.0, 2.0), start=1):
            assert engine.pid is not None
            os.kill(engine.pid, signal.SIGKILL)
            await wait_until(lambda: clock.sleeping == 1)
            assert engine.address is None
            assert len(crashes) == turn
            assert clock.next_due_s == pytest.approx(pause_s)
            await clock.advance(pause_s)
            await wait_until(lambda turn=turn: len(addresses) == turn + 1)
            assert "session.created" in await first_event(addresses[-1])
        assert len({a.token for a in addresses}) == 4
        await clock.advance(61)
        os.kill(engine.pid or 0, signal.SIGKILL)
        await wait_until(lambda: clock.sleeping == 1)
        assert clock.next_due_s == pytest.approx(0.5), "it ran for a minute"


async def test_signals_to_the_whole_group_leave_it_to_its_parent() -> None:
    async with started(EngineProcess(CANNED)) as address:
        (child,) = [c for c in psutil.Process().children() if "hudd.engine" in c.cmdline()]
        child.send_signal(signal.SIGINT)
        child.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        assert "session.created" in await first_event(address)
        begun = time.monotonic()
    assert time.monotonic() - begun < 1, "the end of stdin still ends it at once"


async def test_a_program_that_is_no_engine_is_one_sentence() -> None:
    with pytest.raises(EngineStartError, match=r"ended at its start \(exit code 3\)"):
        await EngineProcess(CANNED, command=[sys.executable, "-c", "import sys; sys.exit(3)"]).start()
    with pytest.raises(EngineStartError, match="cannot be started"):
        await EngineProcess(CANNED, command=["/nonexistent/python"]).start()


async def test_a_wrong_fault_ends_the_child_with_its_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EngineStartError, match="exit code 64"):
        await EngineProcess(EngineArguments(answers="canned", faults=("explode",))).start()
    assert "There is no fault 'explode'" in capfd.readouterr().err


async def test_it_is_killed_when_it_does_not_listen_to_reason() -> None:
    stubborn = (
        "import signal,time;signal.signal(signal.SIGTERM,signal.SIG_IGN);"
        f"print({LISTENS!r}+'ws://127.0.0.1:1/v1/realtime',flush=True);time.sleep(60)"
    )
    engine = EngineProcess(CANNED, command=[sys.executable, "-c", stubborn])
    await engine.start()
    pid = engine.pid or 0
    begun = time.monotonic()
    await engine.stop()
    assert time.monotonic() - begun < 2.5
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("watch_only", [False, True])
def test_the_child_ends_when_its_parent_is_killed(tmp_path: Path, watch_only: bool) -> None:
    # With watch_only the parent is a shell between, so that only the end of stdin can tell.
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio\n"
        "from hudd.engine.process import *\n"
        "async def main():\n"
        "    engine = EngineProcess(EngineArguments(answers='canned')"
        + (
            ", command=['sh', '-c', '\"$@\"; true', 'sh', __import__('sys').executable, '-m', 'hudd.engine']"
            if watch_only
            else ""
        )
        + ")\n"
        "    await engine.start()\n"
        "    print(engine.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n",
        encoding="utf-8",
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=ENVIRONMENT) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        family = [psutil.Process(child), *psutil.Process(child).children(recursive=True)]
        assert len(family) == (2 if watch_only else 1)
        parent.kill()
    gone, alive = psutil.wait_procs(family, 3)
    assert (len(gone), alive) == (len(family), [])


def run_alone(*flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hudd", "engine", "--answers", "canned", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=ENVIRONMENT,
        cwd=ROOT,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_alone_it_prints_one_line_and_admits_any_key(number: signal.Signals) -> None:
    with run_alone() as engine:
        assert engine.stdout is not None
        line = await asyncio.to_thread(engine.stdout.readline)
        assert line.startswith("hudd engine listens on ws://127.0.0.1:")
        assert line.endswith("/v1/realtime\n")
        url = line.removeprefix(LISTENS).strip()
        assert "session.created" in await first_event(EngineAddress(url, "any"))
        engine.send_signal(number)
        out, err = await asyncio.to_thread(engine.communicate, timeout=5)
        assert (out, err, engine.returncode) == ("", "", 0)


@pytest.mark.parametrize(
    ("flags", "code", "sentence"),
    [
        (("--fault", "explode"), 64, "There is no fault 'explode'"),
        (("--port", "99999"), 64, "must be a number from 0 to 65535"),
        (("--token-stdin",), 64, "no key in the first line of stdin"),
    ],
)
def test_mistakes_on_the_command_line(flags: tuple[str, ...], code: int, sentence: str) -> None:
    with run_alone(*flags) as engine:
        _, err = engine.communicate(timeout=10)
    assert engine.returncode == code
    assert sentence in err
    assert "Traceback" not in err


async def test_a_port_that_is_taken() -> None:
    async with started(EngineProcess(CANNED)) as address:
        port = address.url.split(":")[2].split("/")[0]
        with run_alone("--port", port) as engine:
            _, err = await asyncio.to_thread(engine.communicate, timeout=10)
    assert engine.returncode == 69
    assert f"cannot listen on port {port}" in err
    assert "Traceback" not in err
