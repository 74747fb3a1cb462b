"""What the sockets cost: a command there and back, live notes to many subscribers, a replay.

``bench_status_roundtrip()`` and ``bench_notes()`` return rows ``(name, value, bar, unit)``; a value above its bar is too
slow. Rates stand beside plain pyzmq that encodes and sends the same JSON in the same run. The subscribers live in one
process of their own: ``python -m tests.bench.bus ADDRESS SUBSCRIBERS NOTES``.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from hudctl import Client, Feed
from hudd.bus.publisher import Publisher
from hudd.clock import SystemClock
from hudd.wire.messages import Note
from tests.fakes.bus import MemoryJournal, ThreadedDaemon, await_until, make_note

Row = tuple[str, float, float, str]

NO_BAR = float("inf")
ROUNDS = 500
LIVE_RATE = 200
LIVE_S = 4
REPLAY = 10_000
RATES = ((1, 10_000), (10, 3000), (100, 500))
RATE_ROUNDS = 3
QUEUE = 100_000


def _receive(address: str, subscribers: int, notes: int) -> dict[str, float]:
    """Be the subscribers: receive all notes on each, measure each one's age."""
    context: zmq.Context[Any] = zmq.Context()
    poller, left, ages = zmq.Poller(), {}, []
    for _ in range(subscribers):
        socket = context.socket(zmq.SUB)
        socket.setsockopt(zmq.RCVHWM, QUEUE)
        socket.subscribe("note/")
        socket.connect(address)
        poller.register(socket, zmq.POLLIN)
        left[socket] = notes
    while left:
        ready = poller.poll(10_000)
        if not ready:
            raise RuntimeError(f"{sum(left.values())} notes were lost")
        for socket, _ in ready:
            body = socket.recv_multipart()[1]
            # Its last field, read so because 20,000 notes a second are too many for one reader to decode.
            ages.append(time.monotonic_ns() - int(body[body.rindex(b":") + 1 : -1]))
            left[socket] -= 1
            if not left[socket]:
                poller.unregister(socket)
                del left[socket]
    done_ns = time.monotonic_ns()
    context.destroy(linger=0)
    ages.sort()
    return {"done_ns": done_ns, "p50_ms": ages[len(ages) // 2] / 1e6, "p99_ms": ages[int(len(ages) * 0.99)] / 1e6}


def _subscribers(address: str, subscribers: int, notes: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.bench.bus", address, str(subscribers), str(notes)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _result(process: subprocess.Popen[str]) -> dict[str, float]:
    with process:
        assert process.stdout is not None
        line = process.stdout.read()
    assert process.returncode == 0, "the subscribers failed"
    return json.loads(line)


def _body(note: Note) -> dict[str, Any]:
    return {**note.to_json(), "sent_ns": time.monotonic_ns()}


def _publisher(path: Path, queue: int) -> Publisher:
    publisher = Publisher(
        path, stream="s1", instance="i1", heads=lambda: {"note/eDP-1/": 1}, clock=SystemClock(), queue=queue
    )
    publisher.open()
    return publisher


async def _joined(publisher: Publisher, subscribers: int) -> None:
    await await_until(lambda: publisher.subscribers().get("note/", 0) == subscribers, timeout_s=30)


async def _live(folder: Path, subscribers: int) -> dict[str, float]:
    """The age of each note at 200 a second."""
    publisher = _publisher(folder / "live.sock", 1000)
    count, note = LIVE_RATE * LIVE_S, make_note(text="x" * 300)
    process = _subscribers(f"ipc://{folder}/live.sock", subscribers, count)
    await _joined(publisher, subscribers)
    start = time.monotonic()
    for number in range(count):
        publisher.publish(note.topic, _body(note))
        await asyncio.sleep(max(0.0, start + (number + 1) / LIVE_RATE - time.monotonic()))
    found = await asyncio.to_thread(_result, process)
    await publisher.close()
    return found


async def _rate_of_ours(folder: Path, subscribers: int, count: int) -> float:
    publisher, note = _publisher(folder / "ours.sock", QUEUE), make_note(text="x" * 300)
    process = _subscribers(f"ipc://{folder}/ours.sock", subscribers, count)
    await _joined(publisher, subscribers)
    start = time.monotonic_ns()
    for _ in range(count):
        publisher.publish(note.topic, _body(note))
    found = await asyncio.to_thread(_result, process)
    await publisher.close()
    return count / (found["done_ns"] - start) * 1e9


def _rate_of_plain(folder: Path, subscribers: int, count: int) -> float:
    context: zmq.Context[Any] = zmq.Context()
    socket, note = context.socket(zmq.XPUB), make_note(text="x" * 300)
    socket.setsockopt(zmq.SNDHWM, QUEUE)
    socket.setsockopt(zmq.XPUB_VERBOSE, 1)
    socket.bind(f"ipc://{folder}/plain.sock")
    process = _subscribers(f"ipc://{folder}/plain.sock", subscribers, count)
    for _ in range(subscribers):
        socket.recv()
    start = time.monotonic_ns()
    for _ in range(count):
        socket.send_multipart([note.topic.encode(), json.dumps(_body(note)).encode()])
    found = _result(process)
    context.destroy(linger=0)
    return count / (found["done_ns"] - start) * 1e9


def _median_us(work: Callable[[], object]) -> float:
    spent: list[float] = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    return sorted(spent)[len(spent) // 2] * 1e6


def bench_status_roundtrip() -> list[Row]:
    """A command by ``hudctl.Client``, beside a plain REQ that sends and reads the same JSON to the same server."""
    with tempfile.TemporaryDirectory(prefix="hb") as folder, ThreadedDaemon(Path(folder)):
        with Client(runtime_dir=folder) as client:
            ours = _median_us(client.status)
        context: zmq.Context[Any] = zmq.Context()
        plain_socket = context.socket(zmq.REQ)
        plain_socket.connect(f"ipc://{folder}/ctl.sock")
        request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "status", "params": {}}).encode()

        def plain() -> object:
            plain_socket.send(request)
            return json.loads(plain_socket.recv())

        beside = _median_us(plain)
        context.destroy(linger=0)
        start = time.perf_counter()
        with Client(runtime_dir=folder) as client:
            client.status()
        first_ms = (time.perf_counter() - start) * 1000
    return [
        ("status there and back, median", ours, NO_BAR, "us"),
        ("status there and back, against plain REQ", ours / beside, 1.5, "x"),
        ("first status of a client (probe, connect, hello)", first_ms, 20.0, "ms"),
    ]


def _replay_s() -> float:
    journal = MemoryJournal()
    for _ in range(REPLAY):
        journal.append(text="x" * 300)
    with (
        tempfile.TemporaryDirectory(prefix="hb") as folder,
        ThreadedDaemon(Path(folder), journal),
        Feed(after=0, runtime_dir=folder) as feed,
    ):
        start = time.perf_counter()
        for note in feed:
            if note.seq == REPLAY:
                break
        return time.perf_counter() - start


def bench_notes() -> list[Row]:
    """Live notes, a replay over the sockets (the journal's own part is measured apart), and rates."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="hb") as name:
        folder = Path(name)
        live = min((asyncio.run(_live(folder, 100)) for _ in range(3)), key=lambda found: found["p99_ms"])
        rows.append((f"live {LIVE_RATE} notes/s to 100 subscribers, p50", live["p50_ms"], NO_BAR, "ms"))
        rows.append((f"live {LIVE_RATE} notes/s to 100 subscribers, p99", live["p99_ms"], 50.0, "ms"))
        rows.append((f"replay of {REPLAY} notes", min(_replay_s() for _ in range(2)), 1.0, "s"))
        for subscribers, count in RATES:
            plain = ours = 0.0
            for _ in range(RATE_ROUNDS):  # by turns, so that both meet the same load; the best of each counts
                plain = max(plain, _rate_of_plain(folder, subscribers, count))
                ours = max(ours, asyncio.run(_rate_of_ours(folder, subscribers, count)))
            rows.append((f"notes/s to {subscribers} subscribers", ours, NO_BAR, "1/s"))
            rows.append((f"notes/s to {subscribers} subscribers, plain pyzmq", plain, NO_BAR, "1/s the same JSON"))
            rows.append((f"notes/s to {subscribers} subscribers, plain pyzmq against ours", plain / ours, 1.5, "x"))
    return rows


if __name__ == "__main__":
    print(json.dumps(_receive(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
