"""One response while it is written: from the first piece of text to ``response.done``. Pure.

The order of events is that of realtime-protocol 3.4; out of band (3.8, 9.1) the conversation's events are left out.
"""

from __future__ import annotations

import copy
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from hudd.engine.accounting import Prompt, Tokens, count, text_segment, text_tokens
from hudd.engine.commands import DialogueOptions
from hudd.engine.conversation import Entry
from hudd.engine.faults import Faults
from hudd.engine.objects import DEFAULT_REASONING_TOKENS, JsonObject, Names, reasons

EndStatus = Literal["completed", "cancelled", "incomplete", "failed"]

_WORDS: Final = re.compile(r"\s*\S+|\s+\Z")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is fixed when a response begins.

    Attributes:
        prompt: The whole input.
        cached: Tokens of it that the cache serves.
        asked: Its tokens.
        most_tokens: Where the answer is cut; None for no limit.
        reasoning_tokens: Spent before the first word; None for a model that does not reason.
        phase: ``final_answer`` for a 2.x model, else None.
        pace_s: Seconds between two words; 0 sends what there is at once.
        halved: ``incomplete`` or ``cancelled`` when a fault cuts the answer after its first half.
        tells_usage: False when a fault leaves ``usage`` out.
        wait_s: What the rate limits tell when a fault makes them hinder; else None.
    """

    prompt: Prompt
    cached: Tokens
    asked: Tokens
    most_tokens: int | None = None
    reasoning_tokens: int | None = None
    phase: str | None = None
    pace_s: float = 0.0
    halved: Literal["incomplete", "cancelled"] | None = None
    tells_usage: bool = True
    wait_s: float | None = None


def make_plan(
    options: DialogueOptions,
    model: str,
    wish: Mapping[str, Any],
    session: Mapping[str, Any],
    prompt: Prompt,
    cached: Tokens,
    most: int | str,
    faults: Faults,
) -> Plan:
    """Fix what a response is made with.

    Args:
        options: How the server half behaves.
        model: Reasons or not.
        wish: The checked ``response`` of ``response.create``.
        session: The session, for what the wish leaves open.
        prompt: The whole input.
        cached: Tokens of it that the cache serves.
        most: ``max_output_tokens`` of the response: a number or ``inf``.
        faults: Those of this response.
    """
    reasoning: int | None = None
    if reasons(model):
        reasoning_wish = cast("Mapping[str, Any]", wish.get("reasoning") or session.get("reasoning") or {})
        effort = str(reasoning_wish.get("effort", "low"))
        chosen = options.reasoning_tokens
        reasoning = DEFAULT_REASONING_TOKENS[effort] if chosen is None else chosen
    slow, limited = faults.get("slow"), faults.get("rate_limit")
    return Plan(
        prompt=prompt,
        cached=cached,
        asked=count(prompt),
        most_tokens=None if isinstance(most, str) else most,
        reasoning_tokens=reasoning,
        phase=None if reasoning is None else "final_answer",
        pace_s=options.pace_s if slow is None else slow.number,
        halved="incomplete" if "incomplete" in faults else "cancelled" if "cancelled" in faults else None,
        tells_usage="missing_usage" not in faults,
        wait_s=None if limited is None else limited.number,
    )


def failure_of(faults: Faults) -> JsonObject | None:
    """The error of a response that fails on purpose; None when it does not.

    Args:
        faults: Those of this response.
    """
    if "rate_limit" in faults:  # the type is the one that was seen (2.6)
        return {"type": "invalid_request_error", "code": "rate_limit_exceeded", "message": "Rate limit reached."}
    for name, kind in (("quota", "invalid_request_error"), ("fail", "server_error")):
        if fault := faults.get(name):
            return {"type": kind, "code": fault.word, "message": "This response fails on purpose."}
    return None


class WritingResponse:
    """A response in progress. Every method returns the events to send, still without ``event_id``.

    Args:
        told: The object of ``response.created``.
        item_id: Id of the item that will be written.
        previous_item_id: The conversation's last item; of no meaning out of band.
        plan: What is fixed from the beginning.
        names: For the padding.
    """

    def __init__(self, told: JsonObject, item_id: str, previous_item_id: str | None, plan: Plan, names: Names) -> None:
        self.plan = plan
        self.item_id = item_id
        self.text = ""
        self.finished = False
        self._told = told
        self._previous = previous_item_id
        self._names = names
        self._begun = False
        self._waiting: deque[str] = deque()
        self._complete = False
        self._next_word_at: float | None = None

    @property
    def id(self) -> str:
        """``resp_…``."""
        return self._told["id"]

    @property
    def in_conversation(self) -> bool:
        """False for a response out of band."""
        return self._told["conversation_id"] is not None

    @property
    def wake_at(self) -> float | None:
        """When :meth:`step` has something to do, monotonic seconds; None while it waits for text."""
        if self.finished or not (self._complete or (len(self._waiting) > 1 and self.plan.halved is None)):
            return None
        return self._next_word_at

    def created(self) -> JsonObject:
        """``response.created``."""
        return {"type": "response.created", "response": copy.deepcopy(self._told)}

    def entry(self) -> Entry:
        """The item as it is now."""
        return Entry(self._item("completed" if self.finished else "in_progress"))

    def add_text(self, piece: str, now: float) -> list[JsonObject]:
        """Take a piece of the answer; it is sent word by word at the plan's pace."""
        if self.finished or self._complete:
            return []
        # A piece may begin in the middle of a word: keep the rest of the last word open by joining.
        last = self._waiting.pop() if self._waiting else ""
        self._waiting.extend(_WORDS.findall(last + piece))
        if self._next_word_at is None:
            self._next_word_at = now + self.plan.pace_s
        return self.step(now)

    def end_text(self, now: float) -> list[JsonObject]:
        """The answer is complete; the response ends when its last word was sent."""
        self._complete = True
        if self.plan.halved is not None:
            for _ in range(len(self._waiting) // 2):
                self._waiting.pop()
        if self._next_word_at is None:
            self._next_word_at = now
        return self.step(now)

    def step(self, now: float) -> list[JsonObject]:
        """Send the words that are due."""
        events: list[JsonObject] = []
        if self.finished or self._next_word_at is None:
            return events
        held_back = 0 if self._complete else 1  # the last word may go on in the next piece
        if self.plan.halved is not None and not self._complete:
            return events
        while len(self._waiting) > held_back and now >= self._next_word_at:
            word = self._waiting.popleft()
            most = self.plan.most_tokens
            if most is not None and text_tokens(self.text + word) + (self.plan.reasoning_tokens or 0) > most:
                return events + self.end("incomplete", reason="max_output_tokens")
            events += [*self._begin(), self._delta(word)]
            self._next_word_at = max(self._next_word_at + self.plan.pace_s, now - 1.0)
        if self._complete and not self._waiting:
            if self.plan.halved == "cancelled":
                return events + self.end("cancelled", reason="turn_detected")
            if self.plan.halved == "incomplete":
                return events + self.end("incomplete", reason="content_filter")
            return events + self._begin() + self.end("completed")
        return events

    def end(
        self, status: EndStatus, *, reason: str | None = None, error: Mapping[str, Any] | None = None
    ) -> list[JsonObject]:
        """End it now.

        Args:
            status: One of the four endings (3.5).
            reason: For ``cancelled`` and ``incomplete``.
            error: ``{type, code, message}`` for ``failed``.

        Returns:
            All that is left to send but ``usage``, which the caller puts into the last event.
        """
        if self.finished:
            return []
        events = self._close_item("completed" if status == "completed" else "incomplete") if self._begun else []
        self.finished = True
        told = copy.deepcopy(self._told)
        told["status"] = status
        if status != "completed":
            details: JsonObject = {"type": status}
            if reason is not None:
                details["reason"] = reason
            if error is not None:
                details["error"] = dict(error)
            told["status_details"] = details
        if self._begun:
            told["output"] = [self._item("completed" if status == "completed" else "incomplete")]
        events.append({"type": "response.done", "response": told})
        return events

    def prompt_with_answer(self) -> Prompt:
        """The prompt that a next response in the same conversation begins with."""
        return (*self.plan.prompt, text_segment("assistant", self.text))

    def _where(self) -> JsonObject:
        return {"response_id": self.id, "item_id": self.item_id, "output_index": 0, "content_index": 0}

    def _item(self, status: str) -> JsonObject:
        content: list[JsonObject] = []
        if status != "in_progress":
            content.append({"type": "output_text", "text": self.text})
        item: JsonObject = {
            "id": self.item_id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content,
        }
        if self.plan.phase is not None:
            item["phase"] = self.plan.phase
        return item

    def _begin(self) -> list[JsonObject]:
        if self._begun:
            return []
        self._begun = True
        item = self._item("in_progress")
        events: list[JsonObject] = [
            {"type": "response.output_item.added", "response_id": self.id, "output_index": 0, "item": item}
        ]
        if self.in_conversation:
            events.append({"type": "conversation.item.added", "previous_item_id": self._previous, "item": item})
        part = {"type": "text", "text": ""}
        events.append({"type": "response.content_part.added", **self._where(), "part": part})
        return events

    def _delta(self, word: str) -> JsonObject:
        self.text += word
        return {
            "type": "response.output_text.delta",
            **self._where(),
            "delta": word,
            "obfuscation": self._names.padding(),
        }

    def _close_item(self, status: str) -> list[JsonObject]:
        item = self._item(status)
        events: list[JsonObject] = [
            {"type": "response.output_text.done", **self._where(), "text": self.text},
            {"type": "response.content_part.done", **self._where(), "part": {"type": "text", "text": self.text}},
        ]
        if self.in_conversation:
            events.append({"type": "conversation.item.done", "previous_item_id": self._previous, "item": item})
        events.append({"type": "response.output_item.done", "response_id": self.id, "output_index": 0, "item": item})
        return events
