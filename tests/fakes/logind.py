"""A logind of its own on a private bus, with one graphical session that can be locked, left and put to sleep."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from dbus_fast import Variant

from tests.fakes.dbus import PrivateBus, Service, service

NAME = "org.freedesktop.login1"
PATH = "/org/freedesktop/login1"
SESSION_PATH = f"{PATH}/session/_31"
USER_PATH = f"{PATH}/user/_0"
SESSION = f"{NAME}.Session"
MANAGER = f"{NAME}.Manager"


class Logind:
    """Answers as logind does."""

    def __init__(self, served: Service) -> None:
        self.served = served
        self.session: dict[str, bool] = {"LockedHint": False, "Active": True, "IdleHint": False}
        self.display: tuple[str, str] = ("1", SESSION_PATH)
        self.sleeping = False
        served.answers["GetUser"] = lambda _: ("o", [USER_PATH])
        served.answers["Get"] = self._get
        served.answers["GetAll"] = lambda _: ("a{sv}", [self._properties("x11", "seat0", self.session)])

    def _get(self, body: list[Any]) -> tuple[str, list[Any]]:
        if body[1] == "PreparingForSleep":
            return "v", [Variant("b", self.sleeping)]
        return "v", [Variant("(so)", list(self.display))]

    @staticmethod
    def _properties(kind: str, seat: str, held: dict[str, bool]) -> dict[str, Variant]:
        told = {name: Variant("b", holds) for name, holds in held.items()}
        return {**told, "Type": Variant("s", kind), "Seat": Variant("(so)", [seat, f"{PATH}/seat/{seat or 'self'}"])}

    def add(self, number: str, *, kind: str, seat: str) -> str:
        """Another session of the user, which never locks: over ssh, or on a console."""
        path = f"{PATH}/session/_3{number}"
        held = {"LockedHint": False, "Active": True, "IdleHint": False}
        self.served.answers[f"{path} GetAll"] = lambda _: ("a{sv}", [self._properties(kind, seat, held)])
        self.served.answers["GetSession"] = lambda _: ("o", [path])
        return path

    async def set(self, name: str, held: bool) -> None:
        """Change a property of the session, and tell."""
        self.session[name] = held
        changed = {name: Variant("b", held)}
        properties = "org.freedesktop.DBus.Properties"
        await self.served.signal(
            SESSION_PATH, properties, "PropertiesChanged", "sa{sv}as", SESSION, changed, list[str]()
        )

    async def word(self, member: str) -> None:
        """``Lock`` or ``Unlock``."""
        await self.served.signal(SESSION_PATH, SESSION, member)

    async def sleep(self, *, going: bool) -> None:
        """Go to sleep, or wake."""
        self.sleeping = going
        await self.served.signal(PATH, MANAGER, "PrepareForSleep", "b", going)


@contextlib.asynccontextmanager
async def logind(bus: PrivateBus) -> AsyncIterator[Logind]:
    """A logind for the length of a block."""
    async with service(bus, NAME) as served:
        yield Logind(served)
