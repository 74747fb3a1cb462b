"""What a drop-in of the unit takes away from its sandbox. Pure.

By systemd.exec(5) and systemd.resource-control(5): a later line of a list adds to it, an empty one begins it anew, and
``~`` before a list takes away. The unit's own values are those of ``packaging/systemd/hudd.service``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

OURS: Final = "# Written by hudctl service install"
"""How a file begins that `hudctl service install` wrote."""
_KEY_VARIABLES: Final = ("HUDD_REALTIME_KEY", "OPENAI_API_KEY")
_TRUE: Final = frozenset({"yes", "true", "1", "on", "y", "t"})
_SWITCHES: Final = frozenset(
    {
        "LockPersonality",
        "MemoryDenyWriteExecute",
        "NoNewPrivileges",
        "PrivateDevices",
        "PrivateMounts",
        "PrivateUsers",
        "ProtectClock",
        "ProtectControlGroups",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "RestrictNamespaces",
        "RestrictRealtime",
        "RestrictSUIDSGID",
    }
)


def loosened(text: str) -> tuple[str, ...]:
    """The lines of a drop-in, as ``Key=value``, that leave hudd more than the shipped unit does."""
    return tuple(f"{key}={value}" for key, value in _service_lines(text) if _loosens(key, value))


def shows_key(text: str) -> bool:
    """Whether it puts a key into the unit's environment, which every program of the user may read."""
    lines = (value for key, value in _service_lines(text) if key == "Environment")
    return any(f"{name}=" in value for value in lines for name in _KEY_VARIABLES)


def _service_lines(text: str) -> Iterator[tuple[str, str]]:
    section = ""
    for raw in text.replace("\\\n", " ").splitlines():
        row = raw.strip()
        if row.startswith("["):
            section = row
        elif section == "[Service]" and "=" in row and not row.startswith(("#", ";")):
            key, _, value = row.partition("=")
            yield key.strip(), value.strip()


def _loosens(key: str, value: str) -> bool:
    if key in _SWITCHES:
        return value.lower() not in _TRUE
    weaker = _WEAKER.get(key)
    return weaker is not None and weaker(value)


def _other_than(*strong: str) -> Callable[[str], bool]:
    return lambda value: value.lower() not in strong


def _adds(value: str) -> bool:
    return bool(value)


def _opens(value: str) -> bool:
    """Of a list of what is allowed: to add something, or to drop the list."""
    return value != "none" and not value.startswith("~")


_WEAKER: Final[Mapping[str, Callable[[str], bool]]] = {
    "ProtectSystem": _other_than("strict"),
    "ProtectHome": _other_than("read-only", "tmpfs", *_TRUE),
    "ProtectProc": _other_than("invisible", "noaccess"),
    "DevicePolicy": _other_than("closed", "strict"),
    "KeyringMode": _other_than("private"),
    "SystemCallArchitectures": _other_than("native"),
    "LimitCORE": _other_than("0", "0:0"),
    "MemoryMax": lambda value: value.lower() == "infinity",
    "UMask": _other_than("0077", "077", "77", "0177"),
    "DeviceAllow": _adds,
    "ReadWritePaths": _adds,
    "BindPaths": _adds,
    "AmbientCapabilities": _adds,
    "CapabilityBoundingSet": _adds,
    "RestrictAddressFamilies": _opens,
    "SystemCallFilter": _opens,
}
