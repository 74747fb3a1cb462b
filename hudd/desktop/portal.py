"""The dialogue with the desktop portal: screenshots, and ScreenCasts whose permission is kept.

Facts: https://flatpak.github.io/xdg-desktop-portal/docs/ (org.freedesktop.portal.Request, .Screenshot, .ScreenCast).
A request's answer comes as a signal of an object whose path is known before: it is listened to first, then asked.

The capture thread calls, and waits; the bus has an event loop of its own there, so that hudd's is never held up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import stat
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

from hudd.clock import Clock
from hudd.desktop.bus import DAEMON, Bus, BusCallError, BusError, variant
from hudd.errors import CaptureError, NoDisplayError
from hudd.screen.source import CastEndedError, Stream

T = TypeVar("T")

PORTAL: Final = "org.freedesktop.portal.Desktop"
OBJECT: Final = "/org/freedesktop/portal/desktop"
SCREENSHOT: Final = "org.freedesktop.portal.Screenshot"
SCREENCAST: Final = "org.freedesktop.portal.ScreenCast"
REQUEST: Final = "org.freedesktop.portal.Request"
SESSION: Final = "org.freedesktop.portal.Session"
_MONITORS: Final = 1
_CURSOR_HIDDEN, _CURSOR_EMBEDDED = 1, 2
_UNTIL_REVOKED: Final = 2
_GRANTED, _CANCELLED = 0, 1
_ASK_NOBODY: Final = ("CreateSession", "SelectSources")
"""What the portal answers without a person: late is not refused."""
_SHOT_S: Final = 30.0
_STEP_S: Final = 10.0
_MOST_BYTES: Final = 200_000_000
_MOST_TOKEN_BYTES: Final = 4096
ENDED: Final = "a ScreenCast that was ended"
"""Remembered like a refusal, until it is taken out: a person ended it from the desktop."""
_STAYS: Final = "a screenshot that stays"
"""Remembered like a refusal: each further screenshot would stay behind too."""
RESTART: Final = "Restart it: systemctl --user restart xdg-desktop-portal; or log in again."
NOT_HIDDEN: Final = "Look whether that folder exists and is readable, also from the service (`hudctl doctor`: sandbox)."
_STAYS_SILENT: Final = "If it stays so, restart it: systemctl --user restart xdg-desktop-portal."
IN_SESSION: Final = "Start hudd inside the desktop session, and look whether its bus runs: busctl --user list."
ALLOW: Final = "Allow hudd to see the screen in the settings of the desktop, then restart it."


class _StaysError(CaptureError):
    """The picture of the screen that the portal wrote cannot be taken away."""

    def __init__(self, which: str) -> None:
        super().__init__(
            f"The desktop portal's screenshot {which} cannot be taken away, so hudd asks for no more.",
            hint="Remove it. In the service this needs `hudctl service install --loosen portal-screenshots`, which also"
            " names the folders; or a ScreenCast, which writes no files.",
        )


class DesktopPortal:
    """One dialogue, for one thread, with one ScreenCast at a time.

    Args:
        environ: Where the session's bus is.
        token_file: Keeps the permission of the ScreenCast (mode 0600).
        clock: For the bus.
        refused: Remembers what a person refused, so that no later dialogue asks again.
        person_s: How long a person may take to choose the monitors.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        token_file: Path,
        clock: Clock,
        *,
        refused: set[str] | None = None,
        person_s: float = 120.0,
    ) -> None:
        self._environ = environ
        self._token_file = token_file
        self._clock = clock
        self._person_s = person_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bus: Bus | None = None
        self._session = ""
        self._owner = ""
        self._ended = asyncio.Event()
        self._refused: set[str] = set() if refused is None else refused

    def screenshot(self) -> bytes:
        return self._run(self._screenshot())

    def cast(self, *, cursor: bool) -> tuple[int, Sequence[Stream]]:
        return self._run(self._cast(cursor=cursor))

    def cast_ended(self, within_s: float = 0.0) -> bool:
        if self._loop is not None and self._session:
            self._run(self._listen(within_s))
        return self._ended.is_set()

    def remember_end(self) -> bool:
        if self._owner != self._run(self._portal_owner()):
            return False
        self._refused.add(ENDED)
        return True

    def end_cast(self) -> None:
        """End the ScreenCast and leave the bus; the next call comes back."""
        if self._loop is None:
            return
        try:
            with contextlib.suppress(CaptureError):  # the portal has ended it already, or is gone
                if self._session:
                    self._run(self._call(SESSION, "Close", path=self._session))
            if self._bus is not None:
                self._loop.run_until_complete(self._bus.close())
        finally:
            self._session, self._bus = "", None
            self._loop.close()
            self._loop = None

    # Screenshots

    async def _screenshot(self) -> bytes:
        if _STAYS in self._refused:
            raise _StaysError("of before")
        options = {"interactive": variant("b", False), "modal": variant("b", False)}
        results = await self._request(SCREENSHOT, "Screenshot", "s", [""], options, _SHOT_S)
        uri = urlsplit(str(results.get("uri", "")))
        if uri.scheme != "file" or uri.netloc not in ("", "localhost"):
            raise CaptureError("The desktop portal gave no file with its screenshot.", hint=RESTART)
        path = Path(unquote(uri.path))
        try:
            return _read_and_remove(path, await self._portal_uid())
        except _StaysError:
            self._refused.add(_STAYS)
            raise

    async def _portal_uid(self) -> int:
        answer = await self._ask(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", "GetConnectionUnixUser", "s", [PORTAL]
        )
        return int(answer[0])

    # ScreenCast

    async def _cast(self, *, cursor: bool) -> tuple[int, Sequence[Stream]]:
        if ENDED in self._refused:
            raise CastEndedError
        self._ended.clear()
        options: dict[str, Any] = {"session_handle_token": variant("s", _token())}
        made = await self._request(SCREENCAST, "CreateSession", "", [], options, _STEP_S)
        self._session = str(made.get("session_handle", ""))
        if not self._session.startswith("/"):
            raise CaptureError("The desktop portal opened no ScreenCast session.", hint=RESTART)
        self._owner = await self._portal_owner()
        bus = self._open()
        try:
            await bus.on_signal(self._closed, interface=SESSION, member="Closed", path=self._session, sender=PORTAL)
        except BusError as error:
            raise CaptureError(error.message, hint=error.hint or IN_SESSION) from error
        choice: dict[str, Any] = {
            "types": variant("u", _MONITORS),
            "multiple": variant("b", True),
            "persist_mode": variant("u", _UNTIL_REVOKED),
        }
        token = read_token(self._token_file)
        if token:
            choice["restore_token"] = variant("s", token)
        if cursor:
            choice["cursor_mode"] = variant("u", _CURSOR_EMBEDDED)
        await self._request(SCREENCAST, "SelectSources", "o", [self._session], choice, _STEP_S)
        started = await self._request(SCREENCAST, "Start", "os", [self._session, ""], {}, self._person_s)
        # Each token serves once; the next one comes with the answer.
        if started.get("restore_token"):
            write_token(self._token_file, str(started["restore_token"]))
        streams = _streams(started.get("streams"))
        if not streams:
            raise CaptureError(
                "The desktop portal began a ScreenCast without a stream.",
                hint="Restart hudd, and choose at least one screen when the desktop asks.",
            )
        descriptor = (await self._call(SCREENCAST, "OpenPipeWireRemote", "oa{sv}", [self._session, {}]))[0]
        return int(descriptor), streams

    def _closed(self, path: str, body: tuple[Any, ...]) -> None:
        del body
        if path == self._session:
            self._ended.set()

    async def _listen(self, seconds: float) -> None:
        """Let the bus read what came meanwhile, and wait so long for the end of the ScreenCast."""
        await asyncio.sleep(0.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    async def _portal_owner(self) -> str:
        """Who is the portal now; another one after its restart, '' when nobody is."""
        try:
            return str((await self._ask(DAEMON, "/org/freedesktop/DBus", "GetNameOwner", "s", [PORTAL]))[0])
        except CaptureError:
            return ""

    # Requests

    async def _request(
        self,
        interface: str,
        member: str,
        signature: str,
        body: Sequence[Any],
        options: dict[str, Any],
        timeout_s: float,
    ) -> Mapping[str, Any]:
        """Ask, and wait for the answer that comes as a signal.

        Raises:
            CaptureError: It was refused, by the portal or by a person, or did not come in time.
        """
        if member in self._refused:
            raise CaptureError(
                "hudd was not permitted to see the screen when the desktop asked.",
                hint="Restart hudd to be asked again, or allow it in the settings of the desktop.",
            )
        token = _token()
        answer: asyncio.Future[tuple[int, Mapping[str, Any]]] = asyncio.get_running_loop().create_future()

        def answered(path: str, results: tuple[Any, ...]) -> None:
            del path
            if not answer.done() and len(results) == 2:
                answer.set_result((int(results[0]), results[1]))

        bus = self._open()
        try:
            name = (await bus.unique_name()).removeprefix(":").replace(".", "_")
            path = f"{OBJECT}/request/{name}/{token}"
            forget = await bus.on_signal(answered, interface=REQUEST, member="Response", path=path, sender=PORTAL)
        except BusError as error:
            raise CaptureError(error.message, hint=error.hint or IN_SESSION) from error
        try:
            with_token = {**options, "handle_token": variant("s", token)}
            await self._call(interface, member, f"{signature}a{{sv}}", [*body, with_token])
            try:
                async with asyncio.timeout(timeout_s):
                    code, results = await answer
            except TimeoutError as error:
                with contextlib.suppress(CaptureError):  # it may have ended by itself
                    await self._call(REQUEST, "Close", path=path)
                if member not in _ASK_NOBODY:
                    self._refused.add(member)  # nobody answered; asking every few seconds would only annoy
                raise _unanswered(member, timeout_s) from error
        finally:
            forget()
        if code != _GRANTED:
            if code == _CANCELLED:
                self._refused.add(member)
            why = "a person refused it" if code == _CANCELLED else "it ended without a result"
            raise CaptureError(
                f"The desktop portal gave no {interface.rpartition('.')[2]} ({member}: {why}).",
                hint=ALLOW,
            )
        return results

    async def _call(
        self, interface: str, member: str, signature: str = "", body: Sequence[Any] = (), *, path: str = OBJECT
    ) -> tuple[Any, ...]:
        try:
            return await self._open().call(PORTAL, path, interface, member, signature, body, timeout_s=_STEP_S)
        except BusCallError as error:
            if error.name.endswith(".NoReply") and member in _ASK_NOBODY:
                raise _unanswered(member, _STEP_S) from error
            if error.name.rpartition(".")[2] in (
                "ServiceUnknown",
                "NameHasNoOwner",
                "UnknownInterface",
                "UnknownMethod",
            ):
                raise CaptureError(
                    f"This session has no desktop portal for {interface.rpartition('.')[2]}.",
                    hint="Install xdg-desktop-portal and the back end of your desktop (-gnome, -kde, -wlr with -gtk).",
                ) from error
            raise CaptureError(error.message, hint=RESTART) from error
        except BusError as error:
            raise CaptureError(error.message, hint=error.hint or IN_SESSION) from error

    async def _ask(self, name: str, path: str, member: str, signature: str, body: Sequence[Any]) -> tuple[Any, ...]:
        try:
            return await self._open().call(name, path, name, member, signature, body)
        except BusError as error:
            raise CaptureError(error.message, hint=error.hint or IN_SESSION) from error

    def _open(self) -> Bus:
        if self._bus is None:
            self._bus = Bus("session", self._environ, clock=self._clock)
        return self._bus

    def _run(self, work: Awaitable[T]) -> T:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()

        async def whole() -> T:
            return await work

        return self._loop.run_until_complete(whole())


def _unanswered(member: str, timeout_s: float) -> CaptureError:
    if member == "Start":
        return CaptureError(
            f"The desktop asks whether hudd may see the screen, and nobody answered within {timeout_s:g} s.",
            hint="Restart hudd in this session, and choose the screens in the window that the desktop then shows.",
        )
    if member in _ASK_NOBODY:
        return NoDisplayError(
            f"The desktop portal did not answer {member} within {timeout_s:g} s; it may still be starting.",
            hint=f"hudd tries again by itself. {_STAYS_SILENT}",
        )
    return CaptureError(
        f"The desktop portal did not answer {member} within {timeout_s:g} s.",
        hint="Restart hudd, and answer when the desktop asks whether it may see the screen.",
    )


def read_token(path: Path) -> str:
    """The token of the last ScreenCast; '' when there is none, or when others could have written it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""  # the first time, or it was removed: a person is asked again
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
            return ""
        return file.read(_MOST_TOKEN_BYTES).decode("utf-8", "replace").strip()


def write_token(path: Path, token: str) -> None:
    """Keep a token for the next ScreenCast, in a file of mode 0600 that is never half written.

    Raises:
        CaptureError: It cannot be written.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(token)
        new.replace(path)
    except OSError as error:
        raise CaptureError(
            f"The permission to see the screen cannot be kept in {path} ({error.strerror}).",
            hint="Make room there, or make that folder writable; otherwise the desktop asks each time.",
        ) from error


def _read_and_remove(path: Path, owner: int) -> bytes:
    """The file that the portal wrote. It stands where others may look and write, so it is checked, and taken away."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise CaptureError(
            f"The desktop portal's screenshot {path} cannot be read ({error.strerror}).", hint=NOT_HIDDEN
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != owner:
            raise CaptureError(f"The desktop portal's screenshot {path} belongs to somebody else.", hint=RESTART)
        data = file.read(_MOST_BYTES + 1)
    try:
        path.unlink()
    except FileNotFoundError:
        pass  # another program took it away
    except OSError as error:
        raise _StaysError(f"{path} ({error.strerror})") from error
    if len(data) > _MOST_BYTES:
        raise CaptureError(f"The desktop portal's screenshot has more than {_MOST_BYTES:,} bytes.", hint=RESTART)
    return data


def _streams(told: Any) -> list[Stream]:
    found: list[Stream] = []
    for one in told or ():
        node, facts = one[0], dict(one[1])
        position, size = facts.get("position") or (0, 0), facts.get("size") or (0, 0)
        rect = (int(position[0]), int(position[1]), int(size[0]), int(size[1]))
        found.append(Stream(int(node), str(facts.get("mapping_id") or facts.get("id") or ""), rect))
    return found


def _token() -> str:
    return f"hudd_{secrets.token_hex(8)}"
