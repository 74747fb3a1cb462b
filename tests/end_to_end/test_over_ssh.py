"""The README's way from another machine: both local sockets through a real ssh, on the loopback interface."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes.daemon import DaemonProcess, draw_page
from tests.fakes.ports import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("sshd", path="/usr/sbin:/usr/bin") is None, reason="there is no sshd"),
]


@contextmanager
def ssh_server(folder: Path) -> Iterator[list[str]]:
    """An sshd for this test alone; gives the beginning of an ssh command."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    port = free_port()
    options = [
        "ListenAddress=127.0.0.1",
        f"AuthorizedKeysFile={folder / 'user.pub'}",
        f"PidFile={folder / 'pid'}",
        "StrictModes=no",
        "PermitRootLogin=yes",
        "UsePAM=no",
    ]
    command = ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", str(folder / "host"), "-p", str(port)]
    with (folder / "sshd.log").open("wb") as log:
        server = subprocess.Popen([*command, *(f"-o{option}" for option in options)], stdout=log, stderr=log)
    try:
        end = time.monotonic() + 10
        while not _listens(port):
            assert time.monotonic() < end, (folder / "sshd.log").read_text()
            time.sleep(0.05)
        how = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "IdentitiesOnly=yes"]
        yield ["ssh", "-F", "/dev/null", "-p", str(port), "-i", str(folder / "user"), *(f"-o{o}" for o in how)]
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_commands_and_notes_come_through_ssh(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    draw_page(tmp_path / "pictures" / "a.png", ["Through a tunnel."])
    far = tmp_path / "far"
    far.mkdir(mode=0o700)
    source = f"pictures:{tmp_path / 'pictures'}"
    with DaemonProcess(tmp_path, screen_source=source, engine_answers="canned") as daemon, ssh_server(tmp_path) as ssh:
        daemon.start().ready()
        forwards = [part for n in ("ctl.sock", "notes.sock") for part in ("-L", f"{far / n}:{tmp_path / 'run' / n}")]
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        tunnel = subprocess.Popen([*ssh, "-N", "-oExitOnForwardFailure=yes", *forwards, f"{user}@127.0.0.1"])
        try:
            end = time.monotonic() + 10
            while not (far / "notes.sock").exists():
                assert time.monotonic() < end, (tmp_path / "sshd.log").read_text()
                time.sleep(0.05)
            daemon.environ["HUDD_RUNTIME_DIR"] = str(far)
            snapped = daemon.hudctl("snap")
            assert (snapped.returncode, snapped.stdout.strip()[:6]) == (0, "A cann"), snapped.stderr
            followed = daemon.hudctl("follow", "--after", "0", "--limit", "1", "--json")
            assert followed.returncode == 0, followed.stderr
        finally:
            tunnel.terminate()
            tunnel.wait(10)
