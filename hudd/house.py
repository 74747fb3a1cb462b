"""The house: builds every part from the settings, and hangs them together. Nothing is decided here.

With ``adapters``, ``relays``, ``reports`` and ``app`` the only module that knows all others.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hudd.adapters import (
    Endpoint,
    FramePixels,
    effort_of,
    engine_arguments,
    is_alive,
    load_instructions,
    load_prices,
    picture_settings,
    spending_limits,
)
from hudd.bus.activation import InheritedListener
from hudd.bus.authenticator import Authenticator, local_access
from hudd.bus.publisher import Publisher
from hudd.bus.remote import Access, BothPublishers, KeyRing, Remote, remote_handlers
from hudd.bus.repeats import Repeats
from hudd.bus.server import CommandServer, Handler
from hudd.bus.sockets import new_context
from hudd.clock import Clock
from hudd.config.loader import Loaded
from hudd.config.paths import state_dir
from hudd.desktop.bus import Bus
from hudd.desktop.notifications import open_notices
from hudd.desktop.portal import DesktopPortal
from hudd.engine.ocr import reader_advice
from hudd.engine.process import EngineProcess
from hudd.flow.announcer import Announcer
from hudd.flow.attention import Attention
from hudd.flow.capture import Capture
from hudd.flow.changes import ChangeCounter
from hudd.flow.commands import Commands, Identity
from hudd.flow.conversation import CLOCK_LOOK_S, Conversation
from hudd.flow.counters import Counters
from hudd.flow.delivery import Delivery
from hudd.flow.demand import Demand
from hudd.flow.eyes import Eyes
from hudd.flow.keeping import Keeping, Rules
from hudd.flow.mailbox import Mailbox
from hudd.flow.overdue import Overdue
from hudd.flow.paced import PacedMailbox
from hudd.flow.pauses import Pauses
from hudd.flow.reload import Reload
from hudd.flow.spending import Spending
from hudd.flow.status import DaemonFacts
from hudd.flow.waiters import Waiters
from hudd.guards import Guards
from hudd.journal.store import Journal
from hudd.policy.facts import Facts
from hudd.realtime.models import Models
from hudd.realtime.prompt import WindowHistory
from hudd.realtime.router import given_up
from hudd.redaction import redactor, scrubbed_aside
from hudd.refit import Refit
from hudd.relays import Relays
from hudd.reports import Reports
from hudd.screen.choose import open_screen
from hudd.service.logs import Log
from hudd.service.memory import trim_memory
from hudd.service.notify import Notifier
from hudd.service.wakes import tells_of_jumps
from hudd.wire.endpoints import control_socket, notes_socket, runtime_dir
from hudd.wire.ids import new_ulid
from hudd.wire.remote_keys import KeyFolder

log = logging.getLogger("hudd")

LOCAL_MODEL: Final = "hudd-local"
"""What local notes name as their model: they never pretend to be a service's."""


