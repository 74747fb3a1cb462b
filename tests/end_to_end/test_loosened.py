"""The shipped drop-ins, each with what cannot work without it, in the unit under a real systemd."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.screen import need_root
from tests.fakes.systemd import ROOT, UserSystemd

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

OWN = f"""[Service]
Environment=PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1
RestartSec=200ms
StandardError=append:%h/hudd.log
"""
# What a browser or a Java program does before it draws: temporary files, and code that it writes itself.
DRAWS = f"""#!{sys.executable} -P
import mmap, os, shutil, sys, tempfile
with tempfile.NamedTemporaryFile(dir="/tmp") as made, mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC):
    shutil.copy("{ROOT}/hudd/data/pictures/03-issue.png", made.name)
    sys.stdout.buffer.write(made.read())
"""


@pytest.fixture
def manager() -> Iterator[UserSystemd]:
    need_root("making namespaces")
    with UserSystemd() as made:
        made.write(".config/systemd/user/hudd.service.d/own.conf", OWN)
        yield made


def install(manager: UserSystemd, *words: str) -> None:
    done = manager.hudctl("service", "install", *words)
    assert done.returncode == 0, f"{done.stderr}\n{manager.daemon_log()}"


def rows(manager: UserSystemd) -> list[dict[str, Any]]:
    report = json.loads(manager.hudctl("doctor", "--json").stdout)
    return [row for row in report["checks"] if row["name"] == "sandbox"]


def drop_ins(manager: UserSystemd) -> dict[str, dict[str, Any]]:
    """Those that the doctor names, by their names."""
    details = [row.get("details", {}) for row in rows(manager)]
    return {str(told["drop_in"]): told for told in details if "drop_in" in told}


def snapped(manager: UserSystemd) -> str:
    done = manager.hudctl("snap", "--json", "--timeout", "40")
    assert done.returncode == 0, f"{done.stderr}\n{manager.daemon_log()}"
    return json.loads(done.stdout)["note"]["text"]


def test_a_program_that_draws_and_a_reader_with_a_mind_of_its_own(manager: UserSystemd) -> None:
    program = manager.write("draws", DRAWS, 0o755)
    manager.write(
        ".config/hudd/config.toml",
        f'[screen]\nsource = "command:{program}"\n[engine]\nreader = "rapidocr"\nbudget_s = 30.0\n',
    )
    install(manager)
    manager.until_logged("draws failed with exit code 1: OSError: [Errno 30] Read-only file system")
    both = "hudctl service install --loosen command-source --loosen text-recognition"
    assert f"If it fails in the service: {both}" in [row["remedy"] for row in rows(manager)]
    assert {name: (d["needed"], d["installed"]) for name, d in drop_ins(manager).items()} == {
        "command-source": (True, False),
        "text-recognition": (True, False),
    }

    install(manager, *both.removeprefix("hudctl service install ").split())
    assert "Child tickets" in snapped(manager)
    assert {name: (d["needed"], d["installed"]) for name, d in drop_ins(manager).items()} == {
        "command-source": (True, True),
        "text-recognition": (True, True),
    }

    # What nothing needs any more is named, and so is what the person took away.
    manager.write(".config/hudd/config.toml", f'[screen]\nsource = "pictures:{ROOT}/hudd/data/pictures"\n')
    manager.write(".config/systemd/user/hudd.service.d/own.conf", f"{OWN}ProtectSystem=full\nRestrictNamespaces=no\n")
    install(manager, "--loosen", "command-source")
    causes = [str(row["cause"]) for row in rows(manager) if row["state"] == "warning"]
    assert any("command-source loosens the sandbox" in cause for cause in causes), causes
    assert any("own.conf loosens the sandbox: ProtectSystem=full; RestrictNamespaces=no." in c for c in causes), causes
