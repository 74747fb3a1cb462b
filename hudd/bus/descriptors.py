"""What can be done to a descriptor that libzmq holds, without libzmq: look at it, count what is free, end it."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Collection


def end_connection(descriptor: int, local_names: Collection[object]) -> bool:
    """Shut a connection down that libzmq holds, if its own end has one of these names; libzmq then sees it end."""
    try:
        number = os.dup(descriptor)
    except OSError:
        return False  # it has ended already
    try:
        copy = socket.socket(fileno=number)
    except OSError:  # it has ended already, and its number went to a file that was opened meanwhile
        os.close(number)
        return False
    with contextlib.closing(copy):
        if copy.getsockname() not in local_names:
            return False
        with contextlib.suppress(OSError):  # the peer was faster
            copy.shutdown(socket.SHUT_RDWR)
    return True


def is_readable(descriptor: int) -> bool:
    """Whether something waits there now."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(0))


def descriptors_free(count: int, of: int) -> bool:
    """Whether so many can be opened now: told by opening them (copies of ``of``), whoever holds the others."""
    held: list[int] = []
    try:
        for _ in range(count):
            held.append(os.dup(of))  # noqa: PERF401 - what was opened before the failure must be closed
    except OSError:
        return False
    finally:
        for descriptor in held:
            os.close(descriptor)
    return True
