"""Nobody who floods takes the descriptors, and nobody who is in is thrown out."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import select
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import zmq

from hudd.bus import admission, last_words
from hudd.bus.admission import Admission, PeerLimit
from hudd.bus.sockets import LoopSocket, new_context
from hudd.service.descriptors import ENOUGH, raise_descriptor_limit
from tests.fakes.bus import await_until

HANDSHAKE_MS = 200
CURVE_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE" + bytes(47)
NO_READY = CURVE_GREETING.replace(b"CURVE", b"NULL\x00") + b"\x04\x0a\x05HELLO\xff\xff\xff\xff"


def open_descriptors() -> int:
    """Of this process, and one for looking."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


def names(folder: Path) -> list[str]:
    """What lies there."""
    return sorted(path.name for path in folder.iterdir())


class Door:
    """A ROUTER behind the admission, its messages, and raw and proper peers."""

    def __init__(self, path: Path, limit: PeerLimit, may_leave: Callable[[int], bool] = lambda _: False) -> None:
        self.path = path
        self.context = new_context()
        self.got: list[tuple[list[bytes], int]] = []
        self.failed: list[BaseException] = []
        self.raw: list[socket.socket] = []
        self.loop_socket = LoopSocket(
            self.context,
            zmq.ROUTER,
            path,
            on_message=lambda frames, connection: self.got.append((frames, connection)),
            on_failure=self.failed.append,
            options={zmq.HANDSHAKE_IVL: HANDSHAKE_MS},
            limit=limit,
            may_leave=may_leave,
        )

    def mute(self) -> int:
        """Connect and say nothing; returns the reason why not."""
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.setblocking(False)
        self.raw.append(made)
        return made.connect_ex(str(self.path))

    def dealer(self) -> zmq.Socket[bytes]:
        made = self.context.socket(zmq.DEALER)
        made.setsockopt(zmq.LINGER, 0)
        made.setsockopt(zmq.RECONNECT_IVL, 10)
        made.connect(f"ipc://{self.path}")
        return made

    async def heard(self, body: bytes) -> int:
        """Wait for a message; returns the descriptor of its connection."""
        await await_until(lambda: any(frames[-1] == body for frames, _ in self.got))
        return next(connection for frames, connection in self.got if frames[-1] == body)


@asynccontextmanager
async def door(
    folder: Path, most: int = 8, batch: int = 2, may_leave: Callable[[int], bool] = lambda _: False
) -> AsyncIterator[Door]:
    there = Door(folder / "ctl.sock", PeerLimit(most, batch), may_leave)
    try:
        yield there
        assert not there.failed
    finally:
        for raw in there.raw:
            raw.close()
        there.loop_socket.close()
        there.context.destroy(linger=0)


