"""Runs the checks side by side, each with its own time, and gives what they found in the order of the report."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from hudd.checks.finding import Context, Finding, failure
from hudd.wire.installation import Installation

Check: TypeAlias = Callable[[Context], Iterable[Finding]]

CHECK_S: Final = 10.0
"""No check takes longer; they run side by side, so all together take little more."""
HANGS: Final[Mapping[str, tuple[str, str]]] = {
    "display": ("the display server", "Restart the desktop session, or the program of [screen] source"),
    "endpoint": ("the name server or the network", "Check the network and the name server"),
    "disk": ("the disk of the state folder", "Check whether it is a network disk that is away"),
    "journal": ("the disk of the journal", "Check whether it is a network disk that is away"),
    "privacy": ("the bus of the session or of the system", "Log in again, or restart the machine"),
    "service": ("systemd", "Try: systemctl --user status hudd"),
}
"""Check → what most likely hangs, and what helps."""
REPORT_IT: Final = "Please report this with: hudctl bugreport"


def run_checks(checks: Sequence[tuple[str, Check]], context: Context, *, seconds: float = CHECK_S) -> Iterator[Finding]:
    """Yield the findings of each check, in order, as soon as they are known.

    A check that hangs (a dead X server, a network disk) is given up; its thread is left behind, so the process must end
    by ``os._exit`` or as a daemon's thread does.
    """
    started = time.monotonic()
    running = [(name, _started(name, check, context)) for name, check in checks]
    for name, found in running:
        try:
            yield from found.get(timeout=max(0.05, started + seconds - time.monotonic()))
        except queue.Empty:
            what, remedy = HANGS.get(name, ("something it asks", "Run: hudctl doctor again; if it stays, report it"))
            cause = f"This check did not end within {seconds:g} s: {what} hangs."
            yield failure(name, cause, remedy)


def _started(name: str, check: Check, context: Context) -> queue.Queue[list[Finding]]:
    found: queue.Queue[list[Finding]] = queue.Queue()

    def work() -> None:
        found.put(_findings(name, check, context))

    threading.Thread(target=work, name=f"check-{name}", daemon=True).start()
    return found


def _findings(name: str, check: Check, context: Context) -> list[Finding]:
    try:
        return list(check(context))
    except ImportError as error:
        cause = f"A library cannot be loaded: {error}."
        return [failure(name, cause, f"Install hudd again: {Installation.find().reinstall()}")]
    except Exception as error:  # noqa: BLE001 - a check with a mistake must not take the others with it, and is told
        where = traceback.extract_tb(error.__traceback__)[-1]
        cause = f"This check itself failed: {type(error).__name__}: {error} ({where.filename}:{where.lineno})."
        return [failure(name, cause, REPORT_IT)]
