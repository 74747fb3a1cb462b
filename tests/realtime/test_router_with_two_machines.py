"""Machine, router and ledger together under any sequence of server events, drops, sends, rollovers and times.

Over up to two machines and both memories: they never raise, never have two responses in one conversation, never send
before the session is configured, and never pass a cap.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.config.settings import SessionSettings
from hudd.model import Answer, Question
from hudd.protocol.codec import decode, encode
from hudd.protocol.events import ItemCreate, ResponseCreate
from hudd.realtime.memory import ConversationMemory
from hudd.realtime.prompt import WindowHistory, build, build_in_conversation
from hudd.realtime.router import Answered, Router, RouterCommand
from hudd.realtime.sentences import explain_lost, explain_withheld
from hudd.realtime.session import Session
from hudd.realtime.session_table import OPEN_STATES, State
from hudd.realtime.session_words import BecameReady, Closed, Input, Opened, Placed, Retire, Send, Shut, Tick
from tests.fakes.ledger import MemoryLedger
from tests.fakes.official_types import check_client_event
from tests.fakes.questions import make_question

WALL = 1_795_343_466.0
EACH_MICROUSD = 9000
"""What a question reserves here; its answer costs about half of that."""

TEXT = {"type": "output_text", "text": "A note of some length, so that the budget is reached."}


@dataclass
class Request:
    """One ``response.create`` on the service's side."""

    event_id: str
    response_id: str
    created: bool = False


class Wire:
    """What one machine sent, and whether it was allowed to."""

    def __init__(self, machine: Session) -> None:
        self.machine = machine
        self.sent: list[dict[str, Any]] = []
        self.active: dict[str, Request] = {}

    def send(self, event: Any) -> None:
        data = check_client_event(encode(event))
        if data["type"] in {"response.create", "conversation.item.create", "conversation.item.delete"}:
            assert self.machine.ready_since is not None, "sent before the session was configured"
        if isinstance(event, ResponseCreate):
            assert event.conversation == "none" or not self.active, "two responses into one conversation"
            self.active[dict(event.metadata)["snap"]] = Request(event.event_id, f"resp_{len(self.sent)}")
        self.sent.append(data)

    def say(self, what: str, detail: str) -> str:
        """What a true service says next about one of the requests; '' when there is none."""
        chosen = next((s for s, r in self.active.items() if r.created == (what == "done")), None)
        if chosen is None:
            return ""
        request = self.active[chosen]
        about = {"id": request.response_id, "metadata": {"snap": chosen}}
        if what == "refuse_item":  # the request behind the item goes on
            items = [e for e in self.sent if e["type"] == "conversation.item.create"]
            return frame("error", error={"code": detail, "event_id": items[-1]["event_id"]}) if items else ""
        if what == "created":
            request.created = True
            return frame("response.created", response=about)
        del self.active[chosen]
        if what == "refuse":
            return frame("error", error={"code": detail, "event_id": request.event_id})
        reason = {"error": {"code": "rate_limit_exceeded"}} if detail == "failed" else None
        usage = {
            "input_tokens": 700,
            "output_tokens": 60,
            "input_token_details": {"text_tokens": 377, "image_tokens": 323},
        }
        output = [{"id": f"item_{len(self.sent)}", "type": "message", "content": [TEXT]}]
        return frame(
            "response.done",
            response={**about, "status": detail, "output": output, "status_details": reason, "usage": usage},
        )


