"""The first run under a real ``systemd --user``: set up, look, spoil, look again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.screen import need_root
from tests.fakes.systemd import ROOT, UserSystemd

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

OWN = f"[Service]\nEnvironment=PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1\nRestartSec=200ms\n"


@pytest.fixture
def manager() -> Iterator[UserSystemd]:
    need_root("making namespaces")
    with UserSystemd() as made:
        made.write(".config/systemd/user/hudd.service.d/own.conf", OWN)
        made.write(".config/hudd/config.toml", "# mine\n[engine]\nanswers = 'canned'\n")
        yield made


def looked(manager: UserSystemd) -> dict[str, dict[str, Any]]:
    """The last line of each check."""
    report = json.loads(manager.hudctl("doctor", "--json").stdout)
    return {row["name"]: row for row in report["checks"]}


def test_setup_installs_a_service_that_the_doctor_finds_well_and_then_failed(manager: UserSystemd) -> None:
    before = looked(manager)
    assert "not installed as a service" in before["service"]["cause"]

    done = manager.hudctl("setup", "--use", "local", "--install-service", "--yes")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert "hudd is installed as a service." in done.stdout
    assert manager.show("ActiveState")["ActiveState"] == "active"
    well = looked(manager)
    assert (well["daemon"]["state"], well["service"]["state"]) == ("ok", "ok"), well["service"]
    assert well["sandbox"] == {
        "name": "sandbox",
        "state": "ok",
        "cause": "The sandbox is enforced.",
        "remedy": "",
        "details": {"no_new_privileges": True, "system_calls_filtered": True, "files_protected": True},
    }

    manager.write(".config/hudd/config.toml", "[gate]\nsetle_s = 1\n")
    manager.systemctl("restart", "hudd")
    manager.until("it fails", {"ActiveState": "failed"})
    failed = looked(manager)
    assert "exit code 78: settings" in failed["service"]["cause"]
    assert "Did you mean settle_s" in failed["settings"]["remedy"]

    manager.write(".config/hudd/config.toml", "[screen]\nsource = 'command:shot'\n")
    assert "--loosen command-source" in looked(manager)["sandbox"]["remedy"]
    assert manager.hudctl("service", "uninstall").returncode == 0
