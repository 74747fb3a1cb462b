"""Situations for the doctor: how a machine is spoilt, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hudd.checks.finding import Context, Finding
from tests.fakes.machine import Machine

Check = Callable[[Context], Iterable[Finding]]
Spoil = Callable[[Machine], None]


@dataclass(frozen=True)
class Situation:
    """One row.

    Attributes:
        check: What is looked at.
        spoil: How it comes about.
        state: How bad it is.
        cause: Words of the cause.
        remedy: Words of the remedy.
    """

    check: Check
    spoil: Spoil
    state: str
    cause: str
    remedy: str


class Situations(dict[str, Situation]):
    """Rows by their names."""

    def row(self, check: Check, state: str, cause: str, remedy: str) -> Callable[[Spoil], Spoil]:
        """A row: the name of the function that spoils the machine is its name."""

        def add(spoil: Spoil) -> Spoil:
            name = spoil.__name__.removeprefix("_").replace("_", " ")
            self[name] = Situation(check, spoil, state, cause, remedy)
            return spoil

        return add
