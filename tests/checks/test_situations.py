"""Spoilt machines: the doctor names each, with the cause and what to do.

The rows stand in tests/fakes/spoilt_*.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hudd.checks.__main__ import CHECKS
from hudd.checks.configured import check_hosts
from hudd.checks.privacy import check_privacy
from tests.fakes.machine import Machine
from tests.fakes.spoilt_files import SPOILT_FILES
from tests.fakes.spoilt_screen import SPOILT_SCREEN
from tests.fakes.spoilt_service import SPOILT_SERVICE
from tests.fakes.spoilt_surroundings import SPOILT_SURROUNDINGS, check_daemon

TABLES = (SPOILT_FILES, SPOILT_SCREEN, SPOILT_SERVICE, SPOILT_SURROUNDINGS)
TABLE = {name: row for table in TABLES for name, row in table.items()}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    with Machine(tmp_path, monkeypatch) as made:
        yield made


@pytest.mark.parametrize("name", TABLE)
def test_the_doctor_names(name: str, machine: Machine) -> None:
    row = TABLE[name]
    row.spoil(machine)
    found = list(row.check(machine.context()))
    fitting = [
        f for f in found if f.state == row.state and row.cause in f.cause and row.remedy.lower() in f.remedy.lower()
    ]
    assert fitting, "\n".join(str(f.to_json()) for f in found)
    assert all(f.remedy for f in found if f.state != "ok"), "no remedy"
    assert "sk-planted" not in str([f.to_json() for f in found]), "a key is shown"
    assert "secret" not in str([f.to_json() for f in found]), "a password is shown"


def test_every_row_proves_a_remedy_and_what_is_only_mentioned_needs_none() -> None:
    assert [name for name, row in TABLE.items() if bool(row.remedy) == (row.state == "ok")] == []


def test_the_doctor_runs_every_check_that_the_table_has() -> None:
    """`hudctl doctor` asks the daemon itself; the hosts and the privacy have tests of their own."""
    of_the_table = {row.check for row in TABLE.values()} - {check_daemon}
    assert of_the_table | {check_hosts, check_privacy} == {check for _, check in CHECKS}


def test_there_are_as_many_situations_as_were_promised() -> None:
    assert len(TABLE) == sum(map(len, TABLES)), "two rows have one name"
    assert len(TABLE) >= 30
