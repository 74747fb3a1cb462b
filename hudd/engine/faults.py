"""Faults that the engine plays on demand, so that a client can be tried against them. Pure.

A fault is written ``NAME:ARGUMENT@EVENT#TIME*CONNECTIONS``; the table says which of these a fault takes. EVENT is the
type of an event of the server or of the client, or ``open`` (the upgrade was answered) or ``idle`` (ready, and nothing
was said for 0.3 s). ``#3`` means only the third time, ``*2`` only in the first two connections:
``close:1006@response.output_text.delta#3*2``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from hudd.engine.fault_mix import drawn_faults
from hudd.errors import EXIT_USAGE, HuddError
from hudd.protocol.vocabulary import CLIENT_EVENTS

OPEN: Final = "open"
IDLE: Final = "idle"
SERVER_EVENTS: Final = (
    "session.created",
    "session.updated",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.deleted",
    "conversation.item.retrieved",
    "input_audio_buffer.committed",
    "input_audio_buffer.cleared",
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
    "error",
)
"""What the engine says."""
TRIGGERS: Final = frozenset({OPEN, IDLE, *SERVER_EVENTS, *CLIENT_EVENTS})
GARBAGE: Final = ("json", "binary", "array", "no_type", "deep", "numbers", "large", "utf8")
"""What ``garbage`` sends: see ``hudd.engine.player``."""


class FaultError(HuddError):
    """Raised when a fault is written wrongly."""

    exit_code = EXIT_USAGE
    wire_code = "E_ARGS"


Argument = Literal["none", "seconds", "maybe seconds", "number", "status", "code", "maybe garbage"]
Trigger = Literal["never", "maybe", "always"]

_ARGUMENTS: Final[dict[Argument, str]] = {
    "none": "",
    "seconds": ":SECONDS",
    "maybe seconds": "[:SECONDS]",
    "number": ":NUMBER",
    "status": ":STATUS[,SECONDS]",
    "code": ":CODE",
    "maybe garbage": f"[:{'|'.join(GARBAGE)}]",
}


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One row of the table.

    Attributes:
        name: As written before the colon.
        doc: What happens.
        argument: What stands behind the colon, if anything.
        event: Whether ``@EVENT`` is needed.
        timed: Whether ``#TIME`` makes sense.
        low: Smallest number.
        high: Largest number.
    """

    name: str
    doc: str
    argument: Argument = "none"
    event: Trigger = "never"
    timed: bool = False
    low: float = 0
    high: float = 86_400

    @property
    def usage(self) -> str:
        """How it is written."""
        event = {"never": "", "maybe": "[@EVENT]", "always": "@EVENT"}[self.event]
        return self.name + _ARGUMENTS[self.argument] + event + ("[#TIME]" if self.timed else "")


KINDS: Final[tuple[FaultKind, ...]] = (
    # Before the session.
    FaultKind("http", "Refuses the upgrade with this status, and Retry-After.", "status", low=400, high=599),
    FaultKind("hang", "Does not answer the upgrade, and drops it after so many seconds.", "seconds", high=3600),
    FaultKind("no_created", "session.created never comes."),
    FaultKind(
        "refuse",
        "Tells this error and closes with the code that belongs to it; when open.",
        "code",
        "maybe",
        timed=True,
    ),
    # The connection.
    FaultKind(
        "close",
        "Closes with this code; 1006 ends it without a word.",
        "number",
        "always",
        timed=True,
        low=1000,
        high=4999,
    ),
    FaultKind("reset", "Resets the TCP connection.", event="always", timed=True),
    FaultKind(
        "half_open", "Neither reads nor writes any more, pongs included; the socket stays.", event="always", timed=True
    ),
    FaultKind("stall", "Says nothing more, or nothing for so long.", "maybe seconds", "always", timed=True),
    FaultKind("expire", "The session ends after so many seconds, and says so in expires_at.", "seconds", low=0.01),
    # Answers.
    FaultKind("fail", "Responses end as failed with this code.", "code", timed=True),
    FaultKind("quota", "As fail, and the server closes soon after.", "code", timed=True),
    FaultKind("rate_limit", "Responses fail; rate_limits.updated tells so many seconds.", "seconds", timed=True),
    FaultKind("error", "Refuses response.create with this code.", "code", timed=True),
    FaultKind("incomplete", "Responses are cut after their first half, as by the content filter.", timed=True),
    FaultKind("cancelled", "Responses are cancelled after their first half, as by voice detection.", timed=True),
    FaultKind("missing_usage", "response.done comes without usage.", timed=True),
    FaultKind("slow", "Waits so many seconds before every piece of text.", "seconds", timed=True),
    # Events.
    FaultKind(
        "garbage", "Sends a frame that is no event; before response.created.", "maybe garbage", "maybe", timed=True
    ),
    FaultKind("unknown_events", "Sends events of unknown types, and unknown fields in known ones."),
    FaultKind("duplicate", "Sends events twice.", event="maybe", timed=True),
    FaultKind("reorder", "Sends the event after the one that follows it.", event="always", timed=True),
    FaultKind(
        "foreign", "Tells of a response that nobody asked for; before response.created.", event="maybe", timed=True
    ),
    FaultKind("echo_images", "Sends pictures back in conversation items."),
    FaultKind(
        "random", "A mix of all that a client may try again; the same for the same seed.", "number", high=999_999
    ),
)
KIND_BY_NAME: Final = {kind.name: kind for kind in KINDS}

