"""One connection's life as a machine: events and time in, commands out. Pure.

``session_table.TABLE`` says which input means something in which state, and what state follows. An input that is not in
it changes nothing; ``Session.step`` decides that in one place and counts it.
"""

from __future__ import annotations

from collections import deque
from typing import Final, TypeAlias

from hudd.config.settings import SessionSettings
from hudd.model import UpstreamError
from hudd.protocol.events import (
    ErrorDetails,
    ErrorEvent,
    OutputItemAdded,
    OutputItemDone,
    ResponseCancel,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    TextDelta,
    TextDone,
)
from hudd.realtime.exchange import Exchange, Step
from hudd.realtime.sentences import explain_close, explain_error, explain_timeout
from hudd.realtime.session_table import OPEN_STATES, TABLE, State
from hudd.realtime.session_words import (
    Ask,
    BecameReady,
    Close,
    Closed,
    Command,
    Delta,
    Finished,
    Input,
    Opened,
    Report,
    Send,
    Sent,
    Shut,
    Tick,
    Withdrawn,
)

MAX_IN_FLIGHT: Final = 2
"""How many out-of-band responses the service runs at once is not documented; two are known to work (3.8)."""
CANCEL_S: Final = 10.0
"""Seconds until a cancelled response must have ended; else the connection counts as dead (8.2)."""
UPDATE_EVENT_ID: Final = "su_1"
_NO_REASON: Final = ErrorDetails(type="server_error", message="the response failed without a reason")

Commands: TypeAlias = list[Command]


