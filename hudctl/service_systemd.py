"""systemd's user manager: which files it reads, which commands change it, what its refusals mean."""

from __future__ import annotations

import argparse
import os
import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hudctl import service_text as text
from hudctl.errors import HudctlError, NotRunningError, UsageError
from hudctl.service_beside import service_folder
from hudctl.service_plan import Change, Command, Plan, RemoveEmpty, RemoveRuntimeFolder, Run, Step
from hudd.wire.endpoints import state_dir

UNIT: Final = "hudd.service"
SOCKET: Final = "hudd-ctl.socket"
PACKAGED: Final = Path("/usr/lib/systemd/user") / UNIT
OF_PACKAGE: Final = "/usr/lib/hudd/"
_LOGIN: Final = "default.target"
MOVES: Final = ("HUDD_CONFIG", "HUDD_STATE_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
"""Variables that move hudd's files; what the service is to use must stand in its unit."""

_SHOWN: Final = {
    "state": "ActiveState",
    "detail": "SubState",
    "says": "StatusText",
    "pid": "MainPID",
    "since": "ActiveEnterTimestamp",
    "restarts": "NRestarts",
    "result": "Result",
    "enabled": "UnitFileState",
    "unit": "FragmentPath",
    "drop_ins": "DropInPaths",
}


def hudd_command() -> list[str]:
    """What starts the hudd of this installation, with absolute paths."""
    script = Path(sys.executable).with_name("hudd")
    # -P: the folder it is started in must not provide modules.
    return [str(script)] if script.is_file() else [sys.executable, "-P", "-m", "hudd"]


class Systemd:
    """The user's systemd.

    Args:
        environ: For ``HOME`` and the folders of the XDG specification.
        run: Runs programs.
    """

    name = "systemd"

    def __init__(self, environ: Mapping[str, str], run: Run) -> None:
        self._environ = environ
        self._run = run
        home = environ.get("HOME", "")
        config = environ.get("XDG_CONFIG_HOME", "") or f"{home}/.config"
        if not config.startswith("/"):
            raise UsageError("HOME is not set, so there is no place for a user's unit.")
        self.folder = Path(config) / "systemd" / "user"
        self.drop_ins = self.folder / f"{UNIT}.d"

    # Plans -------------------------------------------------------------------------------------------------------

    def install(self, arguments: argparse.Namespace) -> Plan:
        """Files, then what makes systemd read, enable and start them."""
        if self._environ.get("HUDD_RUNTIME_DIR"):
            raise UsageError("The service makes its own runtime folder; unset HUDD_RUNTIME_DIR and try again.")
        version = self._version()
        packaged = self._takes_packaged()
        plan = Plan()
        if not packaged:
            self._plan_unit(plan, version)
        self._plan_drop_ins(plan, arguments)
        enabled, other = (SOCKET, UNIT) if arguments.on_demand else (UNIT, SOCKET)
        plan.steps.append(self._systemctl("daemon-reload"))
        plan.steps.append(self._systemctl("disable", "--now", SOCKET, may_fail=True) if other == SOCKET else
                          self._systemctl("disable", UNIT, may_fail=True))  # fmt: skip
        plan.steps.append(self._systemctl("enable", enabled))
        if packaged and enabled == UNIT and self._target() == _LOGIN:
            plan.steps.append(self._systemctl("add-wants", _LOGIN, UNIT))  # the package's unit names the other target
        if not arguments.no_start:
            plan.steps.append(self._systemctl("restart", enabled))
        begun = "It starts with the first snap." if arguments.on_demand else "It runs."
        done = f"Enabled {PACKAGED}." if packaged else f"Installed {self.folder / UNIT}."
        plan.outcome.append(done if arguments.no_start else f"{done} {begun}")
        return plan

    def _plan_unit(self, plan: Plan, version: int) -> None:
        path = self.folder / UNIT
        _refuse_foreign(path)
        state = str(state_dir(self._environ))
        unit = text.service_unit(
            hudd_command(), state=state, environment=self._moved(), version=version, wanted_by=self._target()
        )
        plan.steps.append(Change(path, unit))

    def _plan_drop_ins(self, plan: Plan, arguments: argparse.Namespace) -> None:
        loosened: list[str] = arguments.loosen or []
        for name in text.LOOSEN:
            path = self._drop_in(f"loosen-{name}")
            if name in loosened:
                plan.steps.append(Change(path, text.drop_in(f"loosen/{name}.conf")))
            elif path.exists():
                plan.steps.append(Change(path, None))
        if arguments.key_file is not None:
            key = _checked_key(Path(arguments.key_file).absolute())
            plan.steps.append(Change(self._drop_in("key"), text.key_drop_in(key), 0o600))
        on_demand = self._drop_in("on-demand")
        if arguments.on_demand:
            _refuse_foreign(self.folder / SOCKET)
            plan.steps.append(Change(self.folder / SOCKET, text.socket_unit()))
            plan.steps.append(Change(on_demand, text.drop_in("on-demand.conf")))
        elif (self.folder / SOCKET).exists():
            plan.steps.append(self._systemctl("disable", "--now", SOCKET, may_fail=True))
            plan.steps += [Change(self.folder / SOCKET, None), Change(on_demand, None)]

    def uninstall(self) -> Plan:
        """Stop, disable and remove what `install` made; what a person wrote stays."""
        self._version()  # nothing is taken away from under a hudd that cannot be stopped
        ours = [path for path in self._files() if _is_ours(path)]
        if not ours and not (self._takes_packaged() and self._is_enabled()):
            raise HudctlError(
                "There is no service of hudctl to uninstall.",
                hint=f"A unit of your own is yours to remove: {self.folder / UNIT}"
                if (self.folder / UNIT).exists()
                else "",
            )
        plan = Plan()
        if self._is_on_demand():
            plan.steps.append(self._systemctl("disable", "--now", SOCKET, may_fail=True))
        plan.steps.append(self._systemctl("disable", "--now", UNIT, may_fail=True))
        plan.steps += [Change(path, None) for path in ours]
        plan.steps += [RemoveEmpty(path) for path in (self.drop_ins, self.folder, self.folder.parent)]
        plan.steps.append(self._systemctl("daemon-reload", may_fail=True))
        plan.steps.append(self._systemctl("reset-failed", UNIT, may_fail=True))
        plan.steps.append(RemoveRuntimeFolder(service_folder(self._environ)))
        settings = self._environ.get("HUDD_CONFIG") or self.folder.parents[1] / "hudd"
        kept = f"{state_dir(self._environ)} and {settings}"
        plan.outcome.append(f"The service is uninstalled. Notes and settings stay in {kept}.")
        own = [path for path in self._files() if path not in ours]
        if own:
            plan.notes.append(f"What you wrote yourself stays: {', '.join(map(str, own))}")
        return plan

    def start(self) -> Plan:
        """Start it now."""
        self._check_installed()
        return Plan([self._systemctl("start", UNIT)], ["hudd runs."])

    def stop(self) -> Plan:
        """Stop it, and first the socket that would start it again."""
        self._check_installed()
        steps: list[Step] = []
        if self._is_on_demand():
            steps.append(self._systemctl("stop", SOCKET))
        return Plan([*steps, self._systemctl("stop", UNIT)], ["hudd is stopped."])

    def restart(self) -> Plan:
        """Stop and start."""
        self._check_installed()
        return Plan([self._systemctl("restart", UNIT)], ["hudd runs again."])

    # Facts -------------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, object]:
        """Facts of the unit."""
        done = self._run(["systemctl", "--user", "show", UNIT, "--property", ",".join(_SHOWN.values())])
        if done.returncode:
            raise _explain(done.stderr.strip())
        told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        facts: dict[str, object] = {
            "installed": bool(told.get("FragmentPath")),
            "active": told.get("ActiveState") in {"active", "reloading"},
        }
        facts |= {name: told.get(word, "") for name, word in _SHOWN.items()}
        facts["pid"] = int(told.get("MainPID", "0") or 0) or None
        facts["restarts"] = int(told.get("NRestarts", "0") or 0)
        facts["drop_ins"] = told.get("DropInPaths", "").split()
        facts["on_demand"] = self._is_on_demand()
        return facts

    def logs(self, lines: int, *, follow: bool) -> list[str]:
        """journalctl, as a person would call it."""
        return ["journalctl", "--user", "--unit", UNIT, "--lines", str(lines), *(["--follow"] if follow else [])]

    # Within ------------------------------------------------------------------------------------------------------

    def _drop_in(self, name: str) -> Path:
        return self.drop_ins / f"hudd-{name}.conf"

    def _files(self) -> list[Path]:
        names = [self.folder / UNIT, self.folder / SOCKET]
        return [*(path for path in names if path.exists()), *sorted(self.drop_ins.glob("*.conf"))]

    def _is_on_demand(self) -> bool:
        return (self.folder / SOCKET).exists()

    def _takes_packaged(self) -> bool:
        """Whether the Debian package's unit is right: for its own hudd, with its files at their usual places."""
        of_package = hudd_command()[0].startswith(OF_PACKAGE) and PACKAGED.is_file()
        return of_package and not self._moved() and not (self.folder / UNIT).exists()

    def _moved(self) -> dict[str, str]:
        return {name: self._environ[name] for name in MOVES if self._environ.get(name)}

    def _is_enabled(self) -> bool:
        return self._run(["systemctl", "--user", "is-enabled", UNIT]).returncode == 0

    def _check_installed(self) -> None:
        if not (self.folder / UNIT).exists() and not PACKAGED.exists():
            raise NotRunningError("hudd is not installed as a service.", hint="Do it with: hudctl service install")

    def _systemctl(self, *words: str, may_fail: bool = False) -> Command:
        return Command(("systemctl", "--user", *words), may_fail, _explain)

    def _version(self) -> int:
        done = self._run(["systemctl", "--user", "show", "--property", "Version", "--value"])
        if done.returncode:
            raise _explain(done.stderr.strip())
        found = re.match(r"\d+", done.stdout.strip())
        return int(found[0]) if found else 0

    def _target(self) -> str:
        """A window manager that never reaches graphical-session.target would never start what that target wants."""
        session = "graphical-session.target"
        done = self._run(["systemctl", "--user", "is-active", session])
        return session if done.returncode == 0 else _LOGIN


def _is_ours(path: Path) -> bool:
    return path.read_text(encoding="utf-8", errors="replace").startswith(text.MARK)


def _refuse_foreign(path: Path) -> None:
    if path.exists() and not _is_ours(path):
        raise UsageError(f"{path} is not of hudctl's making; move it away, or keep it and leave install alone.")


def _checked_key(path: Path) -> Path:
    try:
        found = path.stat()
    except OSError as error:
        raise UsageError(f"The key file {path} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise UsageError(f"The key file {path} must be a file of your own that only you can read: chmod 600 {path}")
    return path


def _explain(words: str) -> HudctlError:
    """What a refusal of systemctl means to a person."""
    if "bus" in words and ("Failed to connect" in words or "DBUS_SESSION_BUS_ADDRESS" in words):
        return HudctlError(
            f"The systemd of this user cannot be reached: {words.splitlines()[0]}.",
            hint="Log in on the machine itself or by ssh (not by su or sudo), or let it run without a login: "
            "loginctl enable-linger",
        )
    if "not been booted with systemd" in words:
        return HudctlError("This machine does not run systemd.", hint="Start it with: hudd")
    return HudctlError(f"systemd refused: {words or 'without a word'}", hint="See: hudctl service logs")
