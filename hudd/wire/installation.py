"""How this hudd was installed, and so which command repairs it, brings it up to date or adds an extra to it.

hudd is installed from a clone, a wheel or its Debian package, never by its bare name from an index. Standard library
alone; what is dear to load is loaded only when there is something to tell.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

Kind: TypeAlias = Literal["debian", "pipx", "pip", "tree"]

_OF_PACKAGE: Final = "/usr/lib/hudd"
_CLONE: Final = "FOLDER-OF-THE-CLONE"
_NEWER: Final = "NEWER.whl"
_PACKAGED_EXTRAS: Final = ("local", "desktop", "systemd")
"""What the Debian package carries already."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where this hudd comes from.

    Attributes:
        kind: Its Debian package, pipx, pip, or a source tree that is run as it lies there.
        source: The folder of the clone or the wheel that it was installed from; '' when that is not known.
        python: Its interpreter.
        editable: Whether it was installed so that changes of the clone are its own.
    """

    kind: Kind
    source: str = ""
    python: str = sys.executable
    editable: bool = False

    @classmethod
    def find(cls, prefix: str = sys.prefix) -> Installation:
        """That of this process.

        Args:
            prefix: Of its virtual environment.
        """
        if prefix == _OF_PACKAGE:
            return cls("debian")
        kind: Kind = "pipx" if (Path(prefix) / "pipx_metadata.json").is_file() else "pip"
        told = _direct_url()
        if told is None:
            return cls("tree", str(Path(__file__).parents[2]))
        return cls(kind, told[0], editable=told[1])

    def reinstall(self) -> str:
        """The command that installs it again, whole."""
        if self.kind == "debian":
            return "sudo apt-get install --reinstall ./hudd_*.deb"
        if self.kind == "pipx":
            return "pipx reinstall hudd"
        return f"{self._pip()} install --force-reinstall {self._spec(self.source)}"

    def upgrade(self) -> str:
        """The command that puts a newer one in its place, once that is there."""
        if self.kind == "debian":
            return "sudo apt-get install ./hudd_*.deb"
        if self.kind == "pipx":
            return f"pipx install --force {_NEWER}" if self._is_wheel else "pipx upgrade hudd"
        return f"{self._pip()} install --upgrade {self._spec(_NEWER if self._is_wheel else self.source)}"

    def add(self, extra: str) -> str:
        """What adds an extra, as a sentence without its end."""
        if self.kind == "debian":
            if extra in _PACKAGED_EXTRAS:
                return f"Install hudd again: {self.reinstall()}"
            return f"The Debian package comes without {extra}; with pipx hudd can have it"
        if self.kind == "pipx":
            return f"Install it: pipx runpip hudd install 'hudd[{extra}]'"
        # What an installed hudd needs for its extra pip knows from the installation itself.
        wanted = self._spec(f"{self.source}[{extra}]") if self.kind == "tree" else f"'hudd[{extra}]'"
        return f"Install it: {self._pip()} install {wanted}"

    @property
    def _is_wheel(self) -> bool:
        return self.source.endswith(".whl")

    def _pip(self) -> str:
        return f"{shlex.quote(self.python)} -m pip"

    def _spec(self, source: str) -> str:
        quoted = shlex.quote(source) if source else _CLONE
        return f"-e {quoted}" if self.editable or self.kind == "tree" else quoted


def _direct_url() -> tuple[str, bool] | None:
    """From where pip installed hudd (PEP 610), and whether editable; None when it is not installed at all."""
    import json  # noqa: PLC0415 - clients that have nothing to tell must not pay for these
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415

    try:
        told = cast("dict[str, Any]", json.loads(distribution("hudd").read_text("direct_url.json") or "{}"))
    except (PackageNotFoundError, ValueError):
        return None
    address = urlsplit(str(told.get("url", "")))
    folder = cast("dict[str, Any]", told.get("dir_info") or {})
    return (unquote(address.path) if address.scheme == "file" else "", bool(folder.get("editable")))