class World:
    """A router, and a connection that may be followed by another while it lives."""

    def __init__(self, memory: str, cap_microusd: int) -> None:
        self.ledger = MemoryLedger(cap_microusd, EACH_MICROUSD)
        self.questions: dict[str, Question] = {}
        self.settings = replace(SessionSettings(), memory=memory)  # type: ignore[arg-type]
        self.router = Router()
        self.history = WindowHistory(history_tokens=300, retention_ratio=0.5)
        self.now = 1000.0
        self.wires: list[Wire] = []
        self.memories: dict[Session, ConversationMemory | None] = {}
        self.answers: list[Answer] = []
        self.asked: list[str] = []
        self.sends: dict[str, int] = {}

    def open(self) -> None:
        living = [w for w in self.wires if w.machine.state is not State.CLOSED]
        if len(living) >= 2:
            return
        memory = ConversationMemory(self.settings, self.history) if self.settings.memory == "conversation" else None
        machine = Session(self.settings, "Keep notes.", model="gpt-realtime-2.1", effort="low", memory=memory)
        self.memories[machine] = memory
        self.wires.append(Wire(machine))
        self.give(machine, Opened(WALL + self.now))

    def connect(self) -> None:
        """Open another one, and let the service configure whatever waits for it."""
        self.open()
        for wire in self.wires:
            for said in (frame("session.created", session={"id": "s"}), frame("session.updated", session={})):
                if wire.machine.state in {State.AWAIT_CREATED, State.CONFIGURING}:
                    self.give(wire.machine, decode(said))

    def wire(self, which: int) -> Wire | None:
        living = [w for w in self.wires if w.machine.state is not State.CLOSED]
        return living[which % len(living)] if living else None

    def give(self, machine: Session, given: Input) -> None:
        self.carry(machine, self.router.step(machine, given, self.now))

    def carry(self, machine: Session, commands: list[RouterCommand]) -> None:
        for command in commands:
            match command:
                case Answered():
                    self.answers.append(command.answer)
                    self.ledger.answered(command.answer)
                case Send():
                    self.carry_out(machine, command)
                case BecameReady():
                    older = [w.machine for w in self.wires if self.router.uses(w.machine)]
                    self.router.use(machine)
                    for one in older:
                        self.give(one, Retire())
                case _:
                    pass

    def carry_out(self, machine: Session, command: Send) -> None:
        wire = next(w for w in self.wires if w.machine is machine)
        if command.question_id and not self.ledger.reserve(self.questions[command.question_id]):
            withheld = explain_withheld(("cap_reached",))
            self.carry(machine, self.router.withheld(command.question_id, withheld, self.now))
            return
        for item in command.ahead:
            assert isinstance(item, ItemCreate)
            wire.send(item)
            self.give(machine, Placed(item.item.id))
        wire.send(command.event)
        if command.question_id:
            self.sends[command.question_id] = self.sends.get(command.question_id, 0) + 1
            self.ledger.sent(self.questions[command.question_id])
            self.router.sent(command.question_id, self.now)

    def ask(self, trigger: str, *, withhold: bool) -> None:
        if not self.router.has_room:
            return
        again, ended = self.router.next_again(self.now)
        self.carry(self.wires[-1].machine, ended)
        question = again or make_question(len(self.asked) + 1, trigger, asked_at=self.now)  # type: ignore[arg-type]
        if again is None:
            self.asked.append(question.id)
        self.questions[question.id] = question
        machine = next(w.machine for w in self.wires if self.router.uses(w.machine))
        memory = self.memories[machine]
        ahead = () if memory is None else memory.plan(question)
        request = (
            build(question, self.history, event_id=f"rc_{len(self.asked)}", max_output_tokens=200)
            if memory is None
            else build_in_conversation(question, event_id=f"rc_{len(self.asked)}", max_output_tokens=200)
        )
        commands = self.router.ask(question, request, self.now, ahead=ahead)
        if withhold:
            self.carry(machine, self.router.withheld(question.id, explain_withheld(("paused",)), self.now))
        else:
            self.carry(machine, commands)


CODES = st.sampled_from(["invalid_api_key", "session_expired", "rate_limit_exceeded", "invalid_value", None])
STATUSES = st.sampled_from(["completed", "completed", "cancelled", "incomplete", "failed"])


