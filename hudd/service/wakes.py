"""Hears from the kernel that the machine woke, that its clock was set, or that the network came up. Linux only.

Nothing here wakes up without cause: the kernel makes two descriptors readable, and that is all. Where they do not
exist, the comparison of the clocks (``realtime.wakes``) still notices a sleep.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import logging
import os
import socket
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Final

from hudd.service.network import Network, ask_for_links

log = logging.getLogger("hudd.wakes")

# timerfd_create(2), timerfd_settime(2): a timer on the wall clock that is cancelled by every jump of that clock. A
# resume sets the clock too, because the kernel reads it anew from the hardware.
_CLOCK_REALTIME: Final = 0
_TFD_NONBLOCK: Final = os.O_NONBLOCK
_TFD_CLOEXEC: Final = getattr(os, "O_CLOEXEC", 0)
_ABSOLUTE_AND_CANCELLED: Final = 1 | 2  # TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
_FAR_AWAY_S: Final = 2**40
"""The timer itself never rings: only its cancellation is wanted."""

_NETLINK_ROUTE: Final = 0
_GROUPS: Final = 0x1 | 0x10 | 0x100 | 0x40 | 0x400
"""rtnetlink(7): links, IPv4 and IPv6 addresses, IPv4 and IPv6 routes."""
_DATAGRAM: Final = 65536


class _ItimerSpec(ctypes.Structure):
    """``struct itimerspec``: the interval, then the first moment, each in seconds and nanoseconds."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class WallClockTimer:
    """A timer of the kernel that tells of every jump of the wall clock, a resume among them.

    Raises:
        OSError: This system has none.
    """

    def __init__(self) -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            self._settime = libc.timerfd_settime
            create = libc.timerfd_create
        except AttributeError as error:  # another system's library
            raise OSError(errno.ENOSYS, "no timerfd") from error
        self._fd = create(_CLOCK_REALTIME, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._fd < 0:
            raise _last_error()
        self._arm()

    def fileno(self) -> int:
        """Readable once the clock jumped."""
        return int(self._fd)

    def jumped(self) -> bool:
        """Whether the clock jumped since the last call."""
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.ECANCELED:
                raise
            self._arm()
            return True
        return False

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)

    def _arm(self) -> None:
        spec = _ItimerSpec(0, 0, _FAR_AWAY_S, 0)
        if self._settime(self._fd, _ABSOLUTE_AND_CANCELLED, ctypes.byref(spec), None) < 0:
            raise _last_error()


def tells_of_jumps() -> bool:
    """Whether this system tells when the wall clock jumps, so that nobody needs to look."""
    try:
        WallClockTimer().close()
    except OSError:
        return False
    return True


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def open_route_socket() -> socket.socket:
    """A socket on which the kernel tells of links, addresses and routes as they change.

    Raises:
        OSError: This system has none, or a sandbox forbids it.
    """
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError(errno.EAFNOSUPPORT, "no netlink")
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    route = socket.socket(socket.AF_NETLINK, kind, _NETLINK_ROUTE)
    try:
        route.bind((0, _GROUPS))
        route.send(ask_for_links())
    except OSError:
        route.close()
        raise
    return route


@contextmanager
def watch_wakes(
    *,
    clock_jumped: Callable[[], object],
    network_up: Callable[[], object],
    open_timer: Callable[[], WallClockTimer] = WallClockTimer,
    open_route: Callable[[], socket.socket] = open_route_socket,
) -> Generator[None]:
    """Tell of wakes and of the network while it lasts. Needs a running event loop.

    Args:
        clock_jumped: The wall clock jumped: after a sleep, or because somebody set it. What it means is for the caller
            to judge.
        network_up: Something may be reached that could not be before.
        open_timer: Opens the timer; raises ``OSError`` where there is none, and that is no trouble.
        open_route: Likewise the socket.
    """
    with ExitStack() as stack:
        loop = asyncio.get_running_loop()
        try:
            timer = open_timer()
        except OSError as error:
            log.debug("no word of the kernel after a sleep: %s", error)
        else:
            stack.callback(timer.close)
            loop.add_reader(timer.fileno(), lambda: timer.jumped() and clock_jumped())
            stack.callback(loop.remove_reader, timer.fileno())
        try:
            route = stack.enter_context(open_route())
        except OSError as error:
            log.debug("no word of the kernel about the network: %s", error)
        else:
            network = Network()
            loop.add_reader(route.fileno(), lambda: _read(route, network) and network_up())
            stack.callback(loop.remove_reader, route.fileno())
        yield


def _read(route: socket.socket, network: Network) -> bool:
    """Read all there is; whether the network came up by it."""
    up = False
    while True:
        try:
            data = route.recv(_DATAGRAM)
        except BlockingIOError:
            return up
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            up = True  # so much happened that some of it was lost; a try too many does no harm
            continue
        up = network.came_up(data) or up
