"""Plays the faults of one connection: stands between what the dialogue says and what is sent. Pure.

Faults that change an answer itself (``fail``, ``slow`` …) are asked for by ``next_response``; the rest is played here.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

from hudd.engine.commands import Close, Command, End, Freeze, Reset, Send, SendRaw
from hudd.engine.faults import IDLE, OPEN, Fault, Faults
from hudd.engine.objects import JsonObject, Names, error_event
from hudd.protocol.vocabulary import CLOSE_BAD_KEY, CLOSE_BAD_REQUEST, CLOSE_EXPIRED, CLOSE_NO_MODEL

IDLE_S: Final = 0.3
LATE_S: Final = 0.2
"""An event that is held back for the one behind it is sent after this time at the latest."""
QUOTA_CLOSE_S: Final = 0.2
"""The service closes soon after a failure over quota (realtime-protocol 2.6); when and how is not known."""
LARGE_BYTES: Final = 20_000_000
FOREIGN_TEXT: Final = "This was said to somebody else."
_CLOSE_TROUBLE: Final = 1011
_DEPTH: Final = 100_000
_CLOSES: Final[Mapping[str, int]] = {
    "invalid_api_key": CLOSE_BAD_KEY,
    "model_not_found": CLOSE_NO_MODEL,
    "session_expired": CLOSE_EXPIRED,
    "server_error": _CLOSE_TROUBLE,
}
_ENDINGS: Final = ("refuse", "close", "reset", "half_open")


class Player:
    """One connection's faults. Every entry of the dialogue begins with ``at``.

    Args:
        faults: Those of this connection.
        names: Where ids come from.

    Attributes:
        over: The connection ended, or is frozen: nothing is said or heard any more.
    """

    def __init__(self, faults: Faults, names: Names) -> None:
        self._faults = faults
        self._names = names
        self._now = 0.0
        self._times: Counter[str] = Counter()
        self._responses = 0
        self._ready = False
        self._answering = 0
        self._idle_at = math.inf
        self._close_at = math.inf
        self._silent_until = -math.inf
        self._kept: list[Command] = []
        self._late: list[Command] = []
        self._late_kind = ""
        self._late_at = math.inf
        self.over = False

    @property
    def wake_at(self) -> float:
        """When ``tick`` has something to do, monotonic seconds; infinity for never."""
        silence = self._silent_until if self._kept else math.inf
        return math.inf if self.over else min(self._idle_at, self._close_at, self._late_at, silence)

    def at(self, now: float) -> None:
        """Tell the time, monotonic seconds."""
        self._now = now

    def opened(self) -> list[Command]:
        """The upgrade was answered."""
        return self._after(OPEN)

    def heard(self, kind: str) -> list[Command]:
        """The client said an event; when the connection is over now, it came too late."""
        self._rest()
        return self._after(kind)

    def next_response(self) -> Faults:
        """The faults of the response that begins now."""
        self._responses += 1
        faults = self._faults.for_response(self._responses)
        if "quota" in faults:
            self._close_at = self._now + QUOTA_CLOSE_S
        return faults

    def say(self, event: JsonObject) -> list[Command]:
        """What is sent for an event that is complete but for its ``event_id``."""
        if self.over:
            return []
        kind = str(event["type"])
        self._count(kind)
        self._times[kind] += 1
        stamped = {"type": kind, "event_id": self._names.id("event"), **event}
        sent: list[Command] = [*self._before(kind), *self._odd(kind, stamped), Send(stamped)]
        if self._struck("duplicate", kind, default=kind):
            sent.append(Send(stamped))
        if self._struck("reorder", kind) and not self._late:
            self._late, self._late_kind, self._late_at = sent, kind, self._now + LATE_S
            return []
        return self._speak(sent) + self._strike(kind) + self._say_late()

    def tick(self) -> list[Command]:
        """The time of ``wake_at`` has come; too early is harmless."""
        commands: list[Command] = []
        if self.over:
            return commands
        if self._now >= self._silent_until and self._kept:
            commands, self._kept = self._kept, []
        if self._now >= self._late_at:
            commands += self._say_late()
        if self._now >= self._idle_at and not self.over:
            self._idle_at = math.inf
            commands += self._after(IDLE)
        if self._now >= self._close_at and not self.over:
            commands += self.end(Close(1000, ""))
        return commands

    def end(self, end: End) -> list[Command]:
        """End the connection."""
        if self.over:
            return []
        self.over = True
        return [end]

    # What stands around an event.

    def _after(self, kind: str) -> list[Command]:
        """What follows what was no event of ours."""
        if self.over:
            return []
        self._times[kind] += 1
        return self._speak(self._before(kind)) + self._strike(kind)

    def _before(self, kind: str) -> list[Command]:
        sent: list[Command] = []
        if self._struck("foreign", kind, default="response.created"):
            sent += [Send(event) for event in self._foreign()]
        if garbage := self._struck("garbage", kind, default="response.created"):
            sent.append(_garbage(garbage.word or "json"))
        return sent

    def _odd(self, kind: str, stamped: JsonObject) -> list[Command]:
        if "unknown_events" not in self._faults:
            return []
        stamped["unknown_field"] = {"nested": [1, None, "two"]}
        return [Send({"type": "hudd.unknown", "event_id": self._names.id("event"), "about": kind})]

    def _strike(self, kind: str) -> list[Command]:
        """End or silence the connection, if this is the moment."""
        for name in _ENDINGS:
            if fault := self._struck(name, kind, default=OPEN, again=False):
                return self._strike_with(fault)
        if stall := self._struck("stall", kind, again=False):
            self._silent_until = self._now + stall.number if stall.number else math.inf
        return []

    def _strike_with(self, fault: Fault) -> list[Command]:
        if fault.name == "reset":
            return self.end(Reset())
        if fault.name == "half_open":
            return self.end(Freeze())
        if fault.name == "close":
            return self.end(Close(int(fault.number), "closed on purpose"))
        kind = "server_error" if fault.word == "server_error" else "invalid_request_error"
        event = error_event(fault.word, "Refused on purpose.", kind=kind)
        told = Send({"type": "error", "event_id": self._names.id("event"), **event})
        close = Close(_CLOSES.get(fault.word, CLOSE_BAD_REQUEST), f"{kind}.{fault.word}")
        return [*self._speak([told]), *self.end(close)]

    def _struck(self, name: str, kind: str, *, default: str = "", again: bool = True) -> Fault | None:
        """The fault of a name that is played at this moment.

        Args:
            name: Of the fault.
            kind: Event, or moment.
            default: Event of a fault that names none.
            again: Whether a fault without a time is played every time, and not the first time only.
        """
        times = self._times[kind]
        for fault in self._faults.items:
            here = fault.name == name and (fault.event or default) == kind
            if here and (times == fault.time if fault.time else again or times == 1):
                return fault
        return None

    # Time and silence.

    def _count(self, kind: str) -> None:
        self._ready = self._ready or kind == "session.updated"
        self._answering += {"response.created": 1, "response.done": -1}.get(kind, 0)
        self._rest()

    def _rest(self) -> None:
        """Something was said: idle is later."""
        wanted = any(fault.event == IDLE for fault in self._faults.items)
        self._idle_at = self._now + IDLE_S if wanted and self._ready and not self._answering else math.inf

    def _speak(self, commands: list[Command]) -> list[Command]:
        """What is sent now; the rest is kept until the silence ends."""
        if self._now >= self._silent_until:
            kept, self._kept = self._kept, []
            return kept + commands
        if self._silent_until != math.inf:
            self._kept += commands
        return []

    def _say_late(self) -> list[Command]:
        """Send what was held back, and what follows it."""
        late, self._late, self._late_at = self._late, [], math.inf
        return self._speak(late) + self._strike(self._late_kind) if late and not self.over else []

    def _foreign(self) -> list[JsonObject]:
        """A whole response of somebody else, with a text that must not be taken for ours."""
        response: JsonObject = {
            "object": "realtime.response",
            "id": self._names.id("resp"),
            "status": "in_progress",
            "status_details": None,
            "output": [],
            "conversation_id": None,
            "metadata": {"snap": "somebody-elses"},
        }
        item_id = self._names.id("item")
        where = {"response_id": response["id"], "item_id": item_id, "output_index": 0, "content_index": 0}
        item = {"id": item_id, "type": "message", "role": "assistant"}
        content = [{"type": "output_text", "text": FOREIGN_TEXT}]
        whole = {**item, "status": "completed", "content": content}
        events: list[JsonObject] = [
            {"type": "response.created", "response": response},
            {"type": "response.output_item.added", **where, "item": {**item, "status": "in_progress", "content": []}},
            {"type": "response.output_text.delta", **where, "delta": FOREIGN_TEXT},
            {"type": "response.output_text.done", **where, "text": FOREIGN_TEXT},
            {"type": "response.output_item.done", **where, "item": whole},
            {"type": "response.done", "response": {**response, "status": "completed", "output": [whole]}},
        ]
        return [{"event_id": self._names.id("event"), **event} for event in events]


def _garbage(sort: str) -> SendRaw:
    """A frame that is no event of the protocol."""
    match sort:
        case "binary":
            return SendRaw(b"\x00\x01\xfe\xff", text=False)
        case "array":
            return SendRaw(b'["session.updated"]')
        case "no_type":
            return SendRaw(b'{"event_id":"event_1","response":{}}')
        case "deep":
            return SendRaw(b"[" * _DEPTH + b"]" * _DEPTH)
        case "numbers":
            return SendRaw(b'{"type":"response.done","response":{"id":1e999,"usage":{"input_tokens":NaN}}}')
        case "large":
            return SendRaw(json.dumps({"type": "hudd.large", "padding": "x" * LARGE_BYTES}).encode())
        case "utf8":
            return SendRaw(b'{"type":"\xff\xfe"}')
        case _:
            return SendRaw(b"{garbage")
