"""One small function per method of the command socket. Transport knows frames, this knows meaning."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar, cast

from hudd.clock import Clock
from hudd.errors import CommandError, StorageError
from hudd.flow import snaps
from hudd.flow.costs import KEYS
from hudd.flow.ranges import as_sentence, time_range
from hudd.flow.turns import Turns
from hudd.flow.waiters import Waiters
from hudd.model import Question
from hudd.notes.records import SHORT_PAGE
from hudd.policy.facts import Facts
from hudd.wire.codec import WrittenJson
from hudd.wire.installation import Installation
from hudd.wire.messages import Note, iso_time
from hudd.wire.table import PROTOCOL_NEWEST, PROTOCOL_OLDEST, REPLAY_PAGE

log = logging.getLogger("hudd.commands")

LONGEST_PAUSE_S: Final = 1e10
"""Three centuries; beyond the calendar, an end could not be told any more."""
USUAL: Final[Mapping[str, int]] = {"notes.since": REPLAY_PAGE, "notes.search": 50, "errors": 50}
"""How many are meant where no limit is told; no more than ``SHORT_PAGE`` are read beside what is longer."""
LONG: Final = ("notes.export", "cost")
T = TypeVar("T")


class Request(Protocol):
    """One request, as the command server hands it over; at its deadline the server cancels the handler."""

    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def peer(self) -> str:
        """Name of the connection."""
        ...


Handler = Callable[[Request], Awaitable[dict[str, Any]]]


class WrittenPage(Protocol):
    """A page of replay, as it is sent."""

    @property
    def notes(self) -> WrittenJson: ...
    @property
    def head(self) -> int: ...
    @property
    def oldest(self) -> int: ...
    @property
    def more(self) -> bool: ...


class Store(Protocol):
    """What the commands need of the journal."""

    @property
    def stream(self) -> str: ...
    async def written_since(self, seq: int, *, topic_prefix: str = "note/", limit: int = 500) -> WrittenPage: ...
    async def search(
        self,
        *,
        since: float | None,
        until: float | None,
        search: str | None,
        grep: str | None,
        before: int | None,
        limit: int,
        reverse: bool,
    ) -> list[Note]: ...
    async def errors(
        self, *, since: float | None = None, until: float | None = None, limit: int = 50
    ) -> list[dict[str, Any]]: ...
    async def pause(self, *, until: float | None, why: str, now: float) -> object: ...
    async def resume(self, now: float) -> None: ...


class FirstUse(Protocol):
    """What a person is told once about money."""

    def sentence(self) -> str: ...
    async def read(self) -> None: ...


class CostReporter(Protocol):
    """Makes the answer of ``cost``."""

    def __call__(
        self, since: float | None, until: float | None, by: Sequence[str] = (), *, estimate: bool = False
    ) -> Awaitable[dict[str, Any]]: ...


class Eyes(snaps.Eyes, Protocol):
    """What the commands need of the capture stage."""

    def watch_client(self, pid: int, window: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this daemon is."""

    version: str
    instance: str
    pid: int


