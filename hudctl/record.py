"""``hudctl record``: what comes on the note socket, into a file."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hudctl.client import Client
from hudctl.console import print_json, tell
from hudctl.errors import HudctlError, UsageError
from hudctl.feed import Feed
from hudctl.recording import OTHER_TOPICS, Recorder, header
from hudd.wire import table
from hudd.wire.messages import iso_time

SCHEMA: Final = 1
HELLO_S: Final = 5.0


def record(arguments: argparse.Namespace) -> int:
    """Record until ctrl-C, or as long as was asked for. Notes come without a gap, over restarts of the daemon."""
    topics = _topics(arguments.topics)
    if arguments.limit < 0:
        raise UsageError(f"--limit is {arguments.limit}; give a whole number, 0 for no limit.")
    with Client(timeout_s=HELLO_S) as client:
        hello = client.hello()
    notes = tuple(topic for topic in topics if topic.startswith("note/"))
    others = tuple(topic for topic in topics if not topic.startswith("note/"))
    path = Path(arguments.file)
    recorder = Recorder(path)
    taken = _Taken(recorder)
    stream = str(hello.get("stream"))
    try:
        recorder.add(header(hello, recorded=iso_time(time.time()), topics=topics))
        with Feed(notes, also=others, on_other=taken.add) as feed:
            if not arguments.json:
                tell(f"Recording into {path}; ctrl-C ends it.")
            _record(feed, taken, stream, limit=arguments.limit, seconds=arguments.seconds)
    finally:
        recorder.close()
        if arguments.json:
            print_json({"schema": SCHEMA, "file": str(path), "notes": taken.notes, "frames": taken.frames})
        else:
            tell(f"{path} holds {taken.frames} frames, {taken.notes} of them notes.")
    return table.EXIT_OK


class _Taken:
    """Writes down what comes, with the time since it began, and counts."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._start = time.monotonic()
        self.notes = 0
        self.frames = 0

    def add(self, topic: str, body: Mapping[str, Any]) -> None:
        """Write one frame."""
        at_s = round(time.monotonic() - self._start, 3)
        self._recorder.add({"t": at_s, "topic": topic, "body": body})
        self.frames += 1
        self.notes += topic.startswith("note/")


def _record(feed: Feed, taken: _Taken, stream: str, *, limit: int, seconds: float | None) -> None:
    end = None if seconds is None else time.monotonic() + seconds
    while not limit or taken.notes < limit:
        left_s = None if end is None else end - time.monotonic()
        if left_s is not None and left_s <= 0:
            return
        note = feed.get(left_s)
        if note is None:
            return
        if note.stream != stream:
            raise HudctlError("The journal was replaced meanwhile, so the recording ends here; begin another one.")
        taken.add(note.topic, note.to_json())


def _topics(text: str) -> tuple[str, ...]:
    topics = tuple(dict.fromkeys(topic.strip() for topic in text.split(",") if topic.strip()))
    for topic in topics:
        if not topic.startswith(("note/", *OTHER_TOPICS)):
            raise UsageError(f"--topics has {topic!r}; a topic begins with note/, {', '.join(OTHER_TOPICS)}.")
    if not any(topic.startswith("note/") for topic in topics):
        raise UsageError("--topics names no notes; add note/, or note/NAME/ for one monitor.")
    return topics
