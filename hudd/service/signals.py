"""SIGTERM, SIGINT and SIGHUP as calls on the event loop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final, Self

_STOP: Final = (signal.SIGTERM, signal.SIGINT)
_RELOAD: Final = signal.SIGHUP

_Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class SignalHandlers:
    """Hands signals to two callbacks for as long as it is entered; what was there before comes back afterwards.

    Both are called on the event loop's thread, once per signal, so ``stop`` may be called again while stopping.

    Args:
        stop: Called with the signal's name, ``SIGTERM`` or ``SIGINT``.
        reload: Called on SIGHUP.
    """

    def __init__(self, *, stop: Callable[[str], None], reload: Callable[[], None]) -> None:
        self._stop = stop
        self._reload = reload
        self._before: dict[signal.Signals, _Handler] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> Self:
        """Must be entered on the main thread, inside the running loop.

        Raises:
            RuntimeError: There is no running loop, or this is not the main thread.
        """
        loop = asyncio.get_running_loop()
        self._loop = loop
        try:
            for number in _STOP:
                self._take(loop, number, self._stop, number.name)
            self._take(loop, _RELOAD, self._reload)
        except BaseException:
            self._restore()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _take(
        self, loop: asyncio.AbstractEventLoop, number: signal.Signals, callback: Callable[..., None], *args: object
    ) -> None:
        before = signal.getsignal(number)
        loop.add_signal_handler(number, callback, *args)
        self._before[number] = before

    def _restore(self) -> None:
        loop, self._loop = self._loop, None
        before, self._before = self._before, {}
        for number, handler in before.items():
            if loop is not None:
                loop.remove_signal_handler(number)
            # None means a handler that was not set from Python; the loop's removal already left the default.
            if handler is not None:
                signal.signal(number, handler)
