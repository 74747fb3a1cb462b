"""Waits on the event loop for what a display reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class DamageReader:
    """Tells once that a descriptor became readable, then waits to be asked again.

    What never rests (a spinner, a video) so costs one event a look, and none while nothing may be looked at.

    Args:
        on_damage: Something changed on the display, or it is gone.
    """

    def __init__(self, on_damage: Callable[[], None]) -> None:
        self._on_damage = on_damage
        self._descriptor: int | None = None

    def read(self, descriptor: int) -> None:
        """Wait until it is readable."""
        self._descriptor = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._readable)

    def stop(self) -> None:
        """Wait no more; to be called before the descriptor is closed. Safe to call twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)

    def _readable(self) -> None:
        self.stop()
        self._on_damage()
