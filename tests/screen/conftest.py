"""An X server of a test's own, a program with windows on it, and whoever follows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from hudd.screen.x11 import X11Watch, open_watch
from tests.fakes.screen import XServer, x_server

if TYPE_CHECKING:
    from tests.fakes.x_windows import XWindows


@pytest.fixture
def server() -> Iterator[XServer]:
    with x_server((640, 480)) as running:
        yield running


@pytest.fixture
def ours(server: XServer) -> Iterator[XWindows]:
    from tests.fakes.x_windows import XWindows  # its library is there on Linux only

    windows = XWindows(server.environ["DISPLAY"])
    yield windows
    windows.close()


@pytest.fixture
def follower(server: XServer) -> Iterator[X11Watch]:
    """A watch that is told of windows, and not of what is drawn."""
    opened = open_watch(server.environ["DISPLAY"], only_windows=True)
    assert isinstance(opened, X11Watch)
    yield opened
    opened.close()
