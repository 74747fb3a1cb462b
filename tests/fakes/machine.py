"""A machine for the doctor to look at: folders, an environment, programs; spoilt by tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import pytest

from hudd.checks.finding import Context, gather
from hudd.clock import SystemClock
from hudd.journal.store import Journal

SHOW = "LoadState={}\nActiveState={}\nSubState=x\nResult=exit-code\nExecMainStatus=78\nNRestarts=4\nUnitFileState=enabled\nFragmentPath=/u\n"
ON_DEMAND = SHOW.replace("=enabled", "=disabled")
"""What systemctl shows of a unit: a LoadState and an ActiveState."""
T = TypeVar("T")


class Machine:
    """A machine of its own: folders, an environment, programs."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, patch
        self.run_dir, self.state = folder / "run", folder / "state"
        self.config = folder / "config.toml"
        self.config.write_text("")
        self.environ = {
            "HOME": str(folder),
            "HUDD_RUNTIME_DIR": str(self.run_dir),
            "HUDD_STATE_DIR": str(self.state),
            "HUDD_CONFIG": str(self.config),
        }
        self.changes: dict[str, object] = {}
        self._used = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._used.close()

    def uses(self, part: AbstractContextManager[T]) -> T:
        """Enter something that is there as long as the machine."""
        return self._used.enter_context(part)

    def at_the_end(self, do: Callable[[], object]) -> None:
        """Do it before what was there earlier goes."""
        self._used.callback(do)

    def settings(self, text: str) -> None:
        self.config.write_text(text)

    def service(self, *lines: str) -> None:
        """The service is to answer, and a key is there."""
        self.settings("\n".join(['[realtime]\nuse = "service"', *lines]))
        self.environ["HUDD_REALTIME_KEY"] = "sk-planted-0123456789abcdef"

    def without(self, *modules: str) -> None:
        self.changes["has"] = lambda name: name not in modules

    def systemctl(self, text: str, code: int = 0, words: str = "", *, socket: str = "LoadState=not-found\n") -> None:
        """What it prints of the service, and of the socket."""

        def run(command: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
            assert timeout_s <= 5
            told = socket if "hudd-ctl.socket" in command else text
            return subprocess.CompletedProcess(list(command), code, told, words)

        self.changes |= {"run": run, "find": lambda name: f"/usr/bin/{name}"}

    def journal(self) -> Path:
        path = self.state / "journal.db"
        Journal.open(path, clock=SystemClock(), search=True).close_now()
        return path

    def context(self) -> Context:
        return replace(gather(self.environ), **self.changes)
