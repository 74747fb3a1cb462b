"""``hudctl reload``: lets hudd read its settings again, and says what became of each change."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any, Final

from hudctl.client import Client
from hudctl.console import print_json, tell
from hudctl.words import line, objects
from hudd.wire import table

LONGEST_VALUE: Final = 60


def reload(arguments: argparse.Namespace) -> int:
    """Reload, and print one line for each key that changed."""
    with Client(timeout_s=arguments.timeout) as client:
        body = client.call("reload")
    if arguments.json:
        print_json(body)
        return table.EXIT_OK
    for row in outcome(body):
        print(row)
    for note in body.get("notes") or ():
        tell(f"hudctl: {line(note)}")
    return table.EXIT_OK


def outcome(body: Mapping[str, Any]) -> list[str]:
    """The answer of ``reload`` in lines for a person."""
    rows = [_row(change) for change in objects(body.get("changed"))]
    waiting = sum(change.get("applied") == "restart" for change in objects(body.get("changed")))
    if waiting:
        these = "This one waits" if waiting == 1 else f"These {waiting} wait"
        rows.append(f"{these} for a restart of hudd.")
    return rows or ["Nothing changed."]


def _row(change: Mapping[str, Any]) -> str:
    key, applied = line(change.get("key")), change.get("applied")
    if key == "the key":
        return "The key is another one: a new session is opened with it."
    between = f"{key}: {_value(change.get('old'))} -> {_value(change.get('new'))}"
    match applied:
        case "live":
            return f"{between}, in force."
        case "reconnect":
            return f"{between}, in force with a new session."
        case "fixed":
            return f"{between} in the file, but {line(change.get('by'))} goes before it."
        case _:
            return f"{between}, only after a restart."


def _value(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return line(text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…")
