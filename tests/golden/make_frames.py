"""Records what a real daemon and its clients say: ``python -m tests.golden.make_frames``.

Run it at each release. It writes ``frames-<version>.jsonl`` beside itself, and ``frames-older.jsonl``: the same frames as
a side one protocol older would send them, without the optional fields and with some that are unknown today. Files of
older releases stay: `tests/hudctl/test_version_skew.py` reads all of them, for ever.

A line is ``{"request":{…},"reply":{…}}`` or ``{"topic":"…","body":{…}}``.
"""

from __future__ import annotations

import json
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zmq

from tests.fakes.daemon import DaemonProcess, draw_page

HERE = Path(__file__).parent
SNAP_ID = "01M7Y00000000000000000000"
NOTES = 3
MOST = 2
"""Frames of one topic that are not notes: more of them tell nothing new."""

REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "hello",
        {"client": "hudctl (Python)", "protocol": [1, 1], "pid": 4711, "window": 77, "streaming": True},
    ),
    ("status", {}),
    *(("snap", {"snap_id": f"{SNAP_ID}{number}"}) for number in range(NOTES)),
    ("wait", {"for": "ready"}),
    ("notes.since", {"stream": "", "seq": 0, "topic_prefix": "note/", "limit": 2}),
    ("notes.search", {"search": "canned", "limit": 2}),
    ("notes.export", {"after": 0, "limit": 2}),
    ("notes.mark", {"seq": 1, "keep": True}),
    ("errors", {"limit": 20}),
    ("cost", {"by": ["model"]}),
    ("config", {}),
    ("journal.prune", {"dry_run": True}),
    ("pause", {"for_s": 1, "why": "a test"}),
    ("resume", {}),
    ("notes.forget", {"seq": 1}),
)
OPTIONAL = {
    "note": ("usage", "cost_microusd", "timing_ms"),
    "page": ("head", "fresh", "oldest"),
    "hello": ("capabilities", "pid"),
    "status": ("rollover", "subscribers", "journal", "cost_today", "reading", "pause", "ages_s", "next_try_s"),
    "heads": ("instance", "time"),
}
"""What a reader must do without; see the fields that PROTOCOL.md calls facts, not rules."""


def _requests() -> Iterator[dict[str, Any]]:
    for number, (method, params) in enumerate(REQUESTS, start=1):
        stamped = {**params, "sent_at": time.time_ns() // 1_000_000, "deadline_ms": 15000}
        yield {"jsonrpc": "2.0", "id": number, "method": method, "params": stamped}


def record(folder: Path) -> list[dict[str, Any]]:
    """Ask a daemon everything, and listen to it meanwhile."""
    pictures = folder / "pictures"
    pictures.mkdir()
    draw_page(pictures / "1.png", ["The only page"])
    lines: list[dict[str, Any]] = []
    seen: Counter[bytes] = Counter()
    context: zmq.Context[Any] = zmq.Context()
    with DaemonProcess(folder, screen_source=f"pictures:{pictures}", engine_answers="canned") as daemon:
        daemon.start().ready()
        notes, control = context.socket(zmq.SUB), context.socket(zmq.DEALER)
        for topic in ("", "welcome/golden/"):
            notes.subscribe(topic)
        notes.connect(f"ipc://{folder}/run/notes.sock")
        control.connect(f"ipc://{folder}/run/ctl.sock")
        assert notes.poll(5000)
        for request in _requests():
            control.send_multipart([b"", json.dumps(request).encode()])
            assert control.poll(20_000), request
            lines.append({"request": request, "reply": json.loads(control.recv_multipart()[-1])})
        while notes.poll(1500):
            topic, body = notes.recv_multipart()
            seen[topic] += 1
            if topic.startswith(b"note/") or seen[topic] <= MOST:
                lines.append({"topic": topic.decode(), "body": json.loads(body)})
    context.destroy(linger=0)
    return json.loads(json.dumps(lines).replace(str(folder), "/home/a/hudd"))


def older(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same as one protocol older: optional fields are missing, others are there that nobody knows."""
    found: list[dict[str, Any]] = []
    for line in json.loads(json.dumps(lines)):
        if "topic" in line:
            kind = "note" if line["topic"].startswith("note/") else "heads"
            _age(line["body"], "status" if line["topic"] == "state/" else kind)
        else:
            request, result = line["request"], line["reply"].get("result")
            request["params"] = {k: v for k, v in request["params"].items() if k in ("seq", "snap_id", "for")}
            request["params"]["verbosity"] = 2
            request["from"] = "an older client"
            if request["method"] == "hello":
                request["params"]["protocol"] = [0, 1]
            if result is not None:
                _age(result, {"snap": "note", "notes.since": "page"}.get(request["method"], request["method"]))
        found.append(line)
    return found


def _age(body: dict[str, Any], kind: str) -> None:
    for name in OPTIONAL.get(kind, ()):
        body.pop(name, None)
    if "protocol" in body:
        body["protocol"] = [0, 1]
    for note in body.get("notes", []) if isinstance(body.get("notes"), list) else []:
        _age(note, "note")
    body["mood"] = {"unknown": [1, None]}


def write(path: Path, lines: list[dict[str, Any]]) -> None:
    """One frame a line."""
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """Record, and write both files."""
    version = tomllib.loads((HERE.parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    with tempfile.TemporaryDirectory(prefix="hg") as folder:
        lines = record(Path(folder))
    write(HERE / f"frames-{version}.jsonl", lines)
    write(HERE / "frames-older.jsonl", older(lines))


if __name__ == "__main__":
    main()
