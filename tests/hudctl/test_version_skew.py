"""Today's client with the recorded frames of older daemons, and today's daemon with the recorded requests of older clients.

``python -m tests.golden.make_frames`` adds a file at each release; all of them are read for ever.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from hudctl import Client, Feed, Note, VersionError
from hudctl.cli import main
from hudd.wire.installation import Installation
from tests.fakes.daemon import DaemonProcess, draw_page

GOLDEN = Path(__file__).parent.parent / "golden"
FILES = sorted(path.name for path in GOLDEN.glob("frames-*.jsonl"))
Frames = list[dict[str, Any]]


def load(name: str) -> Frames:
    return [json.loads(line) for line in (GOLDEN / name).read_text(encoding="utf-8").splitlines()]


class RecordedDaemon:
    """Two plain sockets that say what was recorded, and not a field more. A context manager."""

    def __init__(self, folder: Path, frames: Frames, **hello: object) -> None:
        self._replies = {f["request"]["method"]: f["reply"] for f in frames if "request" in f}
        self._replies["hello"]["result"] |= hello
        self.published = [f for f in frames if "topic" in f]
        for frame in self.published:
            if frame["topic"] == "welcome/golden/":
                frame["body"] |= hello
                self._welcome = frame["body"]
        self._context: zmq.Context[Any] = zmq.Context()
        self._control, self._notes = self._context.socket(zmq.ROUTER), self._context.socket(zmq.XPUB)
        self._control.bind(f"ipc://{folder}/ctl.sock")
        self._notes.bind(f"ipc://{folder}/notes.sock")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> RecordedDaemon:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)
        self._context.destroy(linger=0)

    def _serve(self) -> None:
        while not self._stop.is_set():
            if self._control.poll(5):
                peer, empty, request = self._control.recv_multipart()
                asked = json.loads(request)
                reply = {**self._replies[asked["method"]], "id": asked["id"]}
                if "more" in reply["result"]:  # the next page would be the same one, without end
                    reply["result"] = {**reply["result"], "more": False}
                self._control.send_multipart([peer, empty, json.dumps(reply).encode()])
            while self._notes.poll(0):
                event = self._notes.recv()
                if event.startswith(b"\1welcome/"):
                    self._notes.send_multipart([event[1:], json.dumps(self._welcome).encode()])
                    for frame in self.published:
                        if not frame["topic"].startswith("welcome/"):
                            self._notes.send_multipart([frame["topic"].encode(), json.dumps(frame["body"]).encode()])


@contextmanager
def recorded(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, **hello: object) -> Iterator[RecordedDaemon]:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("HUDD_RUNTIME_DIR", str(folder))
    with RecordedDaemon(folder, load(name), **hello) as daemon:
        yield daemon


def test_there_are_frames_of_this_protocol_and_of_an_older_one() -> None:
    assert "frames-older.jsonl" in FILES
    assert len(FILES) >= 2


@pytest.mark.parametrize("name", FILES)
def test_todays_feed_reads_the_frames_of_older_daemons(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recorded(tmp_path, name, monkeypatch) as daemon, Feed(after=0, on_delta=lambda *_: None) as feed:
        wanted = [f["body"] for f in daemon.published if f["topic"].startswith("note/")]
        assert len(wanted) >= 3
        found = [feed.get(10) for _ in wanted]
        assert [(note.seq, note.text) for note in found if note] == [(body["seq"], body["text"]) for body in wanted]
        assert not feed.fresh


@pytest.mark.parametrize("name", FILES)
def test_todays_client_reads_the_replies_of_older_daemons(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recorded(tmp_path, name, monkeypatch), Client() as client:
        assert client.hello()["protocol"][1] <= 1
        assert isinstance(client.snap(), Note)
        assert client.notes(limit=2)
        assert client.status()["connection"] == "ready"
        assert client.wait()["reached"] == "ready"
        assert client.errors() == []
        assert client.cost()
        assert client.pause(1)["paused"] is True
        assert client.resume()["paused"] is False


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "words",
    ["status", "notes", "errors", "cost", "config", "version", "snap", "pause 1m", "resume", "wait",
     "mark 1", "prune --dry-run", "forget --seq 1", "follow --after 0 --limit 3"],
)  # fmt: skip
def test_todays_hudctl_prints_what_older_daemons_say(
    tmp_path: Path, name: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with recorded(tmp_path, name, monkeypatch):
        assert main(words.split()) == 0, capsys.readouterr().err
        assert main([*words.split(), "--json"]) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("verb", ["status", "notes", "follow", "snap", "version"])
@pytest.mark.parametrize(
    ("protocol", "fix"),
    [
        (
            [0, 0],
            "The daemon is older: bring hudd up to date with: {upgrade}, then end hudd and start it again with: {start}.",
        ),
        ([2, 3], "hudctl is older: bring it up to date with: {upgrade}."),
    ],
)
def test_where_the_versions_do_not_meet_hudctl_exits_6_and_names_the_fix(
    tmp_path: Path,
    protocol: list[int],
    fix: str,
    verb: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with recorded(tmp_path, "frames-older.jsonl", monkeypatch, protocol=protocol):
        assert main([verb]) == 6
        told = fix.format(start=f"HUDD_RUNTIME_DIR={tmp_path}/run hudd", upgrade=Installation.find().upgrade())
        assert capsys.readouterr().err.endswith(f"{told}\n")
        with Feed(after=0) as feed, pytest.raises(VersionError, match="protocol"):
            feed.get(10)


def _shape(value: object) -> object:
    """Names and kinds; a number may be whole or not, anything may be null."""
    if isinstance(value, dict):
        return {name: _shape(held) for name, held in value.items()}
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def _missing(older: Any, now: Any, path: str) -> list[str]:
    """What an older reader counts on and would not find."""
    if isinstance(older, dict) and isinstance(now, dict):
        found: list[str] = []
        for name, held in older.items():
            if name == "by_topic":
                continue  # its names are topics
            found += [f"{path}.{name}"] if name not in now else _missing(held, now[name], f"{path}.{name}")
        return found
    return [] if older == now or "NoneType" in (older, now) else [f"{path} is {now}, was {older}"]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", FILES)
def test_todays_daemon_answers_what_older_clients_ask(tmp_path: Path, name: str) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    draw_page(pictures / "1.png", ["The only page"])
    with (
        DaemonProcess(tmp_path, screen_source=f"pictures:{pictures}", engine_answers="canned") as daemon,
        zmq.Context() as context,
        context.socket(zmq.REQ) as control,
    ):
        daemon.start().ready()
        control.linger = 0
        control.connect(f"ipc://{tmp_path}/run/ctl.sock")
        for line in load(name):
            if "request" in line:
                _ask_again(control, line, exactly=name != "frames-older.jsonl")
        for protocol, fix in (([0, 0], "The client is older"), ([2, 3], "hudd is older")):
            params = {"protocol": protocol}
            control.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "hello", "params": params}).encode())
            error = json.loads(control.recv())["error"]
            assert error["data"]["code"] == "E_VERSION"
            assert error["data"]["hint"].startswith(fix)
            assert "up to date" in error["data"]["hint"]


def _ask_again(control: zmq.Socket[bytes], line: dict[str, Any], *, exactly: bool) -> None:
    """Send a recorded request; the reply must have all that the older one had."""
    request = line["request"]
    if "sent_at" in request["params"]:
        request["params"]["sent_at"] = int(time.time() * 1000)
    control.send(json.dumps(request).encode())
    assert control.poll(20_000), request
    reply = json.loads(control.recv())
    assert reply["id"] == request["id"]
    assert "error" not in reply, (request, reply)
    if exactly:
        assert _missing(_shape(line["reply"]["result"]), _shape(reply["result"]), request["method"]) == []
