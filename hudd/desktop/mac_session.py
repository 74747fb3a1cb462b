"""What macOS tells of the person's session: whether the screen is locked, and whether the session is in front.

``ioreg -n Root -d1 -a`` prints the root of the I/O registry as a property list: ``IOConsoleLocked``, and for each user
who is logged in at the screen an entry of ``IOConsoleUsers`` with ``kCGSSessionUserIDKey``, ``kCGSSessionOnConsoleKey``
and, only while it holds, ``CGSSessionScreenIsLocked``. macOS tells nobody without a run loop of its own when that
changes, so it is asked again and again, and right before and after each grab. Written from descriptions of these keys;
it was not run on a Mac.
"""

from __future__ import annotations

import asyncio
import os
import plistlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from xml.parsers.expat import ExpatError

from hudd import child
from hudd.clock import Clock
from hudd.errors import WithheldError
from hudd.policy.facts import Facts
from hudd.policy.knowledge import Knowledge

IOREG: Final = ("/usr/sbin/ioreg", "-n", "Root", "-d1", "-a")
SOURCES: Final = ("lock", "session")
AGAIN_S: Final = 2.0
_LIMIT_S: Final = 2.0
_MOST_BYTES: Final = 4_000_000
_NO_SLEEP: Final = "macOS is not asked whether it goes to sleep."
_NO_SESSION: Final = "macOS knows of no session of yours at its screen."
_FAILS: Final = "macOS does not tell whether the screen is locked"


@dataclass(frozen=True, slots=True)
class MacState:
    """What was told. Where the user has no session at the screen, ``there`` is False and nothing holds."""

    there: bool
    locked: bool = False
    inactive: bool = False


def parse_registry(printed: bytes, uid: int) -> MacState:
    """What the root of the registry says of a user's session.

    Raises:
        ValueError: It is no property list, or not of that shape.
    """
    try:
        root: Any = plistlib.loads(printed)
    except (plistlib.InvalidFileException, ExpatError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError("no property list") from error
    if isinstance(root, list) and root:
        root = cast("list[Any]", root)[0]
    facts = cast("dict[str, Any]", root) if isinstance(root, dict) else {}
    users = facts.get("IOConsoleUsers")
    if not isinstance(users, list):
        raise ValueError("no list of IOConsoleUsers")  # noqa: TRY004 - what was printed is wrong, not who called
    for user in cast("list[Any]", users):
        told = cast("dict[str, Any]", user) if isinstance(user, dict) else {}
        if told.get("kCGSSessionUserIDKey") == uid:
            locked = bool(told.get("CGSSessionScreenIsLocked")) or bool(facts.get("IOConsoleLocked"))
            return MacState(there=True, locked=locked, inactive=not told.get("kCGSSessionOnConsoleKey"))
    return MacState(there=False)


class MacSession:
    """Follows the session on macOS. Made inside a running event loop.

    Args:
        facts: Told of ``locked`` and ``inactive``.
        knowledge: Told how well macOS tells.
        clock: For the pauses.
        command: The program that prints the registry.
        uid: Whose session; the process's own user.
    """

    def __init__(
        self,
        facts: Facts,
        knowledge: Knowledge,
        *,
        clock: Clock,
        command: Sequence[str] = IOREG,
        uid: int | None = None,
    ) -> None:
        self._facts = facts
        self._knowledge = knowledge
        self._clock = clock
        self._command = command
        self._uid = os.getuid() if uid is None else uid
        self._loop = asyncio.get_running_loop()

    async def begin(self) -> bool:
        """Ask once; True, because there is always something to follow. Cancelling is safe."""
        self._knowledge.tell("sleep", "not_available", _NO_SLEEP)
        self._take(await asyncio.to_thread(self._ask))
        return True

    async def run(self) -> None:
        """Ask again and again, until cancelled."""
        while True:
            await self._clock.sleep(AGAIN_S)
            self._take(await asyncio.to_thread(self._ask))

    def check(self) -> None:
        """Ask now, before or after a grab. Blocks; for any thread.

        Raises:
            WithheldError: The screen is locked, another session is in front, or macOS does not tell.
        """
        state = self._ask()
        self._loop.call_soon_threadsafe(self._take, state)
        if isinstance(state, str):
            raise WithheldError(("facts_unknown",))
        held = [reason for reason, holds in (("inactive", state.inactive), ("locked", state.locked)) if holds]
        if held:
            raise WithheldError(tuple(held))

    def _ask(self) -> MacState | str:
        """What macOS says, or in a sentence why it does not."""
        try:
            with child.start(self._command, {"LANG": "C"}) as process:
                try:
                    printed, _ = child.read(process, limit_s=_LIMIT_S, most_bytes=_MOST_BYTES)
                finally:
                    child.kill_group(process.pid)
            return parse_registry(printed, self._uid)
        except (child.StartError, child.ChildError, ValueError) as error:
            return f"{_FAILS} (ioreg: {error})."

    def _take(self, state: MacState | str) -> None:
        if isinstance(state, str):
            for source in SOURCES:
                self._knowledge.tell(source, "failing", state)
            return
        self._facts.set("locked", state.locked)
        self._facts.set("inactive", state.inactive)
        for source in SOURCES:
            self._knowledge.tell(
                source, "known" if state.there else "not_available", "" if state.there else _NO_SESSION
            )
