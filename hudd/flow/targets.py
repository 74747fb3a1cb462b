"""What a snap is to show, out of the parameters of its request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hudd.errors import CommandError
from hudd.model import Target

FARTHEST_PX: Final = 1_000_000
"""No desktop reaches so far; larger numbers are mistakes."""


def snap_target(params: Mapping[str, Any]) -> str | Target | None:
    """The monitor, region or window that is meant; None for the first monitor.

    Raises:
        CommandError: ``E_ARGS``; more than one is named, or the region is none.
    """
    named = [name for name in ("monitor", "region", "window") if params.get(name) is not None]
    if len(named) > 1:
        raise CommandError("E_ARGS", f"{' and '.join(named)} exclude each other; give one of them.")
    if "region" in named:
        return Target(region=_region(params["region"]))
    if "window" in named:
        return Target(window=str(params["window"]).strip())
    return None if not named else str(params["monitor"])


def _region(value: Any) -> tuple[int, int, int, int]:
    match value:
        case [int(left), int(top), int(width), int(height)] if (
            not any(isinstance(side, bool) for side in value)
            and 0 < width <= FARTHEST_PX
            and 0 < height <= FARTHEST_PX
            and max(abs(left), abs(top)) <= FARTHEST_PX
        ):
            return left, top, width, height
        case _:
            raise CommandError("E_ARGS", "region is [left, top, width, height] in whole pixels of the desktop.")
