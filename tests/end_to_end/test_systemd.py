"""The unit in the hands of a real ``systemd --user``, with its sandbox, on a real display."""

from __future__ import annotations

import json
import re
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.screen import XServer, need_root, x_server
from tests.fakes.systemd import ROOT, UserSystemd

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

KEY = "sk-proj-Zx81kQn5TheKeyOfThisTest44"
# What a developer's own drop-in may do: where the source tree is, and shorter times than a person's.
OWN = f"""[Service]
Environment=PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1
WatchdogSec=2
RestartSec=200ms
StandardError=append:%h/hudd.log
"""


# What blocks the event loop of the daemon and nothing else: a handler runs on the main thread, as the loop does.
BLOCKING = """import os, signal, threading, time

def say(words):
    os.write(2, words.encode() + b"\\n")

def block(*_):
    say("the loop is blocked")
    threading.Timer(0.5, say, ["another thread goes on"]).start()
    time.sleep(600)

def end(*_):
    say("the watchdog ends it")
    signal.signal(signal.SIGABRT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGABRT)

signal.signal(signal.SIGUSR1, block)
signal.signal(signal.SIGABRT, end)
"""


@pytest.fixture(scope="module")
def desktop() -> Iterator[XServer]:
    with x_server((800, 500), ("-ac",)) as server:
        server.start(
            "xterm", "-fa", "DejaVu Sans Mono", "-fs", "14", "-e", "bash", "-c", "echo invoice larkspur; sleep 600"
        )
        yield server


@pytest.fixture
def manager(desktop: XServer) -> Iterator[UserSystemd]:
    need_root("making namespaces")
    with UserSystemd() as made:
        made.write(".config/systemd/user/hudd.service.d/own.conf", OWN)
        assert made.systemctl("set-environment", *(f"{k}={v}" for k, v in desktop.environ.items())).returncode == 0
        yield made


def install(manager: UserSystemd, *words: str) -> None:
    done = manager.hudctl("service", "install", *words)
    why = manager.show("ExecStartPre", "ExecStart", "Result")
    assert done.returncode == 0, f"{done.stderr}\n{manager.daemon_log()}\n{why}"


def snapped(manager: UserSystemd) -> str:
    """The text of a note that is made now."""
    done = manager.hudctl("snap", "--json")
    assert done.returncode == 0, f"{done.stderr}\n{manager.daemon_log()}"
    return json.loads(done.stdout)["note"]["text"]


