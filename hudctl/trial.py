"""``hudctl try``: a daemon on the embedded engine in temporary folders, for a minute; nothing is left behind.

Keys, settings and a running daemon are ignored: the child gets an environment of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from hudctl import render
from hudctl.client import Client
from hudctl.console import colours, print_json, width, window
from hudctl.errors import HudctlError, NotRunningError
from hudctl.feed import Feed
from hudctl.trial_notes import StreamedNotes
from hudctl.words import clean
from hudd.wire import table
from hudd.wire.messages import Note

START_S: Final = 20.0  # a cold interpreter on a slow disk
STOP_S: Final = 8.0
FIRST_LOOK_S: Final = 5.0
LAST_NOTE_S: Final = 6.0
"""How much longer a note that is being written is waited for."""
PREFIX: Final = "hudd-try-"
LOG: Final = "log"
SCHEMA: Final = 1
FOREIGN: Final = frozenset(
    {"OPENAI_API_KEY", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "JOURNAL_STREAM", "WATCHDOG_USEC"}
)
"""Variables of a key, and of a service that the trial may be started from, that are not the daemon's to see."""


@dataclass(slots=True)
class Seen:
    """What the trial has shown so far."""

    notes: list[Note] = field(default_factory=list[Note])
    status: dict[str, Any] = field(default_factory=dict[str, Any])
    cost: dict[str, Any] = field(default_factory=dict[str, Any])
    trouble: str = ""
    interrupted: bool = False


def run_trial(*, seconds: float, pictures: str | None, as_json: bool) -> int:
    """Run the trial and print what it did.

    Args:
        seconds: How long to watch.
        pictures: A folder to show instead of the screen, or None for the screen.
        as_json: Notes and summary as JSON, one object a line.

    Returns:
        0 when at least one note was written, 1 otherwise.
    """
    if seconds <= 0:
        raise ValueError("--seconds is a positive number")
    if pictures is not None and not Path(pictures).is_dir():
        raise ValueError(f"--pictures {pictures} is no folder")

    def say(sentence: str) -> None:
        if as_json:
            print_json({"schema": SCHEMA, "sentence": sentence})
        else:
            print(sentence, flush=True)

    seen = Seen()
    with _ended_by_signals():
        source = f"pictures:{Path(pictures).resolve()}" if pictures is not None else "auto"
        say("Trying hudd: local engine, temporary folders, no key; nothing leaves this machine.")
        code = _watch(source, seconds, seen, as_json=as_json, say=say)
        if code is None:
            # No display: the reason was said, the shipped pictures take its place.
            code = _watch(f"pictures:{_shipped_pictures()}", seconds, seen, as_json=as_json, say=say)
    _summary(seen, as_json=as_json)
    if code:
        return code
    if seen.interrupted:
        return table.EXIT_INTERRUPTED
    return table.EXIT_OK if any(note.kind == "note" for note in seen.notes) else table.EXIT_FAILED


def _watch(source: str, seconds: float, seen: Seen, *, as_json: bool, say: Callable[[str], None]) -> int | None:
    """Run one daemon on one source. None: there is no display; otherwise an exit code."""
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=_place()) as folder:
        environ = _environment(Path(folder), source, seconds)
        with _daemon(environ, Path(folder)) as process:
            try:
                with _connected(process, environ) as client:
                    return _shown(client, environ, source, seconds, seen, as_json=as_json, say=say)
            except HudctlError as error:
                print(f"hudctl: {error}", file=sys.stderr)
                for line in _last_words(Path(folder) / LOG):
                    print(f"  {line}", file=sys.stderr)  # the log goes with the folder
                return error.exit_code


def _shown(
    client: Client,
    environ: dict[str, str],
    source: str,
    seconds: float,
    seen: Seen,
    *,
    as_json: bool,
    say: Callable[[str], None],
) -> int | None:
    """Print the notes of a running daemon, then fetch its figures. None: there is no display."""
    missing = _no_display(client) if source == "auto" else ""
    if missing:
        say(f"{missing}\nSo here are pictures that ship with hudd instead.")
        return None
    say(_what_is_watched(client.status(), source, seconds))
    try:
        _print_notes(environ, seconds, seen, as_json=as_json)
    except KeyboardInterrupt:
        seen.interrupted = True
    seen.status = client.status()
    seen.cost = client.cost()
    seen.trouble = next((str(e.get("message", "")) for e in client.errors(limit=1)), "")
    return table.EXIT_OK


def _last_words(log_path: Path) -> list[str]:
    """The end of what the daemon said of trouble."""
    lines = log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return [clean(line) for line in lines if " info " not in line][-3:]


def _place() -> str | None:
    """Where the folders go: the usual place, unless its path leaves no room for that of a socket (about 100 bytes)."""
    socket_path = Path(tempfile.gettempdir()) / f"{PREFIX}12345678" / "run" / "notes.sock"
    return None if len(os.fsencode(socket_path)) < 100 else "/tmp"  # noqa: S108 - the folder made there is private


def _shipped_pictures() -> Path:
    return Path(str(files("hudd") / "data" / "pictures"))


