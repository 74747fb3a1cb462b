"""Idle time of a compositor that speaks ext-idle-notify-v1, played by a thread; sway's own way is in test_tellers."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hudd.errors import NoDisplayError
from hudd.screen.wayland_idle import WaylandIdle
from hudd.screen.wayland_wire import string, uint


class Compositor(threading.Thread):
    """Offers what it is told to, and tells of idle time when a test says so."""

    def __init__(self, path: Path, offers: tuple[str, ...]) -> None:
        super().__init__(daemon=True)
        self.offers = offers
        self.bound: dict[str, int] = {}
        self.asked: list[tuple[int, int, bytes]] = []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen(1)
        self.peer: socket.socket | None = None
        self.start()

    def run(self) -> None:
        self.peer, _ = self.server.accept()
        with contextlib.suppress(ConnectionError):  # the test ended it, or the client left, in the middle of an answer
            while header := self.peer.recv(8, socket.MSG_WAITALL):
                number, word = struct.unpack("=II", header)
                size = (word >> 16) - 8
                self.answer(number, word & 0xFFFF, self.peer.recv(size, socket.MSG_WAITALL) if size else b"")

    def answer(self, number: int, opcode: int, body: bytes) -> None:
        if (number, opcode) == (1, 1):
            (self.registry,) = struct.unpack("=I", body)
            for name, interface in enumerate(self.offers, start=1):
                self.event(self.registry, 0, uint(name) + string(interface) + uint(2))
        elif (number, opcode) == (1, 0):
            self.event(struct.unpack("=I", body)[0], 0, uint(0))
            self.event(1, 1, body)
        elif number == self.registry:
            self.bound[self.offers[struct.unpack_from("=I", body)[0] - 1]] = struct.unpack("=I", body[-4:])[0]
        else:
            self.asked.append((number, opcode, body))

    def event(self, number: int, opcode: int, body: bytes = b"") -> None:
        assert self.peer is not None
        self.peer.sendall(struct.pack("=II", number, (len(body) + 8) << 16 | opcode) + body)

    def close(self) -> None:
        if self.peer is not None:
            with contextlib.suppress(OSError):  # closed already, by us or by the other side
                self.peer.shutdown(socket.SHUT_RDWR)
            self.join(10)
            self.peer.close()
        self.server.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wayland-9"


@pytest.fixture
def compositor(path: Path) -> Iterator[Compositor]:
    running = Compositor(path, ("wl_seat", "ext_idle_notifier_v1", "org_kde_kwin_idle"))
    yield running
    running.close()


def test_who_touches_nothing_for_so_long_is_away_until_something_is_touched(compositor: Compositor, path: Path) -> None:
    idle = WaylandIdle(path, 90.0)
    try:
        ((number, opcode, body),) = compositor.asked
        told, idle_ms, seat = struct.unpack("=III", body)
        assert (number, opcode) == (compositor.bound["ext_idle_notifier_v1"], 1)
        assert (idle_ms, seat) == (90_000, compositor.bound["wl_seat"])
        assert (idle.tells_idle, idle.read()) == (True, (False, False))
        for event, away in ((0, True), (1, False), (0, True)):
            compositor.event(told, event)
            assert select.select([idle.fileno()], [], [], 10.0)[0]
            assert idle.read() == (False, away)
    finally:
        idle.close()


def test_a_compositor_that_does_not_tell_is_asked_nothing(path: Path) -> None:
    running = Compositor(path, ("wl_seat",))
    idle = WaylandIdle(path, 90.0)
    try:
        assert (idle.tells_idle, running.asked, idle.read()) == (False, [], (False, False))
    finally:
        idle.close()
        running.close()


def test_a_compositor_that_ends_is_told(compositor: Compositor, path: Path) -> None:
    idle = WaylandIdle(path, 1.0)
    compositor.close()
    assert select.select([idle.fileno()], [], [], 10.0)[0]
    with pytest.raises(NoDisplayError):
        idle.read()
    idle.close()


def test_without_a_compositor_nobody_is_asked(path: Path) -> None:
    with pytest.raises(NoDisplayError):
        WaylandIdle(path, 1.0)
