"""Whether macOS lets this process see the screen.

Asked before the first frame: without the permission macOS gives the wallpaper instead of the windows, and no error.

Written from Apple's documentation of CGPreflightScreenCaptureAccess (macOS 10.15 and later); it was not run there.
"""

from __future__ import annotations

import ctypes
from typing import Final

from hudd.errors import CaptureError

_FRAMEWORK: Final = "/System/Library/Frameworks/CoreGraphics.framework/CoreGraphics"


def check_permission(framework: str = _FRAMEWORK) -> None:
    """Make sure that the screen may be recorded. Never opens a dialogue.

    Args:
        framework: The library that is asked.

    Raises:
        CaptureError: macOS does not permit it.
    """
    try:
        preflight = ctypes.CDLL(framework).CGPreflightScreenCaptureAccess
    except (OSError, AttributeError):
        return  # before macOS 10.15 there was no such permission
    preflight.restype = ctypes.c_bool
    if not preflight():
        raise CaptureError(
            "macOS does not let hudd see the screen.",
            hint="Allow it in System Settings, Privacy & Security, Screen & System Audio Recording, then restart hudd.",
        )