def test_a_life_under_systemd(manager: UserSystemd) -> None:
    place = manager.write("blocking/sitecustomize.py", BLOCKING).parent
    manager.write(
        ".config/systemd/user/hudd.service.d/own.conf",
        OWN.replace(f"PYTHONPATH={ROOT}", f"PYTHONPATH={place}:{ROOT}"),
    )
    install(manager)
    up = manager.show("ActiveState", "StatusText", "Type", "NRestarts", "WatchdogUSec")
    assert up["ActiveState"] == "active"
    assert up["NRestarts"] == "0"
    assert manager.hudctl("wait").returncode == 0, manager.daemon_log()
    assert "larkspur" in snapped(manager)
    assert "watching" in manager.show("StatusText")["StatusText"]

    status = json.loads(manager.hudctl("service", "status", "--json").stdout)
    assert (status["active"], status["pid"], status["enabled"]) == (True, manager.pid(), "enabled")

    # The sandbox is enforced: no privileges to gain, a filter of system calls, a home that cannot be written.
    found = manager.run("cat", f"/proc/{manager.pid()}/status").stdout
    assert re.search(r"^NoNewPrivs:\s1$", found, re.MULTILINE)
    assert re.search(r"^Seccomp:\s2$", found, re.MULTILINE)
    assert re.search(r"^CapBnd:\s0+$", found, re.MULTILINE)
    assert "the unit's sandbox is enforced" in manager.daemon_log()
    assert manager.run("cat", f"/proc/{manager.pid()}/limits").stdout.splitlines()[5].split()[-3:-1] == ["0", "0"], (
        "no core is written"
    )

    # What the daemon may not write, the client does.
    copy = manager.home / "copy.db"
    done = manager.hudctl("backup", str(copy))
    assert done.returncode == 0, done.stderr
    assert copy.read_bytes().startswith(b"SQLite format 3")
    assert (copy.stat().st_mode & 0o777, copy.stat().st_uid) == (0o600, manager.uid)
    assert not list((manager.home / ".local/state/hudd").glob(".backup*"))

    # Reload: the settings are read again, and it is the same process.
    first = manager.pid()
    manager.write(".config/hudd/config.toml", '[log]\nlevel = "debug"\n')
    assert manager.systemctl("reload", "hudd").returncode == 0
    assert manager.pid() == first
    manager.until_logged("log.level")

    # Killed.
    manager.kill("KILL")
    manager.until("a restart after kill -9", {"NRestarts": "1", "ActiveState": "active"})
    assert manager.pid() != first
    assert manager.hudctl("wait").returncode == 0
    assert "larkspur" in snapped(manager)

    # Its event loop is blocked, while its other threads go on: the watchdog ends it.
    second = manager.pid()
    manager.kill("USR1")
    manager.until("a restart after a block", {"NRestarts": "2", "ActiveState": "active"}, timeout_s=30)
    log = manager.daemon_log()
    assert log.index("the loop is blocked") < log.index("another thread goes on") < log.index("the watchdog ends it")
    assert manager.pid() != second
    assert manager.hudctl("wait").returncode == 0
    assert "larkspur" in snapped(manager)

    assert manager.hudctl("service", "stop").returncode == 0
    assert manager.show("ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    assert manager.hudctl("service", "status").returncode == 3

    # Nothing is left of it but what the person wrote.
    done = manager.hudctl("service", "uninstall")
    assert done.returncode == 0, done.stderr
    assert "own.conf" in done.stderr
    left = [path for path in (manager.home / ".config/systemd").rglob("*") if not path.is_dir()]
    assert [path.name for path in left] == ["own.conf"]


def test_a_key_is_handed_over_and_is_seen_nowhere(manager: UserSystemd) -> None:
    manager.write(".config/hudd/realtime-key", f"{KEY}\n", mode=0o600)
    # A server that refuses: what matters is where the key is seen, not what it opens.
    manager.write(
        ".config/hudd/config.toml",
        '[realtime]\nuse = "service"\nurl = "ws://127.0.0.1:9/v1/realtime"\n[log]\nlevel = "debug"\n',
    )
    install(manager, "--key-file", str(manager.home / ".config/hudd/realtime-key"))
    time.sleep(1.0)
    assert manager.hudctl("status").returncode == 0, manager.daemon_log()
    assert "no key" not in manager.daemon_log().lower(), "it has the key by the credential"
    pid = manager.pid()
    shown = [
        manager.daemon_log(),
        manager.run("ps", "axeww").stdout,
        manager.as_root("cat", f"/proc/{pid}/environ").stdout,
        manager.run("cat", f"/proc/{pid}/cmdline").stdout,
        manager.systemctl("show", "hudd").stdout,
        manager.systemctl("show-environment").stdout,
        manager.systemctl("cat", "hudd").stdout,
        manager.systemctl("status", "hudd").stdout,
        manager.hudctl("status", "--json").stdout,
        manager.hudctl("config", "--json").stdout,
        *reported(manager),
    ]
    assert [number for number, text in enumerate(shown) if not text] == [], "each of them tells something"
    assert not [text for text in shown if KEY in text]


def reported(manager: UserSystemd) -> list[str]:
    """What the doctor says, who finds the key where the service has it, and all texts of a report."""
    doctor = manager.hudctl("doctor", "--json").stdout
    (key,) = [row for row in json.loads(doctor)["checks"] if row["name"] == "key"]
    path = f"{manager.home}/.config/hudd/realtime-key"
    assert (key["state"], key.get("details")) == ("ok", {"where": f"systemd credential realtime-key (file {path})"})
    report = manager.home / "report.tar.gz"
    done = manager.hudctl("bugreport", "--output", str(report))
    assert done.returncode == 0, done.stderr
    with tarfile.open(report) as archive:
        files = [file for entry in archive if (file := archive.extractfile(entry)) is not None]
        return [doctor, *(file.read().decode() for file in files)]


def test_the_first_snap_starts_it_and_a_stop_stays(manager: UserSystemd) -> None:
    install(manager, "--on-demand")
    assert manager.show("ActiveState")["ActiveState"] == "inactive"
    for words in (("status",), ("notes",), ("service", "status")):
        done = manager.hudctl(*words)
        assert done.returncode == 3, f"{words}: {done.stdout}{done.stderr}"
    assert manager.show("ActiveState")["ActiveState"] == "inactive", "who only asks does not start it"

    assert "larkspur" in snapped(manager)
    assert manager.show("ActiveState")["ActiveState"] == "active"
    assert manager.hudctl("status").returncode == 0

    # Killed and restarted on the same socket.
    manager.kill("KILL")
    manager.until("a restart", {"NRestarts": "1", "ActiveState": "active"})
    assert manager.hudctl("wait").returncode == 0
    assert "larkspur" in snapped(manager)

    # A subscriber that waits for it to come back does not bring it back.
    follower = manager.start(f"exec {sys.executable} -m hudctl follow --json > ~/followed")
    time.sleep(1.5)
    heard = len((manager.home / "followed").read_text().splitlines())
    assert heard > 0
    assert manager.systemctl("stop", "hudd.service").returncode == 0
    time.sleep(3.0)
    assert follower.poll() is None
    stopped = manager.show("ActiveState", "Result", "ExecMainStatus")
    assert stopped["ActiveState"] == "inactive", f"{stopped}\n{manager.daemon_log()}"

    # The next snap starts it again, and the subscriber hears of it.
    assert "larkspur" in snapped(manager)
    end = time.monotonic() + 10
    while len((manager.home / "followed").read_text().splitlines()) <= heard:
        assert time.monotonic() < end, "the subscriber did not hear of it"
        time.sleep(0.1)

    # So do the other two that may.
    for words in (("resume",), ("wait",)):
        assert manager.systemctl("stop", "hudd.service").returncode == 0
        assert manager.show("ActiveState")["ActiveState"] == "inactive"
        done = manager.hudctl(*words)
        assert done.returncode == 0, f"{words}: {done.stderr}\n{manager.daemon_log()}"
        assert manager.show("ActiveState")["ActiveState"] == "active"

    assert manager.hudctl("service", "stop").returncode == 0
    done = manager.hudctl("snap")
    assert done.returncode == 3, done.stdout
    assert manager.show("ActiveState")["ActiveState"] == "inactive", "a stop stays"
    folder = Path(f"/run/user/{manager.uid}/hudd")
    assert manager.run("ls", "-A", str(folder)).stdout.split() == ["lock"]
    assert manager.hudctl("service", "uninstall").returncode == 0
    assert manager.run("test", "-e", str(folder)).returncode == 1, "nothing is left of it"
