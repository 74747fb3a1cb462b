"""The reading process: pictures in on stdin, notes out on stdout. Started by ``hudd.engine.reader_process``.

A frame is four bytes of length (big-endian), a JSON object of that length, and as many bytes as its ``size`` says. The
process ends when stdin ends, and on Linux with its parent. It holds what it needs for "what is new" per stream, and
forgets the stream that was quiet for longest when there are too many.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import struct
import sys
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Final

from hudd.engine.errors import ReaderError
from hudd.engine.findings import Reading
from hudd.engine.ocr import TextReader, best_reader, reader_advice
from hudd.engine.own_words import set_aside
from hudd.engine.picture import Page, decode, facts_of
from hudd.engine.quotes import new_lines
from hudd.engine.reading import Memory, read_picture
from hudd.engine.writer import write_note
from hudd.errors import PictureError

LENGTH: Final = struct.Struct(">I")
MAX_HEADER_BYTES: Final = 1 << 20
MAX_STREAMS: Final = 4
_PR_SET_PDEATHSIG: Final = 1


@dataclass(slots=True)
class _Told:
    """A picture, with the request that asked about it."""

    request: int
    page: Page
    reading: Reading


@dataclass(slots=True)
class _Stream:
    """``told`` is the newest picture whose note was delivered; ``last`` the newest that was read."""

    memory: Memory | None = None
    told: _Told | None = None
    last: _Told | None = None


class Describer:
    """Answers requests one after the other, with a memory per stream.

    Args:
        prefer: Which reader to load, on the first request (``auto``, ``tesserocr``, ``rapidocr``, ``none``).
    """

    def __init__(self, prefer: str = "auto") -> None:
        self._prefer = prefer
        self._reader: TextReader | None = None
        self._streams: OrderedDict[str, _Stream] = OrderedDict()

    def answer(self, header: dict[str, Any], picture: bytes, started_s: float) -> dict[str, Any]:
        """Describe one picture. Errors that belong to the caller come back as ``{"error": kind, "message": …}``."""
        try:
            return self._describe(header, picture, started_s)
        except PictureError as error:
            return {"id": header["id"], "error": "picture", "message": str(error)}
        except ReaderError as error:
            return {"id": header["id"], "error": "reader", "message": str(error)}

    def _describe(self, header: dict[str, Any], picture: bytes, started_s: float) -> dict[str, Any]:
        page = decode(picture, str(header["media_type"]))
        if self._reader is None:
            self._reader = best_reader(self._prefer)
        stream = self._stream(str(header["stream"]))
        if stream.last is not None and stream.last.request == header["told"]:
            stream.told = stream.last  # its note arrived, so it is what the next one compares with
        before = stream.told
        facts = facts_of(page, before.page if before else None)
        reading, stream.memory = read_picture(
            page,
            facts,
            stream.memory,
            self._reader,
            started_s=started_s,
            budget_s=float(header["budget_s"]),
            monotonic=time.monotonic,
            whole=bool(header["whole"]),
        )
        page = replace(page, red=None)  # only read, never compared: no need to remember it
        reading = set_aside(reading, [str(answer) for answer in header.get("answers", ())])
        compared = before.reading if before and not header["whole"] else None
        note = write_note(reading, compared, max_tokens=int(header["max_tokens"]))
        stream.last = _Told(int(header["id"]), page, reading)
        return {
            "id": header["id"],
            "text": note,
            "lines": len(reading.lines),
            "new_lines": len(new_lines(reading, before.reading)) if before else len(reading.lines),
            "width": reading.width,
            "height": reading.height,
            "changed_fraction": facts.changed_fraction if facts.compared else 1.0,
            "unread_fraction": reading.unread_fraction,
            "reader": reading.reader,
            "elapsed_ms": reading.elapsed_ms,
            "advice": reader_advice(),
        }

    def _stream(self, name: str) -> _Stream:
        stream = self._streams.setdefault(name, _Stream())
        self._streams.move_to_end(name)
        while len(self._streams) > MAX_STREAMS:
            self._streams.popitem(last=False)
        return stream


def read_frame(source: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Read one frame; None when the other side closed the pipe between or within frames.

    Raises:
        ValueError: The frame's header is too long or no JSON.
    """
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"a frame's header of {length} bytes is too long")
    text = source.read(length)
    if len(text) < length:
        return None
    header: dict[str, Any] = json.loads(text)
    size = int(header.get("size", 0))
    body = source.read(size)
    return None if len(body) < size else (header, body)


def serve(source: BinaryIO, sink: BinaryIO, describer: Describer) -> None:
    """Answer frames until the source ends or nobody takes the answers."""
    while (frame := read_frame(source)) is not None:
        header, body = frame
        started_s = time.monotonic()
        reply = json.dumps(describer.answer(header, body, started_s)).encode()
        try:
            sink.write(LENGTH.pack(len(reply)) + reply)
            sink.flush()
        except BrokenPipeError:
            return


def die_with_parent(parent_pid: int) -> None:
    """Ask Linux to end this process when its parent ends; elsewhere the end of stdin does it."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:  # it ended before we asked
        sys.exit(0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the reading process."""
    parser = argparse.ArgumentParser(prog="hudd.engine.worker")
    parser.add_argument("--reader", default="auto")
    parser.add_argument("--parent", type=int, required=True)
    options = parser.parse_args(arguments)
    die_with_parent(options.parent)
    for number in (signal.SIGINT, signal.SIGHUP):  # they go to the whole group; the parent ends us in its order
        signal.signal(number, signal.SIG_IGN)
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not land between our frames
    serve(sys.stdin.buffer, sink, Describer(options.reader))


if __name__ == "__main__":
    main()
