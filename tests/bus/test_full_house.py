"""A full command socket lets the next caller in, and one that leaves in the middle of the handshake is no failure."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio

from hudctl import Client
from hudd.bus import last_words
from hudd.bus.admission import PeerLimit
from hudd.bus.server import Request
from hudd.wire.codec import encode_request
from tests.fakes.bus import SmallDaemon, await_until

MOST = 40
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
READY = b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"


def status_of(folder: Path) -> dict[str, Any]:
    """As a new hudctl asks for it."""
    with Client(timeout_s=5, runtime_dir=folder) as client:
        return client.status()


async def test_a_new_caller_is_served_though_all_places_are_held_by_peers_that_spoke(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PeerLimit, "of_process", lambda: PeerLimit(MOST, 8))
    monkeypatch.setattr(last_words, "IDLE_S", 0.2)
    held = asyncio.Event()

    async def wait(_: Request) -> Mapping[str, Any]:
        await held.wait()
        return {"reached": "ready"}

    context = zmq.asyncio.Context()
    async with SmallDaemon(tmp_path, handlers={"wait": wait}) as there:
        peers: list[zmq.asyncio.Socket] = []
        for number in range(MOST - 7):
            peers.append(context.socket(zmq.DEALER))
            peers[-1].setsockopt(zmq.RECONNECT_IVL, -1)
            peers[-1].connect(f"ipc://{tmp_path}/ctl.sock")
            # The first waits for something: it is the oldest, and may not be sent away.
            await peers[-1].send_multipart([b"", encode_request(1, "status" if number else "wait", {})])
            if number:
                await asyncio.wait_for(peers[-1].recv_multipart(), 5)
        await await_until(lambda: there.server.peers == MOST - 7)
        await asyncio.sleep(0.25)
        assert (await asyncio.to_thread(status_of, tmp_path))["schema"] == 1
        assert there.server.peers < MOST
        held.set()
        assert b"ready" in (await asyncio.wait_for(peers[0].recv_multipart(), 5))[-1]
        context.destroy(linger=0)


@pytest.mark.parametrize(
    "said",
    [b"", GREETING[:11], GREETING, GREETING + READY[:9], GREETING + READY],
    ids=["nothing", "half", "greeting", "half ready", "ready"],
)
async def test_a_client_that_leaves_in_the_handshake_is_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    """hudctl itself connects for a moment to see whether a daemon is there."""
    caplog.set_level(logging.INFO, "hudd")
    async with SmallDaemon(tmp_path) as there:
        for name, door in (("ctl.sock", there.server), ("notes.sock", there.publisher)):
            for reads in (False, True):
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(tmp_path / name))
                    await await_until(lambda door=door: door.peers == 1)
                    probe.setblocking(False)
                    if said:
                        probe.send(said)
                    if reads:
                        await asyncio.wait_for(asyncio.get_running_loop().sock_recv(probe, 10), 5)
                await await_until(lambda door=door: door.peers == 0)
        assert there.server.counters()["handshakes_failed"] == 0
        assert there.publisher.counters()["handshakes_failed"] == 0
    assert not [record for record in caplog.records if record.name.startswith("hudd")]
