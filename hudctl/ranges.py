"""``--since`` and ``--until`` as moments, by the clock that the notes go by: the daemon may be on another machine."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from hudctl import times
from hudctl.client import Client
from hudctl.console import now_local
from hudd.wire.messages import parse_time


def check_range(arguments: argparse.Namespace) -> bool:
    """Whether a range was given.

    Raises:
        UsageError: It makes no sense; told before a daemon is asked.
    """
    return _range(arguments, now_local()) != (None, None)


def range_there(arguments: argparse.Namespace, client: Client) -> tuple[float | None, float | None]:
    """The two ends, seconds since 1970 by the daemon's clock; None where none was given.

    Raises:
        HudctlError: The daemon does not answer.
    """
    return _range(arguments, now_there(client)) if check_range(arguments) else (None, None)


def now_there(client: Client) -> datetime:
    """The present of the daemon, in the zone of this machine. It was told with the connection, so this asks nothing."""
    try:
        return datetime.fromtimestamp(parse_time(client.hello().get("time")), UTC).astimezone()
    except ValueError:
        return now_local()  # an older daemon tells no time


def _range(arguments: argparse.Namespace, now: datetime) -> tuple[float | None, float | None]:
    since, until = times.parse_range(arguments.since, arguments.until, now=now)
    if last := getattr(arguments, "last", None):
        since = now.timestamp() - times.parse_duration(last)
    return since, until
