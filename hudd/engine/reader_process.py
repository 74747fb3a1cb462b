"""The parent's side of the reading process: start on demand, ask, stop. Imports no picture or text library.

One process, one question at a time. It is started by the first picture, started again after a crash, ended after it was
idle for long or took far too long, and never outlives this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import struct
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hudd.clock import Clock, SystemClock, ends_within
from hudd.engine.errors import ReaderClosedError, ReaderCrashedError, ReaderError, ReaderOverrunError
from hudd.errors import PictureError

log = logging.getLogger(__name__)

GRACE_S: Final = 7.0  # start of the process, decoding, and a machine that is busy
ANSWERS_KEPT: Final = 20  # so many notes fill a screen; they are not to be read as something new
STOP_S: Final = 1.0  # how long a process may take to end by itself
_LENGTH: Final = struct.Struct(">I")
_STDERR_TAIL: Final = 2000
_ROOT: Final = str(Path(__file__).resolve().parents[2])  # so that the child finds this very package


@dataclass(frozen=True, slots=True)
class Description:
    """A note, and how it came about.

    Attributes:
        text: The note.
        lines: Lines of text read or remembered, apart from those that show hudd's own notes.
        new_lines: Those that were not on the picture before.
        width: Pixels across.
        height: Pixels down.
        changed_fraction: Share of the picture that changed, 0 to 1; 1 for the first one of a stream.
        unread_fraction: Share of the likely text that was not read in the budget, 0 to 1.
        reader: ``tesserocr``, ``rapidocr`` or ``none``.
        elapsed_ms: Time in the process, from the bytes to the lines.
        advice: How to get a better reader, or None.
    """

    text: str
    lines: int
    new_lines: int
    width: int
    height: int
    changed_fraction: float
    unread_fraction: float
    reader: str
    elapsed_ms: int
    advice: str | None


class _Child:
    """One running process and the tail of what it said on stderr."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self.stdin = process.stdin
        self.stdout = process.stdout
        self._stderr = process.stderr
        self._tail = ""
        self._drain = asyncio.create_task(self._keep_tail())

    async def _keep_tail(self) -> None:
        while chunk := await self._stderr.read(4096):
            self._tail = (self._tail + chunk.decode(errors="replace"))[-_STDERR_TAIL:]

    async def ask(self, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        text = json.dumps(header).encode()
        self.stdin.write(_LENGTH.pack(len(text)) + text)
        self.stdin.write(body)
        await self.stdin.drain()
        (length,) = _LENGTH.unpack(await self.stdout.readexactly(_LENGTH.size))
        reply: dict[str, Any] = json.loads(await self.stdout.readexactly(length))
        return reply

    async def stop(self, patience_s: float) -> str:
        """End the process, by force after ``patience_s``; returns its last line on stderr."""
        if self.process.returncode is None:
            self.stdin.close()
            if not await ends_within(self.process.wait(), patience_s):
                with contextlib.suppress(ProcessLookupError):  # it ended just now
                    self.process.kill()
                await self.process.wait()
        await self._drain
        lines = self._tail.strip().splitlines()
        return lines[-1] if lines else ""


class ReaderProcess:
    """Describes pictures in a process of its own.

    Args:
        reader: ``auto``, or the one text reader to use.
        budget_s: Time for reading one picture; what is not read by then is named in the note.
        idle_s: After this time without a picture the process is ended; the next picture starts a new one, which has
            no picture to compare with.
        grace_s: How far beyond the budget an answer may take before the process is killed.
        clock: The clock of the idle time.
    """

    def __init__(
        self,
        *,
        reader: str = "auto",
        budget_s: float = 3.0,
        idle_s: float = 300.0,
        grace_s: float = GRACE_S,
        clock: Clock | None = None,
    ) -> None:
        self._reader = reader
        self._budget_s = budget_s
        self._idle_s = idle_s
        self._grace_s = grace_s
        self._clock = clock or SystemClock()
        self._lock = asyncio.Lock()
        self._child: _Child | None = None
        self._idle: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[Description]] = set()
        self._told: dict[str, int] = {}
        self._answers: deque[str] = deque(maxlen=ANSWERS_KEPT)
        self._number = 0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        return self._child.process.pid if self._child and self._child.process.returncode is None else None

    async def describe(
        self, picture: bytes, media_type: str, *, stream: str = "default", max_tokens: int = 200, whole: bool = False
    ) -> Description:
        """Describe a picture and say what is new since the last one of its stream whose description was delivered.

        Calls queue. Cancelling is safe: a call that still waits is dropped; one under way is finished unseen (within
        its budget), and the next call compares with the last picture that was delivered.

        Args:
            picture: The file's bytes.
            media_type: ``image/png``, ``image/jpeg`` or ``image/webp``.
            stream: Whose picture it is; each stream has a memory of its own.
            max_tokens: The longest note, at four characters a token.
            whole: Say what is on the picture instead of what is new; somebody asked.

        Raises:
            PictureError: The bytes are no such picture.
            ReaderCrashedError: The process ended twice in a row over this picture.
            ReaderOverrunError: It did not answer in ``budget_s + grace_s`` and was killed.
            ReaderClosedError: ``close`` was called.
            ReaderError: The reader asked for is not installed.
        """
        self._number += 1
        header: dict[str, Any] = {
            "id": self._number,
            "stream": stream,
            "media_type": media_type,
            "max_tokens": max_tokens,
            "whole": whole,
            "budget_s": self._budget_s,
            "size": len(picture),
        }
        wanted = asyncio.Event()
        wanted.set()
        exchange = asyncio.create_task(self._exchange(header, picture, wanted))
        self._running.add(exchange)
        exchange.add_done_callback(self._finished)
        try:
            description = await asyncio.shield(exchange)
        except asyncio.CancelledError:
            wanted.clear()
            caller = asyncio.current_task()
            if exchange.cancelled() and not (caller and caller.cancelling()):  # by close(), not by our caller
                raise ReaderClosedError("The text reader was closed.") from None
            raise
        self._told[stream] = int(header["id"])
        return description

    async def forget(self) -> None:
        """Forget every picture and every answer: the process ends with them. The next picture is a first one."""
        async with self._lock:
            self._answers.clear()
            await self._stop(STOP_S)

    async def close(self) -> None:
        """End the process and refuse further pictures; calls under way end in ``ReaderClosedError``."""
        self._closed = True
        for exchange in tuple(self._running):
            exchange.cancel()
        if self._running:
            await asyncio.wait(tuple(self._running))
        async with self._lock:
            await self._stop(STOP_S)

    def _finished(self, exchange: asyncio.Task[Description]) -> None:
        self._running.discard(exchange)
        if not exchange.cancelled() and exchange.exception() is not None:
            log.debug("a picture was not described: %s", exchange.exception())  # its caller hears it, or was cancelled

    async def _exchange(self, header: dict[str, Any], picture: bytes, wanted: asyncio.Event) -> Description:
        async with self._lock:
            if self._closed:
                raise ReaderClosedError("The text reader was closed.")
            if not wanted.is_set():
                raise asyncio.CancelledError
            self._stop_idle()
            header["answers"] = list(self._answers)
            header["told"] = self._told.get(str(header["stream"]), 0)
            try:
                reply = await self._ask(header, picture)
            except asyncio.CancelledError:
                await self._stop(0.0)  # its answer would be taken for the next one's
                raise
            if "text" in reply:
                self._answers.append(str(reply["text"]))  # also one given up: parts of it may be on the screen
            self._idle = asyncio.create_task(self._end_when_idle())
        return _description(reply)

    async def _ask(self, header: dict[str, Any], picture: bytes) -> dict[str, Any]:
        last_words = ""
        for _ in range(2):  # once more on a fresh process: a crash may be the memory's fault, not the picture's
            child = await self._started()
            try:
                async with asyncio.timeout(self._budget_s + self._grace_s):
                    return await child.ask(header, picture)
            except TimeoutError:
                await self._stop(0.0)
                raise ReaderOverrunError(
                    f"Reading a picture took longer than {self._budget_s + self._grace_s:g} s and was stopped."
                ) from None
            except (asyncio.IncompleteReadError, ConnectionError):
                last_words = await self._stop(STOP_S)
                log.warning("the reading process ended unexpectedly: %s", last_words or "it said nothing")
        raise ReaderCrashedError("The reading process ended twice over one picture.", hint=last_words)

    async def _started(self) -> _Child:
        if self._child is not None and self._child.process.returncode is not None:
            await self._stop(STOP_S)
        if self._child is None:
            path = os.pathsep.join(part for part in (_ROOT, os.environ.get("PYTHONPATH", "")) if part)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "hudd.engine.worker"),
                *("--reader", self._reader, "--parent", str(os.getpid())),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path},
            )
            self._child = _Child(process)
        return self._child

    async def _stop(self, patience_s: float) -> str:
        self._stop_idle()
        child, self._child = self._child, None
        self._told.clear()  # its memory ends with it
        return await child.stop(patience_s) if child is not None else ""

    async def _end_when_idle(self) -> None:
        await self._clock.sleep(self._idle_s)
        async with self._lock:
            self._idle = None  # from here on nobody cancels this task
            await self._stop(STOP_S)

    def _stop_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None


def _description(reply: dict[str, Any]) -> Description:
    error = reply.get("error")
    if error == "picture":
        raise PictureError(str(reply["message"]))
    if error is not None:
        raise ReaderError(str(reply["message"]))
    return Description(
        text=str(reply["text"]),
        lines=int(reply["lines"]),
        new_lines=int(reply["new_lines"]),
        width=int(reply["width"]),
        height=int(reply["height"]),
        changed_fraction=float(reply["changed_fraction"]),
        unread_fraction=float(reply["unread_fraction"]),
        reader=str(reply["reader"]),
        elapsed_ms=int(reply["elapsed_ms"]),
        advice=None if reply["advice"] is None else str(reply["advice"]),
    )
