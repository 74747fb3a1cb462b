"""What can go wrong for a client. One class per exit code, so that ``except`` and the shell see the same families.

HudctlError               exit 1, also E_INTERNAL and E_PROTO
 ├── UsageError           2  E_ARGS, E_REQUEST
 ├── NotRunningError      3  nobody listens
 ├── RefusedError         4  E_AUTH, E_BUSY
 ├── DeadlineError        5  E_DEADLINE, or no answer in time
 ├── VersionError         6  E_VERSION, E_UNKNOWN_METHOD
 ├── StateError           7  E_STATE, E_CAPTURE
 ├── UpstreamError        8  E_UPSTREAM
 └── StorageError         9  E_STORAGE
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from hudd.wire import table


class HudctlError(Exception):
    """Root of what this library raises on purpose.

    Attributes:
        message: One sentence that names the cause.
        code: ``E_…`` of the daemon, or '' when the error arose here.
        hint: The remedy, or ''.
        retry_after_ms: When trying again may help, or None.
        upstream: The service's own words (``type, code, message, event_id`` …), or None.
        data: The whole ``error`` object of the reply, raw; empty when the error arose here.
    """

    exit_code: ClassVar[int] = table.EXIT_FAILED

    def __init__(self, message: str, *, code: str = "", hint: str = "", data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.data: Mapping[str, Any] = data or {}
        details = _object(self.data.get("data"))
        retry_after_ms = details.get("retry_after_ms")
        self.retry_after_ms: int | None = retry_after_ms if isinstance(retry_after_ms, int) else None
        self.upstream: Mapping[str, Any] | None = _object(details.get("upstream")) or None

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "retry_after_ms": self.retry_after_ms,
            "upstream": None if self.upstream is None else dict(self.upstream),
            "exit_code": self.exit_code,
        }


class UsageError(HudctlError):
    """Raised when a parameter is missing or wrong."""

    exit_code = table.EXIT_USAGE


class NotRunningError(HudctlError):
    """Raised when no daemon listens; ``hint`` has the command that starts it."""

    exit_code = table.EXIT_NOT_RUNNING


class RefusedError(HudctlError):
    """Raised when the daemon does not serve this caller, or not now."""

    exit_code = table.EXIT_REFUSED


class DeadlineError(HudctlError):
    """Raised when the answer did not come in time."""

    exit_code = table.EXIT_DEADLINE


class VersionError(HudctlError):
    """Raised when this library and the daemon do not understand each other; ``hint`` names the fix."""

    exit_code = table.EXIT_VERSION


class StateError(HudctlError):
    """Raised when it is not possible in the present state: paused, locked, cap reached, no picture."""

    exit_code = table.EXIT_STATE


class UpstreamError(HudctlError):
    """Raised when the Realtime service failed; ``upstream`` has its own words."""

    exit_code = table.EXIT_UPSTREAM


class StorageError(HudctlError):
    """Raised when the journal, or a file of the caller's, could not be read or written."""

    exit_code = table.EXIT_STORAGE


_FAMILIES: tuple[type[HudctlError], ...] = (
    UsageError,
    NotRunningError,
    RefusedError,
    DeadlineError,
    VersionError,
    StateError,
    UpstreamError,
    StorageError,
)


def from_reply(error: object) -> HudctlError:
    """The exception for the ``error`` object of a reply; an unknown code becomes the root class. Never raises."""
    raw = _object(error)
    details = _object(raw.get("data"))
    code = str(details.get("code") or "")
    known = table.ERROR_BY_CODE.get(code)
    exit_code = table.EXIT_FAILED if known is None else known.exit_code
    family = next((found for found in _FAMILIES if found.exit_code == exit_code), HudctlError)
    message = str(raw.get("message") or "The daemon refused without a reason.")
    return family(message, code=code, hint=str(details.get("hint") or ""), data=raw)


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
