"""Whether the unit's sandbox holds, what these settings need loosened, and what is loosened beside that."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hudd.checks.background import ASK_S, UNIT, shown
from hudd.checks.finding import Context, Finding, failure, ok, warning
from hudd.checks.places import daemon_pid

if TYPE_CHECKING:
    from hudd.service.sandbox import Sandbox

_ON_DEMAND: Final = "hudd-on-demand.conf"
_BY_SCREENSHOTS: Final = "portal screenshots"
"""As ``hudd.screen.portal`` calls this way in the status."""
_LONGEST_DROP_IN: Final = 65536


@dataclass(frozen=True, slots=True)
class _DropIn:
    """A file that changes the unit."""

    path: Path
    text: str

    @property
    def ours(self) -> bool:
        from hudd.service.drop_ins import OURS  # noqa: PLC0415 - beside its only use

        return self.text.startswith(OURS)

    def is_shipped_as(self, name: str) -> bool:
        """Whether it is that drop-in of hudd's, put in by ``service install`` or by hand."""
        return self.path.name in (f"hudd-loosen-{name}.conf", f"{name}.conf")


def check_sandbox(context: Context) -> Iterable[Finding]:
    """What the kernel really enforces on the running daemon, and which drop-ins there are and should be."""
    if sys.platform != "linux":
        return
    from hudd.service.sandbox import sandbox_of  # noqa: PLC0415 - beside its only use

    pid = daemon_pid(context.environ)
    if not pid:
        yield ok("sandbox", "hudd does not run, so nothing is known of its sandbox.")
    else:
        yield judge_sandbox(sandbox_of(pid), in_unit=_in_unit(pid))
    if context.find("systemctl") is not None:
        installed = _drop_ins(context)
        yield from _needed(context, installed)
        yield from _own(installed or [])


def judge_sandbox(found: Sandbox, *, in_unit: bool) -> Finding:
    """A wish of the unit that the kernel did not fulfil is worth a warning; without a unit there was no wish."""
    details = {
        "no_new_privileges": found.no_new_privileges,
        "system_calls_filtered": found.system_calls_filtered,
        "files_protected": found.files_protected,
    }
    if found.enforced:
        return ok("sandbox", "The sandbox is enforced.", **details)
    if not in_unit:
        return ok("sandbox", "hudd was not started as a service, so it has no sandbox.", **details)
    return warning(
        "sandbox", f"The sandbox that the unit asks for is {found.in_words()}.",
        "An older systemd, a container, or a kernel without user namespaces takes it away; hudd works without it",
        **details,
    )  # fmt: skip


def _needed(context: Context, installed: list[_DropIn] | None) -> Iterable[Finding]:
    """Each shipped drop-in that the settings need or that is there, and whether that fits."""
    from hudd.service.sandbox import (  # noqa: PLC0415 - beside its only use
        LOOSEN,
        READER,
        SCREENSHOTS,
        how_to_loosen,
        needed_drop_ins,
    )

    rapid = context.has("rapidocr") and not context.has("tesserocr")
    needed = dict(needed_drop_ins(context.settings, rapidocr=rapid, screenshots=context.seen_by == _BY_SCREENSHOTS))
    on_demand = any(found.path.name == _ON_DEMAND for found in installed or ())
    remedy = how_to_loosen(tuple(needed), on_demand=on_demand)
    for name in LOOSEN:
        there = next((found for found in installed or () if found.is_shipped_as(name)), None)
        why = needed.get(name, "")
        details = {"drop_in": name, "needed": bool(why), "installed": there is not None}
        if why and installed is None:
            told = f"As a service hudd may need the drop-in {name} here, because {why}: {how_to_loosen((name,))}"
            yield ok("sandbox", told, **details)
        elif why and there is None:
            cause = f"The drop-in {name} is not installed, and {why}, which may not work inside of the sandbox."
            if name in (
                READER,
                SCREENSHOTS,
            ):  # the one works inside of it wherever it was tried, a ScreenCast needs none
                yield ok("sandbox", f"{cause} If it does not: {remedy}", **details)
            else:
                yield warning("sandbox", cause, f"If it fails in the service: {remedy}", **details)
        elif why and there is not None:
            yield ok("sandbox", f"The drop-in {name} is installed, because {why}.", **details, path=str(there.path))
        elif there is not None and not (name == SCREENSHOTS and context.settings.screen.source == "auto"):
            cause = f"The drop-in {name} loosens the sandbox ({there.path}), and these settings do not need it."
            yield warning("sandbox", cause, f"Take it out: {remedy}", **details, path=str(there.path))


def _own(installed: list[_DropIn]) -> Iterable[Finding]:
    """What a person's own drop-ins take away."""
    from hudd.service.drop_ins import loosened, shows_key  # noqa: PLC0415 - beside its only use
    from hudd.service.sandbox import LOOSEN  # noqa: PLC0415 - likewise

    for found in installed:
        if found.ours or any(found.is_shipped_as(name) for name in LOOSEN):
            continue
        lines = loosened(found.text)
        if lines:
            yield warning(
                "sandbox", f"Your drop-in {found.path} loosens the sandbox: {'; '.join(lines)}.",
                "Keep it only while something needs it; look at all of it by: systemctl --user cat hudd",
                path=str(found.path), lines=list(lines),
            )  # fmt: skip
        if shows_key(found.text):
            yield failure(
                "sandbox", f"Your drop-in {found.path} puts the key where every program of yours may read it.",
                "Take that Environment= out; keep the key in a file: hudctl service install --key-file FILE",
                path=str(found.path),
            )  # fmt: skip


def _drop_ins(context: Context) -> list[_DropIn] | None:
    """Those of the unit; None where hudd is no service, or systemd cannot be asked, which the check of it tells."""
    asked = ["systemctl", "--user", "show", UNIT, "--property", "LoadState,DropInPaths"]
    try:
        done = context.run(asked, ASK_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    told = shown(done.stdout)
    if done.returncode or told.get("LoadState") != "loaded":
        return None
    return [_DropIn(path, _text(path)) for path in map(Path, told.get("DropInPaths", "").split())]


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LONGEST_DROP_IN)
    except OSError:  # only root may read it; its name is known all the same
        return ""


def _in_unit(pid: int) -> bool:
    try:
        return UNIT in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
    except OSError:  # it ended meanwhile
        return False
