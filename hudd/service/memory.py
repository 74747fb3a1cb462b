"""Tells the allocator that this process lives for months and handles frames: what is freed goes back to the system."""

from __future__ import annotations

import ctypes
from typing import Any, Final

# mallopt(3) of the GNU C library.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8

LARGE_BYTES: Final = 4 * 1024 * 1024
"""Larger blocks are mapped and given back one by one. Left alone, glibc raises this to the size of the first frame that
is freed, and then keeps two or three frames for good (80 instead of 100 MB after an hour at 1080p). A frame that is
mapped anew costs half a millisecond at 1080p."""


def give_memory_back(library: Any = None) -> bool:
    """Set the allocator of this process; call it before threads are started.

    One arena: with the interpreter's lock several would only split what is free.

    Args:
        library: The C library; None for that of the process.

    Returns:
        False where the C library cannot be told (macOS, musl): everything works the same there.
    """
    library = library or ctypes.CDLL(None)
    try:
        tell = library.mallopt
    except AttributeError:
        return False
    options = ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, LARGE_BYTES), (_M_TRIM_THRESHOLD, LARGE_BYTES))
    return sum(bool(tell(option, value)) for option, value in options) == len(options)
