"""A whole daemon that lets other machines in, over the loopback interface: keys by hudctl, roles, revocation, stop."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fakes.daemon import DaemonProcess, draw_page
from tests.fakes.ports import free_port

pytestmark = pytest.mark.slow


def far(daemon: DaemonProcess, address: str, key: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """hudctl as on the other machine: it knows the address and its key, nothing else."""
    environ = {k: v for k, v in daemon.environ.items() if not k.startswith("HUDD_")}
    environ |= {"HUDD_REMOTE": address, "HUDD_REMOTE_KEY": str(key), "HOME": str(key.parent)}
    return subprocess.run(
        [sys.executable, "-m", "hudctl", *words], env=environ, capture_output=True, text=True, timeout=30, check=False
    )


def test_from_the_first_key_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    draw_page(tmp_path / "pictures" / "a.png", ["Seen from afar."])
    address = f"tcp://127.0.0.1:{free_port(2)}"
    source = f"pictures:{tmp_path / 'pictures'}"
    control, notes = tmp_path / "laptop.key", tmp_path / "bar.key"
    with DaemonProcess(tmp_path, screen_source=source, engine_answers="canned", bus_remote=address) as daemon:
        daemon.start()
        assert daemon.process is not None
        assert daemon.process.wait(20) == 78
        assert "the daemon has no key; make one: hudctl key add" in daemon.log()
        for name, role, file in (("laptop", "control", control), ("bar", "notes", notes)):
            assert daemon.hudctl("key", "add", name, "--role", role, "-o", str(file)).returncode == 0
        daemon.start().ready()

        snapped = far(daemon, address, control, "snap", "--json")
        assert snapped.returncode == 0, snapped.stderr
        assert json.loads(snapped.stdout)["note"]["text"]
        assert far(daemon, address, control, "follow", "--after", "0", "--limit", "1").returncode == 0
        copy = far(daemon, address, control, "backup", str(tmp_path / "copy.db"))
        assert copy.returncode == 4
        assert not (tmp_path / "copy.db").exists()
        assert far(daemon, address, notes, "status").returncode == 4
        listening = subprocess.Popen(
            [sys.executable, "-m", "hudctl", "follow", "--limit", "1", "--json"],
            env=daemon.environ | {"HUDD_RUNTIME_DIR": "", "HUDD_REMOTE": address, "HUDD_REMOTE_KEY": str(notes)},
            stdout=subprocess.PIPE,
        )
        daemon.until("a listener", lambda status: status["subscribers"]["by_topic"].get("note/"))
        assert daemon.hudctl("snap").returncode == 0
        assert json.loads(listening.communicate(timeout=20)[0])["note"]["text"]
        liar = tmp_path / "liar.key"
        liar.write_text(notes.read_text().replace('"notes"', '"control"'))
        liar.chmod(0o600)
        refused = far(daemon, address, liar, "status")
        assert (refused.returncode, "does not let us in" in refused.stderr) == (4, True), refused.stderr
        assert daemon.status()["counters"]["peers_refused"] >= 1

        assert daemon.hudctl("key", "revoke", "laptop").returncode == 0
        gone = far(daemon, address, control, "status")
        if gone.returncode == 3:  # for a moment nobody listens, while the sockets are opened anew
            time.sleep(2)
            gone = far(daemon, address, control, "status")
        assert gone.returncode == 4, gone.stderr
        secrets = [json.loads(file.read_text())["secret"] for file in (control, notes)]
        assert not any(secret in daemon.log() for secret in secrets)
        assert daemon.stop() == 0


def test_the_watchdog_is_not_fed_when_the_authenticator_hangs(tmp_path: Path) -> None:
    """The real loop of ``app`` against an authenticator that stopped answering."""
    program = tmp_path / "hang.py"
    program.write_text(
        "import sys\n"
        "from hudd.bus import authenticator\n"
        "async def hangs(self, within_s): return False\n"
        "authenticator.Authenticator.answers = hangs\n"
        "from hudd.cli import main\n"
        "sys.exit(main())\n"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, DaemonProcess(tmp_path) as daemon:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        (tmp_path / "p").mkdir()
        daemon.environ |= {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "400000",
            "HUDD_SCREEN_SOURCE": f"pictures:{tmp_path / 'p'}",
            "HUDD_ENGINE_ANSWERS": "canned",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        with daemon.log_path.open("ab") as log:
            daemon.process = subprocess.Popen(
                [sys.executable, str(program)], env=daemon.environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        told = b""
        while b"READY=1" not in told:
            told += manager.recv(4096)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            manager.settimeout(max(0.01, end - time.monotonic()))
            try:
                told += manager.recv(4096)
            except TimeoutError:
                break
        assert b"WATCHDOG=1" not in told
        assert "the authenticator does not answer" in daemon.log()
        assert daemon.stop() == 0
