"""Free ports of the loopback interface, for servers that are told a number instead of choosing one."""

from __future__ import annotations

import itertools
import os
import socket
from typing import Final

_FIRST: Final = 12_000
_MANY: Final = 18_000
"""Below the range from which systems take ports for connections: nobody else takes one between the look and the use."""
_offsets = itertools.count(os.getpid() * 101, 7)
"""Processes that test at the same time look elsewhere, and none gives a number twice: a listener closes a moment late."""


def free_port(together: int = 1) -> int:
    """The first of so many neighbouring ports on which nobody listens."""
    for offset in itertools.islice(_offsets, _MANY):
        port = _FIRST + offset % _MANY
        if all(_is_free(port + more) for more in range(together)):
            return port
    raise AssertionError("there is no free port")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
