"""The outputs that a desktop has, as any program is told."""

from __future__ import annotations

import sys
import time

import pytest

from hudd.screen.wayland_globals import outputs_of
from tests.fakes.sway import sway


def test_without_a_compositor_there_are_none() -> None:
    assert outputs_of({}) == frozenset()
    assert outputs_of({"WAYLAND_DISPLAY": "none", "XDG_RUNTIME_DIR": "/nonexistent"}) == frozenset()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Wayland")
def test_they_are_others_when_a_monitor_comes() -> None:
    with sway() as desktop:
        before = outputs_of(desktop.environ)
        assert [source.name for source in before] == ["HEADLESS-1"]
        assert outputs_of(desktop.environ) == before
        desktop.msg("create_output")
        end = time.monotonic() + 15.0
        while (after := outputs_of(desktop.environ)) == before and time.monotonic() < end:
            time.sleep(0.05)
        assert {source.name for source in after} == {"HEADLESS-1", "HEADLESS-2"}
