"""The errors of hudd. This module imports nothing of the project.

Every message is one sentence for a person: what went wrong, and after a semicolon or in ``hint`` what to do about it.

    HuddError
     ├── SettingsError          mistakes in the settings, all at once (exit 78)
     ├── PermissionsError       a folder or file is not safely ours (exit 77)
     ├── AlreadyRunningError    another daemon runs here, or writes the journal (exit 69)
     ├── StorageError           the journal cannot be read or written (exit 74, E_STORAGE)
     ├── CaptureError           no picture could be taken (E_CAPTURE)
     │    └── NoDisplayError    there is no display to look at, now
     ├── PictureError           a picture cannot be decoded or encoded (E_CAPTURE)
     ├── LinkError              the Realtime connection cannot be opened, or is gone (E_UPSTREAM)
     │    ├── LinkRefusedError  the server refused the upgrade
     │    ├── LinkClosedError   the connection ended
     │    └── KeyMissingError   the service is wanted and no key can be read
     ├── WithheldError          a picture must not leave now (E_STATE)
     └── CommandError           what a client is answered; carries a wire code
"""

from __future__ import annotations

import re
from collections.abc import Sequence

EXIT_OK = 0
EXIT_INTERNAL = 1
EXIT_USAGE = 64
EXIT_UNAVAILABLE = 69
EXIT_STORAGE = 74
EXIT_PERMISSIONS = 77
EXIT_SETTINGS = 78


def cause_and_remedy(sentence: str) -> tuple[str, str]:
    """Split a sentence into cause and remedy, which stands behind the last semicolon; a remedy of '' is none.

    A semicolon inside of quotes is part of a name.
    """
    cause, mark, remedy = sentence.rpartition("; ")
    opened, closed = len(re.findall(r"(?<!\w)'", cause)), len(re.findall(r"'(?!\w)", cause))
    if not mark or not remedy or cause.count('"') % 2 or cause.count("`") % 2 or opened != closed:
        return sentence, ""
    return f"{cause}.", remedy if remedy.startswith("hudd ") else f"{remedy[0].upper()}{remedy[1:]}"


class HuddError(Exception):
    """Root of every error that hudd raises on purpose.

    Args:
        message: One sentence that names the cause.
        hint: The remedy, as a sentence; empty when there is none.
    """

    exit_code: int = EXIT_INTERNAL
    wire_code: str = "E_INTERNAL"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class SettingsError(HuddError):
    """Raised when settings cannot be used. ``problems`` holds every mistake that was found, one sentence each."""

    exit_code = EXIT_SETTINGS
    wire_code = "E_ARGS"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class PermissionsError(HuddError):
    """Raised when a folder or file belongs to somebody else, is a link, or is open to others."""

    exit_code = EXIT_PERMISSIONS


class AlreadyRunningError(HuddError):
    """Raised when another daemon holds the lock of this runtime folder, or of this journal."""

    exit_code = EXIT_UNAVAILABLE


class StorageError(HuddError):
    """Raised when the journal cannot be opened, read or written."""

    exit_code = EXIT_STORAGE
    wire_code = "E_STORAGE"


class CaptureError(HuddError):
    """Raised when a picture of a source cannot be taken now."""

    wire_code = "E_CAPTURE"


class NoDisplayError(CaptureError):
    """Raised when there is no display to look at; it may come back."""


class PictureError(HuddError):
    """Raised when bytes are no picture, or when a picture does not fit its byte budget."""

    wire_code = "E_CAPTURE"


class LinkError(HuddError):
    """Raised when the Realtime connection cannot be opened or was lost."""

    wire_code = "E_UPSTREAM"


class LinkRefusedError(LinkError):
    """Raised when the server refused the WebSocket upgrade.

    Attributes:
        status: The HTTP status of the refusal; 0 when no HTTP answer came (DNS, TCP, TLS, time-out).
        body: The first bytes of the answer's body, as text.
        retry_after_s: What the server asked for, or None.
        code: Why the opening was given up on this side, as a code of hudd's own; '' when it was not.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        body: str = "",
        retry_after_s: float | None = None,
        hint: str = "",
        code: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.status = status
        self.body = body
        self.retry_after_s = retry_after_s


class LinkClosedError(LinkError):
    """Raised when the connection ended, by either side or by the network.

    Attributes:
        code: The close code (1006 when no close frame came).
        reason: The close reason, as sent.
        ours: True when this side closed it.
    """

    def __init__(self, message: str, *, code: int, reason: str = "", ours: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.ours = ours


class KeyMissingError(LinkError):
    """Raised when ``[realtime] use = "service"`` and no key can be read."""


class WithheldError(HuddError):
    """Raised when a picture must not leave the machine now. ``reasons`` names all of them."""

    wire_code = "E_STATE"

    def __init__(self, reasons: Sequence[str], *, hint: str = "") -> None:
        self.reasons = tuple(reasons)
        super().__init__(f"Nothing is sent now: {', '.join(self.reasons)}.", hint=hint)


class CommandError(HuddError):
    """What a client is answered instead of a result.

    Args:
        code: One of ``hudd.wire.table.ERRORS``, for instance ``E_STATE``.
        message: One sentence for a person.
        hint: The remedy.
        retry_after_ms: When trying again may help, or None.
        upstream: ``{type, code, message, event_id}`` of the service's own error, or None.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str = "",
        retry_after_ms: int | None = None,
        upstream: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.retry_after_ms = retry_after_ms
        self.upstream = upstream
