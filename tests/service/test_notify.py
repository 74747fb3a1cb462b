from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hudd.service.notify import SilentNotifier, SocketNotifier, extending, notifier, watchdog_interval_s
from tests.fakes.clock import ManualClock


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    if request.param == "abstract":
        if os.uname().sysname != "Linux":
            pytest.skip("abstract sockets are Linux's")
        address, name = f"\0hudd-test-{os.getpid()}", f"@hudd-test-{os.getpid()}"
    else:
        address = name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(address)
        server.settimeout(5)
        yield server, name


def test_each_call_is_one_datagram(manager: tuple[socket.socket, str]):
    server, address = manager
    notify = notifier({"NOTIFY_SOCKET": address}, ManualClock(monotonic=12.5))
    notify.ready()
    notify.status("ready,\nlocal   engine")
    notify.reloading()
    notify.watchdog()
    notify.stopping()
    heard = [server.recv(4096).decode() for _ in range(5)]
    assert heard == [
        "READY=1",
        "STATUS=ready, local engine",
        "RELOADING=1\nMONOTONIC_USEC=12500000",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


def test_a_status_cannot_carry_another_command(manager: tuple[socket.socket, str]):
    server, address = manager
    notifier({"NOTIFY_SOCKET": address}, ManualClock()).status("x\nSTOPPING=1\r\nREADY=1\udc80" + "y" * 9000)
    heard = server.recv(65536)
    assert b"\n" not in heard
    assert heard.startswith(b"STATUS=x STOPPING=1 READY=1?yyy")
    assert len(heard) < 500


def test_without_a_manager_there_is_silence():
    notify = notifier({}, ManualClock())
    assert isinstance(notify, SilentNotifier)
    notify.ready()
    notify.status("x")
    notify.reloading()
    notify.watchdog()
    notify.stopping()


def test_an_address_of_another_kind_is_told_and_not_used(caplog: pytest.LogCaptureFixture):
    assert isinstance(notifier({"NOTIFY_SOCKET": "vsock:2:1234"}, ManualClock()), SilentNotifier)
    assert "neither a path nor an abstract socket" in caplog.text
    assert isinstance(notifier({"NOTIFY_SOCKET": "@"}, ManualClock()), SilentNotifier)


def test_a_deaf_manager_is_told_once_and_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    notify = SocketNotifier(str(tmp_path / "absent"), ManualClock())
    for _ in range(3):
        notify.watchdog()
    assert caplog.messages == ["The service manager cannot be told WATCHDOG: No such file or directory."]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "absent"))
        notify.watchdog()
    notify.watchdog()
    assert len(caplog.messages) == 2, "it had recovered in between"


def test_a_full_queue_does_not_block(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "notify"))
        notify = SocketNotifier(str(tmp_path / "notify"), ManualClock())
        for _ in range(20_000):
            notify.watchdog()
            if caplog.messages:
                break
    assert "cannot be told WATCHDOG" in caplog.text


def test_watchdog_interval_is_half_of_what_is_allowed():
    assert watchdog_interval_s({"WATCHDOG_USEC": "30000000"}) == 15.0
    assert watchdog_interval_s({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}) == 15.0


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "²"},
        {"WATCHDOG_USEC": "9" * 5000},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "x"},
    ],
)
def test_nobody_watches(environ: dict[str, str]):
    assert watchdog_interval_s(environ) is None


def test_a_long_start_is_extended_again_and_again(manager: tuple[socket.socket, str]):
    server, address = manager
    notify = notifier({"NOTIFY_SOCKET": address}, ManualClock())
    with extending(notify, "opening the journal", seconds=0.06):
        heard = [server.recv(4096).decode() for _ in range(4)]
    assert heard == ["STATUS=opening the journal"] + ["EXTEND_TIMEOUT_USEC=60000"] * 3


def test_nobody_is_told_of_a_start_when_nobody_asked():
    with extending(SilentNotifier(), "opening the journal"):
        pass
