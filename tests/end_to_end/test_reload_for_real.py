"""Settings changed in a whole daemon that runs, at an engine that writes down what it is told."""

from __future__ import annotations

import json
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hudctl import Client
from hudd.config.toml_values import to_toml
from hudd.wire import table
from hudd.wire.ids import new_ulid
from tests.fakes.daemon import DaemonProcess, draw_page
from tests.soak.service import KEY, Service

pytestmark = pytest.mark.slow


class Listening(Service):
    """A service that also writes down the session updates: ``(connection, session)``."""

    def __init__(self) -> None:
        super().__init__()
        self.updates: list[tuple[int, dict[str, Any]]] = []

    def received(self, index: int, frame: str | bytes) -> None:
        event = json.loads(frame)
        if event.get("type") == "session.update":
            self.updates.append((index, event["session"]))
        super().received(index, frame)


class Room:
    """The daemon, its file and the service."""

    def __init__(self, folder: Path, service: Listening) -> None:
        self.service = service
        self.key_file = folder / "key"
        self.write_key(KEY)
        pictures = folder / "pictures"
        pictures.mkdir()
        draw_page(pictures / "1.png", ["The first page"])
        self.settings: dict[str, object] = {
            "realtime.use": "service",
            "realtime.url": service.url,
            "realtime.key_file": str(self.key_file),
            "screen.source": f"pictures:{pictures}",
            "cost.cap_day_usd": 100.0,
        }
        self.daemon = DaemonProcess(folder)
        self.write()

    def write(self, **changes: object) -> None:
        """Write the file with these changes, ``section__key`` → value."""
        self.settings.update({name.replace("__", "."): value for name, value in changes.items()})
        sections: dict[str, list[str]] = {}
        for path, value in self.settings.items():
            section, _, name = path.partition(".")
            sections.setdefault(section, []).append(f"{name} = {to_toml(value)}")
        text = "\n".join(f"[{section}]\n" + "\n".join(rows) for section, rows in sections.items())
        self.daemon.config.write_text(text, encoding="utf-8")

    def write_key(self, key: str) -> None:
        self.key_file.write_text(key, encoding="utf-8")
        self.key_file.chmod(0o600)

    def reload(self, **changes: object) -> dict[str, str]:
        """Change the file and reload; key → what became of it."""
        self.write(**changes)
        return {row["key"]: row["applied"] for row in self.daemon.asked("reload")["changed"]}

    def snap(self, words: int = 8, pace_s: float = 0.0) -> threading.Thread:
        """Ask for a note in a thread of its own; ``outcome`` of the thread is hudctl's."""
        thread = _Snap(self, words, pace_s)
        thread.start()
        return thread


class _Snap(threading.Thread):
    def __init__(self, room: Room, words: int, pace_s: float) -> None:
        super().__init__()
        self.room = room
        self.snap_id = new_ulid(time.time())
        room.service.answering.long[self.snap_id] = (words, pace_s)
        self.note: dict[str, Any] = {}

    def run(self) -> None:
        with Client(runtime_dir=self.room.daemon.folder / "run", timeout_s=40) as client:
            self.note = client.call("snap", snap_id=self.snap_id)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with Listening() as service:
        made = Room(tmp_path, service)
        with made.daemon:
            yield made


