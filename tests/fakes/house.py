"""A real house in a folder of its own, whose settings a test writes; its session with the service is only listened to."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hudd.config.loader import Loaded, load
from hudd.config.toml_values import to_toml
from hudd.house import House
from hudd.journal.store import Journal
from hudd.service.logs import start_logging
from tests.fakes.clock import ManualClock

KEY = "sk-larkspur-123456"


class Notices:
    """A service manager that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def ready(self) -> None:
        self.told.append("ready")

    def reloading(self) -> None:
        self.told.append("reloading")

    def status(self, text: str) -> None: ...

    def stopping(self) -> None: ...

    def watchdog(self) -> None: ...


class Rooms:
    """The house, its file, and what its session with the service was told.

    Attributes:
        house: The house; built, and nothing of it running but what follows the windows.
        config: Its settings file.
        notify: The service manager.
        calls: Names of the conversation's methods that were called, with their arguments.
        connection: What the conversation says it is.
    """

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self.key_file = folder / "key"
        self.write_key(KEY)
        self.environ = {
            "HUDD_RUNTIME_DIR": str(folder / "run"),
            "HUDD_STATE_DIR": str(folder / "state"),
            "HUDD_CONFIG": str(self.config),
            **environ,
        }
        self.notify = Notices()
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.connection = "ready"
        self.house: House

    def write(self, settings: Mapping[str, object]) -> None:
        """Write the settings file: ``section.key`` → value."""
        sections: dict[str, list[str]] = {}
        for path, value in settings.items():
            section, _, name = path.partition(".")
            sections.setdefault(section, []).append(f"{name} = {to_toml(value)}")
        rows = (f"[{section}]\n" + "\n".join(lines) for section, lines in sections.items())
        self.config.write_text("\n".join(rows) + "\n", encoding="utf-8")

    def write_key(self, key: str) -> None:
        """Write the key file."""
        self.key_file.write_text(key, encoding="utf-8")
        self.key_file.chmod(0o600)

    def read(self) -> Loaded:
        """The settings, as the daemon reads them."""
        return load(config=None, environ=self.environ, flags={})

    async def reload(self) -> dict[str, Any]:
        """``hudctl reload``; the answer must be JSON."""
        return json.loads(json.dumps(await self.house.reload.reload(SimpleNamespace(params={}))))

    def listen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Write down what the conversation is told from now on, instead of doing it."""
        talk = self.house.conversation
        status = talk.status

        for name in ("reconnect", "resume", "change_instructions"):
            monkeypatch.setattr(talk, name, lambda *words, name=name: self.calls.append((name, words)))
        monkeypatch.setattr(talk, "status", lambda: replace(status(), connection=self.connection))

    @property
    def called(self) -> list[str]:
        """The names of what was called."""
        return [name for name, _ in self.calls]


@asynccontextmanager
async def rooms(
    folder: Path, monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, object], **environ: str
) -> AsyncIterator[Rooms]:
    """A house with these settings."""
    made = Rooms(folder, **environ)
    made.write(settings)
    clock = ManualClock()
    journal = Journal.open(folder / "state" / "journal.db", clock=clock)
    with start_logging("info", {}, clock, io.StringIO()) as log:
        made.house = House(
            made.read(),
            made.environ,
            "1.2.3",
            clock=clock,
            journal=journal,
            notify=made.notify,
            log_=log,
            read=made.read,
        )
        made.listen(monkeypatch)
        await made.house.guards.windows.begin()
        windows = asyncio.create_task(made.house.guards.windows.run())  # a reload waits for what it makes them ask
        try:
            yield made
        finally:
            windows.cancel()
            await asyncio.wait({windows})
            made.house.eyes.end()
            await made.house.close()
            await journal.close()
