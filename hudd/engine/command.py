"""``hudd engine``: the engine's command line. Imports nothing heavy until it runs."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Final, TypeVar

from hudd.engine.accounting import CACHE_MODES
from hudd.engine.faults import KINDS, FaultError, parse_fault
from hudd.engine.options import ANSWERS_MODES, READERS, EngineOptions
from hudd.errors import EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE, HuddError

LISTENS: Final = "hudd engine listens on "
PARENT_GRACE_S: Final = 4.0
_PR_SET_PDEATHSIG: Final = 1


class PortTakenError(HuddError):
    """Raised when another program holds the port."""

    exit_code = EXIT_UNAVAILABLE


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``hudd engine``."""
    faults = " ".join(f"{kind.usage}: {kind.doc}" for kind in KINDS)
    parser.add_argument("--port", type=_whole(0, 65_535), default=0, metavar="N", help="TCP port; 0 takes a free one")
    parser.add_argument(
        "--answers", choices=ANSWERS_MODES, default="read", help="read pictures, or answer at once with a fixed text"
    )
    parser.add_argument("--answer-text", default="", metavar="TEXT", help="what canned answers say")
    parser.add_argument(
        "--pace-ms", type=_decimal(0, 60_000), metavar="MS", help="time between two words (read 12, canned 0)"
    )
    parser.add_argument("--cache", choices=CACHE_MODES, default="ideal", help="how the prompt cache behaves")
    parser.add_argument("--reader", choices=READERS, default="auto", help="which text recognition reads pictures")
    parser.add_argument(
        "--budget-s", type=_decimal(0.2, 60), default=3.0, metavar="S", help="time for reading one picture"
    )
    parser.add_argument(
        "--idle-s", type=_decimal(1, 86_400), default=300.0, metavar="S", help="when the idle reader process ends"
    )
    parser.add_argument(
        "--reasoning-tokens",
        type=_whole(0, 100_000),
        metavar="N",
        help="reasoning tokens of each answer of a 2.x model",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="FAULT",
        help="play a fault, can be repeated. EVENT is the type of an event of either side, 'open' or 'idle'; #TIME is "
        "'#3' for the third time only (of the event, or of the response); a trailing *N plays it in the first N "
        f"connections only. {faults}",
    )
    parser.add_argument(
        "--token-stdin",
        action="store_true",
        help="admit only the key in the first line of stdin, and end when stdin ends; otherwise any key is admitted",
    )


N = TypeVar("N", int, float)


def _decimal(low: float, high: float) -> Callable[[str], float]:
    return _number(float, low, high, "number")


def _whole(low: int, high: int) -> Callable[[str], int]:
    return _number(int, low, high, "whole number")


def _number(kind: Callable[[str], N], low: N, high: N, name: str) -> Callable[[str], N]:
    def convert(written: str) -> N:
        value = kind(written)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be a number from {low:g} to {high:g}, not {written}")
        return value

    convert.__name__ = name  # argparse names the kind when it cannot be read
    return convert


def options_from(namespace: argparse.Namespace, *, token: str | None) -> EngineOptions:
    """The options that the flags name.

    Raises:
        FaultError: A fault is unknown or written wrongly.
    """
    return EngineOptions(
        port=namespace.port,
        token=token,
        answers=namespace.answers,
        answer_text=namespace.answer_text,
        pace_s=None if namespace.pace_ms is None else namespace.pace_ms / 1000,
        cache=namespace.cache,
        reader=namespace.reader,
        budget_s=namespace.budget_s,
        idle_s=namespace.idle_s,
        reasoning_tokens=namespace.reasoning_tokens,
        faults=tuple(parse_fault(written) for written in namespace.fault),
    )


def run_engine(namespace: argparse.Namespace) -> int:
    """Serve until SIGINT, SIGTERM or, with ``--token-stdin``, the end of stdin; return the exit code.

    Raises:
        HuddError: The port is taken, or a fault is written wrongly.
    """
    token: str | None = None
    if namespace.token_stdin:
        _end_with_parent()
        token = sys.stdin.buffer.readline(4096).decode(errors="replace").strip()
        if not token:
            raise FaultError("There is no key in the first line of stdin.", hint="Leave --token-stdin out.")
    options = options_from(namespace, token=token)
    logging.basicConfig(level=logging.WARNING, format="hudd engine: %(levelname)s %(message)s")
    try:
        asyncio.run(_serve_until_told(options, watch_stdin=namespace.token_stdin))
    except OSError as error:
        hint = "Choose another --port, or 0 for a free one."
        raise PortTakenError(
            f"The engine cannot listen on port {options.port}: {error.strerror}.", hint=hint
        ) from error
    return EXIT_OK


def main() -> int:
    """Run the engine as a program of its own (``python -m hudd.engine``); return the exit code."""
    parser = argparse.ArgumentParser(prog="hudd engine", description="A free local Realtime server for tests.")
    add_engine_arguments(parser)
    try:
        return run_engine(parser.parse_args())
    except SystemExit as stop:  # argparse has printed its sentence
        return EXIT_USAGE if stop.code else EXIT_OK
    except HuddError as error:
        sys.stderr.write(f"hudd: {error}\n")
        return error.exit_code


async def _serve_until_told(options: EngineOptions, *, watch_stdin: bool) -> None:
    # Loads websockets, which --help and the daemon that only builds its parser do not need.
    from hudd.engine.server import serve  # noqa: PLC0415 - see above

    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    if watch_stdin:
        # A terminal or systemd signals the whole group: the parent still finishes its work with us, and then closes
        # our stdin. Only a parent that does not is ended by the signal alone.
        for number in (signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, lambda: None)
        loop.add_signal_handler(signal.SIGTERM, lambda: loop.call_later(PARENT_GRACE_S, told.set))
        _watch_stdin(loop, told)
    else:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, told.set)
    serving = asyncio.create_task(serve(options, listening=_say_listening))
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
    for task in (serving, waiting):
        task.cancel()
    results = await asyncio.gather(serving, waiting, return_exceptions=True)
    if isinstance(results[0], Exception):
        raise results[0]


def _say_listening(url: str) -> None:
    sys.stdout.write(f"{LISTENS}{url}\n")
    sys.stdout.flush()


def _watch_stdin(loop: asyncio.AbstractEventLoop, told: asyncio.Event) -> None:
    """End when the parent closed its side, or ended: then the pipe becomes readable and empty."""
    descriptor = sys.stdin.fileno()
    os.set_blocking(descriptor, False)

    def readable() -> None:
        try:
            data = os.read(descriptor, 4096)
        except BlockingIOError:
            return
        if not data:
            loop.remove_reader(descriptor)
            told.set()

    loop.add_reader(descriptor, readable)


def _end_with_parent() -> None:
    """Ask Linux to end this process when the parent ends; elsewhere the end of stdin does it."""
    if sys.platform == "linux":
        # The race of a parent that ended before this line is closed by the watch on stdin.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
