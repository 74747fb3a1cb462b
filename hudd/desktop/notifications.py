"""Bubbles on the desktop: one for each matter, replaced by newer words about it. Never waited for, never an error.

Linux and the BSDs: ``org.freedesktop.Notifications`` (Desktop Notifications Specification 1.2) on the session bus.
macOS: ``osascript``, which cannot replace a bubble.
"""

from __future__ import annotations

import asyncio
import html
import logging
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hudd.clock import ends_within
from hudd.desktop.bus import Body, Bus, BusError, variant
from hudd.model import NoticeTopic

log = logging.getLogger("hudd.desktop")

NAME: Final = "org.freedesktop.Notifications"
PATH: Final = "/org/freedesktop/Notifications"
TITLE: Final = "hudd"
LONGEST: Final = 500
"""Characters of a bubble."""
_NORMAL: Final = 1
_CRITICAL: Final = 2
"""Urgency: a critical bubble stays until somebody clicks it, or until its end is told."""
_BY_THE_SERVER: Final = -1
OSASCRIPT: Final = (
    "-e",
    "on run argv",
    "-e",
    "display notification (item 2 of argv) with title (item 1 of argv)",
    "-e",
    "end run",
)
OSASCRIPT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Bubble:
    sentence: str
    urgent: bool


class Notices:
    """Takes sentences at once, and shows them when it can.

    Args:
        show: Shows one; raises ``BusError`` when it cannot.
        why_not: Why nothing can be shown here, or '' .
        wanted: Whether anything is to be shown.

    Attributes:
        wanted: As given; may be changed at any time.
    """

    def __init__(
        self, show: Callable[[NoticeTopic, str, bool], Awaitable[None]], why_not: str = "", *, wanted: bool = True
    ) -> None:
        self.wanted = wanted
        self._show = show
        self._why_not = why_not
        self._waiting: dict[NoticeTopic, _Bubble] = {}
        self._due = asyncio.Event()
        self._failing = False

    def tell(self, topic: NoticeTopic, sentence: str, *, urgent: bool = False) -> None:
        """Show a sentence in place of what was shown about this matter before. Never blocks, never fails.

        Args:
            topic: The matter: one bubble each, so that steps do not pile up.
            sentence: For a person; never the text of a note.
            urgent: Whether it stays until somebody has seen it.
        """
        if self._why_not or not self.wanted:
            return
        self._waiting[topic] = _Bubble(sentence[:LONGEST], urgent)
        self._due.set()

    async def run(self) -> None:
        """Show what was told, until cancelled. Sleeps without a timer."""
        if self._why_not or not self.wanted:
            log.info("no desktop notifications: %s", self._why_not or "[notices] desktop is false.")
        if self._why_not:
            return
        while True:
            await self._due.wait()
            self._due.clear()
            while self._waiting:
                topic = next(iter(self._waiting))
                bubble = self._waiting.pop(topic)
                try:
                    await self._show(topic, bubble.sentence, bubble.urgent)
                except BusError as error:
                    if not self._failing:
                        log.info("no desktop notification: %s", error)
                    self._failing = True
                else:
                    self._failing = False


class BusBubbles:
    """Bubbles of the freedesktop.org service.

    Args:
        bus: The session's bus.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._ids: dict[NoticeTopic, int] = {}
        self._owner = ""
        self._markup = False

    async def show(self, topic: NoticeTopic, sentence: str, urgent: bool) -> None:  # noqa: FBT001 - the port's order
        """Show a sentence, in place of the last one about this matter.

        Raises:
            BusError: There is no bus, no service, or it refused.
        """
        owner = await self._bus.owner_of(NAME)
        if not owner or owner != self._owner:
            # Another service gives the same numbers to the bubbles of other programs.
            self._ids.clear()
            self._markup = "body-markup" in (await self._call("GetCapabilities"))[0]
            self._owner = await self._bus.owner_of(NAME)  # the call may have started the service
        body = html.escape(sentence, quote=False) if self._markup else sentence
        hints = {"urgency": variant("y", _CRITICAL if urgent else _NORMAL)}
        actions: list[str] = []
        arguments = (TITLE, self._ids.get(topic, 0), "", TITLE, body, actions, hints, _BY_THE_SERVER)
        self._ids[topic] = (await self._call("Notify", "susssasa{sv}i", arguments))[0]

    async def _call(self, member: str, signature: str = "", body: Body = ()) -> Body:
        return await self._bus.call(NAME, PATH, NAME, member, signature, body)


class MacBubbles:
    """Bubbles of macOS.

    Args:
        program: Path of ``osascript``.
    """

    def __init__(self, program: str) -> None:
        self._program = program

    async def show(self, topic: NoticeTopic, sentence: str, urgent: bool) -> None:  # noqa: ARG002, FBT001 - the port
        """Show a sentence; it is an argument of the script, so nothing in it is ever run.

        Raises:
            BusError: The program cannot be started.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                self._program,
                *OSASCRIPT,
                TITLE,
                sentence,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            raise BusError(f"{self._program} cannot be started: {error.strerror}.") from error
        try:
            if not await ends_within(process.wait(), OSASCRIPT_S):
                raise BusError(f"{self._program} did not end within {OSASCRIPT_S:g} s.")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise BusError(f"{self._program} failed with exit code {process.returncode}.")


def open_notices(bus: Bus, environ: Mapping[str, str], *, wanted: bool, platform: str) -> Notices:
    """What shows bubbles here; one that tells why not, where nothing can.

    Args:
        bus: The session's bus; not opened before the first bubble.
        environ: For ``PATH``.
        wanted: ``[notices] desktop``.
        platform: ``sys.platform``.
    """
    if platform == "darwin":
        program = shutil.which("osascript", path=environ.get("PATH", ""))
        return Notices(
            MacBubbles(program or "osascript").show, "" if program else "There is no osascript on PATH.", wanted=wanted
        )
    return Notices(BusBubbles(bus).show, bus.why_not(), wanted=wanted)