class Commands:
    """The meaning of each method.

    Args:
        identity: Told by ``hello``.
        store: The journal.
        eyes: The capture stage.
        put: Hands a question to the mailbox.
        nudge: Tells the connection that somebody waits.
        waiters: Who waits for snaps.
        facts: Told of a pause.
        pause_changed: Called after a pause began or ended.
        rearm: Lifts a stopped connection, and tries at once.
        status: Makes the status.
        first_use: Knows whether a person was told that answers cost money.
        cost: Makes the cost report for a range of wall-clock seconds.
        settings: Describes the settings.
        connection: The connection's word, for ``wait``.
        state_changed: Waits for the next change of state.
        next_note: Waits for the next note.
        clock: For deadlines.
        more: Methods that other stages answer.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        store: Store,
        eyes: Eyes,
        put: Callable[[Question], None],
        nudge: Callable[[], None],
        waiters: Waiters,
        facts: Facts,
        pause_changed: Callable[[], None],
        rearm: Callable[[], None],
        status: Callable[[], Awaitable[dict[str, Any]]],
        first_use: FirstUse,
        cost: CostReporter,
        settings: Callable[[], dict[str, Any]],
        connection: Callable[[], str],
        state_changed: Callable[[], Awaitable[None]],
        next_note: Callable[[], Awaitable[None]],
        clock: Clock,
        more: Mapping[str, Handler] | None = None,
    ) -> None:
        self._more = more or {}
        self._identity = identity
        self._store = store
        self._eyes = eyes
        self._snaps = snaps.Snaps(eyes=eyes, put=put, nudge=nudge, waiters=waiters, facts=facts)
        self._facts = facts
        self._pause_changed = pause_changed
        self._rearm = rearm
        self._status = status
        self._first_use = first_use
        self._cost = cost
        self._settings = settings
        self._connection = connection
        self._state_changed = state_changed
        self._next_note = next_note
        self._clock = clock
        self._tasks: set[asyncio.Task[Any]] = set()
        self._pausing = 0
        self._turns = defaultdict[str, Turns](lambda: Turns(clock))

    def handlers(self) -> dict[str, Handler]:
        """Method name → function; a test checks it against the table."""
        found: dict[str, Handler] = {
            "hello": self.hello,
            "status": self.status,
            "snap": self.snap,
            "pause": self.pause,
            "resume": self.resume,
            "wait": self.wait,
            "notes.since": self.notes_since,
            "notes.search": self.notes_search,
            "errors": self.errors,
            "cost": self.cost,
            "config": self.config,
            **self._more,
        }
        return found | {name: self._in_turn(name, found[name]) for name in (*USUAL, *LONG) if name in found}

    def _in_turn(self, method: str, handler: Handler) -> Handler:
        """Connections take turns at what the journal reads one after the other."""

        async def answer(request: Request) -> dict[str, Any]:
            short = method in USUAL and int(request.params.get("limit") or USUAL[method]) <= SHORT_PAGE
            lane = "grep" if request.params.get("grep") else "short" if short else method
            async with self._turns[lane].of(request.peer):
                return await handler(request)

        return answer

    async def hello(self, request: Request) -> dict[str, Any]:
        """Who we are; a streaming client's window is ignored by the gate from now on."""
        asked = request.params.get("protocol")
        if asked is not None:
            oldest, newest = _protocol_range(asked)
            if newest < PROTOCOL_OLDEST or oldest > PROTOCOL_NEWEST:
                raise CommandError(
                    "E_VERSION",
                    f"This client speaks protocol {oldest} to {newest}, hudd {self._identity.version} speaks "
                    f"{PROTOCOL_OLDEST} to {PROTOCOL_NEWEST}.",
                    hint="The client is older; bring it up to date."
                    if newest < PROTOCOL_OLDEST
                    else f"hudd is older: bring it up to date with: {Installation.find().upgrade()}, then restart it.",
                )
        pid, window = request.params.get("pid"), request.params.get("window")
        if request.params.get("streaming") and pid and window:
            self._eyes.watch_client(int(pid), int(window))
        return {
            "protocol": [PROTOCOL_OLDEST, PROTOCOL_NEWEST],
            "version": self._identity.version,
            "instance": self._identity.instance,
            "pid": self._identity.pid,
            "stream": self._store.stream,
            "time": iso_time(self._clock.wall()),
            "capabilities": sorted(self.handlers()),
            "first_use": self._first_use.sentence(),
        }

    async def status(self, request: Request) -> dict[str, Any]:
        """Facts, not intentions."""
        if request.params.get("first_use_told"):
            await self._first_use.read()
        return await self._status()

    async def snap(self, request: Request) -> dict[str, Any]:
        """Take a picture now; the reply is the committed note."""
        return await self._snaps.snap(request)

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do something to its end, even when the client that asked leaves or its deadline passes."""
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop keeps only weak references to tasks
        task.add_done_callback(self._tasks.discard)
        return task

    async def pause(self, request: Request) -> dict[str, Any]:
        """Committed first, then in force, then answered."""
        for_s = request.params.get("for_s")
        if for_s is not None and not 0 < for_s <= LONGEST_PAUSE_S:
            raise CommandError("E_ARGS", "for_s is no time that makes sense; leave it out to pause until resumed.")
        now = self._clock.wall()
        until = None if for_s is None else now + float(for_s)
        await asyncio.shield(self._start(self._begin_pause(until, str(request.params.get("why") or ""), now)))
        return {"paused": True, "until": None if until is None else iso_time(until)}

    async def _begin_pause(self, until: float | None, why: str, now: float) -> None:
        self._pausing += 1
        self._facts.set("paused", True)  # before the commit, so that nothing leaves while the disk is slow
        committed = False
        try:
            await self._store.pause(until=until, why=why, now=now)
            committed = True
        except StorageError as error:
            log.error("the pause could not be kept: %s", error)
            raise
        finally:
            self._pausing -= 1
            if committed or not self._pausing:
                self._pause_changed()  # the fact is again what the journal says

    async def resume(self, request: Request) -> dict[str, Any]:
        """Ends a pause; a connection that waits for a person is tried again at once."""
        del request
        await asyncio.shield(self._start(self._end_pause()))
        reasons = list(self._facts.reasons)
        return {"paused": "paused" in reasons, "sending": {"allowed": not reasons, "reasons": reasons}}

    async def _end_pause(self) -> None:
        try:
            await self._store.resume(self._clock.wall())
        except StorageError as error:
            log.error("the end of the pause could not be kept: %s", error)
            raise
        self._pause_changed()
        self._rearm()

    async def wait(self, request: Request) -> dict[str, Any]:
        """Answers when the daemon is ready, connected, or has written its next note."""
        goal = str(request.params.get("for") or "ready")
        if goal == "note":
            await self._next_note()
            return {"reached": "note"}
        while not self._reached(goal):
            await self._state_changed()
        return {"reached": goal, "connection": self._connection()}

    def _reached(self, goal: str) -> bool:
        if self._connection() != "ready":
            return False
        return goal == "connected" or not self._facts.reasons

    async def notes_since(self, request: Request) -> dict[str, Any]:
        """A page of replay; ``fresh`` when it does not continue from the number: another journal, or pruned notes."""
        seq = int(request.params["seq"])
        stream = str(request.params.get("stream") or self._store.stream)
        other = stream != self._store.stream
        page = await self._store.written_since(
            0 if other else seq,
            topic_prefix=str(request.params.get("topic_prefix") or "note/"),
            limit=int(request.params.get("limit") or REPLAY_PAGE),
        )
        return {
            "stream": self._store.stream,
            "fresh": other or 0 < seq < page.oldest - 1,
            "notes": page.notes,
            "head": page.head,
            "oldest": page.oldest,
            "more": page.more,
        }

    async def notes_search(self, request: Request) -> dict[str, Any]:
        """Notes by time and words."""
        params = request.params
        since, until = time_range(params)
        if params.get("search") and params.get("grep"):
            raise CommandError("E_ARGS", "search and grep exclude each other; give one of them.")
        try:
            notes = await self._store.search(
                since=since,
                until=until,
                search=params.get("search"),
                grep=params.get("grep"),
                before=params.get("before"),
                limit=int(params.get("limit") or 50),
                reverse=bool(params.get("reverse")),
            )
        except ValueError as error:
            raise CommandError("E_ARGS", as_sentence(error)) from error
        return {"schema": 1, "stream": self._store.stream, "notes": [note.to_json() for note in notes]}

    async def errors(self, request: Request) -> dict[str, Any]:
        """What went wrong, newest first."""
        since, until = time_range(request.params)
        rows = await self._store.errors(since=since, until=until, limit=int(request.params.get("limit") or 50))
        return {"schema": 1, "errors": rows}

    async def cost(self, request: Request) -> dict[str, Any]:
        """What was spent, or with ``estimate`` what is to be expected."""
        since, until = time_range(request.params)
        by = cast("list[object]", request.params.get("by") or [])
        if any(key not in KEYS for key in by) or len(set(map(str, by))) != len(by):
            raise CommandError("E_ARGS", f"by lists what the rows are split by, each once: {', '.join(KEYS)}.")
        return await self._cost(since, until, tuple(map(str, by)), estimate=bool(request.params.get("estimate")))

    async def config(self, request: Request) -> dict[str, Any]:
        """Every setting, its value and where it came from."""
        del request
        return self._settings()


def _protocol_range(value: Any) -> tuple[int, int]:
    match value:
        case [int(oldest), int(newest)] if 0 <= oldest <= newest:
            return oldest, newest
        case _:
            raise CommandError("E_ARGS", "protocol is a pair [oldest, newest] of whole numbers.")
