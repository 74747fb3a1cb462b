"""What people write for times: ``2h``, ``14:00``, ``yesterday``, ISO 8601. Pure; the present is an argument."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Final

from hudctl.errors import UsageError

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")


def parse_duration(text: str) -> float:
    """``90s``, ``15m``, ``1h30m`` as seconds.

    Raises:
        UsageError: It is no duration; the sentence says what one looks like.
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise UsageError(f"{text!r} is no duration; write for instance 90s, 15m, 2h or 1h30m.")
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    if not 0 < seconds < 1e10:
        raise UsageError(f"{text!r} is no duration that makes sense; it is above zero and below 300 years.")
    return seconds


def parse_moment(text: str, *, now: datetime) -> float:
    """A moment as seconds since 1970: a duration back from now, a time of today, a word, a date or ISO 8601.

    Args:
        text: ``2h``, ``14:00``, ``today``, ``yesterday``, ``2026-11-21``, ``2026-11-21T10:00``, with or without a zone.
        now: The present, with the local zone of the machine.

    Raises:
        UsageError: It is none of these.
    """
    if text == "now":
        return now.timestamp()
    if text in ("today", "yesterday"):
        return _local(datetime.combine(now.date() - timedelta(days=text == "yesterday"), time()))
    if _DURATION.match(text) and ":" not in text and "-" not in text:
        return now.timestamp() - parse_duration(text)
    try:
        if clock := _CLOCK.fullmatch(text):
            return _clock_time(clock, now.date())
        moment = datetime.fromisoformat(text)
        return moment.timestamp() if moment.tzinfo else _local(moment)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is no time; write for instance 2h (ago), 14:00, today, 2026-11-21 or 2026-11-21T10:00."
        ) from None


def parse_range(since: str | None, until: str | None, *, now: datetime) -> tuple[float | None, float | None]:
    """The two ends of ``--since`` and ``--until``; None where none was given.

    Raises:
        UsageError: One is no time, or nothing can lie between them.
    """
    start = parse_moment(since, now=now) if since else None
    end = parse_moment(until, now=now) if until else None
    if start is not None and end is not None and start >= end:
        raise UsageError(f"--since {since} is not before --until {until}, so nothing lies between; exchange them.")
    return start, end


def parse_until(text: str, *, now: datetime) -> float:
    """A moment to come, as seconds since 1970; a time of day that is past means tomorrow's.

    Raises:
        UsageError: It is no time, or past.
    """
    moment = parse_moment(text, now=now)
    clock = _CLOCK.fullmatch(text)
    if clock and moment <= now.timestamp():
        moment = _clock_time(clock, now.date() + timedelta(days=1))
    if moment <= now.timestamp():
        raise UsageError(f"{text!r} is past; give a time to come.")
    return moment


def _clock_time(clock: re.Match[str], day: date) -> float:
    return _local(datetime.combine(day, time(int(clock[1]), int(clock[2]), int(clock[3] or 0))))


def _local(moment: datetime) -> float:
    """The timestamp of a naive local time, read by the system's rules, so that summer time is right on any day."""
    return moment.timestamp()
