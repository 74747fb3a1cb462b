"""The house: builds every part from the settings, and hangs them together. Nothing is decided here.

With ``adapters`` and ``app`` the only module that knows all others.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from hudd.adapters import (
    Endpoint,
    FramePixels,
    engine_arguments,
    is_alive,
    load_instructions,
    load_prices,
    picture_settings,
)
from hudd.bus.publisher import Publisher
from hudd.bus.server import CommandServer
from hudd.bus.sockets import new_context
from hudd.clock import Clock
from hudd.config.loader import Loaded, describe
from hudd.engine.ocr import reader_advice
from hudd.engine.process import EngineProcess
from hudd.errors import HuddError
from hudd.flow.announcer import Announcer
from hudd.flow.capture import Capture
from hudd.flow.commands import Commands, Identity
from hudd.flow.conversation import Conversation
from hudd.flow.costs import Money, cost_body, estimate_body
from hudd.flow.counters import Counters
from hudd.flow.delivery import Delivery
from hudd.flow.eyes import Eyes
from hudd.flow.keeping import Keeping, Rules
from hudd.flow.mailbox import Mailbox
from hudd.flow.overdue import Overdue
from hudd.flow.paced import PacedMailbox
from hudd.flow.pauses import Pauses
from hudd.flow.spending import QUESTION_OVERHEAD_TOKENS, Limits, Spending
from hudd.flow.status import DaemonFacts, Day, build_status, headline
from hudd.flow.waiters import Waiters
from hudd.journal.store import Journal
from hudd.ledger.caps import local_day
from hudd.ledger.estimate import Shape, habits_of
from hudd.model import Question, UpstreamError
from hudd.notes.keeping import Span
from hudd.policy.facts import Facts
from hudd.realtime.memory import context_tokens
from hudd.realtime.models import Models, takes_reasoning
from hudd.realtime.prompt import FRAME, WindowHistory, estimate_tokens
from hudd.screen.choose import open_screen
from hudd.service.logs import Log
from hudd.service.notify import Notifier
from hudd.wire.endpoints import control_socket, notes_socket
from hudd.wire.ids import new_ulid
from hudd.wire.messages import delta_topic, parse_time

log = logging.getLogger("hudd")

COMPARED_MODELS: Final = ("gpt-realtime-1.5", "gpt-realtime-2.1-mini")
MICRO: Final = 1_000_000
HABITS_S: Final = 7 * 86_400.0
"""The estimate looks at what changed within the last week."""
NOTE_TOKENS: Final = 60
"""A note, until usage told better."""
QUESTION_TOKENS: Final = 30
"""Time, source and what is asked."""
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
        self.instructions = load_instructions(settings, self.environ)
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
            cap_hour_microusd=round(settings.cost.cap_hour_usd * MICRO),
            cap_month_microusd=round(settings.cost.cap_month_usd * MICRO),
            active_hours=settings.cost.active_hours,
            history_tokens=history_tokens,
            kept_image_tokens=context_tokens(settings.session) - history_tokens,
        )
        self.history = WindowHistory(history_tokens=history_tokens, retention_ratio=settings.session.retention_ratio)
        self.spending = Spending(
            store=self.journal,
            prices=self.prices,
            limits=self.limits,
            facts=self.facts,
            clock=self.clock,
            on_cost=self.announcer.cost,
            notify_person=self._notify_person,
            on_window=self.history.set_limit,
        )
        self.spending.meter.on_may_ask(self.mailbox.wakeup.set)

    def _build_eyes(self) -> None:
        settings = self.settings
        self.pauses = Pauses(
            state=self.journal.pause_state, facts=self.facts, clock=self.clock, on_state=self.announcer.state
        )
        self.capture = Capture(
            eyes=Eyes(
                open_screen=lambda: open_screen(settings.screen, self.environ, self.clock),
                pixels=FramePixels(picture_settings(settings), settings.gate.luma_step),
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
        self.keeping = Keeping(
            store=self.journal.upkeep,
            stream=self.journal.stream,
            rules=Rules(self.settings.journal.keep_days, self.settings.journal.max_mb),
            facts=self.facts,
            drop_words=self._drop_words,
            renew=self._renew,
            on_state=self.announcer.state,
            on_error=self.announcer.error,
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
            published=self._words_out,
            unsent=self.capture.unsent,
            on_error=self.announcer.error,
            forgotten=self.keeping.is_forgotten,
        )
        self.engine = (
            EngineProcess(engine_arguments(self.settings), on_started=lambda _: self.conversation.rearm())
            if self.local
            else None
        )
        realtime = self.settings.realtime
        models = Models(realtime.model, () if self.local else realtime.fallback_models)
        self.conversation = Conversation(
            settings=self.settings.session,
            instructions=self.instructions,
            clock=self.clock,
            open_link=Endpoint(self.settings, self.environ, self.engine, log_, models).open,
            mailbox=PacedMailbox(self.mailbox, self.spending.meter.may_ask),
            history=self.history,
            guard=lambda question: self.facts.withheld(question.epoch, automatic=question.trigger != "manual"),
            reserve=self.spending.reserve,
            on_sent=self._sent,
            on_delta=self._delta,
            on_answer=self.delivery.put,
            on_error=lambda error: self.announcer.error(error, self.conversation.status().session_id),
            on_state=self.announcer.state,
            retake=self.capture.retake,
            models=models,
            effort="" if realtime.reasoning == "default" else realtime.reasoning,
            on_model=self._use_model,
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
            rearm=self.conversation.resume,
            status=self.status,
            cost=self.cost,
            settings=self.described_settings,
            connection=lambda: self.conversation.status().connection,
            state_changed=self.announcer.state_changed,
            next_note=self.delivery.next_note,
            clock=self.clock,
            more=self.keeping.handlers(),
        )
        self.server = CommandServer(
            control_socket(self.environ),
            commands.handlers(),
            clock=self.clock,
            context=self.context,
            overdue=Overdue(
                self.conversation.status, self.capture.facts, self.facts, lambda: self.announcer.last_errors
            ),
        )

    # What others ask for, and what they are told

    def headline(self) -> str:
        """The state in one line, for the log and the service manager."""
        return headline(self.conversation.status().connection, self.capture.facts().state, self.facts.reasons)

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
                more=self.spending.meter.status(),
            ),
            subscribers=self.publisher.subscribers(),
            pause=self.pauses.facts(),
            advice=self.advice,
            last_note_at=self.delivery.last_note_at,
            last_errors=list(self.announcer.last_errors),
            clock=self.clock,
            journal=self.keeping.status(),
        )

    async def cost(
        self, since: float | None, until: float | None, by: Sequence[str] = (), *, estimate: bool = False
    ) -> dict[str, Any]:
        """The object of ``cost``."""
        money = Money(self.prices, self.limits.caps, COMPARED_MODELS)
        if not estimate:
            return cost_body(await self.journal.costs(since=since, until=until, by_time=True), money, by=by)
        session = self.settings.session
        notes = self.spending.meter.answer_tokens() or NOTE_TOKENS
        shape = Shape(
            fixed_tokens=estimate_tokens(self.instructions) + estimate_tokens(FRAME),
            question_tokens=QUESTION_TOKENS,
            history_tokens=session.history_tokens,
            retention_ratio=session.retention_ratio,
            image_tokens=self.spending.meter.image_tokens(),
            answer_tokens=notes,
            note_tokens=notes,
        )
        asked = await self.journal.asked(self.clock.wall() - HABITS_S)
        return estimate_body(
            habits_of(asked),
            shape,
            money,
            model=self.settings.realtime.model,
            memory=session.memory,
            active_hours=self.settings.cost.active_hours,
            reasons=takes_reasoning,
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
        if self.publisher.listening("delta/"):
            self.capture.published(question.id)

    def _words_out(self, snap_id: str) -> None:
        """A note was published: when nobody listens, nobody prints it on the screen."""
        if self.publisher.listening("note/"):
            self.capture.published(snap_id)

    def _use_model(self, model: str) -> None:
        """Another model answers from now on: its prices apply, and the status names it."""
        self.about = replace(self.about, model=model)
        self.spending.use_model(model)

    def _renew(self) -> None:
        """The service's session knows what was said in it; another one begins with nothing."""
        self.conversation.renew()

    def _drop_words(self, span: Span) -> None:
        """What was forgotten may have gone into all of the history; its notes carry no time."""
        self.history.forget()
        self.delivery.forget()
        self.waiters.forget(lambda note: span.holds(parse_time(note["time"]), note["seq"]))

    def _notify_person(self, text: str) -> None:
        log.warning("to the person: %s", text)

    def _eye_trouble(self, error: HuddError) -> None:
        self.announcer.error(UpstreamError(sentence=str(error), code=error.wire_code))
