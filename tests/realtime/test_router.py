"""Questions over connections: each ends in exactly one answer, whatever the service sends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.config.settings import SessionSettings
from hudd.model import Answer, Question
from hudd.protocol.codec import decode, encode
from hudd.realtime.prompt import WindowHistory, build
from hudd.realtime.router import ASK_AGAIN_WITHIN_S, Answered, Router, RouterCommand, Written
from hudd.realtime.sentences import explain_lost, explain_withheld
from hudd.realtime.session import MAX_IN_FLIGHT, Session
from hudd.realtime.session_table import State
from hudd.realtime.session_words import Closed, Input, Opened, Send, Shut, Tick
from tests.fakes.official_types import check_client_event
from tests.fakes.questions import make_question
from tests.fakes.realtime_peer import RealtimePeer

SETTINGS = SessionSettings()


class House:
    """A router with one connection at a time to a scripted peer."""

    def __init__(self) -> None:
        self.router = Router()
        self.peer = RealtimePeer()
        self.now = 1000.0
        self.history = WindowHistory(history_tokens=300, retention_ratio=0.5)
        self.answers: list[Answer] = []
        self.written: list[Written] = []
        self.asks = 0
        self.connect()

    def connect(self) -> None:
        self.machine = Session(SETTINGS, "Keep notes.")
        self.router.use(self.machine)
        self.give(Opened())
        for frame in self.peer.greeting():
            self.give(decode(frame))

    def give(self, given: Input, machine: Session | None = None) -> None:
        self.carry(self.router.step(machine or self.machine, given, self.now))

    def carry(self, commands: list[RouterCommand]) -> None:
        for command in commands:
            match command:
                case Answered():
                    self.answers.append(command.answer)
                case Written():
                    self.written.append(command)
                case Send():
                    if command.question_id:
                        self.router.sent(command.question_id, self.now)
                    data = encode(command.event)
                    check_client_event(data)
                    for frame in self.peer.receive(data):
                        self.give(decode(frame))
                case _:
                    pass

    def ask(self, question: Question, *, send: bool = True) -> None:
        self.asks += 1
        request = build(question, self.history, event_id=f"rc_{self.asks}", max_output_tokens=200)
        commands = self.router.ask(question, request, self.now)
        if send:
            self.carry(commands)

    def ask_again(self) -> None:
        question, ended = self.router.next_again(self.now)
        self.carry(ended)
        if question is not None:
            self.ask(question)


def test_an_answer_tells_its_times_and_session() -> None:
    house = House()
    house.peer.silent_to.add("response.create")
    question = make_question(asked_at=house.now - 0.5)
    house.ask(question)
    house.now += 0.25
    response = {"id": "resp_1", "metadata": {"snap": question.id}}
    house.give(decode(house.peer.event("response.created", response=response)))
    place = {"response_id": "resp_1", "item_id": "i", "content_index": 0}
    house.give(decode(house.peer.event("response.output_text.delta", **place, delta="Hello")))
    house.now += 1.0
    house.give(decode(house.peer.event("response.done", response={"id": "resp_1", "status": "completed"})))
    [answer] = house.answers
    assert (answer.queue_ms, answer.first_delta_ms, answer.total_ms) == (500.0, 250.0, 1750.0)
    assert (answer.session_id, answer.response_id, answer.sent, answer.text) == ("sess_1", "resp_1", True, "Hello")
    assert not house.router.owes


def test_pieces_are_numbered_from_0() -> None:
    house = House()
    house.ask(make_question())
    assert [piece.n for piece in house.written] == list(range(len(house.peer.text.split())))
    assert "".join(piece.text for piece in house.written) == house.peer.text


def test_a_snap_is_asked_again_once_after_a_drop() -> None:
    house = House()
    house.peer.stop_after = "response.output_text.done"
    question = make_question(trigger="manual")
    house.ask(question)
    house.give(Closed(1006))
    assert house.answers == []
    assert house.router.owes
    house.connect()
    house.ask_again()
    house.give(Closed(1006))
    [answer] = house.answers
    assert (answer.status, answer.sent) == ("vanished", True)
    assert not house.router.owes
    assert house.peer.received_types().count("response.create") == 2


def test_the_second_asking_may_succeed() -> None:
    house = House()
    house.peer.silent_to.add("response.create")
    house.ask(make_question())
    house.give(Closed(1001))
    house.peer.silent_to.clear()
    house.connect()
    house.ask_again()
    assert [answer.status for answer in house.answers] == ["completed"]
    assert next(piece.n for piece in house.written) == 0


def test_an_automatic_question_gives_way_at_a_drop() -> None:
    house = House()
    house.peer.silent_to.add("response.create")
    house.ask(make_question(trigger="change"))
    house.give(Closed(1006))
    assert [(a.status, a.sent) for a in house.answers] == [("vanished", True)]


def test_a_question_whose_bytes_never_left_does_not_use_up_its_repeat() -> None:
    house = House()
    house.ask(make_question(), send=False)
    house.give(Closed(1006))
    for _ in range(2):
        house.connect()
        house.peer.silent_to.add("response.create")
        house.ask_again()
        house.give(Closed(1006))
    assert [(a.status, a.sent) for a in house.answers] == [("vanished", True)]
    assert house.peer.received_types().count("response.create") == 2


def test_a_snap_that_is_too_old_is_not_asked_again() -> None:
    house = House()
    house.peer.silent_to.add("response.create")
    house.ask(make_question(asked_at=house.now))
    house.give(Closed(1006))
    house.now += ASK_AGAIN_WITHIN_S + 1
    house.connect()
    house.ask_again()
    assert [a.status for a in house.answers] == ["vanished"]
    assert house.peer.received_types().count("response.create") == 1


def test_after_a_fatal_end_nothing_is_asked_again() -> None:
    house = House()
    house.peer.silent_to.add("response.create")
    house.ask(make_question())
    house.give(decode(house.peer.error_event("account_deactivated")))
    house.give(Closed(4000))
    [answer] = house.answers
    assert answer.status == "vanished"
    assert answer.error is not None
    assert answer.error.code == "account_deactivated"


def test_a_withheld_question_is_an_answer_that_was_not_sent() -> None:
    house = House()
    question = make_question()
    house.ask(question, send=False)
    house.carry(house.router.withheld(question.id, explain_withheld(("paused", "locked")), house.now))
    [answer] = house.answers
    assert (answer.status, answer.sent) == ("failed", False)
    assert answer.error is not None
    assert (answer.error.code, answer.error.param) == ("withheld", "paused, locked")
    assert house.router.has_room


def test_a_late_answer_of_an_old_session_is_not_taken() -> None:
    house = House()
    house.peer.silent_to.add("response.create")
    question = make_question()
    house.ask(question)
    old = house.machine
    house.give(Closed(1006))
    house.connect()
    house.ask_again()
    response = {"id": "resp_old", "status": "completed", "metadata": {"snap": question.id}}
    house.give(decode(house.peer.event("response.done", response=response)), old)
    assert house.answers == []
    assert house.router.in_flight == 1


def test_two_machines_may_be_held_while_the_old_one_finishes() -> None:
    house = House()
    house.peer.silent_to.add("response.create")
    first, second = make_question(1), make_question(2)
    house.ask(first)
    old = house.machine
    house.connect()
    house.ask(second)
    for machine, question in ((old, first), (house.machine, second)):
        response = {"id": "resp_same", "status": "completed", "metadata": {"snap": question.id}}
        house.give(decode(house.peer.event("response.done", response=response)), machine)
    assert [a.question.id for a in house.answers] == [first.id, second.id]


def test_an_automatic_question_is_asked_alone() -> None:
    house = House()
    assert house.router.allows_automatic
    house.peer.silent_to.add("response.create")
    house.ask(make_question(1, "change"))
    assert house.router.has_room
    assert not house.router.allows_automatic
    house.ask(make_question(2, "manual"))
    assert not house.router.has_room


def test_the_end_ends_everything() -> None:
    house = House()
    house.peer.silent_to.add("response.create")
    house.ask(make_question(1))
    house.give(Closed(1006))
    house.connect()
    house.ask(make_question(2))
    house.carry(house.router.end_all(explain_lost("It ended."), house.now))
    assert sorted(a.question.id for a in house.answers) == [make_question(1).id, make_question(2).id]
    assert {a.status for a in house.answers} == {"vanished"}
    assert not house.router.owes


def test_asking_twice_is_a_mistake_of_ours() -> None:
    house = House()
    house.peer.silent_to.add("response.create")
    house.ask(make_question(1))
    with pytest.raises(ValueError, match="cannot be asked"):
        house.ask(make_question(1))


# --------------------------------------------------------------------------------------- any sequence of events

RESPONSES = st.sampled_from(["resp_1", "resp_2", "resp_3"])
SNAPS = st.sampled_from([make_question(number).id for number in range(1, 5)] + ["nobody"])
CODES = st.sampled_from(
    ["invalid_api_key", "session_expired", "rate_limit_exceeded", "invalid_value", "response_cancel_not_active", None]
)
STATUSES = st.sampled_from(["completed", "cancelled", "incomplete", "failed", "strange"])


def _frame(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


PLACES = st.fixed_dictionaries(
    {"response_id": RESPONSES, "item_id": st.sampled_from(["i1", "i2"]), "content_index": st.integers(0, 1)}
)
FRAMES = st.one_of(
    st.just(_frame("session.created", session={"id": "sess_9"})),
    st.just(_frame("session.updated", session={"id": "sess_9"})),
    st.builds(lambda r, s: _frame("response.created", response={"id": r, "metadata": {"snap": s}}), RESPONSES, SNAPS),
    st.builds(lambda p, t: _frame("response.output_text.delta", **p, delta=t), PLACES, st.text(max_size=5)),
    st.builds(lambda p, t: _frame("response.output_text.done", **p, text=t), PLACES, st.text(max_size=5)),
    st.builds(
        lambda r, s, status, code: _frame(
            "response.done",
            response={
                "id": r,
                "status": status,
                "metadata": {"snap": s},
                "status_details": {"error": {"code": code}} if status == "failed" else None,
            },
        ),
        RESPONSES,
        SNAPS,
        STATUSES,
        CODES,
    ),
    st.builds(
        lambda code, event_id, param: _frame("error", error={"code": code, "event_id": event_id, "param": param}),
        CODES,
        st.sampled_from(["rc_1", "rc_2", "rc_3", "su_1", None]),
        st.sampled_from(["session.voice", "response.input", None]),
    ),
    st.sampled_from(["{}", "[", _frame("nobody.knows")]),
)
STEPS = st.one_of(
    FRAMES.map(lambda frame: ("frame", frame)),
    st.sampled_from([("ask", "manual"), ("ask", "change"), ("ask_unsent", "manual"), ("withhold", "")]),
    st.sampled_from([("connect", ""), ("close", "1006"), ("close", "1001"), ("close", "4000"), ("shut", "")]),
    st.floats(0, 100).map(lambda seconds: ("time", str(seconds))),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_no_sequence_raises_or_loses_or_doubles_a_question(steps: list[tuple[str, str]]) -> None:
    house = House()
    given_ids: list[str] = []
    for what, detail in steps:
        match what:
            case "frame":
                house.give(decode(detail))
            case "ask" | "ask_unsent" if house.router.has_room:
                question = make_question(len(given_ids) + 1, detail, asked_at=house.now)  # type: ignore[arg-type]
                given_ids.append(question.id)
                house.ask(question, send=what == "ask")
            case "withhold" if given_ids:
                house.carry(house.router.withheld(given_ids[-1], explain_withheld(("paused",)), house.now))
            case "close":
                house.give(Closed(int(detail)))
            case "shut":
                house.give(Shut())
            case "time":
                house.now += float(detail)
                house.give(Tick())
            case "connect" if house.machine.state is State.CLOSED:
                house.connect()
                while house.router.has_room and house.router.next_again(house.now)[0] is not None:
                    house.ask_again()
        assert house.machine.responding <= MAX_IN_FLIGHT
        if house.machine.deadline is not None:
            assert house.machine.deadline < float("inf")
    house.carry(house.router.end_all(explain_lost("It ended."), house.now))
    ended = [answer.question.id for answer in house.answers]
    assert sorted(ended) == sorted(given_ids)
    first_update = house.peer.received_types().index("session.update")
    assert "response.create" not in house.peer.received_types()[:first_update]
