"""The file of ``hudctl record``: one JSON object a line, a header and then what came, each with its time.

    {"hudd_recording":1,"stream":"9f3c…","instance":"…","hudd":"0.1.0","protocol":[1,1],"note_version":1,
     "recorded":"2026-11-21T10:31:06.412Z","topics":["note/"]}
    {"t":1.204,"topic":"note/eDP-1/","body":{…}}

``t`` counts seconds from the header and never goes back.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from hudctl.errors import HudctlError, StorageError, UsageError
from hudd.wire.codec import FrameError, decode_json, encode_json
from hudd.wire.messages import Note
from hudd.wire.table import NOTE_VERSION

RECORDING_VERSION: Final = 1
OTHER_TOPICS: Final = ("delta/", "state/", "error/", "cost/")
"""What can be recorded beside notes. Welcomes and heartbeats belong to the sockets that send them."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame pair of the note socket.

    Attributes:
        at_s: Seconds since the recording began.
        topic: Its topic.
        body: Its object.
        note: The note in it; None for other topics.
    """

    at_s: float
    topic: str
    body: Mapping[str, Any]
    note: Note | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole recording, checked.

    Attributes:
        stream: Name of the journal that numbered its notes.
        hudd: Version of the daemon it was made from.
        frames: In the order in which they came; never empty.
    """

    stream: str
    hudd: str
    frames: tuple[Frame, ...]


class Recorder:
    """Writes a recording; every line is whole and with the system before ``add`` returns.

    Args:
        path: A new file, or an empty one. Its mode becomes 0600.

    Raises:
        UsageError: The file holds something, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        try:
            # Unbuffered: a recorder that is killed leaves whole lines.
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            self._file: BinaryIO = os.fdopen(handle, "wb", buffering=0)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}; name another file.") from error
        self._path = path
        if os.fstat(handle).st_size:
            self._file.close()
            raise UsageError(f"{path} exists already; name a new file, or remove it.")
        os.fchmod(handle, 0o600)

    def add(self, line: Mapping[str, Any]) -> None:
        """Write one line.

        Raises:
            StorageError: The disk is full, or fails.
        """
        data = encode_json(line) + b"\n"
        try:
            written = self._file.write(data)
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written: {error.strerror}.") from error
        if written != len(data):
            raise StorageError(f"{self._path} cannot be written to its end; is the disk full?")

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self._file.close()


def header(hello: Mapping[str, Any], *, recorded: str, topics: tuple[str, ...]) -> dict[str, Any]:
    """The first line, from the daemon's answer to ``hello``."""
    return {
        "hudd_recording": RECORDING_VERSION,
        "stream": hello.get("stream"),
        "instance": hello.get("instance"),
        "hudd": hello.get("version"),
        "protocol": hello.get("protocol"),
        "note_version": NOTE_VERSION,
        "recorded": recorded,
        "topics": list(topics),
    }


def read_recording(path: Path) -> Recording:
    """Read and check all of a file.

    Raises:
        UsageError: It cannot be opened, or is no recording.
        HudctlError: A line is damaged; the sentence has its number.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    if lines[-1]:
        raise _bad(path, len(lines), "ends in its middle; remove it, or record again")
    told = _read_header(path, lines[0])
    stream = str(told["stream"])
    frames: list[Frame] = []
    newest, at_s = 0, 0.0
    for number, line in enumerate(lines[1:-1], start=2):
        frame = _read_frame(path, number, line)
        if frame.at_s < at_s:
            raise _bad(path, number, "goes back in time")
        if frame.note is not None:
            if frame.note.stream != stream:
                raise _bad(path, number, f"belongs to the stream {frame.note.stream!r}, not to the header's {stream!r}")
            if frame.note.seq <= newest:
                raise _bad(path, number, f"has note {frame.note.seq} after note {newest}")
            newest = frame.note.seq
        at_s = frame.at_s
        frames.append(frame)
    if not frames:
        raise UsageError(f"{path} holds no frames; record for longer.")
    return Recording(stream, str(told.get("hudd") or "?"), tuple(frames))


def _bad(path: Path, number: int, what: str) -> HudctlError:
    return HudctlError(f"{path}, line {number}: the line {what}.")


def _object(path: Path, number: int, line: bytes) -> Mapping[str, Any]:
    try:
        found = decode_json(line, max_bytes=None)
    except FrameError as error:
        raise _bad(path, number, f"cannot be read ({str(error).rstrip('.')})") from error
    if not isinstance(found, dict):
        raise _bad(path, number, "is no JSON object")
    return cast("Mapping[str, Any]", found)


def _read_header(path: Path, line: bytes) -> Mapping[str, Any]:
    told = _object(path, 1, line)
    version = told.get("hudd_recording")
    if isinstance(version, bool) or not isinstance(version, int):
        raise _bad(path, 1, "is no header of a recording; make one with hudctl record")
    if version != RECORDING_VERSION:
        raise _bad(path, 1, f"says version {version} and this hudctl reads {RECORDING_VERSION}; upgrade hudctl")
    if not isinstance(told.get("stream"), str) or not told["stream"]:
        raise _bad(path, 1, "names no stream")
    return told


def _read_frame(path: Path, number: int, line: bytes) -> Frame:
    found = _object(path, number, line)
    at_s, topic, body = found.get("t"), found.get("topic"), found.get("body")
    if isinstance(at_s, bool) or not isinstance(at_s, int | float) or at_s < 0:
        raise _bad(path, number, "has no time t in seconds")
    if not isinstance(topic, str) or not topic.startswith(("note/", *OTHER_TOPICS)):
        raise _bad(path, number, "has no topic that can be published")
    if not isinstance(body, dict):
        raise _bad(path, number, "has no body")
    frame = Frame(float(at_s), topic, cast("Mapping[str, Any]", body))
    if not topic.startswith("note/"):
        return frame
    try:
        note = Note.from_json(frame.body)
    except (ValueError, OverflowError) as error:
        raise _bad(path, number, f"holds no note ({error})") from error
    if note.topic != topic:
        raise _bad(path, number, f"has the topic {topic} and a note for {note.topic}")
    return Frame(frame.at_s, topic, frame.body, note)
