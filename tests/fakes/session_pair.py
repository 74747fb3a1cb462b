"""The session machine and a scripted peer, in memory, with time as an argument."""

from __future__ import annotations

from typing import Any

from hudd.config.settings import SessionSettings
from hudd.protocol.codec import decode, encode
from hudd.realtime.prompt import WindowHistory, build
from hudd.realtime.session import Session
from hudd.realtime.session_words import (
    Ask,
    Command,
    Input,
    Opened,
    Send,
    Sent,
    Tick,
)
from tests.fakes.official_types import check_client_event
from tests.fakes.questions import make_question
from tests.fakes.realtime_peer import RealtimePeer

SETTINGS = SessionSettings()


class Pair:
    """Our machine and the peer, wired to each other; everything sent is checked against the official types."""

    def __init__(self, *, greet: bool = True) -> None:
        self.peer = RealtimePeer()
        self.machine = Session(SETTINGS, "Keep notes.")
        self.now = 0.0
        self.out: list[Command] = []
        self.give(Opened())
        if greet:
            self.hear(*self.peer.greeting())

    def give(self, given: Input) -> list[Command]:
        """Step, send what is to be sent, and let the peer's frames in."""
        commands = self.machine.step(given, self.now)
        self.out += commands
        for command in commands:
            if isinstance(command, Send):
                data = encode(command.event)
                check_client_event(data)
                frames = self.peer.receive(data)
                if command.question_id:
                    self.out += self.machine.step(Sent(command.question_id), self.now)
                self.hear(*frames)
        return commands

    def hear(self, *frames: str) -> None:
        for frame in frames:
            self.give(decode(frame))

    def ask(self, number: int = 1) -> str:
        question = make_question(number)
        history = WindowHistory(history_tokens=300, retention_ratio=0.5)
        request = build(question, history, event_id=f"rc_{number}", max_output_tokens=200)
        self.give(Ask(question.id, request))
        return question.id

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.give(Tick())

    def of(self, kind: type) -> list[Any]:
        return [command for command in self.out if isinstance(command, kind)]
