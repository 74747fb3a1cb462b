"""What the running daemon sees goes before what the shell of the doctor sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hudctl.doctor_daemon import judge
from hudd.checks.confinement import check_sandbox
from hudd.checks.display import check_display
from hudd.clock import SystemClock
from hudd.config.settings import ScreenSettings
from hudd.errors import CaptureError
from hudd.screen.portal import Portal, PortalScreen
from tests.fakes.machine import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    with Machine(tmp_path, monkeypatch) as made:
        yield made


def test_a_daemon_that_watches_tells_how() -> None:
    status = {"connection": "ready", "capture": {"state": "watching", "backend": "mss"}}
    rows = {row["name"]: row for row in judge({"version": "1"}, status, "1")}
    assert (rows["capture"]["state"], rows["capture"]["details"]) == ("ok", {"backend": "mss"})
    status["capture"] = {"state": "no_display", "backend": "mss"}
    assert "capture" not in {row["name"] for row in judge({"version": "1"}, status, "1")}


def test_a_shell_without_a_display_is_no_failure(machine: Machine) -> None:
    machine.changes["seen_by"] = "mss"
    (found,) = check_display(machine.context())
    assert (found.state, found.cause) == ("ok", "hudd itself sees the screen by mss; this shell has no display.")


def test_a_display_that_only_this_shell_cannot_see_is_a_warning(machine: Machine) -> None:
    machine.changes["seen_by"] = "mss"
    machine.environ["DISPLAY"] = ":4711"
    (found,) = check_display(machine.context())
    assert (found.state, found.remedy) == ("warning", "Check DISPLAY and XAUTHORITY")
    assert found.cause.startswith(
        "hudd itself sees the screen by mss; from here it is not seen: mss: The X display :4711"
    )


class OnlyScreenshots:
    """A portal without ScreenCast."""

    def screenshot(self) -> bytes:
        return b"P6 1 1 255\n\x00\x10\x20"

    def cast(self, *, cursor: bool) -> tuple[int, tuple[()]]:
        raise CaptureError("No cast.")

    def cast_ended(self) -> bool:
        return False

    def end_cast(self) -> None:
        """There is none."""


def test_single_screenshots_that_auto_came_to_name_their_drop_in(machine: Machine) -> None:
    portal: Portal = OnlyScreenshots()
    machine.systemctl("LoadState=loaded\nActiveState=active\n")
    machine.changes["seen_by"] = PortalScreen(ScreenSettings(), portal, SystemClock()).status().backend
    (found,) = [row for row in check_sandbox(machine.context()) if row.details.get("drop_in")]
    assert (found.state, found.details["drop_in"]) == ("ok", "portal-screenshots")
    assert found.cause.endswith("If it does not: hudctl service install --loosen portal-screenshots")
    machine.changes["seen_by"] = "portal ScreenCast"
    assert [row for row in check_sandbox(machine.context()) if row.details.get("drop_in")] == []
