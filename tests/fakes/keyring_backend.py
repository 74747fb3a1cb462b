"""A keyring for tests, by the interface of the ``keyring`` package: a file, and faults that real keyrings have."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Final

from keyring.backend import KeyringBackend
from keyring.errors import InitError, KeyringLocked, PasswordDeleteError

from hudd.config.keyring_program import SERVICE, USER

ROOT: Final = Path(__file__).parents[2]
PLACE: Final = "TEST_KEYRING_FILE"
"""The variable that names the file."""


def environment_of_keyring(path: Path, *, key: str = "", fault: str = "", priority: float = 9.0) -> dict[str, str]:
    """Variables with which ``keyring`` takes this one, in whatever process.

    Args:
        path: Where it is kept.
        key: That of hudd, if there is one.
        fault: ``locked``, ``dismissed``, ``breaks``, ``hangs``, ``forgets`` or none.
        priority: How much the library recommends it; below 1 it does not.
    """
    entries = {f"{SERVICE}/{USER}": key} if key else {}
    path.write_text(json.dumps({"entries": entries, "fault": fault, "priority": priority}), encoding="utf-8")
    return {
        PLACE: str(path),
        "PYTHON_KEYRING_BACKEND": f"{__name__}.{FileKeyring.__name__}",
        "PYTHONPATH": str(ROOT),
    }


def kept_in(path: Path) -> dict[str, str]:
    """What it keeps: ``service/user`` → text."""
    return json.loads(path.read_text(encoding="utf-8"))["entries"]


class FileKeyring(KeyringBackend):
    """Everything in one file of JSON."""

    @property
    def priority(self) -> float:  # type: ignore[override] - a property of the class there
        return float(self._read()["priority"])

    def get_password(self, service: str, username: str) -> str | None:
        return self._open()["entries"].get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        kept = self._open()
        if kept["fault"] != "forgets":
            kept["entries"][f"{service}/{username}"] = password
        Path(os.environ[PLACE]).write_text(json.dumps(kept), encoding="utf-8")

    def delete_password(self, service: str, username: str) -> None:
        raise PasswordDeleteError(f"{service}/{username} stays")

    def _open(self) -> dict[str, dict[str, str]]:
        kept = self._read()
        print("a keyring that talks")
        match kept["fault"]:
            case "locked":
                raise KeyringLocked("Failed to unlock the collection!")
            case "dismissed":
                raise InitError("Failed to create the collection: Prompt dismissed..")
            case "breaks":
                raise ConnectionRefusedError("the bus is\naway")
            case "hangs":
                time.sleep(60)
        return kept

    def _read(self) -> dict[str, dict[str, str]]:
        return json.loads(Path(os.environ[PLACE]).read_text(encoding="utf-8"))
