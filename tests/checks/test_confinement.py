"""Drop-ins of the unit, as the doctor names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hudctl import service_text
from hudd.checks.confinement import check_sandbox
from hudd.checks.finding import Finding
from hudd.service.sandbox import LOOSEN
from tests.fakes.machine import Machine

LOADED = "LoadState=loaded\nActiveState=active\n"
NEEDS = {
    "command-source": '[screen]\nsource = "command:shot"\n',
    "key-command": '[realtime]\nuse = "service"\nkey_command = "pass show openai"\n',
    "portal-screenshots": '[screen]\nsource = "portal"\n',
    "text-recognition": '[engine]\nreader = "rapidocr"\n',
}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def found(machine: Machine, **drop_ins: str) -> list[Finding]:
    """What is said of these drop-ins: name → text."""
    paths: list[Path] = []
    for name, text in drop_ins.items():
        paths.append(machine.folder / f"{name.replace('_', '-')}.conf")
        paths[-1].write_text(text)
    machine.systemctl(f"{LOADED}DropInPaths={' '.join(map(str, paths))}\n")
    return [row for row in check_sandbox(machine.context()) if "so nothing is known" not in row.cause]


def test_every_shipped_drop_in_can_be_needed() -> None:
    assert tuple(NEEDS) == LOOSEN == service_text.LOOSEN


@pytest.mark.parametrize("name", LOOSEN)
def test_one_that_is_needed_is_named_there_or_not(machine: Machine, name: str) -> None:
    machine.settings(NEEDS[name])
    (row,) = found(machine)
    assert row.details == {"drop_in": name, "needed": True, "installed": False}
    assert name in row.cause
    assert row.state == ("ok" if name in ("portal-screenshots", "text-recognition") else "warning")
    assert row.state == "ok" or row.remedy == f"If it fails in the service: hudctl service install --loosen {name}"
    (row,) = found(machine, **{f"hudd_loosen_{name}": service_text.drop_in(f"loosen/{name}.conf")})
    assert (row.state, row.details["installed"]) == ("ok", True)
    assert "is installed, because" in row.cause


def test_the_remedy_leaves_what_else_was_installed(machine: Machine) -> None:
    machine.settings(NEEDS["command-source"] + NEEDS["text-recognition"])
    (row, _) = found(machine, hudd_on_demand=service_text.drop_in("on-demand.conf"))
    assert row.remedy.endswith("hudctl service install --on-demand --loosen command-source --loosen text-recognition")


def test_one_that_nothing_needs_any_more_is_named(machine: Machine) -> None:
    (row,) = found(machine, hudd_loosen_command_source=service_text.drop_in("loosen/command-source.conf"))
    assert row.state == "warning"
    assert row.remedy == "Take it out: hudctl service install"


def test_that_of_the_portal_may_serve_a_source_that_is_chosen_by_itself(machine: Machine) -> None:
    text = service_text.drop_in("loosen/portal-screenshots.conf")
    assert found(machine, hudd_loosen_portal_screenshots=text) == []
    machine.settings('[screen]\nsource = "wayland"\n')
    (row,) = found(machine, hudd_loosen_portal_screenshots=text)
    assert (row.state, row.remedy) == ("warning", "Take it out: hudctl service install")


def test_where_hudd_is_no_service_what_it_would_need_is_named(machine: Machine) -> None:
    machine.settings(NEEDS["key-command"])
    machine.systemctl("LoadState=not-found\n")
    (_, row) = check_sandbox(machine.context())
    assert (row.state, row.details) == ("ok", {"drop_in": "key-command", "needed": True, "installed": False})
    assert row.cause.endswith("hudctl service install --loosen key-command")


def test_a_key_in_the_keyring_needs_none(machine: Machine) -> None:
    machine.settings('[realtime]\nuse = "service"\nkeyring = true\n')
    assert found(machine) == []


def test_a_persons_own_that_loosens_is_named_with_its_lines(machine: Machine) -> None:
    (row,) = found(machine, own="[Service]\nNice=5\nProtectHome=no\nUMask=0022\n")
    assert (row.state, row.details["lines"]) == ("warning", ["ProtectHome=no", "UMask=0022"])
    assert "own.conf loosens the sandbox: ProtectHome=no; UMask=0022." in row.cause
    assert "systemctl --user cat hudd" in row.remedy


def test_a_persons_own_that_shows_the_key_is_a_failure(machine: Machine) -> None:
    (row,) = found(machine, own="[Service]\nEnvironment=A=1 HUDD_REALTIME_KEY=sk-planted-0123456789\n")
    assert (row.state, "own.conf puts the key where" in row.cause) == ("failure", True)
    assert "sk-planted" not in str(row.to_json())


def test_a_persons_own_that_only_adds_is_not_named(machine: Machine) -> None:
    assert found(machine, own="[Service]\nNice=5\nSystemCallFilter=~@mount\n", more="[Unit]\nAfter=x.target\n") == []


def test_what_hudctl_wrote_is_not_the_persons_own(machine: Machine) -> None:
    key = service_text.drop_in("", ["LoadCredential=realtime-key:/k", "ReadWritePaths=/x"])
    assert found(machine, hudd_key=key, hudd_on_demand=service_text.drop_in("on-demand.conf")) == []
