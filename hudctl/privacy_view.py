"""What ``hudctl status`` shows of the facts behind privacy: those that are not simply known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hudctl.words import Colour, line, mapping, objects

_SILENT: Final = ("known", "not_available", "")


def privacy_rows(status: Mapping[str, Any]) -> list[tuple[str, str, Colour | None]]:
    """One row for each source that fails or tells only a part, and one for those that are not there."""
    facts = objects(mapping(status.get("privacy")).get("facts"))
    rows: list[tuple[str, str, Colour | None]] = []
    for fact in facts:
        state, name = line(fact.get("state")), line(fact.get("name"))
        if state not in _SILENT:
            rows.append(("", _row(name, state, line(fact.get("sentence"))), "red" if state == "failing" else None))
    absent = [line(fact.get("name")) for fact in facts if fact.get("state") == "not_available"]
    if absent:
        rows.append(("", f"not known here: {', '.join(absent)} (why: hudctl status --json)", None))
    return [("" if number else "privacy", text, colour) for number, (_, text, colour) in enumerate(rows)]


def _row(name: str, state: str, sentence: str) -> str:
    return f"{name} {state}: {sentence}" if sentence else f"{name} {state}"
