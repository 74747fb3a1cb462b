"""What is kept, and for how long: marks, retention, forgetting, export, backup, and a journal that cannot be written.

The commands are one small function per method, as in ``flow.commands``; ``run`` does what nobody asks for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from hudd.clock import Clock
from hudd.errors import CommandError, StorageError
from hudd.flow.commands import Handler, Request
from hudd.flow.ranges import time_range
from hudd.flow.waiting import wait_for_any
from hudd.model import UpstreamError
from hudd.notes.keeping import Emptied, PrunePlan, Span
from hudd.policy.facts import Facts
from hudd.wire import own_files
from hudd.wire.messages import Note, iso_time
from hudd.wire.table import REPLAY_PAGE

log = logging.getLogger("hudd.keeping")

DAY_S: Final = 86_400.0
FIRST_PROBE_S: Final = 0.5
LONGEST_PROBE_S: Final = 4.0
"""So that hudd is back within five seconds after there is space."""
UNDER_WAY_S: Final = 900.0
"""An answer to a picture from before a forgetting comes within this, or never."""
STORAGE: Final = "storage"
T = TypeVar("T")


class Store(Protocol):
    """What this stage needs of the journal."""

    @property
    def trouble(self) -> StorageError | None: ...
    def watch(self, listener: Callable[[], None]) -> None: ...
    async def prepare(self) -> None: ...
    async def probe(self) -> None: ...
    async def check(self) -> bool: ...
    async def mark(self, seq: int, *, keep: bool) -> bool: ...
    async def plan(self, *, before: float | None, max_bytes: int | None) -> PrunePlan: ...
    async def prune(self, *, before: float | None, max_bytes: int | None) -> PrunePlan: ...
    async def empty(self, span: Span) -> Emptied: ...
    async def finish_forgetting(self) -> bool: ...
    def copies(self) -> list[str]: ...
    async def export(
        self, *, since: float | None, until: float | None, after: int, limit: int
    ) -> tuple[Sequence[Note], bool]: ...
    async def back_up(self, target: Path) -> int: ...


@dataclass(frozen=True, slots=True)
class Rules:
    """How long notes are kept.

    Attributes:
        keep_days: Days; 0 for ever.
        max_mb: Megabytes (1,000,000 bytes) of the journal; 0 for any size.
    """

    keep_days: int = 0
    max_mb: int = 0

    def before(self, now: float) -> float | None:
        """Notes from before this time go; None when none goes by its age."""
        return now - self.keep_days * DAY_S if self.keep_days else None

    @property
    def max_bytes(self) -> int | None:
        """The most that the journal may take, or None."""
        return self.max_mb * 1_000_000 or None


class Keeping:
    """Keeps, removes and forgets notes, and watches whether the journal can be written.

    Args:
        store: The upkeep of the journal.
        stream: Name of the journal.
        rules: How long notes are kept.
        facts: Told while the journal cannot be written, and while notes are forgotten.
        drop_words: Drops, from everything in memory, what belongs to a span: histories, outcomes that are repeated.
        renew: Ends the session with the service and begins another one, because it knows what was said.
        on_state: Called when the status changed.
        on_error: Told what goes wrong.
        runtime: The folder of the sockets, where no backup goes.
        clock: For ages and pauses between tries.

    Attributes:
        damaged: Set when the check after the start finds the file damaged: the next start sets it aside.
    """

    def __init__(
        self,
        *,
        store: Store,
        stream: str,
        rules: Rules,
        facts: Facts,
        drop_words: Callable[[Span], None],
        renew: Callable[[], None],
        on_state: Callable[[], None],
        on_error: Callable[[UpstreamError], None],
        runtime: Path,
        clock: Clock,
    ) -> None:
        self._store = store
        self._stream = stream
        self._rules = rules
        self._facts = facts
        self._drop_words = drop_words
        self._renew = renew
        self._on_state = on_state
        self._on_error = on_error
        self._runtime = runtime
        self._clock = clock
        self.damaged = asyncio.Event()
        self._failed = asyncio.Event()
        self._rules_changed = asyncio.Event()
        self._forgetting = 0
        self._spans: list[tuple[float, Span]] = []
        self._last: dict[str, Any] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def handlers(self) -> dict[str, Handler]:
        """Method name → function; a test checks it against the table."""
        return {
            "notes.mark": self.mark,
            "notes.forget": self.forget,
            "notes.export": self.export,
            "journal.prune": self.prune,
            "journal.backup": self.back_up,
        }

    def status(self) -> dict[str, Any]:
        """What the status tells of the journal beside its place."""
        trouble = self._store.trouble
        return {
            "degraded": None if trouble is None else STORAGE,
            "sentence": "" if trouble is None else str(trouble),
            "keep_days": self._rules.keep_days,
            "max_mb": self._rules.max_mb,
            "forgotten": self._last,
        }

    def change(self, rules: Rules) -> None:
        """Keep notes for another time from now on; what is too old or too much by it goes at once."""
        self._rules = rules
        self._rules_changed.set()

    def is_forgotten(self, captured_at: float) -> bool:
        """Whether the answer to a picture was forgotten before it came."""
        now = self._clock.monotonic()
        self._spans = [(at, span) for at, span in self._spans if now - at < UNDER_WAY_S]
        return any(span.holds(captured_at) for _, span in self._spans)

    # Commands

    async def mark(self, request: Request) -> dict[str, Any]:
        """Keeps a note for ever, or no longer."""
        seq = int(request.params["seq"])
        keep = request.params.get("keep") is not False
        if not await self._store.mark(seq, keep=keep):
            raise CommandError("E_ARGS", f"There is no note {seq}.")
        return {"schema": 1, "seq": seq, "keep": keep}

    async def export(self, request: Request) -> dict[str, Any]:
        """A page of notes in the order of their numbers."""
        since, until = time_range(request.params)
        notes, more = await self._store.export(
            since=since,
            until=until,
            after=int(request.params.get("after") or 0),
            limit=int(request.params.get("limit") or REPLAY_PAGE),
        )
        return {"schema": 1, "stream": self._stream, "notes": [note.to_json() for note in notes], "more": more}

    async def prune(self, request: Request) -> dict[str, Any]:
        """Removes what is too old or too much, by the settings or by an age of its own; or tells what would go."""
        older_than_s, dry = request.params.get("older_than_s"), bool(request.params.get("dry_run"))
        now = self._clock.wall()
        if older_than_s is None:
            before, max_bytes = self._rules.before(now), self._rules.max_bytes
        else:
            before, max_bytes = now - float(older_than_s), None
        work = self._store.plan if dry else self._store.prune
        done = await self._to_its_end(work(before=before, max_bytes=max_bytes))
        if not dry and done.notes:
            self._tell_pruned(done)
            self._on_state()
        return {
            "schema": 1,
            "dry_run": dry,
            "limits": before is not None or max_bytes is not None,
            "notes": done.notes,
            "kept": done.kept,
            "first": done.first,
            "last": done.last,
            "oldest": None if done.oldest is None else iso_time(done.oldest),
            "newest": None if done.newest is None else iso_time(done.newest),
            "bytes": done.bytes,
        }

    async def back_up(self, request: Request) -> dict[str, Any]:
        """Copies the journal into a private file while it is in use."""
        path = Path(str(request.params["path"]))
        if not path.is_absolute() or "\0" in str(path):
            raise CommandError("E_ARGS", "path must be absolute: hudd runs in another folder than you.")
        if (problem := own_files.own(path, runtime=self._runtime)) is not None:
            raise CommandError("E_ARGS", problem[0], hint=problem[1])
        size = await self._to_its_end(self._store.back_up(path))
        log.info("backed up to %s, %d bytes", path, size)
        return {"schema": 1, "path": str(path), "bytes": size}

    async def forget(self, request: Request) -> dict[str, Any]:
        """Takes the text of notes from everywhere. It is done to its end even when the client leaves."""
        since, until = time_range(request.params)
        seq = request.params.get("seq")
        if since is None and until is None and seq is None:
            raise CommandError("E_ARGS", "Say what to forget: since, until or seq.")
        if seq is not None and (since is not None or until is not None):
            raise CommandError("E_ARGS", "seq excludes since and until.")
        return await self._to_its_end(self._forget(Span(since, until, None if seq is None else int(seq))))

    async def _forget(self, span: Span) -> dict[str, Any]:
        emptied = await self._empty(span)
        self._renew()
        self._last = {
            "time": iso_time(self._clock.wall()),
            "notes": emptied.notes,
            "first": emptied.first,
            "last": emptied.last,
        }
        log.info("forgot %d notes, %d to %d", emptied.notes, emptied.first, emptied.last)
        self._on_state()
        due = await self._finish()
        return {"schema": 1, **self._last, "cleaned": not due, "sentence": due, "copies": self._store.copies()}

    async def _empty(self, span: Span) -> Emptied:
        """From the first moment on no picture leaves that was taken before, and no answer to one is kept."""
        if span.seq is None:
            # Every note that is there is meant, also where a clock was set back since; no picture of from now on is.
            now = self._clock.wall()
            until = now if span.until is None else min(span.until, now)
            self._spans.append((self._clock.monotonic(), Span(span.since, until)))
        self._forgetting += 1
        self._facts.set("forgetting", True)
        try:
            self._drop_words(span)
            return await self._store.empty(span)
        finally:
            self._drop_words(span)
            self._forgetting -= 1
            self._facts.set("forgetting", self._forgetting > 0)

    async def _finish(self) -> str:
        """Clean what emptied notes leave behind; returns why that is still due, or ''."""
        try:
            if await self._store.finish_forgetting():
                return ""
        except StorageError as error:
            log.warning("what was forgotten is not cleaned out of the file yet: %s", error)
            return f"Nobody can read them any more, but the file still holds traces until this ends: {error}"
        return "Nobody can read them any more, but a reader still holds an old state of the file; repeat the command."

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it even when the client that asked leaves or its deadline passes."""
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop keeps only weak references to tasks
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("%s", error)  # whoever asked may have left

    # By itself

    async def run(self) -> None:
        """Keep the journal in order, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_storage())
            tasks.create_task(self._look_after())

    async def _watch_storage(self) -> None:
        loop = asyncio.get_running_loop()

        def tell() -> None:  # from the journal's thread
            loop.call_soon_threadsafe(self._failed.set)

        self._store.watch(tell)
        try:
            while True:
                await self._failed.wait()
                self._failed.clear()
                if (trouble := self._store.trouble) is not None:
                    await self._stand_still(trouble)
        finally:
            self._store.watch(lambda: None)

    async def _stand_still(self, trouble: StorageError) -> None:
        """The journal cannot be written: say so, ask nothing, and try until it can."""
        self._facts.set("storage", True)
        self._on_error(UpstreamError(sentence=str(trouble), code=STORAGE))
        self._on_state()
        pause_s = FIRST_PROBE_S
        while self._store.trouble is not None:
            await self._clock.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PROBE_S)
            try:
                await self._store.probe()
            except StorageError as error:
                log.debug("the journal still cannot be written: %s", error)
        self._facts.set("storage", False)
        log.info("the journal can be written again")
        self._on_state()

    async def _look_after(self) -> None:
        await self._prepare()
        if not await self._is_sound():
            sentence = "The journal is damaged: hudd ends, and its next start sets the file aside and begins a new one."
            self._on_error(UpstreamError(sentence=sentence, code=STORAGE))
            self.damaged.set()
            return
        while True:
            if self._store.trouble is None:
                await self._finish()
                await self._apply_rules()
            await wait_for_any(self._clock, DAY_S, self._rules_changed)
            self._rules_changed.clear()
            await self._prepare()

    async def _prepare(self) -> None:
        try:
            await self._store.prepare()
        except StorageError as error:
            log.warning("%s", error)  # the journal works without; the first write that fails will say so

    async def _is_sound(self) -> bool:
        try:
            return await self._store.check()
        except StorageError as error:
            log.warning("the journal could not be checked: %s", error)
            return True

    async def _apply_rules(self) -> None:
        before, max_bytes = self._rules.before(self._clock.wall()), self._rules.max_bytes
        if before is None and max_bytes is None:
            return
        try:
            done = await self._store.prune(before=before, max_bytes=max_bytes)
        except StorageError as error:
            log.warning("old notes could not be removed: %s", error)
            return
        if done.notes:
            self._tell_pruned(done)
            self._on_state()

    def _tell_pruned(self, done: PrunePlan) -> None:
        log.info("removed %d old notes, %d to %d; %d marked ones stay", done.notes, done.first, done.last, done.kept)
