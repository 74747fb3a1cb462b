"""Tells the allocator that this process lives for months and handles frames: what is freed goes back to the system."""

from __future__ import annotations

import ctypes
import gc
from typing import Any, Final

# mallopt(3) of the GNU C library.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8

LARGE_BYTES: Final = 256 * 1024
"""Larger blocks are mapped and given back one by one: all that is made of a frame, from its scaled copies to the
request. On the heap they leave holes between the small things that stay, differently with each frame, so that it grows:
at 1080p by 8 MB in 2,400 frames with a bound of 4 MB, more slowly with 512 KB. Left alone, glibc raises the bound to
the size of the first frame that is freed. To map the blocks anew costs 4 ms of CPU for each picture sent at 1080p."""

TRIM_BYTES: Final = 1024 * 1024
"""So much free space may stay at the end of the heap, where the smaller parts of a frame come and go."""


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
    options = ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, LARGE_BYTES), (_M_TRIM_THRESHOLD, TRIM_BYTES))
    return sum(bool(tell(option, value)) for option, value in options) == len(options)


def trim_memory(library: Any = None) -> bool:
    """Give back what lies free between blocks in use; takes a few milliseconds, any thread.

    What is small and short-lived (answers, pages of the journal) leaves gaps that the thresholds do not reach: 7 MB
    after 1,400 frames at 1080p, and more later. May be called with other threads at work.

    Args:
        library: The C library; None for that of the process.

    Returns:
        False where the C library has no such call (macOS, musl).
    """
    library = library or ctypes.CDLL(None)
    try:
        trim = library.malloc_trim
    except AttributeError:
        return False
    trim(0)
    return True


def spare_what_stays() -> None:
    """Take all objects that there are now out of the garbage collector's rounds; call it when everything is built.

    Modules, settings and parts live as long as the process. To look at them again costs 20 ms at a time, in which
    nobody is answered.
    """
    gc.collect()
    gc.freeze()
