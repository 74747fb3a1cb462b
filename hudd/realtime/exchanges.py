"""The questions of one connection, from the asking to the end of the answer. Pure.

``realtime.session`` knows the connection's life, this knows its questions. Each that was asked and not withdrawn ends
in exactly one ``Finished``.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from hudd.config.settings import SessionSettings
from hudd.model import UpstreamError
from hudd.protocol.events import (
    Effort,
    ErrorDetails,
    OutputItemAdded,
    OutputItemDone,
    ResponseCancel,
    ResponseCreated,
    ResponseDone,
    TextDelta,
    TextDone,
)
from hudd.realtime.exchange import Exchange, Step
from hudd.realtime.memory import ConversationMemory
from hudd.realtime.sentences import explain_error, explain_no_cancel, explain_timeout
from hudd.realtime.session_words import Ask, Command, Delta, Finished, Report, Send, Sent

MAX_IN_FLIGHT: Final = 2
"""How many out-of-band responses the service runs at once is not documented; two are known to work (3.8)."""
CANCEL_S: Final = 10.0
"""Seconds until a cancelled response must have ended; else the connection counts as dead (8.2)."""
THINKING_FACTOR: Final = 2.0
"""A model that thinks hard begins to write later (8.2)."""
_NO_REASON: Final = ErrorDetails(type="server_error", message="the response failed without a reason")


class Exchanges:
    """Questions in flight on one connection.

    Args:
        settings: Time-outs.
        memory: What stands in the service's conversation; None when answers are out of band.

    Attributes:
        answered: Whether a response was completed.
        failure: Set when the connection is of no use any more; the session closes it then.
    """

    def __init__(self, settings: SessionSettings, memory: ConversationMemory | None) -> None:
        self._settings = settings
        self._memory = memory
        self._first_delta_s = settings.first_delta_s
        self._open: dict[str, Exchange] = {}
        self._given_up: deque[str] = deque(maxlen=64)
        self._ghosts: dict[str, float] = {}
        self.answered = False
        self.failure: UpstreamError | None = None

    def __len__(self) -> int:
        return len(self._open)

    @property
    def has_room(self) -> bool:
        """Whether another question may be asked: into the service's conversation, one at a time (3.8)."""
        if self._memory is None:
            return len(self._open) < MAX_IN_FLIGHT
        return not self._open and not self._ghosts

    @property
    def deadline(self) -> float | None:
        """When the next step of any of them must have come."""
        waits = [x.deadline for x in self._open.values() if x.deadline is not None]
        return min((*waits, *self._ghosts.values()), default=None)

    def think(self, effort: Effort | str) -> None:
        """Learn how hard the model thinks before it writes."""
        if effort in {"high", "xhigh"}:
            self._first_delta_s = self._settings.first_delta_s * THINKING_FACTOR

    # ------------------------------------------------------------------------------------------- asking

    def ask(self, ask: Ask) -> list[Command]:
        """Begin a question.

        Raises:
            ValueError: There is no room, or it is in flight: ours, ``has_room`` was not asked.
        """
        if not self.has_room or ask.question_id in self._open:
            raise ValueError(f"no room for the question {ask.question_id}")
        event_ids = (ask.event.event_id, *(item.event_id for item in ask.ahead))
        self._open[ask.question_id] = Exchange(ask.question_id, event_ids)
        return [Send(ask.event, ask.question_id, ask.ahead)]

    def sent(self, sent: Sent, now: float) -> None:
        """Its bytes are with the socket: the time-outs start."""
        exchange = self._open.get(sent.question_id)
        if exchange is not None and exchange.step is Step.UNSENT:
            exchange.sent_at = now
            exchange.wait(Step.SENT, now + self._settings.response_created_s)

    def withdraw(self, question_id: str) -> list[Command]:
        """It was not sent after all."""
        if self._open.pop(question_id, None) is None:
            return []
        return self._forget(question_id)

    # ------------------------------------------------------------------------------------------- answers

    def created(self, event: ResponseCreated, now: float) -> list[Command]:
        """A request arrived: the only proof of it."""
        question_id = dict(event.metadata).get("snap", "")
        exchange = self._open.get(question_id)
        if exchange is None or exchange.response_id:
            if question_id and question_id in self._given_up:
                # It would go on costing though nobody waits for it any more.
                return [Send(ResponseCancel(f"cancel_{question_id}", event.response_id))]
            return []
        exchange.response_id = event.response_id
        exchange.done_by = now + self._settings.response_done_s
        exchange.wait(Step.CREATED, min(now + self._first_delta_s, exchange.done_by))
        return []

    def item(self, event: OutputItemAdded | OutputItemDone) -> list[Command]:
        """An item of an answer began or ended; what matters is its phase."""
        exchange = self._of_response(event.response_id)
        if exchange is not None:
            exchange.text.item(event.item)
        return []

    def delta(self, event: TextDelta) -> list[Command]:
        """A piece of text."""
        exchange = self._of_response(event.response_id)
        if exchange is None:
            return []
        return self._show(exchange, exchange.text.delta(event.item_id, event.content_index, event.delta))

    def text_done(self, event: TextDone) -> list[Command]:
        """A part of the text is complete."""
        exchange = self._of_response(event.response_id)
        if exchange is None:
            return []
        return self._show(exchange, exchange.text.done(event.item_id, event.content_index, event.text))

    def _show(self, exchange: Exchange, piece: str) -> list[Command]:
        if exchange.step is Step.CREATED:
            exchange.wait(Step.WRITING, exchange.done_by)
        return [Delta(exchange.question_id, piece)] if piece else []

    def done(self, event: ResponseDone) -> list[Command]:
        """An answer ended."""
        exchange = self._of_response(event.response_id)
        if exchange is None:  # response.created may have been lost on the way; ours is still ours
            exchange = self._open.get(dict(event.metadata).get("snap", ""))
        if exchange is None or (exchange.response_id and exchange.response_id != event.response_id):
            ghost = self._ghosts.pop(dict(event.metadata).get("snap", ""), None)
            return [] if ghost is None else self._tidy()
        del self._open[exchange.question_id]
        error = exchange.timeout
        if event.error is not None:
            error = explain_error(event.error)
        elif event.status == "failed" and error is None:
            error = explain_error(_NO_REASON)
        self.answered = self.answered or event.status == "completed"
        if error is not None and error.fatal:
            self.failure = error
        finished = Finished(
            question_id=exchange.question_id,
            status=event.status,
            text=exchange.text.final(event.output),
            reason=event.reason,
            usage=event.usage,
            error=error,
            response_id=event.response_id,
        )
        if self._memory is not None:
            self._memory.ended(exchange.question_id, event.output)
        # A fatal one ends the connection, and is told with its end.
        told = [] if error is None or error.fatal else [Report(error)]
        return [*told, finished, *self._tidy()]

    # ------------------------------------------------------------------------------------------- other ends

    def refuse(self, details: ErrorDetails, error: UpstreamError, now: float) -> list[Command]:
        """An error came. Ends the question that it is about: by our event id, else by what it names (2.5)."""
        waiting = [x for x in self._open.values() if x.step in {Step.UNSENT, Step.SENT}]
        if details.event_id:
            refused = next((x for x in waiting if details.event_id in x.event_ids), None)
        else:
            sent = [x for x in waiting if x.step is Step.SENT]
            refused = sent[0] if len(sent) == 1 and details.param.startswith("response") else None
        if refused is None:
            return []
        if self._memory is not None and details.event_id in refused.event_ids[1:]:
            # An item was refused, not the request that follows it: its answer must end before the next may begin.
            self._ghosts[refused.question_id] = now + self._settings.response_created_s + CANCEL_S
        return self._give_up(refused, error)

    def overdue(self, now: float, heard_at: float) -> list[Command]:
        """Act on every deadline that is reached.

        Args:
            now: Monotonic seconds.
            heard_at: When the service said anything the last time.
        """
        commands: list[Command] = []
        if any(now >= deadline for deadline in self._ghosts.values()):
            self._ghosts.clear()
            self.failure = explain_timeout("cancel", CANCEL_S)
        for exchange in list(self._open.values()):
            if exchange.deadline is not None and now >= exchange.deadline:
                commands += self._late(exchange, now, heard_at)
        return commands

    def _late(self, exchange: Exchange, now: float, heard_at: float) -> list[Command]:
        settings = self._settings
        if exchange.step is Step.SENT:
            error = explain_timeout("response.created", settings.response_created_s)
            if heard_at <= exchange.sent_at or self._memory is not None:
                # Not a word since: the line is dead. Or its answer might still come into the one conversation, where
                # it would keep out every other (3.8). The question ends with the connection.
                self.failure = error
                exchange.deadline = None
                return []
            # A cancel needs the id that never came; sent without it, it would be a no-op (3.8).
            return [Report(error), *self._give_up(exchange, error)]
        if exchange.step is Step.CANCELLED:
            self.failure = explain_no_cancel(exchange.timeout, CANCEL_S)
            return self._give_up(exchange, exchange.timeout or self.failure)
        late = exchange.step is Step.WRITING or now >= exchange.done_by
        seconds = settings.response_done_s if late else self._first_delta_s
        exchange.timeout = explain_timeout("response.done" if late else "first text", seconds)
        exchange.wait(Step.CANCELLED, now + CANCEL_S)
        cancel = ResponseCancel(f"cancel_{exchange.question_id}", exchange.response_id)
        return [Send(cancel)]  # how that ends is told with it, as one failure

    def vanish(self, error: UpstreamError) -> list[Command]:
        """The connection is gone, and every question with it."""
        lost: list[Command] = [
            Finished(
                question_id=exchange.question_id,
                status="vanished",
                text=exchange.text.so_far(),
                error=error,
                response_id=exchange.response_id,
            )
            for exchange in self._open.values()
        ]
        self._open.clear()
        return lost

    # ------------------------------------------------------------------------------------------- inside

    def _give_up(self, exchange: Exchange, error: UpstreamError) -> list[Command]:
        del self._open[exchange.question_id]
        self._given_up.append(exchange.question_id)
        finished = Finished(
            question_id=exchange.question_id,
            status="failed",
            text=exchange.text.so_far(),
            error=error,
            response_id=exchange.response_id,
        )
        return [finished, *self._forget(exchange.question_id)]

    def _forget(self, question_id: str) -> list[Command]:
        if self._memory is not None:
            self._memory.ended(question_id)
        return self._tidy()

    def _tidy(self) -> list[Command]:
        """Delete what should leave the conversation, while nothing is being written into it."""
        if self._memory is None or not self.has_room or self.failure is not None:
            return []
        return [Send(deletion) for deletion in self._memory.deletions()]

    def _of_response(self, response_id: str) -> Exchange | None:
        return next((x for x in self._open.values() if x.response_id == response_id), None)
