"""A machine that is well, disks, and journals that are looked at: the doctor's own lines over several checks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from hudd.checks import machine as machine_checks
from hudd.checks.background import check_service
from hudd.checks.configured import check_hosts, check_prices, check_profile, check_settings
from hudd.checks.confinement import check_sandbox, judge_sandbox
from hudd.checks.display import check_display
from hudd.checks.endpoint import check_endpoint, check_key
from hudd.checks.finding import Context, Finding
from hudd.checks.machine import check_disk, check_libraries, check_limits, check_python
from hudd.checks.places import check_folder, check_journal, check_sockets
from hudd.service.sandbox import Sandbox
from tests.fakes.disk import small_disk
from tests.fakes.machine import ON_DEMAND, SHOW, Machine

Check = Callable[[Context], Iterable[Finding]]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    with Machine(tmp_path, monkeypatch) as made:
        yield made


def test_a_machine_that_is_well_has_no_failure(machine: Machine) -> None:
    machine.journal()
    machine.settings(f'[screen]\nsource = "pictures:{Path(machine_checks.__file__).parents[1]}/data/pictures"\n')
    machine.systemctl(SHOW.format("loaded", "active"))
    checks: tuple[Check, ...] = (
        check_python, check_libraries, check_settings, check_profile, check_prices, check_folder, check_sockets,
        check_service, check_sandbox, check_display, check_key, check_endpoint, check_disk, check_journal, check_limits,
        check_hosts,
    )  # fmt: skip
    bad = [f for check in checks for f in check(machine.context()) if f.state != "ok"]
    assert not bad


@pytest.mark.parametrize("state", ["active", "inactive"])
def test_a_service_on_demand_is_well_running_and_stopped(machine: Machine, state: str) -> None:
    machine.systemctl(ON_DEMAND.format("loaded", state), socket=SHOW.format("loaded", "active"))
    (found,) = check_service(machine.context())
    assert (found.state, found.remedy, "systemd starts it" in found.cause) == ("ok", "", True)


def test_a_full_disk_is_named(machine: Machine) -> None:
    with small_disk(machine.folder / "state", 80) as disk:
        assert [f.state for f in check_disk(machine.context())] == ["warning"]
        disk.fill(leave=1 << 20)
        (found,) = check_disk(machine.context())
    assert (found.state, "full" in found.cause, "Free some space" in found.remedy) == ("failure", True, True)


def test_a_read_only_disk_is_named(machine: Machine) -> None:
    with small_disk(machine.folder / "state", 8) as disk:
        machine.journal()
        subprocess.run(["mount", "-o", "remount,ro", str(disk.folder)], check=True)
        (full,) = check_disk(machine.context())
        (journal,) = check_journal(machine.context())
    assert (full.state, "read-only" in full.cause) == ("failure", True)
    assert (journal.state, "read-only" in journal.cause) == ("failure", True)


def test_looking_at_a_journal_leaves_nothing_behind(machine: Machine) -> None:
    path = machine.journal()
    before = {p: (p.stat().st_size, p.stat().st_mtime_ns) for p in path.parent.iterdir()}
    assert [f.state for f in check_journal(machine.context())] == ["ok"]
    assert {p: (p.stat().st_size, p.stat().st_mtime_ns) for p in path.parent.iterdir()} == before


def test_hosts_are_all_that_would_be_contacted(machine: Machine) -> None:
    (nobody,) = check_hosts(machine.context())
    machine.service('proxy = "http://name:word@proxy.example:3128"')
    (somebody,) = check_hosts(machine.context())
    assert nobody.details["hosts"] == []
    assert somebody.details["hosts"] == ["proxy.example:3128 (proxy)", "api.openai.com:443"]


@pytest.mark.parametrize(
    ("holds", "in_unit", "state"),
    [((True, True, True), True, "ok"), ((True, False, True), True, "warning"), ((False, False, False), False, "ok")],
)
def test_a_sandbox_counts_only_when_the_kernel_enforces_it(
    holds: tuple[bool, bool, bool], in_unit: bool, state: str
) -> None:
    assert judge_sandbox(Sandbox(*holds), in_unit=in_unit).state == state
