"""A reload, and everybody around it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hudd.config.changes import Plan
from hudd.config.settings import GateSettings, Settings
from hudd.errors import SettingsError
from hudd.flow.reload import Reload
from hudd.model import UpstreamError

REQUEST = SimpleNamespace(params={})


@dataclass(frozen=True)
class Read:
    """What the loader gives."""

    settings: Settings = field(default_factory=Settings)
    file: Path | None = Path("/config.toml")
    notes: tuple[str, ...] = ()
    shadowed: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)


class AnyOrigin(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "file"


def read(luma_step: int, **more: Any) -> Read:
    return Read(Settings(gate=GateSettings(luma_step=luma_step)), origins=AnyOrigin(), **more)


class ReloadRoom:
    """A reload, and everybody around it.

    Attributes:
        log: What happened, in order.
        next_: What the file says, or the mistakes in it.
        free: Cleared, reading does not end.
        reading: Set once the file is being read.
        done: Set once a reload ended.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self.loaded = read(16)
        self.next_: Read | SettingsError = read(16)
        self.errors: list[UpstreamError] = []
        self.done = asyncio.Event()
        self.free = threading.Event()
        self.free.set()
        self.reading = threading.Event()
        self.other_model = False
        self.broken = False
        self.connection = "ready"
        self.reload = Reload(
            read=self.read,
            parts=self,
            session=self,
            notify=SimpleNamespace(reloading=lambda: self.log.append("reloading"), ready=self.ready),
            on_error=self.errors.append,
            on_state=lambda: self.log.append("state"),
        )

    def ready(self) -> None:
        self.log.append("ready")
        self.done.set()

    def read(self) -> Read:
        self.reading.set()
        assert self.free.wait(10)
        if isinstance(self.next_, SettingsError):
            raise self.next_
        return self.next_

    def prepare(self, plan: Plan, after: Read) -> Any:
        def put() -> bool:
            if self.broken:
                raise RuntimeError("broken")
            self.loaded = replace(after, settings=plan.settings)
            self.log.append(f"put {plan.settings.gate.luma_step}")
            return self.other_model

        return SimpleNamespace(notes=[], put=put)

    def key_news(self, plan: Plan) -> tuple[bool, str]:
        return False, ""

    async def settled(self) -> None:
        self.log.append("settled")

    def status(self) -> Any:
        return SimpleNamespace(connection=self.connection)

    def resume(self) -> None:
        self.log.append("resume")

    def reconnect(self, why: str) -> None:
        self.log.append(why)

    async def ask(self) -> dict[str, Any]:
        return await self.reload.reload(REQUEST)
