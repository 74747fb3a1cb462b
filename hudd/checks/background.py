"""Who starts hudd: systemd or launchd."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Final

from hudd.checks.finding import Context, Finding, failure, ok, warning

UNIT: Final = "hudd.service"
SOCKET: Final = "hudd-ctl.socket"
AGENT: Final = "io.github.hudd"
ASK_S: Final = 4.0
INSTALL: Final = "hudctl service install"
_ENABLED: Final = ("enabled", "enabled-runtime", "static", "linked")
_ENDED: Final = {
    "64": "a wrong flag",
    "74": "storage",
    "77": "permissions",
    "78": "settings",
    "69": "another hudd runs",
}


def check_service(context: Context) -> Iterable[Finding]:
    """Whether hudd is started by itself, and how it is."""
    if sys.platform == "darwin":
        yield _launchd(context)
    elif context.find("systemctl") is None:
        cause = "There is no systemd here, so nothing starts hudd by itself."
        yield warning("service", cause, "Start hudd from your session's own autostart")
    else:
        yield _systemd(context)


def _systemd(context: Context) -> Finding:
    try:
        done = _show(context, UNIT)
    except (OSError, subprocess.TimeoutExpired) as error:
        why = f"it does not answer within {ASK_S:g} s" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        return warning("service", f"systemd cannot be asked: {why}.", "Try: systemctl --user status hudd")
    if done.returncode:
        words = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return warning(
            "service", f"The systemd of this user does not run ({words.rstrip('.')}).",
            "Log in to a session of your own (not by su or sudo), or as root: loginctl enable-linger USER",
        )  # fmt: skip
    told = _properties(done.stdout)
    if told.get("UnitFileState") in _ENABLED:
        return _unit(told)
    try:
        socket = _properties(_show(context, SOCKET).stdout)
    except (OSError, subprocess.TimeoutExpired):
        socket = {}
    return _unit(told, socket if socket.get("UnitFileState") in _ENABLED else None)


def _show(context: Context, unit: str) -> subprocess.CompletedProcess[str]:
    wanted = "LoadState,ActiveState,SubState,Result,ExecMainStatus,NRestarts,UnitFileState,FragmentPath,MainPID"
    return context.run(["systemctl", "--user", "show", unit, "--property", wanted], ASK_S)


def _properties(text: str) -> dict[str, str]:
    return dict(row.split("=", 1) for row in text.splitlines() if "=" in row)


def _unit(told: dict[str, str], socket: dict[str, str] | None = None) -> Finding:
    """From what ``systemctl show`` told of the service, and of its socket where that is what is enabled."""
    state, path = told.get("ActiveState", ""), told.get("FragmentPath", "")
    if told.get("LoadState") == "not-found":
        return warning("service", "hudd is not installed as a service, so nothing starts it.", f"Run: {INSTALL}")
    if told.get("LoadState") not in ("loaded", None):
        cause = f"The unit {UNIT} cannot be used ({told.get('LoadState')})."
        return failure("service", cause, f"Look at it: systemctl --user status hudd; then run: {INSTALL}")
    if state == "failed":
        code = told.get("ExecMainStatus", "")
        meaning = f": {_ENDED[code]}" if code in _ENDED else ""
        why = f"{told.get('Result', '')}, exit code {code}{meaning}"
        return failure(
            "service", f"The service has failed ({why}).",
            "Read why: journalctl --user -u hudd -n 20; mend it, then run: systemctl --user restart hudd", **told,
        )  # fmt: skip
    restarts = told.get("NRestarts", "0")
    if state == "active":
        cause = f"The service runs ({path}, {restarts} restarts)."
        if socket is not None:
            return ok("service", f"{cause} systemd starts it on demand.", **told)
        if told.get("UnitFileState") not in _ENABLED:
            return warning(
                "service", f"{cause} It is not started with the session.", "Run: systemctl --user enable hudd"
            )
        return ok("service", cause, **told)
    if state in ("activating", "reloading", "deactivating"):
        cause = f"The service is {state} ({told.get('SubState', '')}, {restarts} restarts)."
        return warning("service", cause, "Wait a moment; if it lasts: journalctl --user -u hudd -n 20", **told)
    if socket is not None:
        return _on_demand(path, socket, told)
    return warning("service", f"The service is installed ({path}) and stopped.", "Run: systemctl --user start hudd")


def _on_demand(path: str, socket: dict[str, str], told: dict[str, str]) -> Finding:
    """Of a service that does not run, and that the first snap is to start."""
    if socket.get("ActiveState") == "active":
        return ok("service", f"The service is installed ({path}); systemd starts it with the first snap.", **told)
    cause = f"The service is installed ({path}) to start with the first snap, and its socket is stopped."
    return warning("service", cause, f"Run: systemctl --user start {SOCKET}", **told)


def _launchd(context: Context) -> Finding:
    try:
        done = context.run(["launchctl", "print", f"gui/{os.getuid()}/{AGENT}"], ASK_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return warning(
            "service", f"launchd cannot be asked: {error}.", f"Try: launchctl print gui/{os.getuid()}/{AGENT}"
        )
    if done.returncode:
        return warning("service", "hudd is not installed as an agent, so nothing starts it.", f"Run: {INSTALL}")
    runs = "state = running" in done.stdout
    if runs:
        return ok("service", "launchd runs hudd.")
    return warning("service", "launchd knows hudd, which does not run.", "Run: hudctl service logs")
