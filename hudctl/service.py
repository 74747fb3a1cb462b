"""``hudctl service``: puts hudd into the care of systemd or launchd, and takes it out again."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from hudctl.console import print_json, tell, width
from hudctl.errors import HudctlError, NotRunningError, UsageError
from hudctl.service_beside import another_hudd
from hudctl.service_plan import Change, Plan, Run
from hudctl.words import wrap
from hudd.wire import table
from hudd.wire.endpoints import EndpointError

SCHEMA: Final = 1
ANSWER_S: Final = 90.0
"""A start may wait for a journal that is checked, a stop for answers in flight."""
_STARTING: Final = frozenset({"install", "start", "restart"})


class Manager(Protocol):
    """The service manager of this system."""

    name: str

    def install(self, arguments: argparse.Namespace) -> Plan: ...

    def uninstall(self) -> Plan: ...

    def start(self) -> Plan: ...

    def stop(self) -> Plan: ...

    def restart(self) -> Plan: ...

    def status(self) -> dict[str, object]:
        """Facts for people and programs; ``active``, ``installed`` and ``pid`` are always among them."""
        ...

    def logs(self, lines: int, *, follow: bool) -> list[str]:
        """The command that prints them."""
        ...


def service(arguments: argparse.Namespace) -> int:
    """Install, uninstall, start, stop, restart, tell the status, or print the log."""
    try:
        manager = find_manager(os.environ, run_command)
        what: str = arguments.what
        if what == "status":
            return _status(manager, arguments)
        if what == "logs":
            return _logs(manager, arguments)
        if what == "install":
            plan = manager.install(arguments)
        else:
            makers: dict[str, Callable[[], Plan]] = {
                "uninstall": manager.uninstall,
                "start": manager.start,
                "stop": manager.stop,
                "restart": manager.restart,
            }
            plan = makers[what]()
    except EndpointError as error:
        raise UsageError(str(error)) from error
    if getattr(arguments, "dry_run", False):
        return _show(plan, arguments)
    if what in _STARTING and not getattr(arguments, "no_start", False):
        _refuse_beside_another(manager)
    return _carry_out(plan, arguments)


def _refuse_beside_another(manager: Manager) -> None:
    other = another_hudd(os.environ, lambda: manager.status()["pid"])
    if other is not None:
        raise other


def find_manager(environ: Mapping[str, str], run: Run) -> Manager:
    """The manager of this system.

    Raises:
        HudctlError: There is none that hudctl knows.
    """
    if sys.platform == "darwin":
        from hudctl.service_launchd import Launchd  # noqa: PLC0415 - of one system only

        return Launchd(environ, run)
    from hudctl.service_systemd import Systemd  # noqa: PLC0415 - likewise

    return Systemd(environ, run)


def run_command(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a program and wait for it.

    Raises:
        HudctlError: It is not there, or takes too long.
    """
    try:
        return subprocess.run(
            list(command), check=False, capture_output=True, text=True, timeout=ANSWER_S, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise HudctlError(
            f"There is no {command[0]} here.", hint="Without a service manager, start it with: hudd"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise HudctlError(
            f"{' '.join(command)} did not end within {ANSWER_S:g} s.", hint="See: hudctl service logs"
        ) from error


def _show(plan: Plan, arguments: argparse.Namespace) -> int:
    if arguments.json:
        print_json({"schema": SCHEMA, "changed": False, "steps": [step.to_json() for step in plan.steps]})
        return table.EXIT_OK
    for step in plan.steps:
        print(step.in_words(would=True))
        if isinstance(step, Change) and step.text is not None:
            print("".join(f"    {line}\n" for line in step.text.splitlines()), end="")
    return table.EXIT_OK


def _carry_out(plan: Plan, arguments: argparse.Namespace) -> int:
    done = plan.carry_out(run_command)
    if arguments.json:
        print_json({"schema": SCHEMA, "changed": bool(done), "steps": [step.to_json() for step in done]})
    else:
        for sentence in plan.outcome:
            print("\n".join(wrap(sentence, width() if sys.stdout.isatty() else 0)))
    for sentence in plan.notes:
        tell(f"hudctl: {sentence}")
    return table.EXIT_OK


def _status(manager: Manager, arguments: argparse.Namespace) -> int:
    facts = manager.status()
    if arguments.json:
        print_json({"schema": SCHEMA, "manager": manager.name, **facts})
    else:
        for name, value in facts.items():
            shown = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
            if isinstance(shown, list):
                shown = ", ".join(str(entry) for entry in shown)  # type: ignore[reportUnknownVariableType] - of a JSON value
            if shown not in ("", None):
                print(f"  {name.replace('_', ' '):<12} {shown}")
    return table.EXIT_OK if facts["active"] else table.EXIT_NOT_RUNNING


def _logs(manager: Manager, arguments: argparse.Namespace) -> int:
    if arguments.json:
        raise UsageError("The log is text for people; leave --json away.")
    command = manager.logs(arguments.lines, follow=arguments.follow)
    sys.stdout.flush()
    try:
        return subprocess.run(command, check=False).returncode and table.EXIT_FAILED
    except FileNotFoundError as error:
        raise NotRunningError(f"There is no {command[0]} here, which keeps the log.") from error
