"""What logind tells of the person's graphical session: locked, in front, idle, going to sleep.

Everything comes as signals (org.freedesktop.login1(5)); properties are read at the start and again after every gap. A
daemon of ``systemd --user`` is in no session itself, and one that was started over ssh or on a console is in one that
never locks, so the user's ``Display`` session is looked at, too; without a session that can have a desktop (ssh alone,
a container) there is nothing to be locked, and that is told as "not available".
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from hudd.clock import Clock
from hudd.desktop.bus import Body, BusCallError, BusError, SignalHandler
from hudd.policy.facts import Facts
from hudd.policy.knowledge import Knowledge

T = TypeVar("T")

log = logging.getLogger("hudd.desktop")

NAME: Final = "org.freedesktop.login1"
PATH: Final = "/org/freedesktop/login1"
MANAGER: Final = "org.freedesktop.login1.Manager"
SESSION: Final = "org.freedesktop.login1.Session"
USER: Final = "org.freedesktop.login1.User"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
RETRY_S: Final = (0.5, 1.0, 2.0, 5.0, 15.0)
"""Waits until a logind that failed is asked again; the last one repeats."""
ABSENT: Final = frozenset(
    f"org.freedesktop.DBus.Error.{name}" for name in ("ServiceUnknown", "NameHasNoOwner", "FileNotFound")
)
"""What the bus answers where there is no logind."""
SOURCES: Final = ("lock", "session", "sleep")
GRAPHICAL: Final = frozenset({"x11", "wayland", "mir"})
"""What ``Type`` says of a session with a desktop."""


class FactsBus(Protocol):
    """What is needed of a bus."""

    def why_not(self) -> str: ...
    def on_change(self, listener: Callable[[bool], None]) -> None: ...
    def on_owner(self, listener: Callable[[str, str], None]) -> None: ...
    async def owner_of(self, name: str) -> str: ...
    async def call(
        self, destination: str, path: str, interface: str, member: str, signature: str = "", body: Any = ()
    ) -> Body: ...
    async def on_signal(
        self, handler: SignalHandler, *, interface: str, member: str, path: str = "", sender: str = ""
    ) -> Callable[[], None]: ...


@dataclass(frozen=True, slots=True)
class _Session:
    """Where the followed session is on the bus."""

    path: str


class LoginSession:
    """Follows logind.

    Args:
        bus: The system's.
        facts: Told of ``locked``, ``inactive`` and ``suspended``.
        knowledge: Told how well logind tells.
        clock: For the pauses between tries.
        environ: ``XDG_SESSION_ID`` names the session where hudd is part of one.
        on_idle: Told what the desktop says of an idle session (``IdleHint``).
        uid: Whose session; the process's own user.
    """

    def __init__(
        self,
        bus: FactsBus,
        facts: Facts,
        knowledge: Knowledge,
        *,
        clock: Clock,
        environ: Mapping[str, str],
        on_idle: Callable[[bool], None] = lambda _: None,
        uid: int | None = None,
    ) -> None:
        self._bus = bus
        self._facts = facts
        self._knowledge = knowledge
        self._clock = clock
        self._on_idle = on_idle
        self._session_id = environ.get("XDG_SESSION_ID", "")
        self._uid = os.getuid() if uid is None else uid
        self._session: _Session | None = None
        self._user_path = ""
        self._locked_hint = False
        self._asked_to_lock = False
        self._listening = False
        self._heard = 0
        self._again = asyncio.Event()

    async def begin(self) -> bool:
        """Read everything once; says whether there is anything to follow. Cancelling is safe.

        What could not be read withholds from now on, until ``run`` has read it.
        """
        why_not = self._bus.why_not()
        if why_not:
            self._absent(why_not)
            return False
        try:
            await self._listen()
            await self._read()
        except BusCallError as error:
            if error.name in ABSENT:
                self._absent("There is no logind here.")
                return self._listening
            self._fail(error)
        except BusError as error:
            if nobody_listens(error) and not self._listening:
                self._absent(error.message)
                return False
            self._fail(error)
        return True

    async def run(self) -> None:
        """Read again after every gap, until cancelled."""
        tries = 0
        while True:
            if self._failing:
                await self._clock.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
                tries += 1
            else:
                tries = 0
                await self._again.wait()
            self._again.clear()
            await self.begin()

    @property
    def _failing(self) -> bool:
        known = self._knowledge.of("lock")
        return known is not None and known.state == "failing"

    # Reading

    async def _listen(self) -> None:
        if self._listening:
            return
        self._bus.on_change(self._connection_changed)
        self._bus.on_owner(self._owner_changed)
        told: tuple[tuple[str, str, SignalHandler], ...] = (
            (MANAGER, "PrepareForSleep", self._sleep_told),
            (MANAGER, "SessionNew", self._sessions_changed),
            (MANAGER, "SessionRemoved", self._sessions_changed),
            (SESSION, "Lock", self._lock_told),
            (SESSION, "Unlock", self._unlock_told),
            (PROPERTIES, "PropertiesChanged", self._properties_told),
        )
        for interface, member, handler in told:
            await self._bus.on_signal(handler, interface=interface, member=member, sender=NAME)
        self._listening = True
        self._again.clear()  # the connection was just made, and is read next

    async def _read(self) -> None:
        sleeping = await self._newest(lambda: self._get(PATH, MANAGER, "PreparingForSleep"))
        self._facts.set("suspended", sleeping is True)
        self._knowledge.tell("sleep", "known")
        path = await self._find()
        if path != (self._session.path if self._session else ""):
            self._asked_to_lock = False
        self._session = _Session(path) if path else None
        if not path:
            self._facts.set("locked", False)
            self._facts.set("inactive", False)
            self._tell("not_available", "logind knows of no graphical session of yours.", ("lock", "session"))
            return
        properties = (await self._newest(lambda: self._bus.call(NAME, path, PROPERTIES, "GetAll", "s", [SESSION])))[0]
        self._take(properties)
        self._tell("known", "", ("session",))
        sentence = "" if "LockedHint" in properties else "This logind does not tell whether a session is locked."
        self._tell("not_available" if sentence else "known", sentence, ("lock",))

    async def _newest(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read until no signal came meanwhile: it was handled at once, and the answer may be older."""
        while True:
            heard = self._heard
            answer = await read()
            if heard == self._heard:
                return answer

    async def _find(self) -> str:
        """The session's object; '' when the user has none that can have a desktop."""
        found: list[tuple[int, str]] = []
        for path in dict.fromkeys((await self._named(), await self._display())):
            if path:
                rank = _rank((await self._bus.call(NAME, path, PROPERTIES, "GetAll", "s", [SESSION]))[0])
                found += [] if rank is None else [(rank, path)]
        return min(found, key=lambda one: one[0])[1] if found else ""

    async def _named(self) -> str:
        """The session that the environment names; '' when it ended, or belongs to another machine's environment."""
        if not self._session_id:
            return ""
        try:
            return str((await self._bus.call(NAME, PATH, MANAGER, "GetSession", "s", [self._session_id]))[0])
        except BusCallError as error:
            if error.name.endswith("NoSuchSession"):
                return ""
            raise

    async def _display(self) -> str:
        """The session that logind takes for the user's first; '' when there is none."""
        try:
            self._user_path = str((await self._bus.call(NAME, PATH, MANAGER, "GetUser", "u", [self._uid]))[0])
            number, path = await self._get(self._user_path, USER, "Display")
        except BusCallError as error:
            if error.name.endswith("NoSuchUser"):
                return ""
            raise
        return str(path) if number else ""

    async def _get(self, path: str, interface: str, name: str) -> Any:
        return (await self._bus.call(NAME, path, PROPERTIES, "Get", "ss", [interface, name]))[0]

    def _take(self, properties: Mapping[str, Any]) -> None:
        if "LockedHint" in properties:
            before, self._locked_hint = self._locked_hint, properties["LockedHint"] is True
            if before and not self._locked_hint:
                self._asked_to_lock = False
        if "Active" in properties:
            self._facts.set("inactive", properties["Active"] is not True)
        if "IdleHint" in properties:
            self._on_idle(properties["IdleHint"] is True)
        self._facts.set("locked", self._locked_hint or self._asked_to_lock)

    # Signals

    def _properties_told(self, path: str, body: Body) -> None:
        if len(body) != 3:
            return
        self._heard += 1
        interface, changed, invalidated = body
        if interface == USER and path == self._user_path and ("Display" in changed or "Display" in invalidated):
            self._read_again()
        elif interface == SESSION and self._session is not None and path == self._session.path:
            self._take(changed)
            if {"LockedHint", "Active"} & set(invalidated):
                self._read_again()

    def _lock_told(self, path: str, body: Body) -> None:
        """The locker is asked to lock; it tells when it has, if it tells at all. Withheld from the word on."""
        del body
        if self._session is not None and path == self._session.path:
            self._asked_to_lock = True
            self._facts.set("locked", True)

    def _unlock_told(self, path: str, body: Body) -> None:
        del body
        if self._session is not None and path == self._session.path:
            self._asked_to_lock = False
            self._facts.set("locked", self._locked_hint)

    def _sleep_told(self, path: str, body: Body) -> None:
        del path
        self._heard += 1
        if body and isinstance(body[0], bool):
            self._facts.set("suspended", body[0])

    def _sessions_changed(self, path: str, body: Body) -> None:
        del path, body
        self._read_again()

    def _owner_changed(self, name: str, owner: str) -> None:
        """Another logind, after a restart, is read anew."""
        if name == NAME and owner:
            self._read_again()

    def _connection_changed(self, there: bool) -> None:  # noqa: FBT001 - the door's listener has this form
        if there:
            self._read_again()
        else:
            self._tell("failing", "The system bus was lost, so whether the screen is locked cannot be told.", SOURCES)
            self._again.set()

    def _read_again(self) -> None:
        self._again.set()

    # Telling

    def _absent(self, why: str) -> None:
        for reason in ("locked", "inactive", "suspended"):
            self._facts.set(reason, False)
        self._tell("not_available", why, SOURCES)

    def _fail(self, error: BusError) -> None:
        log.warning("logind does not tell whether the session is locked: %s", error)
        self._tell("failing", f"logind does not tell whether the session is locked ({error.message}).", SOURCES)

    def _tell(self, state: Any, sentence: str, sources: tuple[str, ...]) -> None:
        for source in sources:
            self._knowledge.tell(source, state, sentence)


def nobody_listens(error: BusError) -> bool:
    """Whether a bus does not exist any more, although the environment still names it."""
    return isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError)


def _rank(properties: Mapping[str, Any]) -> int | None:
    """How likely a session is the one with the desktop, the smaller the better; None when it cannot be.

    ``startx`` leaves the type of the console, which has a seat; remote desktops may have none. A ``tty`` without a seat
    is ssh.
    """
    if properties.get("Type") in GRAPHICAL:
        return 0
    seat, *_ = properties.get("Seat") or ("",)
    if seat:
        return 1
    return None if properties.get("Type") == "tty" else 2
