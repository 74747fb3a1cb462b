"""``hudctl replay``: a recorded stream on sockets of its own, for authors of subscribers."""

from __future__ import annotations

import argparse
import os
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hudctl.console import print_json, tell
from hudctl.recording import Recording, read_recording
from hudd.wire import table

if TYPE_CHECKING:
    from hudctl.replay_stage import Stage

SCHEMA: Final = 1


def replay(arguments: argparse.Namespace) -> int:
    """Play a recording until ctrl-C. Nothing is asked of a running daemon; no screen, no key, no cost."""
    import asyncio  # noqa: PLC0415 - only this verb has a server
    import signal  # noqa: PLC0415 - likewise

    recording = read_recording(Path(arguments.file))

    async def run(folder: Path) -> None:
        task = asyncio.current_task()
        assert task is not None
        # As ctrl-C: the sockets are closed and the folder goes.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await _serve(folder, recording, arguments)

    with tempfile.TemporaryDirectory(prefix="hudd-replay-", dir=_short_folder()) as folder:
        try:
            asyncio.run(run(Path(folder)))
        except asyncio.CancelledError:
            return table.EXIT_OK  # SIGTERM
    return table.EXIT_OK


async def _serve(folder: Path, recording: Recording, arguments: argparse.Namespace) -> None:
    import asyncio  # noqa: PLC0415 - only this verb has a server

    from hudctl.replay_stage import Stage  # noqa: PLC0415 - loads the daemon's sockets
    from hudd.clock import SystemClock  # noqa: PLC0415 - likewise

    async with Stage(folder, recording, clock=SystemClock()) as stage:
        notes = sum(frame.note is not None for frame in recording.frames)
        if arguments.json:
            facts = {"stream": recording.stream, "frames": len(recording.frames), "notes": notes}
            print_json({"schema": SCHEMA, "runtime_dir": str(folder), **facts})
        else:
            print(f"HUDD_RUNTIME_DIR={shlex.quote(str(folder))}", flush=True)
            tell(f"{len(recording.frames)} frames, {notes} of them notes; they begin with the first subscriber.")
        await stage.somebody()
        await _play(stage, arguments)
        await asyncio.Event().wait()


async def _play(stage: Stage, arguments: argparse.Namespace) -> None:
    await stage.play(speed=arguments.speed, loop=arguments.loop)
    if not arguments.json:
        tell(f"All {stage.published} frames are published; the notes can be fetched until ctrl-C.")


def _short_folder() -> str | None:
    """Where a socket's path stays short enough: the temporary directory, or /tmp when that is deep."""
    longest = os.path.join(tempfile.gettempdir(), "hudd-replay-12345678", "notes.sock")  # noqa: PTH118 - bytes count
    return None if len(os.fsencode(longest)) < 100 else "/tmp"  # noqa: S108 - the folder made there is private