class House:
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
        read: Callable[[], Loaded],
    ) -> None:
        self.loaded = loaded
        self.settings = loaded.settings
        self.environ = environ
        self.clock = clock
        self.journal = journal
        self.notify = notify
        self.log = log_
        self._read = read
        self.local = self.settings.realtime.use == "local"
        self.facts = Facts()
        self.counters = Counters()
        self.changes = ChangeCounter(journal.changes, clock)
        self.waiters = Waiters(clock)
        self.mailbox = Mailbox(
            on_put=self.changes.count,
            awaited=self.waiters.awaited,
            on_given_up=lambda question: self.delivery.put(given_up(question, clock.monotonic())),
        )
        self.context = new_context()
        self.repeats = Repeats(clock)
        self.ring = KeyRing(KeyFolder(state_dir(environ)))
        self.gate = Authenticator(self.context, clock=clock, roles=self.ring.roles)
        self.identity = Identity(version=version, instance=secrets.token_hex(8), pid=os.getpid())
        self.about = self._about()
        self.reports = Reports(self)
        self.relays = Relays(self)
        self.session_bus = Bus("session", environ, clock=clock)
        self.system_bus = Bus("system", environ, clock=clock)
        self.notices = open_notices(
            self.session_bus, environ, wanted=self.settings.notices.desktop, platform=sys.platform
        )
        self._build_money()
        self._build_eyes()
        self._build_session()
        self._build_commands()
        self.facts.on_change(self.announcer.state)

    async def close(self) -> None:
        """Give back what is held beside the journal, in the reverse order; nothing of it needs to have been opened."""
        self.endpoint.close()
        if self.engine is not None:
            await self.engine.stop()
        await self.session_bus.close()
        await self.system_bus.close()
        await self.server.close()
        if self.remote is not None:
            await self.remote.close()
        await self.notes.close()
        self.gate.close()
        self.context.term()

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
            journal_spent=self.journal.spent,
            journal_paused=self.journal.paused,
            log_file=None if self.log.file is None else str(self.log.file),
        )

    def _new_publisher(self, place: Path | str, access: Access) -> Publisher:
        return Publisher(
            place,
            stream=self.journal.stream,
            instance=self.identity.instance,
            heads=self.journal.heads,
            clock=self.clock,
            queue=self.settings.bus.note_queue,
            context=self.context,
            access=access,
            on_demand=lambda: self.capture.demand_changed(),  # noqa: PLW0108 - built after this
        )

    def _new_server(
        self,
        place: Path | str,
        access: Access,
        handlers: Mapping[str, Handler],
        inherited: InheritedListener | None = None,
    ) -> CommandServer:
        return CommandServer(
            place,
            handlers,
            clock=self.clock,
            context=self.context,
            access=access,
            repeats=self.repeats,
            overdue=Overdue(
                self.conversation.status, self.capture.facts, self.facts, lambda: self.announcer.last_errors
            ),
            inherited=inherited,
        )

    def _new_remote(self) -> Remote:
        return Remote(
            self.settings.bus.remote,
            ring=self.ring,
            gate=self.gate,
            commands=lambda place, access: self._new_server(place, access, remote_handlers(self.handlers)),
            notes=self._new_publisher,
            clock=self.clock,
        )

    def _build_money(self) -> None:
        settings = self.settings
        self.notes = self._new_publisher(notes_socket(self.environ), local_access())
        self.remote = self._new_remote() if settings.bus.remote else None
        self.publisher = self.notes if self.remote is None else BothPublishers(self.notes, self.remote)
        self.announcer = Announcer(
            store=self.journal,
            publisher=self.publisher,
            counters=self.counters,
            clock=self.clock,
            status=self.reports.status,
            notify=self.notify.status,
            headline=self.reports.headline,
            passing=lambda: self.conversation.status().tries_again,
        )
        self.instructions = load_instructions(settings, self.environ)
        self.prices = load_prices(settings, self.environ)
        self.limits = spending_limits(settings, self.about.model, self.instructions)
        self.history = WindowHistory(
            history_tokens=settings.session.history_tokens, retention_ratio=settings.session.retention_ratio
        )
        self.spending = Spending(
            store=self.journal,
            prices=self.prices,
            limits=self.limits,
            facts=self.facts,
            clock=self.clock,
            on_cost=self.announcer.cost,
            notify_person=self.relays.notify_person,
            on_window=self.history.set_limit,
        )
        self.spending.meter.on_may_ask(self.mailbox.wakeup.set)

    def _build_eyes(self) -> None:
        settings = self.settings
        self.pauses = Pauses(
            state=self.journal.pause_state, facts=self.facts, clock=self.clock, on_state=self.announcer.state
        )
        self.pixels = FramePixels(picture_settings(settings), settings.gate.luma_step, redactor(settings))
        self.guards = Guards(
            settings=settings,
            environ=self.environ,
            facts=self.facts,
            session_bus=self.session_bus,
            system_bus=self.system_bus,
            clock=self.clock,
            on_state=self.announcer.state,
        )
        self.refused: set[str] = set()
        token = state_dir(self.environ) / "portal-token"
        self.eyes = Eyes(
            open_screen=lambda: open_screen(
                self.settings.screen,
                self.environ,
                self.clock,
                portal=lambda: DesktopPortal(self.environ, token, self.clock, refused=self.refused),
            ),
            pixels=self.pixels,
            gate=settings.gate,
            clock=self.clock,
            on_gone=self.mailbox.end,
            grab=self.guards.grab,
            details=self.spending.meter.affordable_details,
            why_no_details=self.spending.meter.why_no_details,
            tidy=trim_memory,
        )
        self.capture = Capture(
            eyes=self.eyes,
            settings=settings.screen,
            facts=self.facts,
            mailbox=self.mailbox,
            counters=self.counters,
            demand=Demand(
                only_when_watched=settings.screen.only_when_watched,
                listening=self.publisher.listening,
            ),
            new_id=lambda: new_ulid(self.clock.wall()),
            alive=is_alive,
            on_state=self.announcer.state,
            on_trouble=self.relays.eye_trouble,
            clock=self.clock,
        )

    def _build_session(self) -> None:
        self.keeping = Keeping(
            store=self.journal.upkeep,
            stream=self.journal.stream,
            rules=Rules(self.settings.journal.keep_days, self.settings.journal.max_mb),
            facts=self.facts,
            drop_words=self.relays.drop_words,
            renew=self.relays.renew,
            on_state=self.announcer.state,
            on_error=self.announcer.error,
            runtime=runtime_dir(self.environ),
            clock=self.clock,
        )
        self.delivery = Delivery(
            store=self.journal,
            publisher=self.publisher,
            spending=self.spending,
            waiters=self.waiters,
            counters=self.counters,
            clock=self.clock,
            remember=self.history.remember,
            published=self.relays.words_out,
            unsent=self.capture.unsent,
            on_error=self.announcer.error,
            forgotten=self.keeping.is_forgotten,
            clean=lambda answer: scrubbed_aside(answer, self.settings),
        )
        self.engine = (
            EngineProcess(engine_arguments(self.settings), on_started=lambda _: self.conversation.rearm())
            if self.local
            else None
        )
        realtime = self.settings.realtime
        self.models = Models(realtime.model, () if self.local else realtime.fallback_models)
        self.endpoint = Endpoint(self.settings, self.environ, self.engine, self.log, self.models)
        self.conversation = Conversation(
            settings=self.settings.session,
            instructions=self.instructions,
            clock=self.clock,
            open_link=self.endpoint.open,
            mailbox=PacedMailbox(self.mailbox, self.spending.meter.may_ask),
            history=self.history,
            guard=lambda question: self.facts.withheld(question.epoch, automatic=question.trigger != "manual"),
            reserve=self.spending.reserve,
            on_sent=self.relays.sent,
            on_delta=self.relays.delta,
            on_answer=self.delivery.put,
            on_error=lambda error: self.announcer.error(error, self.conversation.status().session_id),
            on_state=self.relays.connection_changed,
            retake=self.capture.retake,
            shrink=lambda: self.pixels.shrink(),  # noqa: PLW0108 - a reload puts others in their place
            awaited=self.waiters.awaited,
            clock_look_s=None if tells_of_jumps() else CLOCK_LOOK_S,
            dials=lambda: not self.endpoint.seeks_key,
            models=self.models,
            effort=effort_of(self.settings),
            on_model=self.relays.use_model,
        )
        self.attention = Attention(self.conversation.status, self.relays.attention)
        self.advice = reader_advice() if self.local and self.settings.engine.reader == "auto" else None

    def _build_commands(self) -> None:
        self.reload = Reload(
            read=self._read,
            parts=Refit(self),
            session=self.conversation,
            notify=self.notify,
            on_error=self.announcer.error,
            on_state=self.announcer.state,
        )
        commands = Commands(
            identity=self.identity,
            store=self.journal,
            eyes=self.capture,
            put=self.mailbox.put,
            nudge=self.conversation.nudge,
            waiters=self.waiters,
            facts=self.facts,
            pause_changed=self.pauses.changed,
            rearm=self.relays.try_again,
            status=self.reports.status,
            first_use=self.spending.meter.first_use,
            cost=self.reports.cost,
            settings=self.reports.settings,
            connection=lambda: self.conversation.status().connection,
            state_changed=self.announcer.state_changed,
            next_note=self.delivery.next_note,
            clock=self.clock,
            more={**self.keeping.handlers(), **self.reload.handlers()},
        )
        self.handlers = commands.handlers()
        control = control_socket(self.environ)
        inherited = InheritedListener.find(self.environ, control)
        self.server = self._new_server(control, local_access(), self.handlers, inherited)
