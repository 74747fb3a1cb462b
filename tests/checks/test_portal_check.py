"""The check of the display raises no question to the person at the desktop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hudd.checks import display
from hudd.checks.display import check_display
from tests.fakes.machine import Machine
from tests.fakes.spoilt_screen import permitted, wayland_with_portal


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    with Machine(tmp_path, monkeypatch) as made:
        yield made


@pytest.mark.parametrize("source", ["portal", "auto"])
def test_without_a_permission_the_portal_is_not_asked(machine: Machine, source: str) -> None:
    portal = wayland_with_portal(machine)
    machine.settings(f'[screen]\nsource = "{source}"\n')
    assert [found.state for found in check_display(machine.context())] == ["failure"]
    assert portal.asked == []


def test_a_permission_that_others_could_have_written_is_none(machine: Machine) -> None:
    portal = wayland_with_portal(machine)
    permitted(machine)
    (machine.state / "portal-token").chmod(0o644)
    assert [found.state for found in check_display(machine.context())] == ["failure"]
    assert portal.asked == []


def test_where_the_desktop_asks_again_the_question_is_taken_back_and_no_other_follows(machine: Machine) -> None:
    machine.patch.setattr(display, "_PERSON_S", 0.2)
    portal = wayland_with_portal(machine)
    portal.codes["Start"] = None
    permitted(machine)
    (found,) = check_display(machine.context())
    assert "nobody answered within 0.2 s" in found.cause
    assert [member for member, _ in portal.asked] == ["CreateSession", "SelectSources", "Start"]
    assert any("/request/" in path for path in portal.closed), "the window of the question is gone"
