"""The kernel tells of wakes and of the network: with its real descriptors, as far as a test may move the machine."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hudd.service.wakes import WallClockTimer, open_route_socket, tells_of_jumps, watch_wakes
from tests.service.test_network import NO_CARRIER, RUNNING, link

ROOT = Path(__file__).resolve().parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="these descriptors are the Linux kernel's")


class FakeTimer:
    """A timer whose jumps a test makes."""

    def __init__(self) -> None:
        self.mine, self.other = socket.socketpair()
        self.mine.setblocking(False)

    def fileno(self) -> int:
        return self.mine.fileno()

    def jumped(self) -> bool:
        return bool(self.mine.recv(100))

    def close(self) -> None:
        self.mine.close()
        self.other.close()


@linux
def test_the_real_timer_is_armed_and_quiet() -> None:
    assert tells_of_jumps()
    timer = WallClockTimer()
    try:
        assert not timer.jumped()
        info = Path(f"/proc/self/fdinfo/{timer.fileno()}").read_text(encoding="ascii")
        # clock 0 is the wall clock; flags 3 are an absolute time that every jump of the clock cancels.
        assert "clockid: 0" in info
        assert "settime flags: 03" in info
    finally:
        timer.close()


@linux
def test_a_cancelled_timer_says_that_the_clock_jumped_and_is_armed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    timer = WallClockTimer()

    def cancelled(fd: int, count: int) -> bytes:
        raise OSError(errno.ECANCELED, "what the kernel answers after a jump")

    try:
        with monkeypatch.context() as patched:
            patched.setattr(os, "read", cancelled)
            assert timer.jumped()
        assert not timer.jumped()
    finally:
        timer.close()


async def test_a_jump_and_a_network_are_told_and_nothing_afterwards() -> None:
    told: list[str] = []
    timer, (route, kernel) = FakeTimer(), socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    route.setblocking(False)
    with watch_wakes(
        clock_jumped=lambda: told.append("jump"),
        network_up=lambda: told.append("network"),
        open_timer=lambda: timer,  # type: ignore[arg-type,return-value]  # has the same three methods
        open_route=lambda: route,
    ):
        timer.other.send(b"x")
        await asyncio.sleep(0.01)
        assert told == ["jump"]
        kernel.send(link(NO_CARRIER))
        await asyncio.sleep(0.01)
        kernel.send(link(RUNNING))
        await asyncio.sleep(0.01)
        assert told == ["jump", "network"]
    assert route.fileno() == -1
    assert timer.mine.fileno() == -1
    kernel.close()


async def test_a_system_without_them_is_no_trouble() -> None:
    def none() -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "no such thing")

    with watch_wakes(clock_jumped=print, network_up=print, open_timer=none, open_route=none):  # type: ignore[arg-type]
        await asyncio.sleep(0)


@linux
def test_the_real_route_socket_opens_and_is_told_of_the_links() -> None:
    with open_route_socket() as route:
        route.setblocking(True)
        route.settimeout(5)
        assert len(route.recv(65536)) > 32


IN_A_NAMESPACE = """
import asyncio, subprocess
from hudd.service.wakes import watch_wakes

async def main():
    told = []
    with watch_wakes(clock_jumped=lambda: told.append("jump"), network_up=lambda: told.append("up")):
        await asyncio.sleep(0.1)
        for state in ("up", "down", "up"):
            subprocess.run(["ip", "link", "set", "lo", state], check=True)
            await asyncio.sleep(0.1)
            print(state, len(told))

asyncio.run(main())
"""


@linux
@pytest.mark.skipif(not (shutil.which("ip") and shutil.which("unshare")), reason="needs iproute2 and util-linux")
@pytest.mark.skipif(os.name != "nt" and os.geteuid() != 0, reason="a network of its own needs root")
def test_a_real_network_that_comes_up_is_heard() -> None:
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", IN_A_NAMESPACE],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["up", "1", "down", "1", "up", "2"]