def frame(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


FOREIGN = {"response_id": "resp_x", "item_id": "i1", "content_index": 0}
SESSIONS = st.sampled_from([WALL + 1000 + 3600, WALL + 1000 + 100, WALL - 5, None])
FRAMES = st.one_of(
    st.builds(lambda e: frame("session.created", session={"id": "s", "expires_at": e}), SESSIONS),
    st.just(frame("session.updated", session={"id": "s"})),
    st.just(frame("response.created", response={"id": "resp_x", "metadata": {"snap": "nobody"}})),
    st.just(frame("response.output_text.delta", **FOREIGN, delta="x")),
    st.just(frame("response.done", response={"id": "resp_x", "status": "completed"})),
    st.builds(
        lambda code, event_id, status: frame("error", error={"code": code, "event_id": event_id, "status": status}),
        CODES,
        st.sampled_from(["ic_hudd_1", "ic_hudd_2", "su_1", None]),
        st.sampled_from([401, 503, None]),
    ),
    st.just(frame("rate_limits.updated", rate_limits=[{"name": "tokens", "limit": 9, "remaining": 0, "reset_seconds": 5}])),
    st.sampled_from(["{}", "[", frame("nobody.knows")]),
)  # fmt: skip
ASK = st.tuples(st.just("ask"), st.just(0), st.sampled_from(["manual", "manual", "change"]))
CREATED = st.tuples(st.just("created"), st.integers(0, 1), st.just(""))
DONE = st.tuples(st.just("done"), st.integers(0, 1), STATUSES)
CONNECT = st.tuples(st.just("connect"), st.just(0), st.just(""))
# What happens often stands there more than once, so that sequences reach far before something ends them.
STEPS = st.one_of(
    ASK,
    CREATED,
    DONE,
    ASK,
    CREATED,
    DONE,
    CONNECT,
    ASK,
    st.tuples(st.sampled_from(["refuse", "refuse_item"]), st.integers(0, 1), st.just("invalid_value")),
    st.tuples(st.just("frame"), st.integers(0, 1), FRAMES),
    st.tuples(st.just("withhold"), st.just(0), st.sampled_from(["manual", "change"])),
    st.tuples(st.sampled_from(["open", "open", "open", "shut", "retire"]), st.integers(0, 1), st.just("")),
    st.tuples(st.just("close"), st.integers(0, 1), st.sampled_from(["1006", "1001", "4000"])),
    st.tuples(st.just("time"), st.just(0), st.sampled_from([1, 9, 11, 21, 61, 3301, 0.5]).map(str)),
)


@pytest.mark.parametrize("memory", ["window", "conversation"])
@settings(max_examples=200, deadline=None)
@given(steps=st.lists(STEPS, max_size=60), answers=st.integers(0, 12))
def test_no_sequence_raises_loses_doubles_sends_too_early_or_passes_a_cap(
    memory: str, steps: list[tuple[str, int, str]], answers: int
) -> None:
    world = World(memory, cap_microusd=answers * EACH_MICROUSD)
    for what, which, detail in [("connect", 0, ""), *steps]:
        wire = world.wire(which)
        if what == "open":
            world.open()
        elif what == "connect":
            world.connect()
        elif what in {"ask", "withhold"}:
            world.ask(detail, withhold=what == "withhold")
        elif what == "time":
            world.now += float(detail)
            for one in world.wires:
                world.give(one.machine, Tick())
        elif wire is not None:
            given_: Input
            match what:
                case "frame":
                    given_ = decode(detail)
                case "created" | "done" | "refuse" | "refuse_item":
                    given_ = decode(wire.say(what, detail))
                case "close":
                    given_ = Closed(int(detail))
                case "retire":
                    given_ = Retire()
                case _:
                    given_ = Shut()
            world.give(wire.machine, given_)
        for one in world.wires:
            assert one.machine.responding <= (2 if memory == "window" else 1)
            assert world.ledger.spoken_for <= world.ledger.cap_microusd
            if one.machine.state in OPEN_STATES and one.machine.deadline is not None:
                assert one.machine.deadline < float("inf")
    for one in world.wires:
        world.carry(one.machine, world.router.step(one.machine, Closed(1006), world.now))
    world.carry(world.wires[-1].machine, world.router.end_all(explain_lost("It ended."), world.now))
    assert sorted(a.question.id for a in world.answers) == sorted(world.asked)
    assert world.ledger.spoken_for <= world.ledger.cap_microusd
    assert not world.ledger.open, "a reservation is left though every question has ended"
    assert all(count <= 2 for count in world.sends.values()), "a question is paid for at most twice"
    assert not world.router.owes
