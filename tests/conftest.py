"""What all tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

# Shared machines stall now and then: a slow example is no failure. The same examples every time, so that CI repeats.
settings.register_profile("hudd", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hudd")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A run in the background of a shell is deaf to ctrl-C, and so would be every program that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS: Final = Path(__file__).parent
ALONE: Final = (
    "soak",
    "test_bench.py",
    "test_bench_gate.py",
    "test_bench_legible.py",
    "screen/test_wayland.py",
    "screen/test_pipewire.py",
    *(
        f"end_to_end/test_{name}.py"
        for name in (
            "beside_the_unit",
            "key_sources",
            "loosened",
            "portal_in_the_unit",
            "real_portal",
            "real_screen",
            "service_logs",
            "setup_for_real",
            "systemd",
            "told_to_systemd",
            "waking",
        )
    ),
)
"""They measure time, or start a whole desktop or systemd: beside other tests they would judge the machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs alone."""
    for item in items:
        if any(item.path.is_relative_to(TESTS / name) for name in ALONE):
            item.add_marker("alone")


@pytest.fixture(autouse=True)
def no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own settings or key may reach a test."""
    for name in list(os.environ):
        if (name.startswith("HUDD_") and name != "HUDD_DOSE") or name == "OPENAI_API_KEY":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def umask_of_the_developer() -> Iterator[None]:
    """What runs the daemon's start within the test's process makes the umask private for good: not for later tests."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)
