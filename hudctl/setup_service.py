"""The service in ``hudctl setup``: whether it is wanted, and its installation as it is already, if it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from hudctl.doctor import child_environment
from hudctl.errors import HudctlError
from hudctl.service_beside import another_hudd
from hudctl.words import line, lines_of
from hudd.wire.credential import Credential, find_credential

if TYPE_CHECKING:
    from hudctl.setup import Setup  # it hands itself over; at run time this module does not know it

SERVICE_S: Final = 60.0
_LOOSEN: Final = "hudd-loosen-"


@dataclass(frozen=True, slots=True)
class Installed:
    """A service that is there already.

    Attributes:
        flags: Those of `hudctl service install` that install it as it is.
        key: The key that the service manager hands to it; None when it finds its key itself.
        starts: Whether anything starts it: the unit of a package is there before anybody wanted a service.
    """

    flags: tuple[str, ...]
    key: Credential | None = None
    starts: bool = True


def refuse_beside_another() -> None:
    """Before anything is changed: the service could not start.

    Raises:
        HudctlError: A hudd that is not the service's runs already.
    """
    other = another_hudd(os.environ, lambda: (_status() or {}).get("pid"))
    if other is not None:
        raise other


def find_installed() -> Installed | None:
    """What `hudctl service status` tells; None when there is no service, or no manager of services."""
    told = _status()
    if told is None or not told.get("installed"):
        return None
    drop_ins = [Path(path) for path in lines_of(told.get("drop_ins"))]
    key = find_credential((Path(line(told.get("unit"))), *drop_ins), os.environ.get("HOME", ""))
    names = [path.name for path in drop_ins]
    loosened = [name.removeprefix(_LOOSEN).removesuffix(".conf") for name in names if name.startswith(_LOOSEN)]
    flags = ["--on-demand"] if told.get("on_demand") else []
    for name in sorted(loosened):
        flags += ["--loosen", name]
    starts = told.get("enabled") != "disabled" or bool(told.get("on_demand"))
    return Installed(tuple(flags), key, starts)


def _status() -> dict[str, Any] | None:
    """What `hudctl service status` tells, be it only why it cannot; None when that is unreadable."""
    try:
        return cast("dict[str, Any]", json.loads(_service("status", "--json").stdout))
    except ValueError:
        return None


def wants_service(run: Setup, installed: Installed | None) -> bool:
    """By the flag, or asked where it could start."""
    if run.arguments.install_service:
        return True
    try:
        refuse_beside_another()
    except HudctlError as error:
        run.say(f"\nThe system cannot start hudd now. {error}")
        return False
    if installed is None or not installed.starts:
        return run.ask("\nShall the system start hudd with your session?", "Yn") == "y"
    as_it_is = f" ({' '.join(installed.flags)})" if installed.flags else ""
    return run.ask(f"\nhudd is a service already{as_it_is}. Install it anew, as it is, and start it?", "Yn") == "y"


def install_service(run: Setup, installed: Installed | None) -> bool:
    """Install it; False when it could not be."""
    done = _service("install", *(installed.flags if installed is not None else ()))
    said = line(done.stdout) or line(done.stderr).removeprefix("hudctl: ")
    if done.returncode:
        there = find_installed() is not None
        run.say(f"The service {'is installed but did not take this up' if there else 'was not installed'}: {said}")
        run.failed = True
        run.checks.append({"name": "service", "state": "warning", "cause": said, "remedy": "hudctl service install"})
        return False
    run.done.append("hudd is installed as a service.")
    run.say(said)
    return True


def _service(*words: str) -> subprocess.CompletedProcess[str]:
    command: Sequence[str] = [sys.executable, "-m", "hudctl", "service", *words]
    try:
        return subprocess.run(
            command,
            env=child_environment(),
            capture_output=True,
            text=True,
            timeout=SERVICE_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        hint = f"Try: hudctl service {words[0]}"
        raise HudctlError("The service manager did not answer in time.", hint=hint) from None