class Session:
    """The client half of one Realtime connection.

    Args:
        settings: Limits and time-outs.
        instructions: What the model is told; not empty.

    Attributes:
        state: Where it stands.
        session_id: ``sess_…``, or '' before ``session.created``.
        expires_at: Wall clock seconds at which the service ends the session, or None.
        ready_since: ``now`` of ``session.updated``, or None.
        answered: Whether a response was completed.
        failure: What made the connection unusable, or None: the error that explains its end.
        strays: Inputs that meant nothing where they came.
    """

    def __init__(self, settings: SessionSettings, instructions: str) -> None:
        self._settings = settings
        self._instructions = instructions
        self.state = State.OPENING
        self.session_id = ""
        self.expires_at: float | None = None
        self.ready_since: float | None = None
        self.answered = False
        self.failure: UpstreamError | None = None
        self.strays = 0
        self._deadline: float | None = None
        self._exchanges: dict[str, Exchange] = {}
        self._given_up: deque[str] = deque(maxlen=64)

    # ------------------------------------------------------------------------------------------- questions about it

    @property
    def has_room(self) -> bool:
        """Whether a question may be asked now."""
        return self.state is State.READY and len(self._exchanges) < MAX_IN_FLIGHT

    @property
    def responding(self) -> int:
        """Questions that were asked and have not ended."""
        return len(self._exchanges)

    @property
    def deadline(self) -> float | None:
        """When ``Tick`` is wanted, on the clock of ``now``; None when nothing is waited for."""
        if self.state not in OPEN_STATES:
            return None
        deadlines = [exchange.deadline for exchange in self._exchanges.values()]
        return min((when for when in (self._deadline, *deadlines) if when is not None), default=None)

    # ------------------------------------------------------------------------------------------- the one verb

    def step(self, given: Input, now: float) -> Commands:
        """Take an input. Never raises for anything the service sends.

        Args:
            given: What happened.
            now: Monotonic seconds.

        Returns:
            What must be done, in this order.
        """
        follows = TABLE.get((self.state, type(given)))
        if follows is None:
            self.strays += 1
            return []
        self.state = follows
        return self._handle(given, now)

    def _handle(self, given: Input, now: float) -> Commands:  # noqa: PLR0912 - one line per input, nothing else
        match given:
            case Opened():
                return self._opened(now)
            case SessionCreated():
                return self._created(given, now)
            case SessionUpdated():
                return self._updated(given, now)
            case Ask():
                return self._ask(given)
            case Sent():
                return self._sent(given, now)
            case Withdrawn():
                return self._withdrawn(given)
            case ResponseCreated():
                return self._response_created(given, now)
            case OutputItemAdded() | OutputItemDone():
                return self._item(given)
            case TextDelta():
                return self._delta(given)
            case TextDone():
                return self._text_done(given)
            case ResponseDone():
                return self._response_done(given)
            case ErrorEvent():
                return self._error(given)
            case Tick():
                return self._tick(now)
            case Shut():
                return self._close(None)
            case Closed():
                return self._closed(given)
            case _:  # events that are in no row of the table
                return []

    # ------------------------------------------------------------------------------------------- opening

    def _opened(self, now: float) -> Commands:
        self._deadline = now + self._settings.created_s
        return []

    def _created(self, event: SessionCreated, now: float) -> Commands:
        self.session_id = event.session_id
        self.expires_at = event.expires_at
        self._deadline = now + self._settings.updated_s
        return [Send(self._update())]

    def _updated(self, event: SessionUpdated, now: float) -> Commands:
        self.session_id = event.session_id or self.session_id
        self.expires_at = event.expires_at or self.expires_at
        self.ready_since = now
        self._deadline = None
        return [BecameReady(self.session_id)]

    def _update(self) -> SessionUpdate:
        return SessionUpdate(
            event_id=UPDATE_EVENT_ID,
            instructions=self._instructions,
            max_output_tokens=self._settings.max_output_tokens,
            retention_ratio=self._settings.retention_ratio,
            post_instructions_tokens=self._settings.history_tokens,
        )

    # ------------------------------------------------------------------------------------------- asking

    def _ask(self, ask: Ask) -> Commands:
        if not self.has_room or ask.question_id in self._exchanges:
            raise ValueError(f"no room for the question {ask.question_id}")  # ours: has_room was not asked
        self._exchanges[ask.question_id] = Exchange(ask.question_id, ask.event.event_id)
        return [Send(ask.event, ask.question_id)]

    def _sent(self, sent: Sent, now: float) -> Commands:
        exchange = self._exchanges.get(sent.question_id)
        if exchange is not None and exchange.step is Step.UNSENT:
            exchange.wait(Step.SENT, now + self._settings.response_created_s)
        return []

    def _withdrawn(self, withdrawn: Withdrawn) -> Commands:
        self._exchanges.pop(withdrawn.question_id, None)
        return []

    # ------------------------------------------------------------------------------------------- answers

    def _response_created(self, event: ResponseCreated, now: float) -> Commands:
        question_id = dict(event.metadata).get("snap", "")
        exchange = self._exchanges.get(question_id)
        if exchange is None or exchange.response_id:
            if question_id and question_id in self._given_up:
                # It would go on costing though nobody waits for it any more.
                return [Send(ResponseCancel(f"cancel_{question_id}", event.response_id))]
            self.strays += 1
            return []
        exchange.response_id = event.response_id
        exchange.done_by = now + self._settings.response_done_s
        exchange.wait(Step.CREATED, min(now + self._settings.first_delta_s, exchange.done_by))
        return []

    def _item(self, event: OutputItemAdded | OutputItemDone) -> Commands:
        exchange = self._of_response(event.response_id)
        if exchange is None:
            self.strays += 1
        else:
            exchange.text.item(event.item)
        return []

    def _delta(self, event: TextDelta) -> Commands:
        exchange = self._of_response(event.response_id)
        if exchange is None:
            self.strays += 1
            return []
        return self._show(exchange, exchange.text.delta(event.item_id, event.content_index, event.delta))

    def _text_done(self, event: TextDone) -> Commands:
        exchange = self._of_response(event.response_id)
        if exchange is None:
            self.strays += 1
            return []
        return self._show(exchange, exchange.text.done(event.item_id, event.content_index, event.text))

    def _show(self, exchange: Exchange, piece: str) -> Commands:
        if exchange.step is Step.CREATED:
            exchange.wait(Step.WRITING, exchange.done_by)
        return [Delta(exchange.question_id, piece)] if piece else []

    def _response_done(self, event: ResponseDone) -> Commands:
        exchange = self._of_response(event.response_id)
        if exchange is None:  # response.created may have been lost on the way; ours is still ours
            exchange = self._exchanges.get(dict(event.metadata).get("snap", ""))
        if exchange is None or (exchange.response_id and exchange.response_id != event.response_id):
            self.strays += 1
            return []
        del self._exchanges[exchange.question_id]
        error = exchange.timeout
        if event.error is not None:
            error = explain_error(event.error)
        elif event.status == "failed" and error is None:
            error = explain_error(_NO_REASON)
        self.answered = self.answered or event.status == "completed"
        finished = Finished(
            question_id=exchange.question_id,
            status=event.status,
            text=exchange.text.final(event.output),
            reason=event.reason,
            usage=event.usage,
            error=error,
            response_id=event.response_id,
        )
        reports: Commands = [Report(error)] if event.error is not None and error is not None else []
        if error is not None and error.fatal:
            return [*reports, finished, *self._close(error)]
        return [*reports, finished]

    # ------------------------------------------------------------------------------------------- errors

    def _error(self, event: ErrorEvent) -> Commands:
        details = event.error
        opening = self.state is not State.READY
        about_update = details.event_id == UPDATE_EVENT_ID or (
            not details.event_id and details.param.startswith("session")
        )
        error = explain_error(details, configuring=self.state is State.CONFIGURING and about_update)
        commands: Commands = [Report(error)]
        exchange = None if opening else self._refused(details.event_id, details.param)
        if exchange is not None:
            commands.append(self._give_up(exchange, error))
        if error.fatal or error.code == "session_expired":
            return [*commands, *self._close(error)]
        if opening:
            self.failure = error  # a gateway may close by itself now; this says why (1.6)
        return commands

    def _refused(self, event_id: str, param: str) -> Exchange | None:
        """The question that an error is about: by our event id, else by what it names (2.5)."""
        waiting = [x for x in self._exchanges.values() if x.step in {Step.UNSENT, Step.SENT}]
        if event_id:
            return next((x for x in waiting if x.event_id == event_id), None)
        sent = [x for x in waiting if x.step is Step.SENT]
        return sent[0] if len(sent) == 1 and param.startswith("response") else None

    def _give_up(self, exchange: Exchange, error: UpstreamError) -> Finished:
        del self._exchanges[exchange.question_id]
        self._given_up.append(exchange.question_id)
        return Finished(
            question_id=exchange.question_id,
            status="failed",
            text=exchange.text.so_far(),
            error=error,
            response_id=exchange.response_id,
        )

    # ------------------------------------------------------------------------------------------- time

    def _tick(self, now: float) -> Commands:
        if self._deadline is not None and now >= self._deadline:
            waited_for = "session.created" if self.state is State.AWAIT_CREATED else "session.updated"
            seconds = self._settings.created_s if self.state is State.AWAIT_CREATED else self._settings.updated_s
            error = explain_timeout(waited_for, seconds)
            return [Report(error), *self._close(self.failure or error)]
        commands: Commands = []
        for exchange in list(self._exchanges.values()):
            if exchange.deadline is not None and now >= exchange.deadline:
                commands += self._overdue(exchange, now)
        return commands

    def _overdue(self, exchange: Exchange, now: float) -> Commands:
        settings = self._settings
        if exchange.step is Step.SENT:
            # A cancel needs the id that never came; sent without it, it would be a no-op (3.8).
            error = explain_timeout("response.created", settings.response_created_s)
            return [Report(error), self._give_up(exchange, error)]
        if exchange.step is Step.CANCELLED:
            error = explain_timeout("cancel", CANCEL_S)
            return [Report(error), self._give_up(exchange, exchange.timeout or error), *self._close(error)]
        late = exchange.step is Step.WRITING or now >= exchange.done_by
        seconds = settings.response_done_s if late else settings.first_delta_s
        exchange.timeout = explain_timeout("response.done" if late else "first text", seconds)
        exchange.wait(Step.CANCELLED, now + CANCEL_S)
        cancel = ResponseCancel(f"cancel_{exchange.question_id}", exchange.response_id)
        return [Report(exchange.timeout), Send(cancel)]

    # ------------------------------------------------------------------------------------------- closing

    def _closed(self, closed: Closed) -> Commands:
        self._deadline = None
        ended = explain_close(closed.code, closed.reason, self.failure)
        lost: Commands = [
            Finished(
                question_id=exchange.question_id,
                status="vanished",
                text=exchange.text.so_far(),
                error=ended,
                response_id=exchange.response_id,
            )
            for exchange in self._exchanges.values()
        ]
        self._exchanges.clear()
        return lost

    def _close(self, failure: UpstreamError | None) -> Commands:
        self.state = State.CLOSING
        self.failure = failure or self.failure
        self._deadline = None
        return [Close(1000, "")]

    def _of_response(self, response_id: str) -> Exchange | None:
        return next((x for x in self._exchanges.values() if x.response_id == response_id), None)
