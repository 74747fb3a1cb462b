"""The composition root: builds every part from the settings, starts them in order, stops them in reverse.

With ``adapters`` the only module that knows all others. Nothing is decided here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

from hudd.adapters import Endpoint, FramePixels, engine_arguments, is_alive, load_prices, shipped_text
from hudd.bus.publisher import Publisher
from hudd.bus.server import CommandServer
from hudd.bus.sockets import new_context
from hudd.clock import Clock, SystemClock
from hudd.config.loader import Loaded, describe
from hudd.config.paths import journal_file
from hudd.engine.ocr import reader_advice
from hudd.engine.process import EngineProcess
from hudd.errors import EXIT_OK, CommandError, HuddError
from hudd.flow.announcer import Announcer
from hudd.flow.capture import Capture
from hudd.flow.commands import Commands, Identity
from hudd.flow.conversation import Conversation
from hudd.flow.costs import cost_body
from hudd.flow.counters import Counters
from hudd.flow.delivery import Delivery
from hudd.flow.eyes import Eyes
from hudd.flow.mailbox import Mailbox
from hudd.flow.pauses import Pauses
from hudd.flow.spending import QUESTION_OVERHEAD_TOKENS, Limits, Spending
from hudd.flow.status import DaemonFacts, Day, build_status
from hudd.flow.waiters import Waiters
from hudd.journal.store import Journal
from hudd.ledger.budget import local_day
from hudd.model import Question, UpstreamError
from hudd.policy.facts import SENTENCES, Facts
from hudd.realtime.prompt import WindowHistory, compose_instructions, estimate_tokens
from hudd.screen.choose import open_screen
from hudd.service.logs import Log, start_logging
from hudd.service.notify import Notifier, notifier, watchdog_interval_s
from hudd.service.runtime import RuntimeFolder
from hudd.service.signals import SignalHandlers
from hudd.wire.endpoints import control_socket, notes_socket
from hudd.wire.ids import new_ulid
from hudd.wire.messages import delta_topic

log = logging.getLogger("hudd")

DRAIN_S: Final = 3.0
"""Seconds that answers in flight may take at the stop; everything together stays below five."""
COMPARED_MODELS: Final = ("gpt-realtime-1.5", "gpt-realtime-2.1-mini")
MICRO: Final = 1_000_000
LOCAL_MODEL: Final = "hudd-local"
"""What local notes name as their model: they never pretend to be a service's."""


