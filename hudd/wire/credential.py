"""Where systemd takes the service's key from, as its unit and the drop-ins say it (systemd.exec(5), "Credentials").

It is read from the files: ``systemctl show`` calls such a value unprintable. Standard library alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CREDENTIAL: Final = "realtime-key"
_LINE: Final = re.compile(r"^[ \t]*((?:Load|Set)Credential(?:Encrypted)?)[ \t]*=[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_LONGEST_UNIT: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Credential:
    """The key as systemd hands it over.

    Attributes:
        file: The plain file that it is copied from when the service starts; None for one that only systemd can read.
        said_in: The unit or drop-in that says so.
    """

    file: Path | None
    said_in: Path


def find_credential(units: Iterable[Path], home: str) -> Credential | None:
    """The key's credential of a unit; None when it has none.

    Args:
        units: The unit and its drop-ins, in systemd's order: the last one that says something counts.
        home: Of the user, for ``%h``.
    """
    found: Credential | None = None
    for unit in units:
        for kind, value in _LINE.findall(_text(unit)):
            name, _, place = value.partition(":")
            if not name:
                found = None  # an empty value takes back those before
            elif name == CREDENTIAL:
                path = re.sub("%[%h]", lambda part: "%" if part[0] == "%%" else home, place)
                found = Credential(Path(path) if kind == "LoadCredential" and path.startswith("/") else None, unit)
    return found


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LONGEST_UNIT)
    except OSError:  # only root may read it
        return ""
