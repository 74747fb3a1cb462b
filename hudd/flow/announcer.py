"""Tells what happens: state, errors and cost go to the log, the journal and the note socket, and wake who waits.

Callers are on the event loop and must not wait; what takes time is done by ``run``, in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from hudd.clock import Clock
from hudd.errors import StorageError
from hudd.flow.counters import Counters
from hudd.flow.status import error_status
from hudd.model import UpstreamError

log = logging.getLogger("hudd.state")

LAST_ERRORS: Final = 3


class ErrorStore(Protocol):
    """What this stage needs of the journal."""

    async def add_error(self, error: UpstreamError, *, session_id: str = "", time: float) -> int: ...


class Publisher(Protocol):
    """What this stage needs of the note socket."""

    def publish(self, topic: str, body: dict[str, Any]) -> None: ...


class Announcer:
    """Tells what happens.

    Args:
        store: Keeps errors.
        publisher: The note socket.
        counters: Filled.
        clock: When it happened.
        status: Makes the status for ``state/``.
        notify: Tells the service manager one line.
        headline: Makes that line; cheap.
        passing: Whether what it says is over in a moment, and back as often as a failure repeats: nothing for the log.
    """

    def __init__(
        self,
        *,
        store: ErrorStore,
        publisher: Publisher,
        counters: Counters,
        clock: Clock,
        status: Callable[[], Awaitable[dict[str, Any]]],
        notify: Callable[[str], None],
        headline: Callable[[], str],
        passing: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._counters = counters
        self._clock = clock
        self._status = status
        self._notify = notify
        self._headline = headline
        self._passing = passing
        self._told = ""
        self._logged = ""
        self._changed = asyncio.Event()
        self._state_due = asyncio.Event()
        self._errors: asyncio.Queue[tuple[float, UpstreamError, str]] = asyncio.Queue()
        self.last_errors: deque[dict[str, Any]] = deque(maxlen=LAST_ERRORS)

    def state(self) -> None:
        """Something that the status tells has changed. Many changes at once are told once."""
        headline = self._headline()
        if headline != self._told:
            self._told = headline
            self._notify(headline)
        if headline != self._logged and not self._passing():
            self._logged = headline
            # The log leaves out what it said within the last minute; a state may come back sooner.
            log.info("= %s", headline, extra={"always": True})
        self._changed.set()
        self._changed = asyncio.Event()
        self._state_due.set()

    async def state_changed(self) -> None:
        """Wait for the next change of state. Cancelling is safe."""
        await self._changed.wait()

    def error(self, error: UpstreamError, session_id: str = "") -> None:
        """An error of the service or of ours: nothing is swallowed."""
        self._counters.errors += 1
        now = self._clock.wall()
        code = error.code or error.type or (f"close {error.close_code}" if error.close_code else "")
        extra = {"hudd_err_code": code or "E_UPSTREAM"}
        log.warning("%s (%s)" if code else "%s%s", error.sentence, code, extra=extra)
        self.last_errors.appendleft(error_status(now, error, session_id))
        self._errors.put_nowait((now, error, session_id))

    def cost(self, body: dict[str, object]) -> None:
        """What may be spent has changed."""
        self._publisher.publish("cost/", dict(body))
        self.state()

    async def run(self) -> None:
        """Do what takes time, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_errors())
            tasks.create_task(self._publish_states())

    async def _keep_errors(self) -> None:
        while True:
            now, error, session_id = await self._errors.get()
            self._publisher.publish("error/", error_status(now, error, session_id))
            try:
                await self._store.add_error(error, session_id=session_id, time=now)
            except StorageError as failure:
                log.error("the error could not be kept: %s", failure)  # it is in the log, the status and on error/
            self.state()

    async def _publish_states(self) -> None:
        while True:
            await self._state_due.wait()
            self._state_due.clear()
            try:
                body = await self._status()
            except StorageError as failure:
                log.error("the status could not be told: %s", failure)
                continue
            self._publisher.publish("state/", body)
