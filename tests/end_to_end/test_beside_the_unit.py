"""A hudd that runs by hand beside the unit of a real ``systemd --user``: one of them watches, and it stays reachable."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.screen import need_root
from tests.fakes.systemd import ROOT, UserSystemd

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

OWN = f"""[Service]
Environment=PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1
RestartSec=200ms
StandardError=append:%h/hudd.log
"""
KEY = "sk-typed-0123456789abcdef"


@pytest.fixture
def manager() -> Iterator[UserSystemd]:
    need_root("making namespaces")
    with UserSystemd() as made:
        made.write(".config/systemd/user/hudd.service.d/own.conf", OWN)
        made.write(
            ".config/hudd/config.toml",
            f'[screen]\nsource = "pictures:{ROOT}/hudd/data/pictures"\n[engine]\nanswers = "canned"\n',
        )
        yield made


def status(manager: UserSystemd) -> dict[str, Any]:
    done = manager.hudctl("status", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def start_by_hand(manager: UserSystemd, *, where: str = "") -> int:
    """Its pid; it listens."""
    manager.start(f"{where} exec {sys.executable} -m hudd > ~/own.log 2>&1")
    folder = f"/run/user/{manager.uid}/hudd" if not where else where.partition("=")[2]
    end = time.monotonic() + 20
    while manager.run("test", "-S", f"{folder}/ctl.sock").returncode:
        assert time.monotonic() < end, (manager.home / "own.log").read_text()
        time.sleep(0.05)
    return int(manager.run("cat", f"{folder}/lock").stdout)


def tries_again(manager: UserSystemd, least: int) -> None:
    """Wait until systemd has started the unit so often."""
    end = time.monotonic() + 20
    while int(manager.show("NRestarts")["NRestarts"]) < least:
        assert time.monotonic() < end, manager.daemon_log()
        time.sleep(0.1)


def test_a_unit_that_starts_beside_a_hudd_by_hand_takes_nothing_from_it(manager: UserSystemd) -> None:
    assert manager.hudctl("service", "install", "--no-start").returncode == 0
    first = start_by_hand(manager)

    # hudctl refuses, and has changed nothing.
    for words in (("install",), ("install", "--on-demand"), ("start",), ("restart",)):
        done = manager.hudctl("service", *words)
        assert done.returncode == 1, words
        assert f"End it (kill {first}), then give the same command again." in done.stderr
    assert manager.show("ActiveState", "NRestarts") == {"ActiveState": "inactive", "NRestarts": "0"}
    assert manager.systemctl("is-enabled", "hudd-ctl.socket").returncode != 0

    # So may nobody else start it: it ends each time, and its end takes no socket and no lock away.
    manager.systemctl("start", "--no-block", "hudd.service")
    tries_again(manager, 3)
    manager.until("it ends as one too many", {"ExecMainStatus": "69"})
    assert f"Another hudd (pid {first}) runs in /run/user/" in manager.daemon_log()
    assert "watching" not in manager.daemon_log()
    assert status(manager)["pid"] == first
    assert manager.hudctl("pause").returncode == 0
    assert status(manager)["pause"] is not None

    # With the first one's end it runs, on the same journal, which is still paused.
    assert manager.run("kill", str(first)).returncode == 0
    manager.until("it runs", {"ActiveState": "active"})
    second = status(manager)
    assert second["pid"] == manager.pid() != first
    assert second["pause"] is not None

    # An installation anew, over the one that runs, is no second hudd.
    assert manager.hudctl("service", "install").returncode == 0
    assert manager.hudctl("service", "uninstall").returncode == 0
    assert manager.run("ls", "-A", f"/run/user/{manager.uid}/hudd").returncode != 0, "the folder is gone"


def test_one_journal_has_one_writer_whatever_its_runtime_folder(manager: UserSystemd) -> None:
    first = start_by_hand(manager, where=f"HUDD_RUNTIME_DIR={manager.home}/own-run")
    manager.hudctl("service", "install", timeout_s=90)
    tries_again(manager, 1)
    assert f"Another hudd (pid {first}) writes into " in manager.daemon_log()
    assert f"End it first (kill {first})" in manager.daemon_log()
    assert manager.run("kill", str(first)).returncode == 0
    manager.until("it runs", {"ActiveState": "active"})
    assert manager.run("cat", str(manager.home / ".local/state/hudd/journal.lock")).stdout == f"{manager.pid()}\n"


def test_a_new_key_reaches_the_service_that_has_its_key_from_systemd(manager: UserSystemd) -> None:
    old = manager.write("secret", "sk-revoked-0123456789\n", mode=0o600)
    # Nobody listens there: what matters is which key the service has.
    manager.write(
        ".config/hudd/config.toml",
        f'[screen]\nsource = "pictures:{ROOT}/hudd/data/pictures"\n[realtime]\nuse = "service"\n'
        'url = "ws://127.0.0.1:9/v1/realtime"\n',
    )
    assert manager.hudctl("service", "install", "--key-file", str(old)).returncode == 0
    copy = f"/run/user/{manager.uid}/credentials/hudd.service/realtime-key"
    assert manager.as_root("cat", copy).stdout == "sk-revoked-0123456789\n"
    old.write_text(f"{KEY}\n")
    (row,) = [r for r in json.loads(manager.hudctl("doctor", "--json").stdout)["checks"] if r["name"] == "key"]
    assert (row["state"], row["remedy"]) == ("warning", "Run: hudctl service restart")

    old.write_text("sk-revoked-0123456789\n")
    words = f"echo {KEY} | {sys.executable} -m hudctl setup --use service --key-stdin --yes --install-service"
    done = manager.run("sh", "-c", words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert manager.as_root("cat", copy).stdout == f"{KEY}\n"
    (row,) = [r for r in json.loads(manager.hudctl("doctor", "--json").stdout)["checks"] if r["name"] == "key"]
    assert (row["state"], f"(file {old})" in row["cause"]) == ("ok", True)
