"""Who starts hudd: systemd or launchd."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Final

from hudd.checks.finding import Context, Finding, failure, ok, warning
from hudd.checks.places import daemon_pid, journal_writer

UNIT: Final = "hudd.service"
SOCKET: Final = "hudd-ctl.socket"
AGENT: Final = "io.github.hudd"
ASK_S: Final = 4.0
INSTALL: Final = "hudctl service install"
_ENABLED: Final = ("enabled", "enabled-runtime", "static", "linked")
_READ: Final = "journalctl --user -u hudd -n 20"
_SANDBOX: Final = (
    f"Read which part of the sandbox it is: {_READ}; write the unit anew: {INSTALL}, or take that part out: "
    "systemctl --user edit hudd"
)
_ENDED: Final[Mapping[str, tuple[str, str]]] = {
    "64": ("a wrong flag", ""),
    "69": ("another hudd runs", ""),
    "74": ("storage", f"See the lines disk and journal below, or read why: {_READ}"),
    "77": ("permissions", ""),
    "78": ("settings", ""),
    "203": ("its program cannot be started", f"Write the unit anew, for the hudd that is installed now: {INSTALL}"),
    "217": ("the system gives its sandbox no user namespace", _SANDBOX),
    "226": ("the system cannot set its sandbox up", _SANDBOX),
    "243": ("its key cannot be loaded", f"Look whether the key's file is there, and run: {INSTALL} --key-file FILE"),
}
"""Exit code → what it means, and what helps; '' for what helps always. From 200 on of systemd.exec(5) itself."""
_BEFORE: Final = re.compile(r"^ExecStartPre=.*\bstatus=(\d+)", re.MULTILINE)
_RESULTS: Final[Mapping[str, str]] = {
    "exit-code": "a command that the unit runs before it failed",
    "watchdog": "it stood still, and the watchdog of systemd ended it",
    "timeout": "it did not start or end in time",
    "oom-kill": "it took more memory than it may",
    "resources": "systemd had not what it needs to start it",
}
"""``Result`` of systemd.service → what it means, as far as no exit code and no signal tells."""


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
        return _unit(context, told)
    try:
        socket = _properties(_show(context, SOCKET).stdout)
    except (OSError, subprocess.TimeoutExpired):
        socket = {}
    return _unit(context, told, socket if socket.get("UnitFileState") in _ENABLED else None)


def _show(context: Context, unit: str) -> subprocess.CompletedProcess[str]:
    wanted = (
        "LoadState,ActiveState,SubState,Result,ExecStartPre,ExecMainStatus,NRestarts,UnitFileState,FragmentPath,MainPID"
    )
    return context.run(["systemctl", "--user", "show", unit, "--property", wanted], ASK_S)


def shown(text: str) -> dict[str, str]:
    """What ``systemctl show`` printed, by name."""
    return dict(row.split("=", 1) for row in text.splitlines() if "=" in row)


def _properties(text: str) -> dict[str, str]:
    """By name; of ``ExecStartPre``, a row for each command, only the exit code of the one that failed."""
    told = shown(text)
    if told.pop("ExecStartPre", ""):
        codes = [code for code in _BEFORE.findall(text) if code != "0"]
        told["ExecStartPreStatus"] = codes[0] if codes else "0"
    return told


def _unit(context: Context, told: dict[str, str], socket: dict[str, str] | None = None) -> Finding:
    """From what ``systemctl show`` told of the service, and of its socket where that is what is enabled."""
    state, path = told.get("ActiveState", ""), told.get("FragmentPath", "")
    if told.get("LoadState") == "not-found":
        return warning("service", "hudd is not installed as a service, so nothing starts it.", f"Run: {INSTALL}")
    if told.get("LoadState") not in ("loaded", None):
        cause = f"The unit {UNIT} cannot be used ({told.get('LoadState')})."
        return failure("service", cause, f"Look at it: systemctl --user status hudd; then run: {INSTALL}")
    # Of a service that is started again and again no other state is ever seen.
    again = told.get("SubState", "").startswith("auto-restart") and told.get("Result", "success") != "success"
    if state == "failed" or again:
        return _failed(context, told, again=again)
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


def _failed(context: Context, told: dict[str, str], *, again: bool) -> Finding:
    """Why the last start or run of it ended.

    Args:
        context: Where another hudd may run.
        told: Of the service.
        again: Whether systemd tries again.
    """
    code = told.get("ExecMainStatus", "")
    if code == "0" and (before := told.get("ExecStartPreStatus", "")) in _ENDED:
        code = before  # systemd could not even make what it would run in
    exited = told.get("Result") == "exit-code" and code != "0"
    meaning, remedy = _ENDED.get(code, ("", "")) if exited else ("", "")
    why = f"exit code {code}{meaning and f': {meaning}'}" if exited else _ended_by(told.get("Result", ""), code)
    if exited and code == "69":
        pid = daemon_pid(context.environ) or journal_writer(context.environ)
        remedy = f"End the other hudd{f': kill {pid}' if pid else ', which runs by hand: pgrep -a hudd'}; "
        remedy += "systemd then starts this one" if again else "then run: systemctl --user start hudd"
    remedy = remedy or f"Read why: {_READ}; mend it, then run: systemctl --user restart hudd"
    if again:
        cause = f"The service has failed, and systemd starts it again ({why}; {told.get('NRestarts', '0')} restarts)."
        return failure("service", cause, remedy, **told)
    return failure("service", f"The service has failed ({why}).", remedy, **told)


def _ended_by(result: str, number: str) -> str:
    if result not in ("signal", "core-dump"):
        return _RESULTS.get(result, result)
    try:
        name = signal.Signals(int(number)).name
    except ValueError:  # another system's
        name = f"signal {number}"
    return f"it crashed with {name}" if result == "core-dump" else f"it was killed by {name}"


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
