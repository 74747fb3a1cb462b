"""What a service command is going to do, step by step, so that it can be shown before it is done."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hudctl.errors import HudctlError, StorageError
from hudd.wire.endpoints import CONTROL_SOCKET, LOCK, NOTES_SOCKET, ON_DEMAND, folder_problem
from hudd.wire.locks import HeldError, LockFile, NoLockFileError

Run = Callable[[Sequence[str]], subprocess.CompletedProcess[str]]
_OF_HUDD: Final = frozenset({LOCK, CONTROL_SOCKET, NOTES_SOCKET, ON_DEMAND, f"{CONTROL_SOCKET}.on-demand"})


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is written, or removed when it has no text.

    Attributes:
        path: Which file.
        text: Its whole text; None to remove it.
        mode: Of the new file.
    """

    path: Path
    text: str | None
    mode: int = 0o644

    def in_words(self, *, would: bool) -> str:
        """For a person."""
        done = "write" if self.text is not None else "remove"
        return f"would {done} {self.path}" if would else f"{done} {self.path}"

    def to_json(self) -> dict[str, Any]:
        """For a program."""
        return {"do": "remove" if self.text is None else "write", "path": str(self.path), "text": self.text}

    def carry_out(self) -> bool:
        """Do it; False when it is so already.

        Raises:
            StorageError: The file cannot be written or removed.
        """
        try:
            return self._remove() if self.text is None else self._write(self.text)
        except OSError as error:
            raise StorageError(f"{self.path} cannot be changed: {error.strerror}.") from error

    def _write(self, text: str) -> bool:
        if self.path.is_file() and self.path.read_text(encoding="utf-8") == text:
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f".{self.path.name}.new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, self.mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        beside.replace(self.path)  # never half a unit
        return True

    def _remove(self) -> bool:
        if not self.path.is_symlink() and not self.path.exists():
            return False
        self.path.unlink()
        return True


@dataclass(frozen=True, slots=True)
class RemoveEmpty:
    """A folder that goes when nothing is left in it."""

    path: Path

    def in_words(self, *, would: bool) -> str:
        """For a person."""
        return f"{'would remove' if would else 'remove'} {self.path} when it is empty"

    def to_json(self) -> dict[str, Any]:
        """For a program."""
        return {"do": "remove_empty", "path": str(self.path)}

    def carry_out(self) -> bool:
        """Do it; False when it stays, or is not there."""
        try:
            self.path.rmdir()
        except OSError:  # not empty, or not there: both are as they should be
            return False
        return True


@dataclass(frozen=True, slots=True)
class RemoveRuntimeFolder:
    """The runtime folder, which goes when no hudd runs there and nothing but hudd's own lies in it."""

    path: Path

    def in_words(self, *, would: bool) -> str:
        """For a person."""
        return f"{'would remove' if would else 'remove'} {self.path} when no hudd runs there"

    def to_json(self) -> dict[str, Any]:
        """For a program."""
        return {"do": "remove_runtime_folder", "path": str(self.path)}

    def carry_out(self) -> bool:
        """Do it; False when it stays, or is not there."""
        try:
            if folder_problem(self.path) or not _is_only_ours(self.path):
                return False
            lock = LockFile.take(self.path / LOCK)
        except (HeldError, NoLockFileError, OSError):  # somebody runs there, or it is not there
            return False
        if lock is None:
            return False
        try:
            # A hudd that starts meanwhile finds the lock held, or makes a new folder.
            for name in sorted(_OF_HUDD - {LOCK}):
                (self.path / name).unlink(missing_ok=True)
            (self.path / LOCK).unlink()
            self.path.rmdir()
        except OSError:  # somebody put something there at this moment, which is to stay
            return False
        finally:
            lock.close()
        return True


def _is_only_ours(folder: Path) -> bool:
    return {found.name for found in folder.iterdir()} <= _OF_HUDD


@dataclass(frozen=True, slots=True)
class Command:
    """A program that is run.

    Attributes:
        words: The program and its arguments.
        may_fail: Whether its failure is no failure of the whole, as with a stop of what does not run.
        explain: Makes an error of its output.
    """

    words: tuple[str, ...]
    may_fail: bool = False
    explain: Callable[[str], HudctlError] | None = None

    def in_words(self, *, would: bool) -> str:
        """For a person."""
        return f"would run {' '.join(self.words)}" if would else f"run {' '.join(self.words)}"

    def to_json(self) -> dict[str, Any]:
        """For a program."""
        return {"do": "run", "command": list(self.words)}

    def carry_out(self, run: Run) -> bool:
        """Run it.

        Raises:
            HudctlError: It failed.
        """
        done = run(self.words)
        if done.returncode and not self.may_fail:
            words = (done.stderr or done.stdout).strip()
            if self.explain is not None:
                raise self.explain(words)
            raise HudctlError(f"{' '.join(self.words)} failed: {words or done.returncode}")
        return True


Step = Change | RemoveEmpty | RemoveRuntimeFolder | Command


@dataclass(slots=True)
class Plan:
    """Steps in order, and what is said when all are done.

    Attributes:
        steps: What is done.
        outcome: What is printed then.
        notes: What a person should know besides.
    """

    steps: list[Step] = field(default_factory=list[Step])
    outcome: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])

    def carry_out(self, run: Run) -> list[Step]:
        """Do all steps; returns those that changed something.

        Raises:
            HudctlError: One failed; those before it are done.
        """
        return [step for step in self.steps if (step.carry_out(run) if isinstance(step, Command) else step.carry_out())]
