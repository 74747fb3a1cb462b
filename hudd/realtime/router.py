"""Owns the questions in flight, above the session machines. Pure.

One machine is the one that takes new work; another may still be finishing its answers. A question belongs to the
machine that it was asked on, so an answer of an old session is never taken for one of a new. Every question that was
given ends in exactly one ``Answer``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from hudd.model import Answer, Question, UpstreamError
from hudd.protocol.events import ItemCreate, RateLimitsUpdated, ResponseCreate
from hudd.realtime.pace import RATE_CODES, Pace
from hudd.realtime.sentences import explain_lost
from hudd.realtime.session import Session
from hudd.realtime.session_words import (
    Ask,
    Command,
    Delta,
    Finished,
    Input,
    Learn,
    Sent,
    Withdrawn,
)

MAX_SENDS: Final = 2
"""A question that a person asked is paid for at most twice: once, and once more after a drop (design 5)."""
ASK_AGAIN_WITHIN_S: Final = 60.0
"""A snap older than this at the reconnect is asked only when somebody still waits for it: the screen has moved on."""
_LOST: Final = "The connection was lost before the answer came and did not return in time; ask again."
_LATE: Final = "This snap waited until nobody waited for its note any more; ask again."


@dataclass(frozen=True, slots=True)
class Written:
    """A piece of an answer to show; ``n`` counts from 0 for each time the question is asked."""

    question: Question
    n: int
    text: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A question ended."""

    answer: Answer


RouterCommand: TypeAlias = Command | Written | Answered


@dataclass(slots=True)
class _Flight:
    question: Question
    machine: Session
    sends: int
    sent_at: float | None = None
    first_delta_at: float | None = None
    deltas: int = 0


