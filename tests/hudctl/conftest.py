from __future__ import annotations

from pathlib import Path

import pytest

import hudctl.service
from tests.fakes.service_manager import System


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> System:
    """The service manager, for `hudctl service` in a home and a runtime folder of its own."""
    made = System()
    monkeypatch.setattr(hudctl.service, "run_command", made)
    monkeypatch.setattr(hudctl.service.sys, "platform", "linux")
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "HUDD_STATE_DIR", "HUDD_CONFIG", "HUDD_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    return made
