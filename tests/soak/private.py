"""Locks, pauses, sleeps and windows at random, while frames go out: what must not be seen is painted in a colour of its own.

The service's end decodes every picture that it receives and looks for that colour, so nothing of the daemon's own words
is believed; each run begins with the colour shown while nothing forbids it, and then it must be seen. A lock or a pause
shows its colour only after ``state/`` told that the daemon has read it, and takes it away before it ends; a window that
is excluded has its colour from its first moment.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import zmq

from hudctl import Client, HudctlError
from hudctl.connection import new_token
from hudd.wire.endpoints import notes_socket
from hudd.wire.messages import parse_time
from tests.fakes.daemon import DaemonProcess
from tests.fakes.dbus import private_bus
from tests.fakes.desks import SwayDesk, x_desk
from tests.fakes.logind import Logind, logind
from tests.fakes.sway import sway
from tests.soak.daemon import QUICK
from tests.soak.dose import part_of
from tests.soak.looking import Looking
from tests.soak.private_report import Report, Span, is_too_early
from tests.soak.service import KEY, MODEL

FULL = 10_000
"""Frames."""
SHORT_DOSE = 0.1
SHORT = 2_200
"""Below that dose its share is of so many frames; every kind of event still comes."""
MASKED = 4
"""So much shorter are full runs with masked windows."""
KINDS: Final = (
    *("locked hint", "lock word", "session left", "sleep", "pause"),
    *("window", "window", "title", "title"),
)
TICKS_S = 0.03
HELD_S = (0.03, 0.25)
REST_S = (0.05, 0.4)
REGIONS: Final[tuple[tuple[int, int, int, int] | None, ...]] = (None, (0, 0, 400, 440), (200, 0, 400, 440))
"""What snaps are taken of, each by a client of its own: the monitor, and parts of it where secrets are shown."""
READ_S = 10.0
STALLED_S = 60.0


class Desk(Protocol):
    """A desktop with a window that may not be seen, one that shows what a locked screen would, and one that ticks."""

    environ: dict[str, str]

    def secret(self, *, shown: bool) -> None: ...
    def retitle(self, *, private: bool) -> None: ...
    def behind(self, *, shown: bool) -> None: ...
    def tick(self, number: int) -> None: ...
    def describe(self) -> str: ...


class States:
    """What ``state/`` says, read in a thread.

    Args:
        runtime: The daemon's folder.
        asked: Asks the daemon itself for its reasons, and the desk for its windows: a late word, an event that was
            missed and one that never happened are told apart.
    """

    def __init__(self, runtime: Path, asked: Callable[[], object]) -> None:
        self._asked = asked
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._changed = threading.Condition()
        self._reasons: list[str] = []
        self._stop = threading.Event()
        welcome = f"welcome/{new_token()}/"
        for topic in ("state/", welcome):
            self._socket.subscribe(topic)
        self._socket.connect(f"ipc://{runtime / notes_socket({}).name}")
        # Before its welcome a subscriber may be told nothing.
        while self._socket.poll(READ_S * 1000):
            if self._socket.recv_multipart()[0] == welcome.encode():
                break
        else:
            self._context.destroy(linger=0)
            raise AssertionError(f"no welcome in {READ_S:g} s")
        self._socket.unsubscribe(welcome)
        self._thread = threading.Thread(target=self._read, name="states")
        self._thread.start()

    def _read(self) -> None:
        while not self._stop.is_set():
            if self._socket.poll(50):
                body = json.loads(self._socket.recv_multipart()[1])
                with self._changed:
                    self._reasons = body["sending"]["reasons"]
                    self._changed.notify_all()

    def wait(self, reason: str, *, held: bool) -> None:
        """Until ``state/`` says so."""
        with self._changed:
            assert self._changed.wait_for(lambda: (reason in self._reasons) == held, READ_S), (
                f"state/ did not tell {reason} {held} in {READ_S:g} s, but {self._reasons}; status: {self._asked()}"
            )

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._context.destroy(linger=0)


class Trial:
    """One daemon on one desk, and everything that happens to it."""

    def __init__(self, folder: Path, desk: Desk, seed: int, frames: int, *, mask: bool, **settings: object) -> None:
        self.dice = random.Random(seed)
        self.report = Report(seed, mask)
        self._desk = desk
        self._frames = frames
        self._folder = folder
        self._stack = ExitStack()
        self.service = self._stack.enter_context(Looking())
        self._settings: dict[str, object] = {
            **QUICK,
            "screen_interval_s": 0.05,
            "screen_source": "auto",
            "realtime_use": "service",
            "realtime_model": MODEL,
            "realtime_url": self.service.url,
            "privacy_exclude_apps": '["hudd-secret"]',
            "privacy_on_excluded": "mask" if mask else "withhold",
            **settings,
        }
        self._stop = threading.Event()
        self._deck: list[str] = []
        self._seen_at = time.monotonic()
        self._spans: list[Span] = []

    async def run(self) -> Report:
        async with AsyncExitStack() as stack:
            bus = await stack.enter_async_context(private_bus(self._folder))
            desk = await stack.enter_async_context(logind(bus))
            daemon = DaemonProcess(self._folder, **self._settings)
            daemon.environ |= self._desk.environ
            daemon.environ["DBUS_SYSTEM_BUS_ADDRESS"] = f"unix:path={bus.socket}"
            daemon.environ["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={bus.socket}"
            daemon.environ["HUDD_REALTIME_KEY"] = KEY
            with daemon, ExitStack() as inner:
                await asyncio.to_thread(lambda: daemon.start().ready())
                runtime = self._folder / "run"
                client = inner.enter_context(Client(timeout_s=20, runtime_dir=runtime))
                states = States(runtime, lambda: (client.call("status")["sending"], self._desk.describe()))
                inner.callback(states.close)
                await asyncio.to_thread(self._control, client)
                threads = [threading.Thread(target=self._snaps, args=(region,)) for region in REGIONS]
                threads.append(threading.Thread(target=self._ticks))
                for thread in threads:
                    thread.start()
                try:
                    while self.report.frames < self._frames or len(self.report.events) < len(set(KINDS)):
                        await self._event(desk, client, states)
                        self._progress(await asyncio.to_thread(client.call, "status"))
                finally:
                    self._stop.set()
                    for thread in threads:
                        await asyncio.to_thread(thread.join)
                self.report.pictures = self.service.pictures
                await asyncio.to_thread(self._count, client)
        return self.report

    def _control(self, client: Client) -> None:
        """Show the colour while nothing forbids it: where it is not seen even then, to find none says nothing."""
        self._desk.behind(shown=True)
        self._snap_until(client, 1, seen=True)
        self._desk.behind(shown=False)
        # Automatic pictures that were on their way come before the answers of several snaps.
        self._snap_until(client, 3, seen=False)
        self.report.allowed, self.service.secrets = len(self.service.secrets), []

    def _snap_until(self, client: Client, times: int, *, seen: bool) -> None:
        """Until so many snaps in a row were received with the colour, or without it."""
        until, done = time.monotonic() + READ_S, 0
        while done < times:
            assert time.monotonic() < until, f"the colour was {'not ' if seen else ''}received in {READ_S:g} s"
            before = len(self.service.secrets)
            client.snap()
            done = done + 1 if (len(self.service.secrets) > before) == seen else 0

    def _progress(self, status: dict[str, Any]) -> None:
        frames, now = status["counters"]["frames"], time.monotonic()
        if frames > self.report.frames:
            self.report.frames, self._seen_at = frames, now
        reasons = status["sending"]["reasons"]
        assert now - self._seen_at < STALLED_S, f"no frame in {STALLED_S:g} s: {reasons}, {status['capture']}"

    def close(self) -> None:
        self._stack.close()

    def _count(self, client: Client) -> None:
        """Tell pictures that left before an event was read from those that left after it, by the daemon's own times."""
        until = time.monotonic() + READ_S
        while client.call("status")["responding"] and time.monotonic() < until:
            time.sleep(0.1)
        times: dict[str, tuple[float, float]] = {}
        seq, more = 0, bool(self.service.secrets)
        while more:
            page = client.call("notes.since", seq=seq, limit=500)
            for note in page["notes"]:
                taken = parse_time(note["time"])
                spent = sum(note["timing_ms"][name] or 0.0 for name in ("capture", "encode", "queue"))
                times[note["snap"]["id"]] = (taken, taken + spent / 1000.0)
                seq = note["seq"]
            more = bool(page["notes"]) and page["more"]
        for snap in self.service.secrets:
            at = times.get(snap)
            early = at is not None and is_too_early(self._spans, *at)
            self.report.too_early += early
            self.report.with_secret += not early
            if at is not None:
                taken, left = at
                near = min(self._spans, key=lambda span: min(abs(left - span.told), abs(left - span.over)))
                self.report.close.append(
                    f"  near a {near.kind}: taken {(taken - near.told) * 1000:.0f} ms and left"
                    f" {(left - near.told) * 1000:.0f} ms after it was read, {(left - near.over) * 1000:.0f} ms after its end"
                )

    # What goes on all the time

    def _snaps(self, region: tuple[int, int, int, int] | None) -> None:
        with Client(timeout_s=20, runtime_dir=self._folder / "run") as client:
            while not self._stop.wait(0.02):
                try:
                    client.snap(region=region)
                    self.report.snaps += 1
                except HudctlError as error:
                    self.report.refused[error.code or type(error).__name__] += 1
                    self._stop.wait(0.05)

    def _ticks(self) -> None:
        number = 0
        while not self._stop.wait(TICKS_S):
            number += 1
            self._desk.tick(number)

    # Events

    async def _event(self, desk: Logind, client: Client, states: States) -> None:
        dice = self.dice
        kinds: dict[str, tuple[str, Callable[[bool], Awaitable[None]]]] = {
            "locked hint": ("locked", lambda held: desk.set("LockedHint", held)),
            "lock word": ("locked", lambda held: desk.word("Lock" if held else "Unlock")),
            "session left": ("inactive", lambda held: desk.set("Active", not held)),
            "sleep": ("suspended", lambda held: desk.sleep(going=held)),
            "pause": ("paused", lambda held: asyncio.to_thread(_pause, client, held)),
        }
        if not self._deck:  # all kinds in an order of their own, then again
            self._deck = dice.sample(KINDS, len(KINDS))
        kind = self._deck.pop()
        self.report.events[kind] += 1
        if kind in kinds:
            reason, set_to = kinds[kind]
            await self._held(kind, reason, set_to, states)
        else:
            await self._window(kind, states)
        await asyncio.sleep(dice.uniform(*REST_S))

    async def _held(self, kind: str, reason: str, set_to: Callable[[bool], Awaitable[None]], states: States) -> None:
        begun, begun_at = time.monotonic(), time.time()
        await set_to(True)
        await asyncio.to_thread(states.wait, reason, held=True)
        self._note(kind, begun)
        told = time.time()
        self._desk.behind(shown=True)
        await asyncio.sleep(self.dice.uniform(*HELD_S))
        self._desk.behind(shown=False)
        await asyncio.sleep(0.05)
        self._spans.append(Span(kind, begun_at, told, time.time()))
        await set_to(False)
        await asyncio.to_thread(states.wait, reason, held=False)

    async def _window(self, kind: str, states: States) -> None:
        reason = "excluded" if kind == "window" else "private_window"
        begun, begun_at = time.monotonic(), time.time()
        if kind == "window":
            self._desk.secret(shown=True)
        else:
            self._desk.retitle(private=True)
        if not self.report.masked:
            await asyncio.to_thread(states.wait, reason, held=True)
            self._note(kind, begun)
            if kind == "title":
                self._desk.behind(shown=True)
        told = time.time()
        await asyncio.sleep(self.dice.uniform(*HELD_S))
        if kind == "window":
            self._desk.secret(shown=False)
        else:
            self._desk.behind(shown=False)
            await asyncio.sleep(0.05)
        self._spans.append(Span(kind, begun_at, told, time.time()))
        if kind == "title":
            self._desk.retitle(private=False)
        if not self.report.masked:
            await asyncio.to_thread(states.wait, reason, held=False)

    def _note(self, kind: str, begun: float) -> None:
        self.report.delays_ms.setdefault(kind, []).append((time.monotonic() - begun) * 1000.0)


