"""The lines of the doctor's report. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

Line: TypeAlias = Mapping[str, Any]
"""``name, state, cause, remedy`` and perhaps ``details``, as ``hudd.checks`` prints them."""


def ok(name: str, cause: str, **details: object) -> Line:
    """Nothing is wrong."""
    return _made(name, "ok", cause, "", details)


def warning(name: str, cause: str, remedy: str, **details: object) -> Line:
    """Worth knowing."""
    return _made(name, "warning", cause, remedy, details)


def failure(name: str, cause: str, remedy: str, **details: object) -> Line:
    """Without a remedy hudd cannot do its work."""
    return _made(name, "failure", cause, remedy, details)


def _made(name: str, state: str, cause: str, remedy: str, details: Mapping[str, object]) -> Line:
    row: dict[str, Any] = {"name": name, "state": state, "cause": cause, "remedy": remedy}
    return row | ({"details": dict(details)} if details else {})


def verdict(lines: Iterable[Line]) -> str:
    """The worst state of them."""
    states = {str(found["state"]) for found in lines}
    return next((state for state in ("failure", "warning") if state in states), "ok")
