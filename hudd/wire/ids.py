"""Ids that sort by time."""

from __future__ import annotations

import os
from typing import Final

_BASE32: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_ulid(wall_s: float) -> str:
    """A ULID: 48 bits of milliseconds, 80 random bits, 26 characters of Crockford's base 32. Sorts by time.

    Args:
        wall_s: The present, seconds since 1970.
    """
    value = (int(wall_s * 1000) & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10))
    return "".join(_BASE32[(value >> shift) & 31] for shift in range(125, -1, -5))
