"""Raises the limit of open files: many clients need many, and the soft limit is often far below what is allowed."""

from __future__ import annotations

import resource
from typing import Final

ENOUGH: Final = 8192
"""Of open files; every client that the sockets let in, and all the daemon needs itself, many times over."""


def raise_descriptor_limit() -> int:
    """Raise the soft limit of this process up to the hard one, as far as it is of use; call it before sockets are made.

    Returns:
        The soft limit from now on.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return soft  # macOS allows less than its hard limit says; the sockets let in fewer clients then
    return wanted
