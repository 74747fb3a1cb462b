"""A real daemon whose client is killed in the middle of a snap, and requests that are repeated."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from hudctl import Client
from hudd.flow.mailbox import MANUAL_LANE
from hudd.wire.ids import new_ulid
from tests.fakes.daemon import DaemonProcess, draw_page

pytestmark = pytest.mark.slow


def ask(context: zmq.Context[Any], folder: Path, method: str, **params: Any) -> zmq.Socket[Any]:
    """Send one request on a connection of its own."""
    peer = context.socket(zmq.DEALER)
    peer.setsockopt(zmq.LINGER, 0)
    peer.connect(f"ipc://{folder}/run/ctl.sock")
    peer.send_multipart([b"", json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()])
    return peer


def reply(peer: zmq.Socket[Any]) -> dict[str, Any]:
    with peer:
        assert peer.poll(15_000), "no reply"
        return json.loads(peer.recv_multipart()[-1])


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    """Closed with all its sockets, whatever becomes of the test."""
    made: zmq.Context[Any] = zmq.Context()
    yield made
    made.destroy(linger=0)


def test_the_other_gets_the_shared_note_and_repeats_run_once(tmp_path: Path, context: zmq.Context[Any]) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    draw_page(pictures / "1.png", ["The only page"])
    with DaemonProcess(tmp_path, screen_source=f"pictures:{pictures}", engine_answers="canned") as daemon:
        daemon.start().ready()
        first = second = ""
        for round_ in range(5):
            first, second = new_ulid(time.time()), new_ulid(time.time())
            dies = ask(context, tmp_path, "snap", snap_id=first)
            stays = ask(context, tmp_path, "snap", snap_id=second)
            time.sleep(0.002 * round_)
            dies.close(linger=0)
            assert reply(stays)["result"]["complete"] is True
        # The note that the dead client asked for was written; asked for again, it is the same one and not a new one.
        again = [reply(ask(context, tmp_path, "snap", snap_id=first))["result"]["seq"] for _ in range(2)]
        assert again[0] == again[1]
        with Client(runtime_dir=tmp_path / "run") as client:
            notes = client.status()["counters"]["notes"]
            assert reply(ask(context, tmp_path, "snap", snap_id=second))["result"]["complete"] is True
            assert client.status()["counters"]["notes"] == notes
            old = reply(ask(context, tmp_path, "pause", sent_at=time.time() * 1000 - 9000, deadline_ms=100))
            assert old["error"]["data"]["code"] == "E_DEADLINE"
            assert client.status()["pause"] is None, "an expired request was run"
            paused = [reply(ask(context, tmp_path, "pause", for_s=600, idem="lunch")) for _ in range(2)]
            assert paused[0] == paused[1], "the end of the pause moved"
            assert client.status()["counters"]["repeated"] == 1
            assert client.status()["peers"]["control"] >= 1
        assert daemon.stop() == 0


def test_in_an_outage_snaps_whose_callers_left_make_room_for_those_of_others(
    tmp_path: Path, context: zmq.Context[Any]
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    draw_page(pictures / "1.png", ["The only page"])
    nowhere = DaemonProcess(
        tmp_path,
        screen_source=f"pictures:{pictures}",
        realtime_use="service",
        realtime_key="sk-nobody-answers",
        realtime_url="ws://127.0.0.1:9/v1/realtime",
    )
    with nowhere as daemon:
        daemon.start().until_up()
        daemon.until("the screen", lambda status: status["capture"]["state"] == "watching")
        snaps = [new_ulid(time.time()) for _ in range(MANUAL_LANE + 2)]
        for snap_id in snaps:
            left = reply(ask(context, tmp_path, "snap", snap_id=snap_id, deadline_ms=150))
            assert left["error"]["data"]["code"] == "E_DEADLINE"
        waiting = [ask(context, tmp_path, "snap", snap_id=snap_id) for snap_id in snaps[:3]]
        ends = [reply(peer)["error"] for peer in waiting[:2]]
        assert {end["data"]["code"] for end in ends} == {"E_UPSTREAM"}
        assert {end["message"] for end in ends} == {"This snap waited until nobody waited for its note any more."}
        with waiting[2] as peer:
            assert not peer.poll(500), "the third had room and waits on"
        assert daemon.stop() == 0
