"""What a Mac prints of its session."""

from __future__ import annotations

import plistlib
from typing import Any

UID = 501


def registry(*, locked: bool = False, in_front: bool = True, window: bool = False, uid: int = UID) -> bytes:
    """What ``ioreg -n Root -d1 -a`` prints: the key of the lock is there only while it holds."""
    user: dict[str, Any] = {
        "kCGSSessionAuditIDKey": 100008,
        "kCGSSessionGroupIDKey": 20,
        "kCGSSessionIDKey": 257,
        "kCGSSessionOnConsoleKey": in_front,
        "kCGSSessionSystemSafeBoot": False,
        "kCGSSessionUserIDKey": uid,
        "kCGSSessionUserNameKey": "ada",
        "kCGSessionLoginDoneKey": True,
    }
    other = {**user, "kCGSSessionUserIDKey": 502, "kCGSSessionOnConsoleKey": not in_front}
    if locked:
        user |= {"CGSSessionScreenIsLocked": True, "CGSSessionScreenLockedTime": 1795343466}
    root = {
        "IOConsoleLocked": window,
        "IOConsoleUsers": [other, user],
        "IOKitBuildVersion": "Darwin Kernel Version 25.5.0",
        "IORegistryEntryID": 4294967552,
        "IOObjectClass": "IORegistryEntry",
    }
    return plistlib.dumps(root)
