"""A key that a program prints and one that the desktop's keyring keeps, in the unit with its sandbox; seen nowhere."""

from __future__ import annotations

import json
import shlex
import sys
import tarfile
from collections.abc import Iterator

import pytest

from tests.fakes.journald import SystemdWithJournal
from tests.fakes.ports import free_port
from tests.fakes.screen import need, need_root
from tests.fakes.systemd import ROOT, UserSystemd

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

# It has not the shape of a key, so nothing that looks for such shapes can be what hides it.
KEY = "Larkspur7Quay9Lantern"
OWN = f"""[Service]
Environment=PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1
RestartSec=200ms
"""


@pytest.fixture(scope="module")
def manager() -> Iterator[UserSystemd]:
    need_root("making namespaces")
    with SystemdWithJournal() as made:
        made.write(".config/systemd/user/hudd.service.d/own.conf", OWN)
        yield made


@pytest.fixture(scope="module")
def port(manager: UserSystemd) -> int:
    """Of an engine that lets in whoever shows the key, and nobody else."""
    number = free_port()
    engine = f"{sys.executable} -P -m hudd engine --port {number} --answers canned --token-stdin"
    manager.write("key", f"{KEY}\n", mode=0o600)
    manager.start(f"(cat key; exec sleep 600) | exec {engine} >/dev/null")
    return number


def settings(port: int, *lines: str) -> str:
    shown = f'[screen]\nsource = "pictures:{ROOT}/hudd/data/pictures"\n[log]\nlevel = "debug"\n'
    return "\n".join([shown, "[realtime]", f'url = "ws://127.0.0.1:{port}/v1/realtime"', *lines, ""])


def seen(manager: UserSystemd) -> dict[str, str]:
    """Everything in which a key must not stand."""
    report = manager.home / "report.tar.gz"
    report.unlink(missing_ok=True)
    done = manager.hudctl("bugreport", "--output", str(report))
    assert done.returncode == 0, done.stderr
    with tarfile.open(report) as archive:
        packed = {name: archive.extractfile(name) for name in archive.getnames()}
        texts = {name: file.read().decode() for name, file in packed.items() if file is not None}
    pid = manager.pid()
    return texts | {
        "journal": manager.daemon_log(),
        "service logs": manager.hudctl("service", "logs", "--lines", "1000").stdout,
        "ps": manager.run("ps", "axeww").stdout,
        "environ": manager.as_root("cat", f"/proc/{pid}/environ").stdout,
        "cmdline": manager.run("cat", f"/proc/{pid}/cmdline").stdout,
        "show": manager.systemctl("show", "hudd").stdout,
        "show-environment": manager.systemctl("show-environment").stdout,
        "cat": manager.systemctl("cat", "hudd").stdout,
        "status": manager.hudctl("status", "--json").stdout,
        "config": manager.hudctl("config", "--json").stdout,
        "errors": manager.hudctl("errors", "--json").stdout,
        "doctor": manager.hudctl("doctor", "--json").stdout,
    }


def connected(manager: UserSystemd) -> None:
    done = manager.hudctl("wait", "--for", "connected", "--timeout", "20")
    assert done.returncode == 0, f"{done.stderr}\n{manager.daemon_log()}"
    assert json.loads(manager.hudctl("status", "--json").stdout)["engine"] == "service"


def found(manager: UserSystemd, name: str) -> list[dict[str, object]]:
    report = json.loads(manager.hudctl("doctor", "--json").stdout)
    return [row for row in report["checks"] if row["name"] == name]


def is_nowhere(manager: UserSystemd) -> None:
    shown = seen(manager)
    assert [name for name, text in shown.items() if not text] == [], "each of them tells something"
    assert [name for name, text in shown.items() if KEY in text] == []


def test_a_key_in_the_keyring(manager: UserSystemd, port: int) -> None:
    need("gnome-keyring-daemon")
    manager.start("printf word | exec gnome-keyring-daemon --foreground --unlock --components=secrets >/dev/null 2>&1")
    manager.write(".config/hudd/config.toml", settings(port))
    command = [sys.executable, "-m", "hudctl", "setup", "--use", "service", "--keyring", "--key-stdin", "--yes"]
    done = manager.run("sh", "-c", f"sleep 1; exec {shlex.join(command)} < key")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert "The key is in the keyring (SecretService Keyring)." in done.stdout
    assert not (manager.home / ".config/hudd/realtime-key").exists()

    done = manager.hudctl("service", "install")
    assert done.returncode == 0, f"{done.stderr}\n{manager.daemon_log()}"
    connected(manager)
    assert "the unit's sandbox is enforced" in manager.daemon_log()
    (key,) = found(manager, "key")
    assert key["details"] == {"where": "keyring (SecretService Keyring)"}
    is_nowhere(manager)


def test_a_key_that_a_program_prints(manager: UserSystemd, port: int) -> None:
    """GnuPG, as `pass` calls it: where systemd does not keep its agent, it starts one, which the sandbox forbids."""
    for program in ("gpg", "gpg-agent"):
        need(program)
    manager.systemctl("stop", *(f"gpg-agent{kind}.socket" for kind in ("", "-browser", "-extra", "-ssh")))
    gpg = "gpg --batch --quiet --no-tty"
    pack = f"rm -f key.gpg && {gpg} --trust-model always --encrypt --recipient larkspur --output key.gpg key"
    made = manager.run(
        "sh", "-c",
        f"{gpg} --passphrase '' --quick-generate-key larkspur future-default && {pack} && gpgconf --kill gpg-agent",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    command = f'key_command = ["gpg", "--batch", "--quiet", "--decrypt", "{manager.home}/key.gpg"]'
    manager.write(".config/hudd/config.toml", settings(port, 'use = "service"', command))

    # Without the drop-in hudd says why there is no key, and the doctor names what is missing.
    done = manager.hudctl("service", "install")
    assert done.returncode == 0, f"{done.stderr}\n{manager.daemon_log()}"
    manager.until_logged("The command gpg of [realtime] key_command failed with exit code 2")
    status = json.loads(manager.hudctl("status", "--json").stdout)
    assert status["connection"] == "needs_attention"
    assert "key_command" in status["sentence"]
    rows = [row for row in found(manager, "sandbox") if row["state"] == "warning"]
    assert [row["remedy"] for row in rows] == [
        "If it fails in the service: hudctl service install --loosen key-command"
    ]

    done = manager.hudctl("service", "install", "--loosen", "key-command")
    assert done.returncode == 0, f"{done.stderr}\n{manager.daemon_log()}"
    connected(manager)
    assert "installed, because [realtime] key_command runs a command" in str(found(manager, "sandbox"))
    is_nowhere(manager)

    # Another key is found by a reload, and the session that has the old one ends.
    manager.write("key", "Another7Key9\n", mode=0o600)
    made = manager.run("sh", "-c", pack)
    assert made.returncode == 0, made.stderr
    done = manager.hudctl("reload", "--json")
    assert '"the key"' in done.stdout, done.stdout + done.stderr
    manager.until_logged("refused the key")
