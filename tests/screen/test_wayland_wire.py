from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.errors import NoDisplayError
from hudd.screen.wayland_wire import DISPLAY_ID, Arguments, WaylandWire, socket_path, string, uint


class Compositor:
    """The other end of a wire."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "wayland-9"
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(self.path))
        self.server.listen(1)
        self.wire = WaylandWire(self.path)
        self.peer, _ = self.server.accept()

    def event(self, number: int, opcode: int, body: bytes = b"") -> None:
        self.peer.sendall(struct.pack("=II", number, (len(body) + 8) << 16 | opcode) + body)

    def close(self) -> None:
        for one in (self.wire, self.peer, self.server):
            one.close()
        self.path.unlink()


@pytest.fixture
def compositor(tmp_path: Path) -> Iterator[Compositor]:
    running = Compositor(tmp_path)
    yield running
    running.close()


def test_where_the_compositor_listens() -> None:
    assert socket_path({"WAYLAND_DISPLAY": "wayland-1", "XDG_RUNTIME_DIR": "/run/user/1"}) == Path(
        "/run/user/1/wayland-1"
    )
    assert socket_path({"WAYLAND_DISPLAY": "/x/y"}) == Path("/x/y")
    assert socket_path({"WAYLAND_DISPLAY": "wayland-1"}) is None
    assert socket_path({}) is None


def test_a_request_is_header_and_arguments_and_carries_descriptors(compositor: Compositor) -> None:
    with Path(os.devnull).open() as file:
        compositor.wire.request(3, 5, uint(7), string("abc"), descriptors=(file.fileno(),))
        data, descriptors, _, _ = socket.recv_fds(compositor.peer, 100, 2)
    assert data == struct.pack("=III", 3, 20 << 16 | 5, 7) + struct.pack("=I", 4) + b"abc\0"
    assert len(descriptors) == 1
    os.close(descriptors[0])


def test_events_reach_their_objects_also_in_pieces(compositor: Compositor) -> None:
    told: list[tuple[int, str, int]] = []
    number = compositor.wire.new_id(
        lambda opcode, arguments: told.append((opcode, arguments.string(), arguments.int()))
    )
    body = string("wörter") + struct.pack("=i", -3)
    frame = struct.pack("=II", number, (len(body) + 8) << 16 | 4) + body
    assert compositor.wire.read() is False
    for piece in (frame[:3], frame[3:9], frame[9:]):
        compositor.peer.sendall(piece)
        assert compositor.wire.read(1.0)
    assert told == [(4, "wörter", -3)]


def test_a_number_is_used_again_only_when_the_compositor_has_forgotten_it(compositor: Compositor) -> None:
    wire = compositor.wire
    first = wire.new_id(lambda *_: None)
    wire.forget(first)
    assert wire.new_id(lambda *_: None) != first
    compositor.event(DISPLAY_ID, 1, uint(first))
    wire.read(1.0)
    assert wire.new_id(lambda *_: None) == first


def test_a_roundtrip_waits_for_its_answer(compositor: Compositor) -> None:
    def answer() -> None:
        data = compositor.peer.recv(100)
        compositor.event(struct.unpack_from("=I", data, 8)[0], 0, uint(1))

    thread = threading.Thread(target=answer)
    thread.start()
    compositor.wire.roundtrip()
    thread.join()
    with pytest.raises(NoDisplayError, match="does not answer"):
        compositor.wire.roundtrip(0.05)


def test_a_complaint_and_a_death_are_no_display(compositor: Compositor) -> None:
    compositor.event(DISPLAY_ID, 0, uint(2) + uint(1) + string("invalid method"))
    with pytest.raises(NoDisplayError, match=r"refused a request \(1: invalid method\)"):
        compositor.wire.read(1.0)
    compositor.peer.close()
    with pytest.raises(NoDisplayError, match="is gone"):
        compositor.wire.read(1.0)
    with pytest.raises(NoDisplayError, match="is gone"):
        compositor.wire.request(1, 0)


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(NoDisplayError, match=r"wayland-7 cannot be opened \(No such file or directory\)"):
        WaylandWire(tmp_path / "wayland-7")


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200))
def test_no_bytes_of_a_compositor_break_more_than_the_connection(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    compositor = Compositor(tmp_path_factory.mktemp("w"))
    try:
        compositor.wire.new_id(lambda _, arguments: arguments.string())
        compositor.peer.sendall(data)
        compositor.peer.close()
        with pytest.raises(NoDisplayError):
            compositor.wire.read_until(lambda: False, 5.0)
    finally:
        compositor.close()


@given(st.binary(max_size=64))
def test_arguments_are_read_or_refused(data: bytes) -> None:
    arguments = Arguments(memoryview(data))
    try:
        text, number = arguments.string(), arguments.int()
    except NoDisplayError:
        return
    assert isinstance(text, str)
    assert -(2**31) <= number < 2**31
