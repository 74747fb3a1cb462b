"""What a whole daemon tells the service manager, in which order, from its start to its stop."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.daemon import DaemonProcess
from tests.fakes.systemd import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


def test_it_tells_that_it_needs_time_is_ready_lives_and_stops(tmp_path: Path) -> None:
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        DaemonProcess(tmp_path, screen_source=f"pictures:{ROOT}/hudd/data/pictures", engine_answers="canned") as daemon,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        daemon.environ |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
        heard: list[str] = []

        def hear_until(wanted: Callable[[str], bool]) -> None:
            while not heard or not wanted(heard[-1]):
                heard.append(manager.recv(4096).decode())

        daemon.start()
        hear_until(lambda line: line == "READY=1")
        assert heard[0] == "STATUS=opening the journal"
        assert heard[1] == "EXTEND_TIMEOUT_USEC=30000000"
        assert not [line for line in heard if line.startswith("WATCHDOG")]

        hear_until(lambda line: line.startswith("STATUS=connected, watching"))
        hear_until(lambda line: line == "WATCHDOG=1")
        heard.append(manager.recv(4096).decode())
        hear_until(lambda line: line == "WATCHDOG=1")

        assert daemon.stop() == 0
        hear_until(lambda line: line == "STOPPING=1")
        hear_until(lambda line: line.startswith("EXTEND"))
        assert heard[-2:] == ["STATUS=closing the journal", "EXTEND_TIMEOUT_USEC=30000000"]
        assert "WATCHDOG=1" not in heard[heard.index("STOPPING=1") :]
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            heard.append(manager.recv(4096).decode())