class Router:
    """Questions in flight and the machines they fly on.

    Args:
        random: Gives numbers in [0, 1), for the pace of automatic questions.
        awaited: Whether somebody waits for the answer to a question now, by its id.
    """

    def __init__(
        self, random: Callable[[], float] = lambda: 0.5, awaited: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._pace = Pace(random)
        self._awaited = awaited
        self._machine: Session | None = None
        self._flights: dict[str, _Flight] = {}
        self._again: deque[tuple[Question, int]] = deque()

    # ------------------------------------------------------------------------------------------- questions about it

    @property
    def in_flight(self) -> int:
        """Questions that were asked on a connection and have not ended."""
        return len(self._flights)

    @property
    def owes(self) -> bool:
        """Whether any question that was given has not ended, one that waits to be asked again included."""
        return bool(self._flights or self._again)

    @property
    def has_room(self) -> bool:
        """Whether a question may be asked now."""
        return self._machine is not None and self._machine.has_room

    @property
    def allows_automatic(self) -> bool:
        """Whether an automatic question may be asked: only alone, so that a person never waits behind two of them."""
        return self.has_room and not self.owes

    def automatic_wait_s(self, now: float) -> float:
        """Seconds for which the service's rate limit holds automatic questions back; 0 when it does not."""
        return self._pace.wait_s(now)

    # ------------------------------------------------------------------------------------------- machines

    def use(self, machine: Session) -> None:
        """Ask on this machine from now on; questions on others stay there."""
        self._machine = machine

    def uses(self, machine: Session) -> bool:
        """Whether this is the machine that takes new work."""
        return self._machine is machine

    def step(self, machine: Session, given: Input, now: float) -> list[RouterCommand]:
        """Let a machine take an input, and say what follows from it.

        Args:
            machine: On which connection it happened.
            given: What happened.
            now: Monotonic seconds.
        """
        if isinstance(given, RateLimitsUpdated):
            self._pace.told(given, now)
        commands: list[RouterCommand] = []
        for command in machine.step(given, now):
            match command:
                case Delta():
                    commands += self._written(command, now)
                case Finished():
                    commands += self._finished(command, machine, now)
                case _:
                    commands.append(command)
        return commands

    # ------------------------------------------------------------------------------------------- questions

    def next_again(self, now: float) -> tuple[Question | None, list[RouterCommand]]:
        """The next question that waits to be asked again, left in its place; those that are too old end here."""
        ended: list[RouterCommand] = []
        while self._again:
            question, sends = self._again.popleft()
            if now - question.asked_at <= ASK_AGAIN_WITHIN_S or self._awaited(question.id):
                self._again.appendleft((question, sends))
                return question, ended
            ended.append(Answered(given_up(question, now, sent=sends > 0)))
        return None, ended

    def put_off(self, question: Question) -> None:
        """Let a new question wait for a fresh picture, because the one that it has is too old to be sent."""
        self._again.append((question, 0))

    def drop_again(self, question_id: str, error: UpstreamError, now: float) -> list[RouterCommand]:
        """End a question that waits to be asked again, because there is no fresh picture for it."""
        kept: deque[tuple[Question, int]] = deque()
        ended: list[RouterCommand] = []
        for question, sends in self._again:
            if question.id == question_id:
                ended.append(self.refused(question, error, now, sent=sends > 0))
            else:
                kept.append((question, sends))
        self._again = kept
        return ended

    def ask(
        self, question: Question, event: ResponseCreate, now: float, *, ahead: tuple[ItemCreate, ...] = ()
    ) -> list[RouterCommand]:
        """Ask a question on the machine in use.

        Args:
            question: A new one, or the one that ``next_again`` gave, with a fresh picture.
            event: The request for it.
            now: Monotonic seconds.
            ahead: Items that the request leans on.

        Raises:
            ValueError: When there is no room, or the question is in flight already.
        """
        machine = self._machine
        if machine is None or not machine.has_room or question.id in self._flights:
            raise ValueError(f"the question {question.id} cannot be asked now")
        sends = 0
        if self._again and self._again[0][0].id == question.id:
            _, sends = self._again.popleft()
        self._flights[question.id] = _Flight(question, machine, sends)
        return self.step(machine, Ask(question.id, event, ahead), now)

    def sent(self, question_id: str, now: float) -> None:
        """The question's bytes were handed to the socket."""
        flight = self._flights.get(question_id)
        if flight is not None and flight.sent_at is None:
            flight.sent_at = now
            flight.sends += 1
            self.step(flight.machine, Sent(question_id), now)

    def withheld(self, question_id: str, error: UpstreamError, now: float) -> list[RouterCommand]:
        """The question was not sent: something forbids it."""
        flight = self._flights.pop(question_id, None)
        if flight is None:
            return []
        commands = self.step(flight.machine, Withdrawn(question_id), now)
        return [self.refused(flight.question, error, now, sent=flight.sends > 0), *commands]

    def refused(self, question: Question, error: UpstreamError, now: float, *, sent: bool = False) -> Answered:
        """End a question that was not asked."""
        total_ms = (now - question.asked_at) * 1000
        answer = Answer(question, "failed", error=error, sent=sent, queue_ms=total_ms, total_ms=total_ms)
        return Answered(answer)

    def end_all(self, error: UpstreamError, now: float) -> list[RouterCommand]:
        """End everything that is owed, because nothing will be asked any more."""
        ended: list[RouterCommand] = []
        for flight in self._flights.values():
            finished = Finished(flight.question.id, "vanished", error=error)
            ended.append(self._answer(flight, finished, now))
        self._flights.clear()
        return ended + self.end_again(error, now)

    def end_again(self, error: UpstreamError, now: float) -> list[RouterCommand]:
        """End the questions that wait to be asked again."""
        ended: list[RouterCommand] = [
            Answered(_vanished(question, error, now, sent=sends > 0)) for question, sends in self._again
        ]
        self._again.clear()
        return ended

    # ------------------------------------------------------------------------------------------- inside

    def _written(self, delta: Delta, now: float) -> list[RouterCommand]:
        flight = self._flights.get(delta.question_id)
        if flight is None:
            return []
        if flight.first_delta_at is None:
            flight.first_delta_at = now
        flight.deltas += 1
        return [Written(flight.question, flight.deltas - 1, delta.text)]

    def _finished(self, finished: Finished, machine: Session, now: float) -> list[RouterCommand]:
        flight = self._flights.get(finished.question_id)
        if flight is None or flight.machine is not machine:
            return []
        del self._flights[finished.question_id]
        self._learn_from(finished, machine, now)
        fatal = finished.error is not None and finished.error.fatal
        dropped = finished.status == "vanished" and flight.question.trigger == "manual" and not fatal
        if dropped and flight.sends < MAX_SENDS:
            self._again.append((flight.question, flight.sends))
            return []
        return [self._answer(flight, finished, now)]

    def _learn_from(self, finished: Finished, machine: Session, now: float) -> None:
        if finished.error is not None and finished.error.code in RATE_CODES:
            self._pace.refused(now)
        elif finished.status == "completed":
            self._pace.answered()
            if self._machine is not None and self._machine is not machine:
                self._machine.step(Learn(finished.text), now)

    def _answer(self, flight: _Flight, finished: Finished, now: float) -> Answered:
        asked_at, sent_at, first_at = flight.question.asked_at, flight.sent_at, flight.first_delta_at
        return Answered(
            Answer(
                question=flight.question,
                status=finished.status,
                text=finished.text,
                reason=finished.reason,
                usage=finished.usage,
                error=finished.error,
                session_id=flight.machine.session_id,
                response_id=finished.response_id,
                sent=flight.sends > 0,
                queue_ms=((now if sent_at is None else sent_at) - asked_at) * 1000,
                first_delta_ms=None if sent_at is None or first_at is None else max(0.0, first_at - sent_at) * 1000,
                total_ms=(now - asked_at) * 1000,
            )
        )


def given_up(question: Question, now: float, *, sent: bool = False) -> Answer:
    """The end of a snap that is not asked, or not again, because nobody waits for its note any more."""
    return _vanished(question, explain_lost(_LOST if sent else _LATE), now, sent=sent)


def _vanished(question: Question, error: UpstreamError, now: float, *, sent: bool) -> Answer:
    total_ms = (now - question.asked_at) * 1000
    return Answer(question, "vanished", error=error, sent=sent, queue_ms=total_ms, total_ms=total_ms)