async def run_daemon(loaded: Loaded, *, environ: Mapping[str, str], version: str) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code.

    Raises:
        HuddError: It cannot start; ``exit_code`` says how to exit.
    """
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        log_ = stack.enter_context(start_logging(loaded.settings.log.level, environ, clock))
        notify = notifier(environ, clock)
        folder = stack.enter_context(RuntimeFolder.open_for(environ))
        journal = Journal.open(journal_file(environ), clock=clock, search=loaded.settings.journal.search)
        stack.push_async_callback(journal.close)
        daemon = Daemon(loaded, environ, version, clock=clock, journal=journal, notify=notify, log_=log_)
        for sentence in loaded.notes:
            log.info("%s", sentence)
        log.info("hudd %s (pid %d) in %s, journal %s", version, os.getpid(), folder.path, journal.path)
        await daemon.run(watchdog_s=watchdog_interval_s(environ))
        log.info("stopped")
    return EXIT_OK


class Daemon:
    """All parts, and how they hang together. Made inside a running event loop."""

    def __init__(
        self,
        loaded: Loaded,
        environ: Mapping[str, str],
        version: str,
        *,
        clock: Clock,
        journal: Journal,
        notify: Notifier,
        log_: Log,
    ) -> None:
        self.loaded = loaded
        self.settings = loaded.settings
        self.environ = environ
        self.clock = clock
        self.journal = journal
        self.notify = notify
        self.local = self.settings.realtime.use == "local"
        self.facts = Facts()
        self.counters = Counters()
        self.mailbox = Mailbox()
        self.waiters = Waiters(clock)
        self.stopping = asyncio.Event()
        self.context = new_context()
        self.identity = Identity(version=version, instance=secrets.token_hex(8), pid=os.getpid())
        self.about = self._about()
        self._build_money()
        self._build_eyes()
        self._build_session(log_)
        self._build_commands()
        self.facts.on_change(self.announcer.state)

    # Building, from what others need to what needs others

    def _about(self) -> DaemonFacts:
        aside = self.journal.set_aside
        return DaemonFacts(
            version=self.identity.version,
            pid=self.identity.pid,
            instance=self.identity.instance,
            stream=self.journal.stream,
            started_at=self.clock.wall(),
            engine="local" if self.local else "service",
            model=LOCAL_MODEL if self.local else self.settings.realtime.model,
            control_socket=str(control_socket(self.environ)),
            notes_socket=str(notes_socket(self.environ)),
            journal_path=str(self.journal.path),
            journal_set_aside=None if aside is None else str(aside),
        )

    def _build_money(self) -> None:
        settings = self.settings
        self.publisher = Publisher(
            notes_socket(self.environ),
            stream=self.journal.stream,
            instance=self.identity.instance,
            heads=self.journal.heads,
            clock=self.clock,
            queue=settings.bus.note_queue,
            context=self.context,
        )
        self.announcer = Announcer(
            store=self.journal,
            publisher=self.publisher,
            counters=self.counters,
            clock=self.clock,
            status=self.status,
            notify=self.notify.status,
            headline=self.headline,
        )
        self.instructions = compose_instructions(shipped_text("instructions.txt"), settings.notes.instructions)
        self.prices = load_prices(settings, self.environ)
        history_tokens = settings.session.history_tokens
        self.limits = Limits(
            engine=self.about.engine,
            model=self.about.model,
            cap_day_microusd=round(settings.cost.cap_day_usd * MICRO),
            token_cap_day=settings.cost.token_cap_day,
            image_tokens=settings.cost.image_tokens,
            text_tokens=estimate_tokens(self.instructions) + history_tokens + QUESTION_OVERHEAD_TOKENS,
            max_output_tokens=settings.session.max_output_tokens,
        )
        self.spending = Spending(
            store=self.journal,
            prices=self.prices,
            limits=self.limits,
            facts=self.facts,
            clock=self.clock,
            on_cost=self.announcer.cost,
        )
        self.history = WindowHistory(history_tokens=history_tokens, retention_ratio=settings.session.retention_ratio)

    def _build_eyes(self) -> None:
        settings = self.settings
        self.pauses = Pauses(
            state=self.journal.pause_state, facts=self.facts, clock=self.clock, on_state=self.announcer.state
        )
        self.capture = Capture(
            eyes=Eyes(
                open_screen=lambda: open_screen(settings.screen, self.environ, self.clock),
                pixels=FramePixels(settings.picture, settings.gate.luma_step),
                gate=settings.gate,
                clock=self.clock,
            ),
            settings=settings.screen,
            facts=self.facts,
            mailbox=self.mailbox,
            counters=self.counters,
            new_id=lambda: new_ulid(self.clock.wall()),
            alive=is_alive,
            on_state=self.announcer.state,
            on_trouble=self._eye_trouble,
            clock=self.clock,
        )

    def _build_session(self, log_: Log) -> None:
        self.delivery = Delivery(
            store=self.journal,
            publisher=self.publisher,
            spending=self.spending,
            waiters=self.waiters,
            counters=self.counters,
            clock=self.clock,
            remember=self.history.remember,
            published=self.capture.published,
            on_error=self.announcer.error,
        )
        self.engine = (
            EngineProcess(engine_arguments(self.settings), on_started=lambda _: self.conversation.rearm())
            if self.local
            else None
        )
        self.conversation = Conversation(
            settings=self.settings.session,
            instructions=self.instructions,
            clock=self.clock,
            open_link=Endpoint(self.settings, self.environ, self.engine, log_).open,
            mailbox=self.mailbox,
            history=self.history,
            guard=lambda question: self.facts.withheld(question.epoch),
            reserve=self.spending.reserve,
            on_sent=self._sent,
            on_delta=self._delta,
            on_answer=self.delivery.put,
            on_error=lambda error: self.announcer.error(error, self.conversation.status().session_id),
            on_state=self.announcer.state,
        )
        self.advice = reader_advice() if self.local and self.settings.engine.reader == "auto" else None

    def _build_commands(self) -> None:
        commands = Commands(
            identity=self.identity,
            store=self.journal,
            eyes=self.capture,
            put=self.mailbox.put,
            nudge=self.conversation.nudge,
            waiters=self.waiters,
            facts=self.facts,
            pause_changed=self.pauses.changed,
            rearm=self.conversation.rearm,
            status=self.status,
            cost=self.cost,
            settings=self.described_settings,
            connection=lambda: self.conversation.status().connection,
            state_changed=self.announcer.state_changed,
            next_note=self.delivery.next_note,
            clock=self.clock,
        )
        self.server = CommandServer(
            control_socket(self.environ), commands.handlers(), clock=self.clock, context=self.context
        )

    # Running

    async def run(self, *, watchdog_s: float | None) -> None:
        """Start everything in order, wait for the stop, stop in reverse."""
        try:
            self.publisher.open()
            self.server.open()
            with SignalHandlers(stop=self._stop, reload=self._reload):
                async with asyncio.TaskGroup() as tasks:
                    parts = [tasks.create_task(self.server.run()), tasks.create_task(self.announcer.run())]
                    self.notify.ready()
                    self.announcer.state()
                    if self.engine is not None:
                        await self.engine.start()
                    delivery = tasks.create_task(self.delivery.run())
                    talk = tasks.create_task(self.conversation.run())
                    watchers = [
                        tasks.create_task(self.pauses.run()),
                        tasks.create_task(self.spending.run()),
                        tasks.create_task(self.capture.run()),
                    ]
                    if watchdog_s is not None:
                        watchers.append(tasks.create_task(self._feed_watchdog(watchdog_s)))
                    await self.stopping.wait()
                    self.notify.stopping()
                    await self._wind_down(watchers, talk, [delivery, *parts])
        finally:
            if self.engine is not None:
                await self.engine.stop()
            await self.server.close()
            await self.publisher.close()
            self.context.term()

    async def _wind_down(
        self,
        watchers: list[asyncio.Task[None]],
        talk: asyncio.Task[None],
        others: list[asyncio.Task[None]],
    ) -> None:
        """No new pictures, then the answers in flight, then their notes, then the sockets."""
        await _end(watchers)
        while (question := self.mailbox.take_nowait(allow_automatic=False)) is not None:
            self.waiters.end(
                question.id, CommandError("E_STATE", SENTENCES["stopping"], hint="Ask again when it runs.")
            )
        await self.conversation.drain(DRAIN_S)
        await _end([talk])
        await self.delivery.drain()
        await self.server.close(drain_s=0.2)
        await _end(others)

    def _stop(self, name: str) -> None:
        log.info("stopping on %s", name)
        self.stopping.set()

    def _reload(self) -> None:
        log.warning("SIGHUP: the settings are read at the start only; restart hudd to apply changes.")

    async def _feed_watchdog(self, interval_s: float) -> None:
        while True:
            self.notify.watchdog()
            await self.clock.sleep(interval_s)

    # What others ask for, and what they are told

    def headline(self) -> str:
        """The state in one line."""
        eyes, why = self.capture.facts().state, ", ".join(self.facts.reasons)
        return f"{self.conversation.status().connection}, eyes {eyes}" + (f", not sending: {why}" if why else "")

    async def status(self) -> dict[str, Any]:
        """The object of ``status`` and ``state/``."""
        day = local_day(self.clock.wall())
        totals = await self.journal.totals(day)
        return build_status(
            daemon=self.about,
            conversation=self.conversation.status(),
            capture=self.capture.facts(),
            facts=self.facts,
            counters=self.counters,
            more_counters={**self.server.counters(), "replaced": self.mailbox.replaced},
            day=Day(
                day=day,
                microusd=totals.settled_microusd,
                reserved_microusd=totals.reserved_microusd,
                cap_microusd=self.limits.cap_day_microusd,
                answers=totals.answers,
            ),
            subscribers=self.publisher.subscribers(),
            pause=self.pauses.facts(),
            advice=self.advice,
            last_note_at=self.delivery.last_note_at,
            last_errors=list(self.announcer.last_errors),
            clock=self.clock,
        )

    async def cost(self, since: float | None, until: float | None) -> dict[str, Any]:
        """The object of ``cost``."""
        return cost_body(
            await self.journal.costs(since=since, until=until),
            prices=self.prices,
            cap_microusd=self.limits.cap_day_microusd,
            compare_models=COMPARED_MODELS,
        )

    def described_settings(self) -> dict[str, Any]:
        """The object of ``config``."""
        file = self.loaded.file
        return {"schema": 1, "file": None if file is None else str(file), "settings": describe(self.loaded)}

    def _sent(self, question: Question) -> None:
        self.counters.sent += 1
        self.spending.sent(question)

    def _delta(self, question: Question, number: int, text: str) -> None:
        body = {"snap_id": question.id, "n": number, "text": text}
        self.publisher.publish(delta_topic(question.source.name), body)
        self.capture.published(question.id)

    def _eye_trouble(self, error: HuddError) -> None:
        self.announcer.error(UpstreamError(sentence=str(error), code=error.wire_code))


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their end; an error of one of them is the task group's to raise."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
