"""Spoilt machines, the screen: none, a dead one, and a desktop that shows it by its portal only. One row for each."""

from __future__ import annotations

from hudd.checks import display
from hudd.checks.display import check_display
from hudd.desktop.portal import write_token
from tests.fakes.machine import Machine
from tests.fakes.portal import FakePortal, portal_of_thread
from tests.fakes.situations import Situations

SPOILT_SCREEN = Situations()
situation = SPOILT_SCREEN.row

_RUN_ANYWAY = "#!/bin/sh\nexec sleep 60\n"


def wayland_with_portal(machine: Machine) -> FakePortal:
    """A GNOME with its portal and a GStreamer, which hudd is to ask."""
    environ, portal = machine.uses(portal_of_thread(machine.folder))
    machine.environ |= {**environ, "WAYLAND_DISPLAY": "wayland-0", "XDG_CURRENT_DESKTOP": "GNOME"}
    machine.settings('[screen]\nsource = "portal"\n')
    program = machine.folder / "bin" / "gst-launch-1.0"
    program.parent.mkdir()
    program.write_text(_RUN_ANYWAY)
    program.chmod(0o755)
    machine.patch.setenv("PATH", str(program.parent), prepend=":")
    return portal


def permitted(machine: Machine) -> None:
    """A person chose the screens before."""
    machine.state.mkdir()
    write_token(machine.state / "portal-token", "of before")


@situation(check_display, "failure", "DISPLAY is not set", "desktop session")
def _no_display(machine: Machine) -> None:
    del machine


@situation(check_display, "failure", "The X display :4711 cannot be opened", "Check DISPLAY and XAUTHORITY")
def _dead_x_server(machine: Machine) -> None:
    machine.environ["DISPLAY"] = ":4711"


@situation(check_display, "failure", "absent", "pictures")
def _folder_of_pictures_missing(machine: Machine) -> None:
    machine.settings(f'[screen]\nsource = "pictures:{machine.folder}/absent"\n')


@situation(check_display, "failure", "GNOME has not been asked yet", "choose the screens in the window")
def _portal_that_was_never_asked(machine: Machine) -> None:
    wayland_with_portal(machine)


@situation(
    check_display, "failure", "The desktop asks whether hudd may see the screen", "choose the screens in the window"
)
def _portal_that_asks_again(machine: Machine) -> None:
    machine.patch.setattr(display, "_PERSON_S", 0.2)
    wayland_with_portal(machine).codes["Start"] = None
    permitted(machine)


@situation(check_display, "failure", "ScreenCast (Start: a person refused it)", "Allow hudd to see the screen")
def _portal_whose_permission_was_taken_back(machine: Machine) -> None:
    wayland_with_portal(machine).codes["Start"] = 1
    permitted(machine)
