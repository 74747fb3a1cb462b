from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from hudd.bus import activation
from hudd.bus.activation import InheritedListener
from hudd.bus.server import CommandServer
from tests.fakes.clock import ManualClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ctl.sock"


@pytest.fixture
def systemds(path: Path) -> Iterator[socket.socket]:
    """The listener that systemd holds, which outlives the daemon."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(64)
        yield listener


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        return client.connect_ex(str(path)) == 0


def waiting(listener: socket.socket) -> int:
    """How many wait at a listener; they are let in and sent away."""
    listener.setblocking(False)
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "x", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
    ],
)
def test_nothing_is_taken_that_was_not_handed_to_us(environ: dict[str, str], path: Path):
    assert InheritedListener.find(environ, path) is None


def test_what_was_handed_over_is_found_by_its_path(
    path: Path, systemds: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(activation, "FIRST_DESCRIPTOR", os.dup(systemds.fileno()))
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
    assert InheritedListener.find(environ, path.with_name("other.sock")) is None
    assert "which is not" in caplog.text
    found = InheritedListener.find(environ, path)
    assert found is not None
    with found.take() as taken:
        assert taken.getsockname() == str(path)


def test_the_listener_of_systemd_is_at_the_path_again_afterwards(path: Path, systemds: socket.socket):
    inherited = InheritedListener(path, systemds.dup())
    with inherited.take():
        beside = path.with_name("ours")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as ours:
            ours.bind(str(beside))
            ours.listen(1)
            beside.rename(path)
            assert connects(path)
            assert waiting(systemds) == 0, "who connects now comes to ours"
        inherited.give_back()
        inherited.give_back()
    assert connects(path)
    assert waiting(systemds) == 1
    assert [found.name for found in path.parent.iterdir()] == ["ctl.sock"]


def test_after_a_crash_it_is_found_under_its_second_name(path: Path, systemds: socket.socket):
    InheritedListener(path, systemds.dup()).take().close()
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as killed:
        killed.bind(str(path))  # and nobody listens
    again = InheritedListener(path, systemds.dup())
    again.take().close()
    again.give_back()
    assert connects(path)
    assert waiting(systemds) >= 1


async def test_who_waited_at_it_is_answered_and_the_file_stays(path: Path, systemds: socket.socket):
    waits = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    waits.connect(str(path))
    waits.setblocking(False)
    server = CommandServer(path, {}, clock=ManualClock(), inherited=InheritedListener(path, systemds.dup()))
    server.open()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(5):
        greeting = await loop.sock_recv(waits, 64)
    assert struct.unpack("B", greeting[:1]) == (0xFF,), "ZeroMQ greets"
    await server.close()
    waits.close()
    assert connects(path), "systemd listens again"
    assert sorted(found.name for found in path.parent.iterdir()) == ["ctl.sock"]
