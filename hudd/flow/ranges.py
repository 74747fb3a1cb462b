"""Ranges of time in the parameters of a command, and the sentence of a mistake in them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hudd.errors import CommandError
from hudd.wire.messages import iso_time, parse_time


def time_range(params: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """``since`` and ``until`` as seconds since 1970, or None.

    Raises:
        CommandError: One of them is no time, or none that the calendar holds.
    """
    return _moment(params.get("since")), _moment(params.get("until"))


def _moment(value: Any) -> float | None:
    if value is None:
        return None
    try:
        moment = parse_time(value)
        iso_time(moment)  # what the calendar does not hold could not be told back
    except (ValueError, OverflowError, OSError) as error:
        raise CommandError("E_ARGS", as_sentence(error)) from error
    return moment


def as_sentence(error: Exception) -> str:
    """The words of an error, with a full stop."""
    text = str(error)
    return text if text.endswith(".") else f"{text}."