def _pause(client: Client, held: bool) -> None:
    client.call("pause" if held else "resume")


def run_private(folder: Path, desk: Desk, *, seed: int, frames: int, mask: bool = False, **settings: object) -> Report:
    """One run on a desk that stands."""
    folder.mkdir(parents=True, exist_ok=True)
    trial = Trial(folder, desk, seed, frames, mask=mask, **settings)
    try:
        return asyncio.run(trial.run())
    finally:
        with suppress(RuntimeError):
            trial.close()


def run_x(folder: Path, *, seed: int, dose: float, mask: bool = False) -> Report:
    """Under Xvfb with openbox."""
    with x_desk() as desk:
        return run_private(folder, desk, seed=seed, frames=frames_of(dose, mask=mask), mask=mask)


def run_sway(folder: Path, *, seed: int, dose: float, mask: bool = False) -> Report:
    """Under sway with terminals."""
    with sway() as running:
        return run_private(folder, SwayDesk(running), seed=seed, frames=frames_of(dose, mask=mask), mask=mask)


def frames_of(dose: float, *, mask: bool) -> int:
    """How many frames a run has."""
    if dose < SHORT_DOSE:
        return part_of(SHORT, dose)
    return part_of(FULL // MASKED if mask else FULL, dose)


RUNS: Final[dict[str, Callable[..., Report]]] = {
    "private": run_x,
    "private-mask": partial(run_x, mask=True),
    "private-sway": run_sway,
    "private-sway-mask": partial(run_sway, mask=True),
}
