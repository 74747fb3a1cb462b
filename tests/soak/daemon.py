"""The daemon that is tried, with everything that asks it and listens to it, and the books that are kept."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import zmq

from hudctl import Client, Feed, HudctlError
from hudd.wire.endpoints import notes_socket
from hudd.wire.ids import new_ulid
from tests.fakes.daemon import DaemonProcess, draw_page
from tests.soak.books import Books, Row, Snap, State, check_deltas, check_feed, check_service, check_snaps
from tests.soak.service import KEY, MODEL, Service

QUICK = {
    "realtime_connect_s": 1.0,
    "realtime_ping_timeout_s": 5.0,
    "session_created_s": 1.0,
    "session_updated_s": 1.0,
    "session_response_created_s": 1.0,
    "session_first_delta_s": 1.0,
    "session_response_done_s": 3.0,
    "screen_interval_s": 0.1,
    "screen_pictures_interval_s": 0.1,
    "gate_min_interval_s": 0.0,
    "gate_settle_s": 0.0,
    "cost_cap_day_usd": 1000.0,
}
"""The daemon's time limits at their shortest: a silence costs the test a second instead of a minute."""
SNAP_S = 40.0


class Tried:
    """A daemon at a service, a subscriber, and pictures that change. A context manager.

    Args:
        folder: Where everything of it lives.
        service: Already listening.
        page_s: Seconds between two new pictures; 0 for one picture that stays.
        settings: As for ``DaemonProcess``, over ``QUICK``.
    """

    def __init__(self, folder: Path, service: Service, *, page_s: float = 1.0, **settings: object) -> None:
        self.books = Books()
        self.rows: list[Row] = []
        self.service = service
        self._pictures = folder / "pictures"
        self._pictures.mkdir(parents=True)
        draw_page(self._pictures / "000000.png", ["The first page"])
        chosen = {"screen_source": f"pictures:{self._pictures}", "realtime_use": "service", "realtime_model": MODEL}
        self.daemon = DaemonProcess(folder, **{**chosen, "realtime_url": service.url, **QUICK, **settings})
        self.daemon.environ["HUDD_REALTIME_KEY"] = KEY
        self._page_s = page_s
        self._stop = threading.Event()
        self._listening = threading.Event()
        self._overhearing = threading.Event()
        self._failed: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._stack = ExitStack()
        self.runtime_dir = folder / "run"
        self.client = Client(timeout_s=SNAP_S, runtime_dir=self.runtime_dir)

    def __enter__(self) -> Self:
        self._stack.enter_context(self.daemon)
        self._stack.enter_context(self.client)
        try:
            self.daemon.start().ready()
            self._thread(self._subscribe)
            self._thread(self._overhear)
            assert self._listening.wait(10), "the subscriber got no welcome"
            assert self._overhearing.wait(10), "no state was heard"
            if self._page_s:
                self._thread(self._turn_pages)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
        self._stack.close()

    # Asking.

    def snap(self, client: Client | None = None, snap_id: str = "") -> Snap:
        """Ask for a snap, wait for its end, and write it down."""
        snap = Snap(snap_id or new_ulid(time.time()), time.monotonic())
        self.books.snaps[snap.id] = snap
        try:
            snap.note = (client or self.client).snap(snap_id=snap.id, timeout_s=SNAP_S)
        except HudctlError as error:
            snap.error = f"{error.code or type(error).__name__}: {error}"
        snap.ended = time.monotonic()
        return snap

    def new_client(self) -> Client:
        """For another thread."""
        return self._stack.enter_context(Client(timeout_s=SNAP_S, runtime_dir=self.runtime_dir))

    def connection(self) -> str:
        """The word for the connection."""
        return str(self.client.status()["connection"])

    def until(self, word: str, timeout_s: float) -> None:
        """Wait for a connection state."""
        end = time.monotonic() + timeout_s
        while (now := self.connection()) != word:
            assert time.monotonic() < end, f"it is {now}, not {word}, after {timeout_s:g} s"
            time.sleep(0.02)

    def weigh(self) -> None:
        """Write down memory and descriptors; at rest only."""
        assert self.daemon.process is not None
        process = psutil.Process(self.daemon.process.pid)
        self.books.memory_kb.append(process.memory_info().rss // 1024)
        self.books.descriptors.append(process.num_fds())

    # Beside it.

    def _thread(self, work: object) -> None:
        def guarded() -> None:
            try:
                work()  # type: ignore[operator]
            except BaseException as error:  # noqa: BLE001 - told by `check`, on the main thread
                self._failed.append(error)

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _subscribe(self) -> None:
        with Feed(after=0, runtime_dir=self.runtime_dir) as feed:
            while True:
                note = feed.get(0.2)
                if note is not None:
                    self.books.heard.append(note)
                elif self._stop.is_set():
                    return
                if feed.cursor is not None:
                    self._listening.set()

    def _overhear(self) -> None:
        """What is streamed, and what is said about the connection: on a socket of its own, which never loses a frame."""
        context = zmq.Context()
        socket = context.socket(zmq.SUB)
        socket.setsockopt(zmq.RCVHWM, 0)
        for topic in (b"delta/", b"state/", b"hb/"):
            socket.subscribe(topic)
        socket.connect(f"ipc://{notes_socket(self.daemon.environ)}")
        begun_before = ""
        try:
            while not self._stop.is_set():
                if not socket.poll(200):
                    continue
                topic, frame = socket.recv_multipart()
                body = json.loads(frame)
                if topic == b"state/":
                    state = State(time.monotonic(), body["connection"], body["next_try_s"])
                    self.books.states.append(state)
                elif topic.startswith(b"delta/") and body["n"] and not self.books.deltas:
                    begun_before = body["snap_id"]  # the daemon's first answer may have begun before we came
                elif topic.startswith(b"delta/") and body["snap_id"] != begun_before:
                    pieces = self.books.deltas.setdefault(body["snap_id"], [])
                    if body["n"] == 0:
                        pieces.clear()
                    pieces.append((body["n"], body["text"]))
                self._overhearing.set()
        finally:
            socket.close(0)
            context.term()

    def _turn_pages(self) -> None:
        number = 0
        while not self._stop.wait(self._page_s):
            number += 1
            lines = [f"Page {number}", *(f"line {line} of page {number}" for line in range(number % 9))]
            draw_page(self._pictures / f"{number:06d}.png", lines, dark=number % 2 == 1)
            for old in sorted(self._pictures.glob("*.png"))[:-3]:
                old.unlink()

    # The end.

    def check(self) -> None:
        """Stop the daemon and compare what everybody saw.

        Raises:
            AssertionError: Something is lost, doubled, or was never said.
        """
        self._settle()
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
        assert not self._failed, self._failed
        assert self.daemon.stop() == 0, self.daemon.log()[-3000:]
        log = self.daemon.log()
        assert not re.search(r"Traceback|ResourceWarning|never (awaited|retrieved)", log), log[-6000:]
        assert not self.service.unofficial, self.service.unofficial[:3]
        assert self.service.checked, "nothing was sent"
        self.rows = self._journal()
        check_feed(self.rows, self.books.heard)
        check_deltas(self.rows, self.books.deltas, self.service.lives)
        assert self.books.deltas, "nothing was streamed"
        check_snaps(self.rows, self.books.snaps)
        check_service(self.rows, self.books.snaps, self.service.lives)

    def _settle(self) -> None:
        """Let the answers in flight and their notes arrive."""
        end = time.monotonic() + 15
        while self.client.status()["responding"] and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.5)

    def _journal(self) -> list[Row]:
        journal = sqlite3.connect(f"file:{self.daemon.folder}/state/journal.db?mode=ro", uri=True)
        try:
            found = journal.execute("SELECT seq, kind, text, snap_id FROM notes ORDER BY seq").fetchall()
        finally:
            journal.close()
        return [Row(*row) for row in found]
