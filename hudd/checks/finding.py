"""What a check found, and what a check is given. Needs no library, so that a broken installation can be told of."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from hudd.config.keys import FoundKey
    from hudd.config.loader import Loaded
    from hudd.config.settings import Settings
    from hudd.errors import HuddError

T = TypeVar("T")
State: TypeAlias = Literal["ok", "warning", "failure"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        name: Which check; stable, for programs.
        state: ``failure`` means that hudd cannot do its work; a warning is worth knowing.
        cause: What was found, one or more sentences.
        remedy: What to do about it; '' when nothing is wrong.
        details: Facts for programs; never a key, never the text of a note.
    """

    name: str
    state: State
    cause: str
    remedy: str = ""
    details: Mapping[str, object] = field(default_factory=dict[str, object])

    def to_json(self) -> dict[str, object]:
        """As a row of ``checks``."""
        row: dict[str, object] = {"name": self.name, "state": self.state, "cause": self.cause, "remedy": self.remedy}
        return row | ({"details": dict(self.details)} if self.details else {})


def ok(name: str, cause: str, **details: object) -> Finding:
    """Nothing is wrong."""
    return Finding(name, "ok", cause, "", details)


def warning(name: str, cause: str, remedy: str, **details: object) -> Finding:
    """It works, but not as well as it could."""
    return Finding(name, "warning", cause, remedy, details)


def failure(name: str, cause: str, remedy: str, **details: object) -> Finding:
    """It cannot work so."""
    return Finding(name, "failure", cause, remedy, details)


def run_program(words: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run a program for what it prints.

    Raises:
        OSError: It cannot be started.
        subprocess.TimeoutExpired: It did not end in time, and was killed.
    """
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
    )


class Once(Generic[T]):
    """Does something at the first call; later ones, in whatever thread, get the same result."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: list[T] = []

    def get(self, work: Callable[[], T]) -> T:
        """The result of the first call's work."""
        with self._lock:
            if not self._results:
                self._results.append(work())
            return self._results[0]


@dataclass(frozen=True, slots=True)
class Context:
    """What the checks look at; tests give them another machine.

    Attributes:
        environ: The environment.
        loaded: The settings; None when they are wrong (``settings`` has the defaults then).
        settings: The settings in force, or the defaults.
        problems: What is wrong with the settings.
        service: Whether the service is asked although the settings say local.
        spend: Whether a request that costs money may be made.
        seen_by: How the running daemon sees the screen, as its status tells; '' when it does not, or is not known to.
        has: Whether a module is installed.
        run: Runs a program.
        find: The path of a program, or None.
        wall: The wall clock, seconds.
        python: Version of the interpreter.
        key: The key, which is looked for once: it may be a program, or a person, that gives it.
    """

    environ: Mapping[str, str]
    loaded: Loaded | None
    settings: Settings
    problems: tuple[str, ...] = ()
    service: bool = False
    spend: bool = False
    seen_by: str = ""
    has: Callable[[str], bool] = lambda name: importlib.util.find_spec(name) is not None
    run: Callable[[Sequence[str], float], subprocess.CompletedProcess[str]] = run_program
    find: Callable[[str], str | None] = shutil.which
    wall: Callable[[], float] = time.time
    python: tuple[int, int, int] = (sys.version_info.major, sys.version_info.minor, sys.version_info.micro)
    key: Once[FoundKey | HuddError] = field(default_factory=Once["FoundKey | HuddError"])

    @property
    def asks_service(self) -> bool:
        """Whether the service's endpoint is looked at."""
        return self.service or self.settings.realtime.use == "service"


def gather(
    environ: Mapping[str, str] | None = None, *, service: bool = False, spend: bool = False, seen_by: str = ""
) -> Context:
    """The context of this machine; wrong settings are told by the check of that name, not here.

    Raises:
        ImportError: A library of hudd is missing.
    """
    from hudd.config.loader import load  # noqa: PLC0415 - needs platformdirs, whose absence is to be told
    from hudd.config.settings import Settings  # noqa: PLC0415 - beside it
    from hudd.errors import SettingsError  # noqa: PLC0415 - beside it

    seen = dict(os.environ) if environ is None else environ
    try:
        loaded = load(config=None, environ=seen, flags={})
    except SettingsError as error:
        return Context(seen, None, Settings(), error.problems, service=service, spend=spend, seen_by=seen_by)
    return Context(seen, loaded, loaded.settings, service=service, spend=spend, seen_by=seen_by)