def test_settings_come_into_force_while_it_runs(room: Room) -> None:
    room.daemon.start().ready()
    assert room.reload() == {}

    applied = room.reload(
        cost__cap_day_usd=3.5, gate__settle_s=1.5, notes__instructions="Write in Latin.", log__level="debug"
    )
    assert applied == dict.fromkeys(("cost.cap_day_usd", "gate.settle_s", "notes.instructions", "log.level"), "live")
    room.service.wait_for(lambda: len(room.service.updates) == 2, 5, "the second update")
    (first, before), (second, after) = room.service.updates
    assert first == second, "the same connection"
    assert "Write in Latin." not in before["instructions"]
    assert after["instructions"].endswith("Write in Latin.")
    assert room.daemon.status()["cost_today"]["cap_microusd"] == 3_500_000
    assert " debug " in room.daemon.log()
    assert "gate.settle_s: 0.4 -> 1.5, applied" in room.daemon.log()

    assert room.reload(realtime__model="gpt-realtime-2", bus__note_queue=500) == {
        "realtime.model": "reconnect",
        "bus.note_queue": "restart",
    }
    room.service.wait_for(lambda: len(room.service.updates) == 3, 10, "another connection")
    assert room.service.updates[-1][0] == first + 1
    room.daemon.until("the new model", lambda s: s["model"] == "gpt-realtime-2" and s["connection"] == "ready")
    rows = {row["name"]: row for row in room.daemon.asked("config")["settings"]}
    assert (rows["bus.note_queue"]["value"], rows["bus.note_queue"]["pending"]) == (1000, 500)
    assert room.daemon.status()["pending"] == {"bus.note_queue": 500}


def test_wrong_settings_change_nothing(room: Room) -> None:
    room.daemon.start().ready()
    room.write(gate__settle_s=99999.0, cost__cap_day_usd=-1.0, log__level="debug")
    done = room.daemon.hudctl("reload")
    assert done.returncode == table.ERROR_BY_CODE["E_ARGS"].exit_code == 2
    assert "[gate] settle_s" in done.stderr
    assert "[cost] cap_day_usd" in done.stderr
    assert room.daemon.asked("errors")["errors"] == []
    room.daemon.signal(signal.SIGHUP)
    room.daemon.until("the error", lambda s: s["last_errors"])
    [error] = room.daemon.asked("errors")["errors"]
    assert error["code"] == "settings"
    assert "[gate] settle_s" in error["sentence"]
    assert "[cost] cap_day_usd" in error["sentence"]
    status = room.daemon.status()
    assert (status["connection"], status["cost_today"]["cap_microusd"]) == ("ready", 100_000_000)
    assert len(room.service.lives) == 1
    assert " debug " not in room.daemon.log()


def test_a_wrong_key_is_mended_by_a_reload(room: Room) -> None:
    room.write_key("sk-wrong")
    room.daemon.start().until_up()
    room.daemon.until("stopped", lambda s: s["connection"] == "needs_attention")
    room.write_key(KEY)
    assert room.reload() == {"the key": "reconnect"}
    room.daemon.until("ready", lambda s: s["connection"] == "ready")
    assert KEY not in room.daemon.log()
    assert "sk-wrong" not in room.daemon.log()