async def test_no_more_are_in_than_the_limit_and_the_others_wait(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with door(tmp_path) as there:
        reasons: list[int] = []
        for _ in range(60):
            reasons.append(there.mute())
            await asyncio.sleep(0.002)
            assert there.loop_socket.peers <= 8
        assert set(reasons) <= {0, errno.EAGAIN}
        await await_until(lambda: there.loop_socket.full)
        assert there.loop_socket.peers >= 7
    assert sum("others wait until some of them end" in record.message for record in caplog.records) == 1


async def test_the_mute_are_dropped_and_a_peer_that_waited_is_served(tmp_path: Path) -> None:
    async with door(tmp_path) as there:
        for _ in range(60):
            there.mute()
            await asyncio.sleep(0.001)
        with there.dealer() as good:
            good.send(b"good")
            await there.heard(b"good")
        for raw in there.raw:
            raw.close()
        await await_until(lambda: there.loop_socket.peers <= 1 and not there.loop_socket.full)


async def test_a_peer_that_is_in_notices_nothing_of_a_flood(tmp_path: Path) -> None:
    async with door(tmp_path) as there:
        with there.dealer() as good:
            monitor = good.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            good.send(b"0")
            connection = await there.heard(b"0")
            for number in range(1, 100):
                there.mute()
                good.send(b"%d" % number)
                assert await there.heard(b"%d" % number) == connection
            assert not monitor.poll(0)
            good.disable_monitor()
            monitor.close()


async def test_who_is_in_and_says_nothing_has_to_leave_when_others_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever said something stays, however long it is silent then."""
    monkeypatch.setattr(last_words, "SILENT_S", 0.3)
    monkeypatch.setattr(admission, "SILENT_S", 0.3)
    async with door(tmp_path) as there:
        spoken = there.dealer()
        spoken.send(b"0")
        connection = await there.heard(b"0")
        silent = [there.dealer() for _ in range(6)]
        await await_until(lambda: there.loop_socket.peers == 7)
        await asyncio.sleep(2 * HANDSHAKE_MS / 1000)
        assert there.loop_socket.peers == 7  # nobody waits, so nobody leaves
        for peer in silent:
            peer.setsockopt(zmq.RECONNECT_IVL, 60_000)
        with there.dealer() as good:
            good.send(b"good")
            await there.heard(b"good")
        spoken.send(b"1")
        assert await there.heard(b"1") == connection
        for peer in (spoken, *silent):
            peer.close()


@pytest.mark.parametrize("said", [CURVE_GREETING, NO_READY], ids=["mechanism", "broken"])
async def test_a_handshake_that_fails_is_counted_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    async with door(tmp_path) as there:
        for number in range(1, 4):
            there.mute()
            there.raw[-1].send(said)
            await await_until(lambda n=number: there.loop_socket.counters() == {"handshakes_failed": n})
    assert sum("failed in its handshake" in record.getMessage() for record in caplog.records) == 1


async def test_listeners_are_closed_when_their_peers_have_left(tmp_path: Path) -> None:
    async with door(tmp_path) as there:
        base = open_descriptors()
        for number in range(20):
            with there.dealer() as peer:
                peer.send(b"%d" % number)
                await there.heard(b"%d" % number)
        await await_until(lambda: there.loop_socket.peers == 0)
        await await_until(lambda: open_descriptors() <= base + 3)


async def test_a_message_is_read_that_came_while_a_listener_was_closed(tmp_path: Path) -> None:
    """Closing one is a call on the socket, and uses up the edge that would tell of the message."""
    async with door(tmp_path) as there:
        with there.dealer() as good:
            good.send(b"0")
            await there.heard(b"0")
            with there.dealer() as leaves:
                leaves.send(b"1")
                await there.heard(b"1")
            its_door, descriptor = there.loop_socket._admission, there.loop_socket._descriptor
            assert its_door is not None
            # The loop does nothing meanwhile: the one has left and the other has asked before it looks.
            assert its_door._monitor.poll(5000)
            good.send(b"2")
            assert select.select([descriptor], [], [], 5)[0]
            its_door._take_events()
            await there.heard(b"2")


async def test_who_is_quiet_for_long_and_wants_nothing_gives_way_when_others_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_words, "IDLE_S", 0.2)
    busy: set[int] = set()
    async with door(tmp_path, may_leave=lambda connection: connection not in busy) as there:
        peers = [there.dealer() for _ in range(7)]
        for number, peer in enumerate(peers):
            peer.setsockopt(zmq.RECONNECT_IVL, 60_000)
            peer.send(b"%d" % number)
            await there.heard(b"%d" % number)
        busy.add(await there.heard(b"0"))
        assert there.loop_socket.peers == 7
        await asyncio.sleep(0.25)
        assert there.loop_socket.peers == 7, "nobody waits, so nobody leaves"
        monitors = [peer.get_monitor_socket(zmq.EVENT_DISCONNECTED) for peer in peers]
        with there.dealer() as good:
            good.send(b"good")
            await there.heard(b"good")
            left = [number for number, monitor in enumerate(monitors) if monitor.poll(0)]
            assert left == [1], "the one that spoke longest ago, apart from the one that waits for an answer"
        for peer, monitor in zip(peers, monitors, strict=True):
            peer.disable_monitor()
            monitor.close(linger=0)
            peer.close()


async def test_every_listener_is_for_this_user_only(tmp_path: Path) -> None:
    async with door(tmp_path) as there:
        inodes: set[int] = set()
        for number in range(3):
            with there.dealer() as peer:
                peer.send(b"%d" % number)
                await there.heard(b"%d" % number)
            found = there.path.lstat()
            inodes.add(found.st_ino)
            assert stat.S_IMODE(found.st_mode) == 0o600
            assert names(tmp_path) == ["ctl.sock"]
        assert len(inodes) > 1
    assert not names(tmp_path)


async def test_nobody_is_let_in_while_descriptors_are_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with door(tmp_path) as there:
        free = False
        monkeypatch.setattr(admission, "descriptors_free", lambda _count, _of: free)
        with there.dealer() as good, caplog.at_level(logging.WARNING):
            good.send(b"good")
            await await_until(lambda: "too few free descriptors" in caplog.text)
            assert there.loop_socket.peers == 0
            free = True
            await there.heard(b"good")


async def test_one_peer_can_be_dropped_and_no_other_connection(tmp_path: Path) -> None:
    async with door(tmp_path) as there:
        with there.dealer() as bad, there.dealer() as good, socket.socket(socket.AF_UNIX) as file:
            bad.send(b"bad")
            good.send(b"good")
            connection, other = await there.heard(b"bad"), await there.heard(b"good")
            monitor = bad.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            assert not there.loop_socket.drop(file.fileno())
            assert not there.loop_socket.drop(-1)
            assert there.loop_socket.drop(connection)
            await await_until(lambda: bool(monitor.poll(0)))
            good.send(b"still here")
            assert await there.heard(b"still here") == other
            bad.disable_monitor()
            monitor.close()


@pytest.mark.parametrize(
    ("soft", "limit"),
    [
        (64, PeerLimit(8, 2)),
        (256, PeerLimit(16, 4)),
        (1024, PeerLimit(208, 52)),
        (65536, PeerLimit(320, 64)),
        (resource.RLIM_INFINITY, PeerLimit(320, 64)),
    ],
)
def test_the_limit_follows_the_descriptors(monkeypatch: pytest.MonkeyPatch, soft: int, limit: PeerLimit) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert PeerLimit.of_process() == limit
    if soft > 256:
        assert soft == resource.RLIM_INFINITY or soft > 2 * 2 * limit.most + 150


async def test_a_foreign_file_in_the_place_is_not_removed_at_the_end(tmp_path: Path) -> None:
    async with door(tmp_path) as there:
        there.path.unlink()
        there.path.write_text("precious")
    assert there.path.read_text() == "precious"


async def test_the_admission_needs_no_peer_to_be_closed(tmp_path: Path) -> None:
    context = new_context()
    made = context.socket(zmq.ROUTER)
    there = Admission(made, tmp_path / "s", PeerLimit(8, 2))
    assert (there.peers, there.full) == (0, False)
    there.close()
    made.close(0)
    context.term()
    assert not names(tmp_path)


@pytest.mark.parametrize(
    ("soft", "hard", "after"),
    [(1024, 4096, 4096), (1024, 10**6, ENOUGH), (ENOUGH + 1, 10**6, ENOUGH + 1), (1024, 1024, 1024),
     (1024, resource.RLIM_INFINITY, ENOUGH)],
)  # fmt: skip
def test_the_soft_limit_is_raised_as_far_as_it_helps(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, after: int
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: told.append(limits))
    assert raise_descriptor_limit() == after
    assert told == ([] if after == soft else [(after, hard)])


def test_a_system_that_refuses_more_descriptors_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_kind: int, _limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_descriptor_limit() == 256
