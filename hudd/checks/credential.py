"""The file from which systemd hands the service its key: whoever asks in a shell has no such credential."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

from hudd.checks.background import ASK_S, UNIT
from hudd.checks.finding import Context
from hudd.config.keys import CREDENTIAL

_LINE: Final = re.compile(rf"^\s*LoadCredential\s*=\s*(?:{CREDENTIAL}:([/%].*?))?\s*$", re.MULTILINE)
_LONGEST_UNIT: Final = 64 * 1024


def credential_file(context: Context) -> Path | None:
    """The file of the unit's ``LoadCredential=realtime-key:…``; None where there is no such unit or line.

    It is read from the unit and its drop-ins, as ``systemctl show`` calls such a value unprintable.
    """
    if context.environ.get("HUDD_RUNTIME_DIR") or context.find("systemctl") is None:
        return None  # a hudd in a folder of its own is not the service
    asked = ["systemctl", "--user", "show", UNIT, "--property", "LoadState,FragmentPath,DropInPaths"]
    try:
        done = context.run(asked, ASK_S)
    except (OSError, subprocess.TimeoutExpired):
        return None  # said by the check of the service
    told = dict(row.split("=", 1) for row in done.stdout.splitlines() if "=" in row)
    if done.returncode or told.get("LoadState") != "loaded":
        return None
    path = ""
    for name in (told.get("FragmentPath", ""), *told.get("DropInPaths", "").split()):
        for found in _LINE.findall(_text(Path(name))):
            path = found  # the last one counts, and an empty one takes back those before
    home = context.environ.get("HOME", "")
    return Path(re.sub("%[%h]", lambda found: "%" if found[0] == "%%" else home, path)) if path else None


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LONGEST_UNIT)
    except OSError:  # only root may read it
        return ""
