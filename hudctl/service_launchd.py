"""launchd's agent: where its property list lies, and which commands load it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hudctl import service_text as text
from hudctl.errors import HudctlError, NotRunningError, UsageError
from hudctl.service_beside import service_folder
from hudctl.service_plan import Change, Command, Plan, RemoveRuntimeFolder, Run
from hudctl.service_systemd import MOVES, hudd_command

LABEL: Final = "io.github.hudd"
PERMISSION: Final = (
    "macOS asks for Screen Recording when hudd looks for the first time, and again after an upgrade of the interpreter "
    "{program}: System Settings, Privacy & Security."
)


class Launchd:
    """The user's launchd.

    Args:
        environ: For ``HOME``.
        run: Runs programs.
    """

    name = "launchd"

    def __init__(self, environ: Mapping[str, str], run: Run) -> None:
        self._environ = environ
        self._run = run
        self._home = environ.get("HOME", "")
        if not self._home.startswith("/"):
            raise UsageError("HOME is not set, so there is no place for a user's agent.")
        self.path = Path(self._home) / "Library" / "LaunchAgents" / f"{LABEL}.plist"
        self._domain = f"gui/{os.getuid()}"
        self._target = f"{self._domain}/{LABEL}"

    def install(self, arguments: argparse.Namespace) -> Plan:
        """Write the agent and load it anew."""
        if arguments.on_demand or arguments.loosen:
            raise UsageError("launchd has no --on-demand and no --loosen; leave them away.")
        if arguments.key_file:
            raise UsageError("launchd hands out no keys; name the file in [realtime] key_file instead.")
        if self._environ.get("HUDD_RUNTIME_DIR"):
            raise UsageError("The service uses the usual runtime folder; unset HUDD_RUNTIME_DIR and try again.")
        command = hudd_command()
        moved = {name: self._environ[name] for name in MOVES if self._environ.get(name)}
        plan = Plan([Change(self.path, text.agent(command, home=self._home, environment=moved))])
        if not arguments.no_start:
            plan.steps.append(self._launchctl("bootout", self._target, may_fail=True))
            plan.steps.append(self._launchctl("bootstrap", self._domain, str(self.path)))
        plan.outcome.append(f"Installed {self.path}.")
        plan.notes.append(PERMISSION.format(program=command[0]))
        return plan

    def uninstall(self) -> Plan:
        """Unload and remove it."""
        self._check_installed()
        steps = [
            self._launchctl("bootout", self._target, may_fail=True),
            Change(self.path, None),
            RemoveRuntimeFolder(service_folder(self._environ)),
        ]
        return Plan([*steps], ["The service is uninstalled. Notes and settings stay."])

    def start(self) -> Plan:
        """Load it where needed, and start it."""
        self._check_installed()
        load = self._launchctl("bootstrap", self._domain, str(self.path), may_fail=True)
        return Plan([load, self._launchctl("kickstart", self._target)], ["hudd runs."])

    def stop(self) -> Plan:
        """End it: it exits with 0, which launchd does not restart."""
        self._check_installed()
        return Plan([self._launchctl("kill", "SIGTERM", self._target)], ["hudd is stopped."])

    def restart(self) -> Plan:
        """Stop and start."""
        self._check_installed()
        return Plan([self._launchctl("kickstart", "-k", self._target)], ["hudd runs again."])

    def status(self) -> dict[str, object]:
        """Facts of the agent."""
        done = self._run(["launchctl", "print", self._target])
        told = dict(line.strip().split(" = ", 1) for line in done.stdout.splitlines() if " = " in line)
        return {
            "installed": self.path.exists(),
            "active": done.returncode == 0 and told.get("state") == "running",
            "state": told.get("state", ""),
            "pid": int(told["pid"]) if told.get("pid", "").isdigit() else None,
            "last_exit": told.get("last exit code", ""),
            "unit": str(self.path),
        }

    def logs(self, lines: int, *, follow: bool) -> list[str]:
        """The files that hudd writes: what it logs, and what it said before it could; the newer one last."""
        folder = Path(self._home) / "Library" / "Logs"
        there = [path for path in (folder / "hudd.start.log", folder / "hudd.log") if _size(path)]
        there.sort(key=lambda path: path.stat().st_mtime)
        named = [str(path) for path in there or [folder / "hudd.log"]]
        return ["tail", "-n", str(lines), *(["-F"] if follow else []), *named]

    def _check_installed(self) -> None:
        if not self.path.exists():
            raise NotRunningError("hudd is not installed as a service.", hint="Do it with: hudctl service install")

    def _launchctl(self, *words: str, may_fail: bool = False) -> Command:
        return Command(("launchctl", *words), may_fail, _explain)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _explain(words: str) -> HudctlError:
    return HudctlError(
        f"launchd refused: {words or 'without a word'}",
        hint="Log in at the screen: an agent needs a graphical session.",
    )