def test_service_managers_are_told(room: Room, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        room.daemon.environ["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        room.daemon.start().ready()
        before_us = time.monotonic() * 1e6
        room.daemon.signal(signal.SIGHUP)
        heard: list[str] = []
        while not heard or heard[-1] != "READY=1":
            line = manager.recv(4096).decode()
            if line.startswith("RELOADING") or (heard and line == "READY=1"):
                heard.append(line)
        reloading, ready = heard
        assert ready == "READY=1"
        assert float(reloading.partition("MONOTONIC_USEC=")[2]) >= before_us


def test_snaps_in_flight_survive_reloads_that_need_a_new_session(room: Room) -> None:
    room.daemon.start().ready()
    asked = room.snap(words=20, pace_s=0.1)
    room.service.wait_for(lambda: room.service.lives[-1].requests, 10, "the question")
    assert room.reload(session__first_delta_s=25.0) == {"session.first_delta_s": "reconnect"}
    assert room.reload(notes__instructions="Briefly.") == {"notes.instructions": "live"}
    asked.join(40)
    assert asked.note["snap"]["id"] == asked.snap_id
    assert asked.note["kind"] == "note"
    assert asked.note["complete"]


def test_reloads_during_rollovers_lose_no_snap(room: Room) -> None:
    room.write(session__rollover_s=2.0)
    room.daemon.start().ready()
    notes: list[dict[str, Any]] = []
    number = -1
    while number < 5 or len(room.service.lives) < 4:  # until sessions were rolled over
        number += 1
        assert number < 30
        asked = room.snap(words=10, pace_s=0.05)
        room.reload(notes__instructions=f"Rule {number}.")
        room.reload(session__first_delta_s=21.0 + number) if number % 3 == 2 else room.daemon.hudctl("reload")
        asked.join(40)
        notes.append(asked.note)
    assert {note["kind"] for note in notes} == {"note"}
    assert len({note["seq"] for note in notes}) == len(notes)
    assert room.service.unofficial == []
    latest = room.service.updates[-1][1]["instructions"]
    assert latest.endswith(f"Rule {number}.")


def test_a_pause_holds_through_a_reload(room: Room) -> None:
    room.daemon.start().ready()
    room.daemon.asked("pause")
    assert room.reload(gate__luma_step=20, session__first_delta_s=25.0)["gate.luma_step"] == "live"
    room.daemon.until("connected again", lambda s: s["connection"] == "ready")
    assert room.daemon.status()["sending"]["reasons"] == ["paused"]
    assert room.daemon.hudctl("snap").returncode == table.ERROR_BY_CODE["E_STATE"].exit_code


def test_another_screen_is_opened_while_it_runs(room: Room, tmp_path: Path) -> None:
    room.daemon.start().ready()
    others = tmp_path / "others"
    others.mkdir()
    draw_page(others / "1.png", ["Another page"])
    assert room.reload(screen__source=f"pictures:{others}") == {"screen.source": "live"}
    status = room.daemon.until("the other folder", lambda s: str(others) in json.dumps(s["capture"]))
    assert status["capture"]["state"] == "watching"
    assert room.daemon.asked("snap")["note"]["kind"] == "note"


class _SlowSway(threading.Thread):
    """A sway without windows that takes its time to answer (sway-ipc(7)).

    Args:
        path: Becomes ``SWAYSOCK``.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._kept: list[socket.socket] = []
        self.asked = 0

    def run(self) -> None:
        header = struct.Struct("=6sII")
        while True:
            client, _ = self._socket.accept()
            self._kept.append(client)  # a subscriber's connection stays
            _, size, kind = header.unpack(client.recv(header.size))
            client.recv(size)
            time.sleep(0.3)
            tree = {"id": 1, "type": "root", "rect": {"x": 0, "y": 0, "width": 9, "height": 9}, "nodes": []}
            answer = json.dumps({"success": True} if kind == 2 else tree).encode()
            client.sendall(header.pack(b"i3-ipc", len(answer), kind) + answer)
            self.asked += 1


def test_a_snap_right_after_a_reload_does_not_meet_facts_that_are_still_being_read(tmp_path: Path) -> None:
    page = draw_page(tmp_path / "page.png", ["The first page"])
    sway = _SlowSway(tmp_path / "sway.sock")
    sway.start()
    daemon = DaemonProcess(tmp_path, engine_answers="canned", screen_source=f"command:cat {page}")
    daemon.environ |= {"WAYLAND_DISPLAY": "wayland-none", "SWAYSOCK": str(tmp_path / "sway.sock")}
    nothing = "private_windows = false\npause_when_sharing = false\n"
    daemon.config.write_text(f"[privacy]\n{nothing}", encoding="utf-8")
    with daemon, Client(runtime_dir=tmp_path / "run") as client:
        daemon.start().ready()
        assert client.snap().complete
        assert sway.asked == 0
        for rules in ('exclude_apps = ["keepassxc"]\n', "", 'exclude_apps = ["bitwarden"]\n'):
            daemon.config.write_text(f"[privacy]\n{nothing}{rules}", encoding="utf-8")
            assert client.call("reload")["changed"]
            assert client.snap().complete
        assert sway.asked >= 4
        assert daemon.stop() == 0
