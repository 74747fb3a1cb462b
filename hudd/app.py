"""Runs the house: starts its parts in order, stops them in reverse."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from hudd.adapters import paid_caps
from hudd.clock import SystemClock
from hudd.config.loader import Loaded
from hudd.config.paths import journal_file
from hudd.desktop.sleep import follow_sleep
from hudd.engine.process import EngineStartError
from hudd.errors import EXIT_OK, EXIT_STORAGE, CommandError
from hudd.house import House
from hudd.journal.store import Journal
from hudd.model import UpstreamError
from hudd.policy.facts import SENTENCES
from hudd.service.descriptors import raise_descriptor_limit
from hudd.service.logs import start_logging
from hudd.service.memory import give_memory_back, spare_what_stays
from hudd.service.notify import Notifier, extending, notifier, watchdog_interval_s
from hudd.service.runtime import RuntimeFolder
from hudd.service.sandbox import own_sandbox, under_systemd
from hudd.service.signals import SignalHandlers
from hudd.service.threads import yield_often
from hudd.service.wakes import watch_wakes
from hudd.service.watchdog import Watchdog

log = logging.getLogger("hudd")

DRAIN_S: Final = 3.0
"""Seconds that answers in flight may take at the stop; everything together stays below five."""

ANSWERS_S: Final = 2.0
"""The authenticator needs less than a millisecond to answer; one that needs longer than this hangs."""


async def run_daemon(
    loaded: Loaded,
    *,
    environ: Mapping[str, str],
    version: str,
    read: Callable[[], Loaded],
    log_file: Path | None = None,
) -> int:
    """Run until SIGTERM or SIGINT, or until the journal is found damaged; returns the exit code.

    Args:
        loaded: The settings.
        environ: The environment.
        version: Of this installation.
        read: Reads the settings again, for a reload.
        log_file: Where to log instead of stderr.

    Raises:
        HuddError: It cannot start; ``exit_code`` says how to exit.
    """
    give_memory_back()
    yield_often()
    raise_descriptor_limit()
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        log_ = stack.enter_context(start_logging(loaded.settings.log.level, environ, clock, file=log_file))
        notify = notifier(environ, clock)
        folder = stack.enter_context(RuntimeFolder.open_for(environ))
        with extending(notify, "opening the journal"):
            journal = Journal.open(
                journal_file(environ),
                clock=clock,
                search=loaded.settings.journal.search,
                caps=paid_caps(loaded.settings),
            )
        stack.push_async_callback(_close, journal, notify)
        house = House(loaded, environ, version, clock=clock, journal=journal, notify=notify, log_=log_, read=read)
        for sentence in loaded.notes:
            log.info("%s", sentence)
        log.info("hudd %s (pid %d) in %s, journal %s", version, os.getpid(), folder.path, journal.path)
        if under_systemd(environ):
            log.info("the unit's sandbox is %s", own_sandbox(environ).in_words())
        await Daemon(house).run(watchdog_s=watchdog_interval_s(environ))
        log.info("stopped")
    return EXIT_STORAGE if house.keeping.damaged.is_set() else EXIT_OK


class Daemon:
    """The life of a house."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._stopping = asyncio.Event()

    async def run(self, *, watchdog_s: float | None) -> None:
        """Start everything in order, wait for the stop, stop in reverse."""
        house = self._house
        try:
            await house.guards.begin()
            house.gate.open()
            house.notes.open()
            house.server.open()
            if house.remote is not None:
                house.remote.open()
                log.warning("other machines that hold a key may connect to %s", house.remote.address)
            with (
                SignalHandlers(stop=self._stop, reload=house.reload.signalled),
                watch_wakes(clock_jumped=house.conversation.clock_jumped, network_up=house.conversation.network_up),
            ):
                async with asyncio.TaskGroup() as tasks:
                    parts = [tasks.create_task(house.server.run()), tasks.create_task(house.announcer.run())]
                    parts.append(tasks.create_task(house.gate.run()))
                    if house.remote is not None:
                        parts.append(tasks.create_task(house.remote.run()))
                    spare_what_stays()
                    house.notify.ready()
                    house.announcer.state()
                    await self._start_engine()
                    delivery = tasks.create_task(house.delivery.run())
                    talk = tasks.create_task(house.conversation.run())
                    watchers = [
                        tasks.create_task(follow_sleep(house.system_bus, house.conversation.woke, clock=house.clock)),
                        tasks.create_task(house.guards.run()),
                        tasks.create_task(house.pauses.run()),
                        tasks.create_task(house.spending.run()),
                        tasks.create_task(house.changes.run()),
                        tasks.create_task(house.keeping.run()),
                        tasks.create_task(self._stop_at_damage()),
                        tasks.create_task(house.capture.run()),
                        tasks.create_task(house.notices.run()),
                    ]
                    if watchdog_s is not None:
                        watchers.append(tasks.create_task(self._watchdog(watchdog_s).run()))
                    await self._stopping.wait()
                    house.notify.stopping()
                    await self._wind_down(watchers, talk, [delivery, *parts])
        finally:
            await house.close()

    async def _start_engine(self) -> None:
        """A missing engine is said and waited for, like a missing server."""
        house = self._house
        if house.engine is None:
            return
        try:
            await house.engine.start()
        except EngineStartError as error:
            house.announcer.error(UpstreamError(sentence=str(error), code=error.wire_code))

    async def _wind_down(
        self,
        watchers: list[asyncio.Task[None]],
        talk: asyncio.Task[None],
        others: list[asyncio.Task[None]],
    ) -> None:
        """No new pictures, then the answers in flight, then their notes, then the sockets."""
        house = self._house
        house.facts.set("stopping", True)
        await _end(watchers)
        while (question := house.mailbox.take_nowait(allow_automatic=False)) is not None:
            house.waiters.end(
                question.id, CommandError("E_STATE", SENTENCES["stopping"], hint="Ask again when it runs.")
            )
        await house.conversation.drain(DRAIN_S)
        await _end([talk])
        await house.delivery.drain()
        house.notes.turn_away()
        await house.server.close(drain_s=0.2)
        if house.remote is not None:
            await house.remote.close(drain_s=0.2)
        await _end(others)

    def _stop(self, name: str) -> None:
        log.info("stopping on %s", name)
        self._stopping.set()

    async def _stop_at_damage(self) -> None:
        """The service manager starts hudd again, which sets the damaged journal aside before it is used."""
        await self._house.keeping.damaged.wait()
        self._stopping.set()

    def _watchdog(self, interval_s: float) -> Watchdog:
        house = self._house
        return Watchdog(
            {
                "the authenticator": lambda _: house.gate.answers(ANSWERS_S),
                "the journal's writer": house.journal.answers,
            },
            notify=house.notify,
            clock=house.clock,
            interval_s=interval_s,
        )


async def _close(journal: Journal, notify: Notifier) -> None:
    """What was asked of it is finished first; on a slow disk the service manager waits for that."""
    with extending(notify, "closing the journal"):
        await journal.close()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their end; an error of one of them is the task group's to raise."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