_WRITTEN: Final = re.compile(
    r"(?P<name>[a-z_]+)(?::(?P<argument>[^@#*]+))?(?:@(?P<event>[a-z_.]+))?"
    r"(?:#(?P<time>[1-9]\d{0,5}))?(?:\*(?P<connections>\d{1,6}))?",
    re.ASCII,
)
_NUMBER: Final = re.compile(r"\d{1,6}", re.ASCII)
_SECONDS: Final = re.compile(r"\d{1,6}(?:\.\d{1,6})?", re.ASCII)
_STATUS: Final = re.compile(r"(\d{3})(?:,(\d{1,5}))?", re.ASCII)
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to play.

    Attributes:
        name: A name of the table.
        number: Its number, status or seconds; 0 without.
        word: Its code or sort of garbage; '' without.
        event: What triggers it; '' without.
        time: Only the time of this number; None for the first time, or every time, as it suits the fault.
        connections: In how many connections; None for all.
        retry_after_s: What a refusal asks to wait for; None for nothing.
    """

    name: str
    number: float = 0.0
    word: str = ""
    event: str = ""
    time: int | None = None
    connections: int | None = None
    retry_after_s: int | None = None


def parse_fault(written: str) -> Fault:
    """Read a fault.

    Raises:
        FaultError: It is unknown or written wrongly; one sentence says how it is written.
    """
    match = _WRITTEN.fullmatch(written)
    kind = KIND_BY_NAME.get(match["name"]) if match else None
    if match is None or kind is None:
        raise FaultError(f"There is no fault {written[:60]!r}; known are {', '.join(k.usage for k in KINDS)}.")
    wrong = FaultError(f"The fault {written[:60]!r} is not written as {kind.usage}.")
    argument, event, time = match["argument"] or "", match["event"] or "", match["time"]
    if (kind.event == "always" and not event) or (kind.event == "never" and event) or (time and not kind.timed):
        raise wrong
    if event and event not in TRIGGERS:
        raise FaultError(f"The fault {written[:60]!r} names no event; known are {', '.join(sorted(TRIGGERS))}.")
    number, word, retry_after_s = _argument(kind, argument, wrong)
    if argument and not word and not kind.low <= number <= kind.high:
        raise FaultError(f"The fault {written[:60]!r} needs a number from {kind.low:g} to {kind.high:g}.")
    connections = None if match["connections"] is None else int(match["connections"])
    return Fault(kind.name, number, word, event, int(time) if time else None, connections, retry_after_s)


def _argument(kind: FaultKind, argument: str, wrong: FaultError) -> tuple[float, str, int | None]:
    """Number, word and Retry-After of an argument."""
    if not argument:
        if kind.argument in ("none", "maybe seconds", "maybe garbage"):
            return 0.0, "", None
    elif kind.argument == "status":
        if match := _STATUS.fullmatch(argument):
            return float(match[1]), "", int(match[2]) if match[2] else None
    elif kind.argument in ("code", "maybe garbage"):
        if _CODE.fullmatch(argument) and (kind.argument == "code" or argument in GARBAGE):
            return 0.0, argument, None
    elif kind.argument != "none":
        form = _NUMBER if kind.argument == "number" else _SECONDS
        if form.fullmatch(argument):
            return float(argument), "", None
    raise wrong


@dataclass(frozen=True, slots=True)
class Faults:
    """Some faults: those of one connection, or of one response."""

    items: tuple[Fault, ...] = ()

    @classmethod
    def for_connection(cls, faults: Iterable[Fault], index: int) -> Faults:
        """Those faults that are played in a connection; the first has the index 0. A random mix is drawn here."""
        chosen: list[Fault] = []
        for fault in faults:
            if fault.connections is not None and index >= fault.connections:
                continue
            if fault.name == "random":
                chosen += map(parse_fault, drawn_faults(int(fault.number), index))
            else:
                chosen.append(fault)
        return cls(tuple(chosen))

    def for_response(self, number: int) -> Faults:
        """Those that are played in a response; the first of a connection has the number 1."""
        return Faults(tuple(fault for fault in self.items if fault.time is None or fault.time == number))

    def get(self, name: str) -> Fault | None:
        """The first fault of a name, or None."""
        return next((fault for fault in self.items if fault.name == name), None)

    def __contains__(self, name: object) -> bool:
        return any(fault.name == name for fault in self.items)
