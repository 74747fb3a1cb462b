"""The credential by which systemd hands the service its key: whoever asks in a shell has no such credential."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hudd.checks.background import ASK_S, UNIT, shown
from hudd.checks.finding import Context
from hudd.errors import HuddError
from hudd.wire.credential import CREDENTIAL, Credential, find_credential


class UnreadableError(HuddError):
    """Raised where the service's key is a credential that only systemd can read, for instance an encrypted one."""

    def __init__(self, credential: Credential) -> None:
        super().__init__(f"systemd hands the service its key, by {credential.said_in}; only the service can read it.")


def service_credential(context: Context) -> Credential | None:
    """That of the unit and its drop-ins; None where there is no such unit or line."""
    if context.environ.get("HUDD_RUNTIME_DIR") or context.find("systemctl") is None:
        return None  # a hudd in a folder of its own is not the service
    asked = ["systemctl", "--user", "show", UNIT, "--property", "LoadState,FragmentPath,DropInPaths"]
    try:
        done = context.run(asked, ASK_S)
    except (OSError, subprocess.TimeoutExpired):
        return None  # said by the check of the service
    told = shown(done.stdout)
    if done.returncode or told.get("LoadState") != "loaded":
        return None
    units = [told.get("FragmentPath", ""), *told.get("DropInPaths", "").split()]
    return find_credential(map(Path, units), context.environ.get("HOME", ""))


def is_outdated(context: Context, file: Path) -> bool:
    """Whether the service that runs has the key as it was: systemd copies it when the service starts."""
    copy = Path(context.environ.get("XDG_RUNTIME_DIR") or "/", "credentials", UNIT, CREDENTIAL)
    try:
        return copy.read_bytes().strip() != file.read_bytes().strip()
    except OSError:  # it does not run, or only systemd may look
        return False
