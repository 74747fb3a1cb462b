"""The end of a real daemon, seen from its folder."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.fakes.daemon import DaemonProcess

pytestmark = pytest.mark.slow


def test_nobody_finds_the_notes_when_the_command_socket_is_given_back(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    control, notes = tmp_path / "run" / "ctl.sock", tmp_path / "run" / "notes.sock"
    with DaemonProcess(tmp_path, screen_source=f"pictures:{tmp_path}/pictures", engine_answers="canned") as daemon:
        daemon.start().ready()
        assert control.exists()
        assert notes.exists()
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGTERM)
        while control.exists():
            pass
        assert not notes.exists()
        assert daemon.process.wait(10) == 0
