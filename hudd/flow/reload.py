"""Changes settings while everything runs: reads the file again, checks all of it, and applies all of it or nothing.

What a change means is decided in ``config.changes``; here it is read, told and handed to those whom it concerns.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from hudd.config.changes import KEY, MASK, Change, Origins, Plan, plan_of, sentences
from hudd.errors import CommandError, SettingsError
from hudd.flow.commands import Handler, Request
from hudd.flow.conversation_ports import ConversationStatus
from hudd.model import UpstreamError

log = logging.getLogger("hudd.reload")

UNCHANGED: Final = "The settings are wrong, so the old ones stay in force."
LONGEST_VALUE: Final = 60
CONNECTED: Final = ("connecting", "configuring", "ready")
"""States in which there is something to begin anew; in the others the next try takes the new settings."""


class Loaded(Origins, Protocol):
    """Settings as the loader gives them."""

    @property
    def file(self) -> Path | None: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


L = TypeVar("L", bound=Loaded)


class Fitting(Protocol):
    """Settings that are read and checked."""

    @property
    def notes(self) -> list[str]: ...

    def put(self) -> bool:
        """Put all of it in force on the event loop; if a part fails, the old settings stay.

        Returns:
            Whether a new session is needed although no changed key says so.
        """
        ...


class Parts(Protocol[L]):
    """Those whom settings concern."""

    @property
    def loaded(self) -> L: ...

    def prepare(self, plan: Plan, read: L) -> Fitting:
        """Read what the settings name (texts, prices). Blocks; changes nothing.

        Raises:
            SettingsError: A file that the settings name cannot be used.
        """
        ...

    def key_news(self, plan: Plan) -> tuple[bool, str]:
        """Whether the service's key is another one than the session's, and why there is none, or ''. Blocks."""
        ...

    async def settled(self) -> None:
        """Wait, for seconds at most, until the facts that settings make be asked anew are known."""
        ...


class Session(Protocol):
    """What a reload needs of the conversation."""

    def status(self) -> ConversationStatus: ...
    def resume(self) -> None: ...
    def reconnect(self, why: str) -> None: ...


class Notifier(Protocol):
    """What a reload needs of the service manager."""

    def reloading(self) -> None: ...
    def ready(self) -> None: ...


class Reload(Generic[L]):
    """Reloads, one after the other.

    Args:
        read: Reads the file again; the environment and the flags are those of the start. Blocks; raises
            ``SettingsError``.
        parts: Those whom settings concern.
        session: Begins anew where a change needs it; a connection that stopped for good is tried again.
        notify: The service manager.
        on_error: Told when a reload was refused that no client waits for.
        on_state: Told when one was done.
    """

    def __init__(
        self,
        *,
        read: Callable[[], L],
        parts: Parts[L],
        session: Session,
        notify: Notifier,
        on_error: Callable[[UpstreamError], None],
        on_state: Callable[[], None],
    ) -> None:
        self._read = read
        self._parts = parts
        self._session = session
        self._notify = notify
        self._on_error = on_error
        self._on_state = on_state
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting: asyncio.Task[dict[str, Any]] | None = None
        self.pending: dict[str, object] = {}

    def handlers(self) -> dict[str, Handler]:
        """Method name → function; a test checks it against the table."""
        return {"reload": self.reload}

    def signalled(self) -> None:
        """SIGHUP came: reload; what is wrong is logged and told on ``error/``, because nobody waits for an answer."""
        self._start(self._for_nobody())

    async def reload(self, request: Request) -> dict[str, Any]:
        """What changed, and what became of each change. Done to its end even when the client leaves.

        Whoever asks while one waits for its turn gets the outcome of that one: a flood of requests makes no queue.

        Raises:
            CommandError: The settings are wrong, and the old ones stay in force.
        """
        del request
        try:
            self._waiting = self._waiting or self._start(self._reload())
            return await asyncio.shield(self._waiting)
        except SettingsError as error:
            raise CommandError("E_ARGS", UNCHANGED, hint="\n".join(error.problems)) from error

    def _start(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop keeps only weak references to tasks
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        # Whoever asked may have left.
        if isinstance(error, SettingsError):
            for problem in error.problems:
                log.error("not reloaded: %s", problem)
        elif error is not None:
            log.error("not reloaded, by a mistake in hudd; the old settings stay in force", exc_info=error)

    async def _for_nobody(self) -> None:
        try:
            await self._reload()
        except SettingsError as error:
            self._on_error(UpstreamError(sentence=" ".join((UNCHANGED, *error.problems)), code="settings"))

    async def _reload(self) -> dict[str, Any]:
        async with self._one_at_a_time:
            self._waiting = None  # from now on the file is read: who asks later may mean a newer one
            self._notify.reloading()
            try:
                return await self._reload_once()
            finally:
                self._notify.ready()

    async def _reload_once(self) -> dict[str, Any]:
        before = self._parts.loaded

        def look() -> tuple[Plan, L, Fitting, tuple[bool, str]]:
            after = self._read()
            if before.file is not None and after.file is None:
                raise SettingsError(
                    [f"The settings file {before.file} is gone; put it back, or restart hudd to run with defaults."]
                )
            found = plan_of(before, after)
            return found, after, self._parts.prepare(found, after), self._parts.key_news(found)

        found, after, fitting, (other_key, no_key) = await asyncio.to_thread(look)
        other_model = fitting.put()
        self.pending = found.pending
        changes = (*found.changes, Change(KEY, MASK, MASK, "reconnect")) if other_key else found.changes
        self._tell(changes)
        if (found.reconnects or other_key or other_model) and self._session.status().connection in CONNECTED:
            named = ", ".join(change.key for change in changes if change.applied == "reconnect") or "the model"
            self._session.reconnect(f"The settings changed ({named}), so another session is begun.")
        else:
            self._session.resume()
        self._on_state()
        await self._parts.settled()  # a snap right after the answer must not meet facts that are still being read
        return {
            "schema": 1,
            "file": None if after.file is None else str(after.file),
            "changed": [change.wire() for change in changes],
            "notes": [*after.notes, *fitting.notes, *([no_key] if no_key else [])],
        }

    def _tell(self, changes: tuple[Change, ...]) -> None:
        for line in sentences(changes, _shortly):
            log.info("%s", line, extra={"always": True})
        if not changes:
            log.info("reloaded: nothing changed", extra={"always": True})


def _shortly(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
