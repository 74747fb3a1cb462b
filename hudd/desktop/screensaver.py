"""What the desktops' screensavers tell on the session's bus: ``ActiveChanged`` and ``GetActive``.

KDE, GNOME, Cinnamon, MATE and Xfce each have a name of their own for the same two words. A name without an owner is no
screensaver, and one whose program ends saves nothing any more; nothing is started by asking.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from hudd.clock import Clock
from hudd.desktop.bus import Body, BusCallError, BusError
from hudd.desktop.session import RETRY_S, FactsBus, nobody_listens
from hudd.policy.knowledge import AnyOf, AnyTells

log = logging.getLogger("hudd.desktop")

TELLER: Final = "bus"
_NOT_OFFERED: Final = ("UnknownMethod", "UnknownObject", "UnknownInterface", "NotSupported", "NotImplemented")


@dataclass(frozen=True, slots=True)
class Saver:
    """One desktop's screensaver: name, which is its interface too, and object."""

    name: str
    path: str


SAVERS: Final = (
    Saver("org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver"),
    Saver("org.gnome.ScreenSaver", "/org/gnome/ScreenSaver"),
    Saver("org.cinnamon.ScreenSaver", "/org/cinnamon/ScreenSaver"),
    Saver("org.mate.ScreenSaver", "/org/mate/ScreenSaver"),
    Saver("org.xfce.ScreenSaver", "/org/xfce/ScreenSaver"),
)


class ScreenSavers:
    """Follows all of them; the screen is saved while any says so.

    Args:
        bus: The session's.
        active: Told whether any of them is active.
        knowledge: Told, as ``bus``, whether there is one, and when it fails.
        clock: For the pauses between tries.
    """

    def __init__(self, bus: FactsBus, active: AnyOf, knowledge: AnyTells, *, clock: Clock) -> None:
        self._bus = bus
        self._active = active
        self._knowledge = knowledge
        self._clock = clock
        self._on: set[str] = set()
        self._listening = False
        self._heard = 0
        self._again = asyncio.Event()

    async def begin(self) -> bool:
        """Ask all once; says whether there is a bus to follow. Cancelling is safe."""
        why_not = self._bus.why_not()
        if why_not:
            self._knowledge.tell(TELLER, "not_available", why_not)
            return False
        try:
            await self._listen()
            found = [saver.name for saver in SAVERS if await self._ask(saver)]
        except BusError as error:
            if nobody_listens(error) and not self._listening:
                self._knowledge.tell(TELLER, "not_available", error.message)
                return False
            log.warning("the screensaver does not tell whether it runs: %s", error)
            self._knowledge.tell(TELLER, "failing", f"The screensaver does not tell whether it runs ({error.message}).")
            return True
        self._active.set(TELLER, held=bool(self._on))
        if found:
            self._knowledge.tell(TELLER, "known")
        else:
            self._knowledge.tell(TELLER, "not_available", "No screensaver of a desktop is on the session's bus.")
        return True

    async def run(self) -> None:
        """Ask again after every gap, until cancelled."""
        tries = 0
        while True:
            known = self._knowledge.of(TELLER)
            if known is not None and known.state == "failing":
                await self._clock.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
                tries += 1
            else:
                tries = 0
                await self._again.wait()
            self._again.clear()
            await self.begin()

    async def _listen(self) -> None:
        if self._listening:
            return
        self._bus.on_change(self._connection_changed)
        self._bus.on_owner(self._owner_changed)
        for saver in SAVERS:
            await self._bus.on_signal(
                lambda path, body, of=saver.name: self._told(of, path, body),
                interface=saver.name,
                member="ActiveChanged",
                sender=saver.name,
            )
        self._listening = True
        self._again.clear()  # the connection was just made, and is asked next

    async def _ask(self, saver: Saver) -> bool:
        """Whether it is there and tells."""
        if not await self._bus.owner_of(saver.name):
            self._on.discard(saver.name)
            return False
        try:
            while True:
                heard = self._heard
                (active, *_) = await self._bus.call(saver.name, saver.path, saver.name, "GetActive")
                if heard == self._heard:  # else a signal came meanwhile, and the answer may be older
                    break
        except BusCallError as error:
            if error.name.rpartition(".")[2] in _NOT_OFFERED:
                return False
            raise
        self._note(saver.name, active=active is True)
        return True

    def _told(self, name: str, path: str, body: Body) -> None:
        del path
        self._heard += 1
        if body and isinstance(body[0], bool):
            self._note(name, active=body[0])
            self._active.set(TELLER, held=bool(self._on))
            self._knowledge.tell(TELLER, "known")

    def _owner_changed(self, name: str, owner: str) -> None:
        """A screensaver that ended or was killed never tells so itself; whoever has the name now is asked."""
        del owner
        if any(saver.name == name for saver in SAVERS):
            self._again.set()

    def _note(self, name: str, *, active: bool) -> None:
        if active:
            self._on.add(name)
        else:
            self._on.discard(name)

    def _connection_changed(self, there: bool) -> None:  # noqa: FBT001 - the door's listener has this form
        if not there:
            self._knowledge.tell(TELLER, "failing", "The session's bus was lost, so the screensaver cannot be heard.")
        self._again.set()