def _environment(folder: Path, source: str, seconds: float) -> dict[str, str]:
    """The present environment without anything that speaks of hudd, of keys or of a service that we may run in."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("HUDD_") and k not in FOREIGN}
    config = folder / "config.toml"
    config.write_text("", encoding="utf-8")
    count = max(1, len(list(_shipped_pictures().glob("*.png"))))
    return environ | {
        "HUDD_RUNTIME_DIR": str(folder / "run"),
        "HUDD_STATE_DIR": str(folder / "state"),
        "HUDD_CONFIG": str(config),
        "HUDD_REALTIME_USE": "local",
        "HUDD_SCREEN_SOURCE": source,
        "HUDD_SCREEN_PICTURES_INTERVAL_S": f"{max(1.0, min(8.0, (seconds - 4) / count)):.1f}",
    }


@contextlib.contextmanager
def _daemon(environ: dict[str, str], folder: Path) -> Generator[subprocess.Popen[bytes]]:
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hudctl.trial_daemon", str(folder)],
            env=environ,
            stdin=subprocess.PIPE,  # its end tells the daemon that we are gone, however that came
            stdout=log,
            stderr=log,
            process_group=0,  # ctrl-C is ours to hear; the daemon is asked for its figures afterwards
        )
    assert process.stdin is not None
    with process.stdin:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _connected(process: subprocess.Popen[bytes], environ: dict[str, str]) -> Client:
    """A client of the daemon that was just started, when it is ready to answer questions."""
    end = time.monotonic() + START_S
    while True:
        client = None
        try:
            client = Client(timeout_s=10.0, runtime_dir=environ["HUDD_RUNTIME_DIR"])
            client.wait("connected")
        except HudctlError as error:
            if client is not None:
                client.close()
            if process.poll() is not None:
                raise HudctlError(f"The daemon of the trial ended at once (exit {process.returncode}).") from error
            if time.monotonic() > end:
                raise
            if not isinstance(error, NotRunningError):
                raise
            time.sleep(0.05)
        else:
            return client


def _no_display(client: Client) -> str:
    """The sentence about a missing display, or '' when the screen is watched."""
    end = time.monotonic() + FIRST_LOOK_S
    while time.monotonic() < end:
        capture = client.status()["capture"]
        if capture["state"] == "watching":
            return ""
        if capture["state"] in {"no_display", "failed"}:
            return str(capture["sentence"])
        time.sleep(0.1)
    return "The screen could not be looked at in time."


def _what_is_watched(status: dict[str, Any], source: str, seconds: float) -> str:
    names = ", ".join(s["name"] for s in status["capture"]["sources"]) or "the screen"
    what = "pictures" if source.startswith("pictures:") else f"{names} by {status['capture']['backend']}"
    reading: dict[str, Any] = status.get("reading") or {}
    advice = reading.get("advice")
    return f"Watching {what} for {seconds:.0f} seconds (ctrl-C ends it).\n" + (f"{advice}\n" if advice else "")


def _print_notes(environ: dict[str, str], seconds: float, seen: Seen, *, as_json: bool) -> None:
    """Print notes while they are written, until the time is over."""
    end = time.monotonic() + seconds
    live = None if as_json else StreamedNotes(colour=colours(), width=width())
    with Feed(
        after=0,
        runtime_dir=environ["HUDD_RUNTIME_DIR"],
        window=window(),
        streaming=True,
        on_delta=live.piece if live is not None else None,
    ) as feed:
        try:
            while True:
                left_s = end - time.monotonic()
                if live is not None and live.unfinished:
                    left_s += LAST_NOTE_S
                note = feed.get(max(0.0, left_s))
                if note is not None:
                    seen.notes.append(note)
                    if live is not None:
                        live.note(note)
                    else:
                        print_json({"schema": SCHEMA, "note": note.to_json()})
                elif live is None or not live.unfinished or left_s < 0:
                    break
        finally:
            if live is not None:
                live.end()


@contextlib.contextmanager
def _ended_by_signals() -> Generator[None]:
    """Turn SIGTERM and SIGHUP into an ordinary end, so that the daemon is stopped and the folders removed."""

    def stop(signum: int, frame: object) -> None:
        del signum, frame
        raise KeyboardInterrupt

    before = {s: signal.signal(s, stop) for s in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _summary(seen: Seen, *, as_json: bool) -> None:
    counters = seen.status.get("counters", {})
    by_model: dict[str, Any] = {row["model"]: row["microusd"] for row in seen.cost.get("if_service", [])}
    kinds = [note.kind for note in seen.notes]
    frames, sent, wrote = counters.get("frames", 0), counters.get("sent", 0), kinds.count("note")
    if as_json:
        unchanged, failed = kinds.count("unchanged"), kinds.count("failed")
        counts: dict[str, Any] = {"notes": wrote, "unchanged": unchanged, "failed": failed, "frames": frames}
        money: dict[str, Any] = {"sent": sent, "microusd": 0, "if_service": by_model}
        print_json({"schema": SCHEMA, "summary": counts | money | {"trouble": seen.trouble}})
        return
    if not seen.status:
        return  # it never started, and the reason was said
    print(
        f"Done: looked {_times(frames)}, asked {_times(sent)}, wrote {wrote} {'note' if wrote == 1 else 'notes'}. "
        "Cost: nothing, the local engine is free."
    )
    if not wrote and seen.trouble:
        print(f"What went wrong: {seen.trouble}")
    prices = ", ".join(f"{render.money(cost)} with {model}" for model, cost in by_model.items() if cost is not None)
    if prices and sent:
        print(f"At the real service the same questions would have cost {prices}.")
    print("Nothing is left running; the temporary folders are removed.", flush=True)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
