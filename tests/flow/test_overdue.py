"""At its deadline a snap or a wait says what it waited for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from hudd.errors import CommandError
from hudd.flow.overdue import Overdue
from hudd.flow.status import CaptureFacts
from hudd.policy.facts import Facts


@dataclass
class Asked:
    method: str = "snap"
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class Connection:
    connection: str = "ready"
    sentence: str = ""
    next_try_s: float | None = None
    since: float = 0.0
    session_id: str = ""
    expires_at: float | None = None
    responding: int = 0
    last_event_at: float | None = None
    unknown_events: int = 0
    malformed_events: int = 0
    rollover: str | None = None


class House:
    """The facts that a test changes."""

    def __init__(self) -> None:
        self.connection = Connection()
        self.eyes = "watching"
        self.facts = Facts()
        self.errors: list[dict[str, Any]] = []

    def ask(self, method: str = "snap", **params: Any) -> CommandError:
        overdue = Overdue(lambda: self.connection, self._capture, self.facts, lambda: self.errors)
        error = overdue(Asked(method, params))
        assert error is not None
        assert error.code == "E_DEADLINE"
        return error

    def _capture(self) -> CaptureFacts:
        return CaptureFacts(
            state=self.eyes, sentence="" if self.eyes == "watching" else "There is no display; set DISPLAY."
        )


def test_a_pause_is_named_with_how_to_end_it() -> None:
    house = House()
    house.facts.set("paused", True)
    error = house.ask("wait", **{"for": "ready"})
    assert error.message == "The deadline passed before hudd was ready: hudd is paused."
    assert error.hint == "`hudctl resume` ends the pause."
    assert house.ask("wait").message == error.message


def test_a_pause_does_not_keep_hudd_from_being_connected() -> None:
    house = House()
    house.facts.set("paused", True)
    house.connection.connection = "backing_off"
    error = house.ask("wait", **{"for": "connected"})
    assert error.message == "The deadline passed before hudd was connected: hudd is not connected and tries again."


def test_a_reason_for_automatic_questions_concerns_who_waits_for_a_note_alone() -> None:
    house = House()
    house.facts.set("cap_near", True)
    note = house.ask("wait", **{"for": "note"})
    assert note.message.endswith("another note was written: what is left of a money cap is kept for snaps.")
    assert "cap" not in str(house.ask("snap"))


def test_a_lost_connection_is_told_with_the_next_try_and_the_words_of_the_service() -> None:
    house = House()
    house.connection = Connection("backing_off", "The service is overloaded; hudd tries again later.", next_try_s=12.34)
    house.errors = [
        {"sentence": "Another.", "code": "other"},
        {
            "sentence": house.connection.sentence,
            "type": "t",
            "code": "c",
            "message": "m",
            "event_id": "",
            "fatal": False,
        },
    ]
    error = house.ask()
    assert error.message == "The deadline passed before the note was written: hudd is not connected and tries again."
    assert error.hint == "The service is overloaded; hudd tries again later. The next try is in 12 s."
    assert error.retry_after_ms == 12_340
    assert error.upstream == {"type": "t", "code": "c", "message": "m", "event_id": ""}


def test_errors_of_others_are_not_taken_for_the_connections() -> None:
    house = House()
    house.connection = Connection("needs_attention", "The service refused the key; put a valid one there.")
    house.errors = [{"sentence": "No picture.", "code": "E_CAPTURE"}]
    error = house.ask()
    assert (error.upstream, error.retry_after_ms) == (None, None)
    assert error.hint == house.connection.sentence


@pytest.mark.parametrize("word", ["connecting", "configuring", "backing_off", "flapping", "needs_attention"])
@pytest.mark.parametrize("goal", ["ready", "connected", "note"])
def test_every_state_of_the_connection_has_a_sentence_and_a_hint(word: str, goal: str) -> None:
    house = House()
    house.connection.connection = word
    error = house.ask("wait", **{"for": goal})
    assert error.message.endswith(".")
    assert error.hint


@pytest.mark.parametrize("state", ["starting", "no_display", "failed"])
def test_blind_eyes_are_named_to_who_waits_for_a_note(state: str) -> None:
    house = House()
    house.eyes = state
    for error in (house.ask("snap"), house.ask("wait", **{"for": "note"})):
        assert error.message.startswith("The deadline passed before ")
        assert ": hudd " in error.message
        assert error.hint == "There is no display; set DISPLAY."


def test_a_slow_note_can_be_fetched_by_asking_again() -> None:
    error = House().ask("snap")
    assert error.message == "The deadline passed before the note was written."
    assert "same snap_id" in error.hint
    assert House().ask("wait", **{"for": "note"}).hint == "Give it more time."


def test_other_methods_wait_for_nothing_but_their_work() -> None:
    house = House()
    overdue = Overdue(lambda: house.connection, lambda: CaptureFacts("watching"), house.facts, list)
    assert overdue(Asked("notes.search")) is None
