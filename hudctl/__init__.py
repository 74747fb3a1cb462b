"""The client of hudd, as a library.

    from hudctl import Client, Feed

    with Client() as hud:
        print(hud.snap().text)
    for note in Feed():
        print(note.source, note.text)

Names are loaded when they are used, so that ``import hudctl`` costs nothing and asyncio is not loaded for `Feed`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hudctl.afeed import AsyncFeed
    from hudctl.client import Client
    from hudctl.errors import (
        DeadlineError,
        HudctlError,
        NotRunningError,
        RefusedError,
        StateError,
        StorageError,
        UpstreamError,
        UsageError,
        VersionError,
    )
    from hudctl.feed import Feed
    from hudctl.feed_core import Cursor
    from hudd.wire.messages import Note

__all__ = [
    "AsyncFeed",
    "Client",
    "Cursor",
    "DeadlineError",
    "Feed",
    "HudctlError",
    "NotRunningError",
    "Note",
    "RefusedError",
    "StateError",
    "StorageError",
    "UpstreamError",
    "UsageError",
    "VersionError",
]

_HOME = {
    "AsyncFeed": "hudctl.afeed",
    "Client": "hudctl.client",
    "Cursor": "hudctl.feed_core",
    "Feed": "hudctl.feed",
    "Note": "hudd.wire.messages",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME.get(name, "hudctl.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
