"""What all tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Shared machines stall now and then: a slow example is no failure. The same examples every time, so that CI repeats.
settings.register_profile("hudd", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hudd")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A run in the background of a shell is deaf to ctrl-C, and so would be every program that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
