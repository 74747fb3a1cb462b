"""Faults that the engine plays on demand, so that a client can be tried against them. Pure.

A fault is written ``NAME``, ``NAME:ARGUMENT``, ``NAME@EVENT`` or ``NAME:ARGUMENT@EVENT``, where EVENT is the type of a
server event. A trailing ``*N`` plays it in the first N connections only: ``close:1006@response.created*1``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from hudd.errors import EXIT_USAGE, HuddError


class FaultError(HuddError):
    """Raised when a fault is written wrongly."""

    exit_code = EXIT_USAGE
    wire_code = "E_ARGS"


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One row of the table.

    Attributes:
        name: As written before the colon.
        doc: What happens.
        argument: What stands behind the colon, if anything.
        event: True when ``@EVENT`` is needed.
        low: Smallest number.
        high: Largest number.
    """

    name: str
    doc: str
    argument: Literal["none", "seconds", "number", "word"] = "none"
    event: bool = False
    low: float = 0
    high: float = 86_400

    @property
    def usage(self) -> str:
        """How it is written."""
        argument = {"none": "", "seconds": ":SECONDS", "number": ":NUMBER", "word": ":CODE"}[self.argument]
        return self.name + argument + ("@EVENT" if self.event else "")


KINDS: Final[tuple[FaultKind, ...]] = (
    FaultKind("expire", "The session ends after so many seconds instead of an hour.", "seconds", low=0.01),
    FaultKind("close", "Closes with this code after the event; 1006 drops the connection.", "number", True, 1000, 4999),
    FaultKind("no_created", "session.created never comes."),
    FaultKind("http", "Refuses the upgrade with this HTTP status.", "number", low=400, high=599),
    FaultKind("fail", "Every response ends as failed with this code.", "word"),
    FaultKind("incomplete", "Every response is cut after its first half, as by the content filter."),
    FaultKind("cancelled", "Every response is cancelled after its first half, as by voice detection."),
    FaultKind("stall", "Says nothing more after the event, and leaves the connection open.", event=True),
    FaultKind("garbage", "Sends a frame that is no JSON before every response."),
    FaultKind("unknown_events", "Sends events of unknown types, and unknown fields in known ones."),
    FaultKind("missing_usage", "response.done comes without usage."),
    FaultKind("slow", "Waits so many seconds before every piece of text.", "seconds"),
    FaultKind("error", "Refuses every response.create with this code.", "word"),
    FaultKind("echo_images", "Sends pictures back in conversation items."),
)
KIND_BY_NAME: Final = {kind.name: kind for kind in KINDS}

_WRITTEN: Final = re.compile(
    r"(?P<name>[a-z_]+)(?::(?P<argument>[^@*]+))?(?:@(?P<event>[a-z_.]+))?(?:\*(?P<times>\d{1,6}))?"
)
_NUMBER: Final = re.compile(r"\d{1,6}(?:\.\d{1,6})?")
_WORD: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to play.

    Attributes:
        name: A name of the table.
        number: Its number or seconds, 0 without.
        word: Its code, '' without.
        event: The server event that triggers it, '' without.
        times: In how many connections; None for all.
    """

    name: str
    number: float = 0.0
    word: str = ""
    event: str = ""
    times: int | None = None


def parse_fault(written: str) -> Fault:
    """Read a fault.

    Raises:
        FaultError: It is unknown or written wrongly; one sentence says how it is written.
    """
    match = _WRITTEN.fullmatch(written)
    kind = KIND_BY_NAME.get(match["name"]) if match else None
    if match is None or kind is None:
        raise FaultError(f"There is no fault {written[:60]!r}; known are {', '.join(k.usage for k in KINDS)}.")
    argument, event = match["argument"] or "", match["event"] or ""
    wrong = FaultError(f"The fault {written[:60]!r} is not written as {kind.usage}.")
    if bool(event) != kind.event or bool(argument) != (kind.argument != "none"):
        raise wrong
    number, word = 0.0, ""
    if kind.argument == "word":
        if not _WORD.fullmatch(argument):
            raise wrong
        word = argument
    elif kind.argument != "none":
        if not _NUMBER.fullmatch(argument) or (kind.argument == "number" and "." in argument):
            raise wrong
        number = float(argument)
        if not kind.low <= number <= kind.high:
            raise FaultError(f"The fault {written[:60]!r} needs a number from {kind.low:g} to {kind.high:g}.")
    return Fault(kind.name, number, word, event, None if match["times"] is None else int(match["times"]))


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults of one connection."""

    items: tuple[Fault, ...] = ()

    @classmethod
    def for_connection(cls, faults: Iterable[Fault], index: int) -> Faults:
        """Those faults that are played in a connection; the first has the index 0."""
        return cls(tuple(fault for fault in faults if fault.times is None or index < fault.times))

    def get(self, name: str) -> Fault | None:
        """The first fault of a name, or None."""
        return next((fault for fault in self.items if fault.name == name), None)

    def on_event(self, name: str, event: str) -> Fault | None:
        """The fault of a name that an event triggers, or None."""
        return next((fault for fault in self.items if fault.name == name and fault.event == event), None)

    def __contains__(self, name: object) -> bool:
        return any(fault.name == name for fault in self.items)
