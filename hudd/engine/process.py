"""The engine as a child process: started, watched, started again after a crash, and ended by its parent.

The key is made up here and handed over by stdin, so that it stands in no argument list and no environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import hudd
from hudd.clock import Clock, SystemClock, ends_within
from hudd.engine.command import LISTENS
from hudd.errors import HuddError

START_TIMEOUT_S: Final = 15.0
STOP_STEPS_S: Final = (1.2, 0.5, 0.3)  # after the end of stdin, after SIGTERM, after SIGKILL: 2 s in all
BACKOFF_FIRST_S: Final = 0.5
BACKOFF_MOST_S: Final = 30.0
STEADY_AFTER_S: Final = 60.0

log = logging.getLogger(__name__)


class EngineStartError(HuddError):
    """Raised when the engine's process does not come up."""

    wire_code = "E_UPSTREAM"


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Where a running engine is, and what it admits.

    Attributes:
        url: ``ws://127.0.0.1:PORT/v1/realtime``.
        token: The key.
    """

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EngineArguments:
    """What the child is started with; each field is a flag of ``hudd engine``."""

    answers: str = "read"
    reader: str = "auto"
    budget_s: float = 3.0
    idle_s: float = 300.0
    cache: str = "ideal"
    faults: tuple[str, ...] = ()

    def flags(self) -> list[str]:
        """As words of a command line."""
        words = ["--port", "0", "--token-stdin", "--answers", self.answers, "--cache", self.cache]
        words += ["--reader", self.reader, "--budget-s", f"{self.budget_s:g}", "--idle-s", f"{self.idle_s:g}"]
        for fault in self.faults:
            words += ["--fault", fault]
        return words


class EngineProcess:
    """The engine's process.

    Args:
        arguments: What it is started with.
        on_started: Called with the address after every start, the first one included.
        on_crashed: Called with one sentence when it ended by itself; it is started again after a pause that doubles
            from 0.5 s to 30 s, and is short again after it ran for a minute.
        clock: Measures the pauses.
        command: The program and its first words; None runs this interpreter.
    """

    def __init__(
        self,
        arguments: EngineArguments | None = None,
        *,
        on_started: Callable[[EngineAddress], None] | None = None,
        on_crashed: Callable[[str], None] | None = None,
        clock: Clock | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        self._arguments = arguments or EngineArguments()
        self._on_started = on_started
        self._on_crashed = on_crashed
        self._clock = clock or SystemClock()
        # -P and not the present folder: a file json.py in somebody's home must not be imported.
        self._command = list(command or (sys.executable, "-P", "-m", "hudd.engine"))
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._address: EngineAddress | None = None

    @property
    def address(self) -> EngineAddress | None:
        """Where it is now; None while it does not run. It changes with every start."""
        return self._address if self.alive else None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> EngineAddress:
        """Start it, and wait until it listens. Cancelling ends it again.

        Raises:
            EngineStartError: It did not come up; it is tried again with back-off until ``stop``.
        """
        try:
            return await self._start_once()
        finally:
            self._watch = asyncio.create_task(self._keep_running())

    async def stop(self) -> None:
        """End it within 2 s: close its stdin, then SIGTERM, then SIGKILL. May be called again."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        await self._end()

    async def _start_once(self) -> EngineAddress:
        token = secrets.token_urlsafe(32)
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                *self._arguments.flags(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=_environment(),
            )
        except OSError as error:
            raise EngineStartError(f"The local engine cannot be started: {error}.") from error
        self._process = process
        assert process.stdin is not None  # both were asked for
        assert process.stdout is not None
        try:
            process.stdin.write(f"{token}\n".encode())
            async with asyncio.timeout(START_TIMEOUT_S):
                line = (await process.stdout.readline()).decode(errors="replace").strip()
        except TimeoutError as error:
            await self._end()
            raise EngineStartError(f"The local engine did not come up within {START_TIMEOUT_S:g} s.") from error
        except BaseException:
            await self._end()
            raise
        if not line.startswith(LISTENS):
            await self._end()
            raise EngineStartError(
                f"The local engine ended at its start (exit code {process.returncode}).",
                hint="The lines above on stderr say why; 'hudd engine' shows it alone.",
            )
        self._address = EngineAddress(line.removeprefix(LISTENS), token)
        if self._on_started is not None:
            self._on_started(self._address)
        return self._address

    async def _keep_running(self) -> None:
        pause_s = BACKOFF_FIRST_S
        while True:
            process = self._process
            if process is not None:
                began = self._clock.monotonic()
                code = await process.wait()
                await self._end()
                self._say_crashed(f"The local engine ended by itself (exit code {code}); it is started again.")
                if self._clock.monotonic() - began >= STEADY_AFTER_S:
                    pause_s = BACKOFF_FIRST_S
            await self._clock.sleep(pause_s)
            pause_s = min(BACKOFF_MOST_S, pause_s * 2)
            try:
                await self._start_once()
            except EngineStartError as error:
                self._say_crashed(str(error))

    def _say_crashed(self, sentence: str) -> None:
        log.warning("%s", sentence)
        if self._on_crashed is not None:
            self._on_crashed(sentence)

    async def _end(self) -> None:
        process, self._process, self._address = self._process, None, None
        if process is None:
            return
        assert process.stdin is not None  # it was asked for
        process.stdin.close()
        for patience_s, harder in zip(STOP_STEPS_S, (process.terminate, process.kill, None), strict=True):
            if await ends_within(process.wait(), patience_s):
                break
            if harder is not None:
                harder()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it ended before it read its key
            await process.stdin.wait_closed()


def _environment() -> dict[str, str]:
    """Ours without any key, and so that the child finds this very package also when it is not installed."""
    environment = {k: v for k, v in os.environ.items() if k not in {"HUDD_REALTIME_KEY", "OPENAI_API_KEY"}}
    root = Path(hudd.__file__).resolve().parent.parent
    if root.name not in ("site-packages", "dist-packages"):
        known = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{root}{os.pathsep}{known}" if known else str(root)
    return environment
