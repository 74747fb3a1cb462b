"""How a setting is declared: its default, meaning, bounds and what a reload does with it. Pure."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal, TypeAlias

Apply: TypeAlias = Literal["live", "reconnect", "restart"]
"""What a reload does with a changed key: ``live`` applies it at once, ``reconnect`` through a new session with whoever
answers (answers in flight are finished first), ``restart`` keeps the old value until hudd is started again."""


def setting(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    secret: bool = False,
    words: bool = False,
    apply: Apply = "restart",
) -> Any:
    """Declare one key.

    Args:
        default: Value when nothing sets it.
        doc: One sentence for a person, with the unit.
        low: Smallest allowed number.
        high: Largest allowed number.
        secret: Never shown.
        words: A list that may be written as one text, which is split as a shell would.
        apply: What a reload does with it.
    """
    metadata = {"doc": doc, "low": low, "high": high, "secret": secret, "words": words, "apply": apply}
    return field(default=default, metadata=metadata)
