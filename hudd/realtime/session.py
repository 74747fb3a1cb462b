"""One connection's life as a machine: events and time in, commands out. Pure.

``session_table.TABLE`` says which input means something in which state, and what state follows. An input that is not in
it changes nothing; ``Session.step`` decides that in one place and counts it. The questions are in ``exchanges``.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from hudd.config.settings import SessionSettings
from hudd.model import UpstreamError
from hudd.protocol.events import (
    Effort,
    ErrorEvent,
    OutputItemAdded,
    OutputItemDone,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    TextDelta,
    TextDone,
)
from hudd.protocol.vocabulary import BENIGN_CODES
from hudd.realtime.exchanges import CANCEL_S, MAX_IN_FLIGHT, Exchanges
from hudd.realtime.memory import ConversationMemory, context_tokens
from hudd.realtime.models import session_takes_reasoning
from hudd.realtime.sentences import explain_close, explain_error, explain_silence, explain_timeout
from hudd.realtime.session_table import OPEN_STATES, TABLE, State
from hudd.realtime.session_words import (
    OURS,
    Ask,
    BecameReady,
    Close,
    Closed,
    Command,
    Input,
    Learn,
    Opened,
    Placed,
    Reinstruct,
    Report,
    Retire,
    RolloverDue,
    Send,
    Sent,
    Shut,
    Tick,
    Withdrawn,
)

__all__ = ["CANCEL_S", "MAX_IN_FLIGHT", "RETIRE_S", "Session"]

RETIRE_S: Final = 30.0
"""Seconds that answers in flight may take after another session took over."""
LINGER_S: Final = 1.0
"""After an error that ends the session, the service closes by itself (2.6); its code and reason are waited for."""
ROLLOVER_LEAD_S: Final = 300.0
"""Seconds before the service ends the session at which the next one is opened (8.1)."""
LEAST_LIFE_S: Final = 60.0
"""A session is not replaced before: where our clock is wrong, ``expires_at`` looks near or past."""

Commands: TypeAlias = list[Command]


class Session:
    """The client half of one Realtime connection.

    Args:
        settings: Limits and time-outs.
        instructions: What the model is told; not empty.
        model: As the settings name it; see ``model``.
        effort: ``[realtime] reasoning``; sent only to models that take it.
        memory: The ``conversation`` memory of this connection, or None.

    Attributes:
        state: Where it stands.
        model: The one that is asked and paid, as the settings name it. The service may name it more exactly.
        session_id: ``sess_…``, or '' before ``session.created``.
        expires_at: Wall clock seconds at which the service ends the session, or None.
        ready_since: ``now`` of ``session.updated``, or None.
        failure: What made the connection unusable, or None: the error that explains its end. It is not reported by
            itself: whoever learns of the end tells it, together with how the connection was closed.
    """

    def __init__(
        self,
        settings: SessionSettings,
        instructions: str,
        *,
        model: str = "",
        effort: Effort | str = "",
        memory: ConversationMemory | None = None,
    ) -> None:
        self._settings = settings
        self._instructions = instructions
        self.model = model
        self._effort = effort
        self._memory = memory
        self._exchanges = Exchanges(settings, memory)
        self.state = State.OPENING
        self.session_id = ""
        self.expires_at: float | None = None
        self.ready_since: float | None = None
        self.failure: UpstreamError | None = None
        self._told = instructions
        self._updates = 0
        self._deadline: float | None = None
        self._rollover_at: float | None = None
        self._opened: tuple[float, float | None] = (0.0, None)
        self._heard_at = float("-inf")

    # ------------------------------------------------------------------------------------------- questions about it

    @property
    def has_room(self) -> bool:
        """Whether a question may be asked now."""
        return self.state is State.READY and self._exchanges.has_room

    @property
    def responding(self) -> int:
        """Questions that were asked and have not ended."""
        return len(self._exchanges)

    @property
    def answered(self) -> bool:
        """Whether a response was completed."""
        return self._exchanges.answered

    @property
    def deadline(self) -> float | None:
        """When ``Tick`` is wanted, on the clock of ``now``; None when nothing is waited for."""
        if self.state not in OPEN_STATES:
            return None
        wanted = (self._deadline, self._rollover_at, self._exchanges.deadline)
        return min((when for when in wanted if when is not None), default=None)

    # ------------------------------------------------------------------------------------------- the one verb

    def step(self, given: Input, now: float) -> Commands:
        """Take an input. Never raises for anything the service sends.

        Args:
            given: What happened.
            now: Monotonic seconds.

        Returns:
            What must be done, in this order.
        """
        if not isinstance(given, OURS):
            self._heard_at = now
        follows = TABLE.get((self.state, type(given)))
        if follows is None:
            return []
        self.state = follows
        commands = self._handle(given, now)
        if self._exchanges.failure is not None and self.state in OPEN_STATES:
            failure = self._exchanges.failure
            commands += self._close(failure, LINGER_S if failure.fatal else 0.0)
        elif self.state is State.RETIRING and not self._exchanges:
            commands += self._close(None)
        return commands

    def _handle(self, given: Input, now: float) -> Commands:  # noqa: PLR0912 - one line per input, nothing else
        exchanges = self._exchanges
        match given:
            case Opened():
                return self._open(given, now)
            case SessionCreated():
                return self._created(given, now)
            case SessionUpdated():
                return self._updated(given, now)
            case Reinstruct():
                return self._reinstruct(given)
            case Ask():
                return exchanges.ask(given)
            case Placed() if self._memory is not None:
                self._memory.placed(given.item_id)
            case Learn() if self._memory is not None:
                self._memory.learn(given.text)
            case Sent():
                exchanges.sent(given, now)
            case Withdrawn():
                commands = exchanges.withdraw(given.question_id)
                return commands if self.state in OPEN_STATES else []
            case ResponseCreated():
                return exchanges.created(given, now)
            case OutputItemAdded() | OutputItemDone():
                return exchanges.item(given)
            case TextDelta():
                return exchanges.delta(given)
            case TextDone():
                return exchanges.text_done(given)
            case ResponseDone():
                return exchanges.done(given)
            case ErrorEvent():
                return self._error(given, now)
            case Retire():
                self._rollover_at, self._deadline = None, now + RETIRE_S
            case Tick():
                return self._tick(now)
            case Shut():
                return self._close(None)
            case Closed():
                return self._closed(given)
            case _:  # events that are in no row of the table
                pass
        return []

    # ------------------------------------------------------------------------------------------- opening

    def _open(self, opened: Opened, now: float) -> Commands:
        self._opened = (now, opened.wall)
        self._deadline = now + self._settings.created_s
        return []

    def _created(self, event: SessionCreated, now: float) -> Commands:
        self.session_id = event.session_id
        self.expires_at = event.expires_at
        self._deadline = now + self._settings.updated_s
        if not session_takes_reasoning(event.model, self.model):
            self._effort = ""
        self._exchanges.think(self._effort)
        return [Send(self._update())]

    def _updated(self, event: SessionUpdated, now: float) -> Commands:
        self.session_id = event.session_id or self.session_id
        self.expires_at = event.expires_at or self.expires_at
        self.ready_since = now
        self._deadline = None
        self._rollover_at = self._when_to_roll_over(now)
        told: Commands = [] if self.failure is None else [Report(self.failure)]  # it was not the end after all
        self.failure = None
        return [*told, BecameReady(self.session_id), *self._reinstruct(Reinstruct(self._instructions))]

    def _reinstruct(self, given: Reinstruct) -> Commands:
        """Other instructions: in the first update, or in one more as soon as the session is ready for it."""
        self._instructions = given.instructions
        if self.state is not State.READY or self._told == self._instructions:
            return []
        return [Send(self._update())]

    def _when_to_roll_over(self, now: float) -> float:
        """At min(expiry - 300 s, 55 min); in a session that lives shorter than ten minutes, at half its time."""
        opened_at, wall = self._opened
        latest = opened_at + self._settings.rollover_s
        if self.expires_at is None or wall is None:
            return latest
        life_s = self.expires_at - wall
        if life_s <= LEAST_LIFE_S:
            return latest
        return min(latest, max(opened_at + max(life_s - ROLLOVER_LEAD_S, life_s / 2), now + LEAST_LIFE_S))

    def _update(self) -> SessionUpdate:
        self._updates += 1
        self._told = self._instructions
        return SessionUpdate(
            event_id=f"su_{self._updates}",
            instructions=self._instructions,
            max_output_tokens=self._settings.max_output_tokens,
            retention_ratio=self._settings.retention_ratio,
            post_instructions_tokens=context_tokens(self._settings),
            reasoning_effort=self._effort,
        )

    # ------------------------------------------------------------------------------------------- errors and time

    def _error(self, event: ErrorEvent, now: float) -> Commands:
        details = event.error
        if details.code in BENIGN_CODES:
            return []
        opening = self.state in {State.AWAIT_CREATED, State.CONFIGURING}
        about_update = details.event_id == "su_1" or (not details.event_id and details.param.startswith("session"))
        configuring = self.state is State.CONFIGURING and about_update
        error = explain_error(details, opening=opening, configuring=configuring)
        refused = [] if opening else self._exchanges.refuse(details, error, now)
        if error.fatal or error.code == "session_expired":
            return [*refused, *self._close(error, LINGER_S)]
        if not opening:
            return [Report(error), *refused]
        # A gateway may close by itself now, and this says why (1.6). It is told with the close, as one failure.
        earlier, self.failure = self.failure, error
        return [] if earlier is None else [Report(earlier)]

    def _tick(self, now: float) -> Commands:
        if self._deadline is not None and now >= self._deadline:
            return self._late()
        commands = self._exchanges.overdue(now, self._heard_at)
        if self._rollover_at is not None and now >= self._rollover_at:
            self._rollover_at = None
            commands.append(RolloverDue())
        return commands

    def _late(self) -> Commands:
        """A step of the connection itself did not come in time."""
        if self.state is State.RETIRING:
            return self._close(explain_timeout("rollover", RETIRE_S))
        step, seconds = "session.updated", self._settings.updated_s
        if self.state is State.AWAIT_CREATED:
            step, seconds = "session.created", self._settings.created_s
        return self._close(explain_silence(self.failure, step, seconds))

    # ------------------------------------------------------------------------------------------- closing

    def _closed(self, closed: Closed) -> Commands:
        self._deadline = self._rollover_at = None
        return self._exchanges.vanish(explain_close(closed.code, closed.reason, self.failure))

    def _close(self, failure: UpstreamError | None, linger_s: float = 0.0) -> Commands:
        self.state = State.CLOSING
        self.failure = failure or self.failure
        self._deadline = self._rollover_at = None
        return [Close(1000, "", linger_s)]
